"""The named cast: what each image does, and the workloads that make the demo worth watching.

Images are the only thing that decides behaviour, so changing an image changes what happens.
"""

from __future__ import annotations

from memtop.demo.curves import DAY, GIB, HOUR, MIB, Curve
from memtop.demo.life import Behaviour
from memtop.demo.world.apps import App, Box

OOM_EVERY = 2.5 * HOUR
FIXED_AGO = 7 * HOUR  # since staging runs the fix: there is a before and an after to look at from the start

BEHAVIOURS: dict[str, Behaviour] = {
    # Grows from 300 MiB to 2 GiB in two and a half hours, with the teeth of a collector that loses ground.
    "user-service:v2.0.0": Behaviour(
        Curve(300 * MIB, leak=1660 * MIB / OOM_EVERY, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        voice="leaking",
        spread=0.02,
        cpu=0.12,
    ),
    "user-service:v2.1.0": Behaviour(
        Curve(300 * MIB, warm=180 * MIB, warm_tau=600, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        voice="jvm",
        spread=0.02,
        cpu=0.1,
    ),
    # Half a fix: it leaks half as fast, and is killed half as often.
    "user-service:v2.0.1": Behaviour(
        Curve(300 * MIB, leak=830 * MIB / OOM_EVERY, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        voice="leaking",
        spread=0.02,
        cpu=0.11,
    ),
    # Ends before it is ever ready: a rollout to it gets stuck.
    "user-service:v2.2.0-bad": Behaviour(
        Curve(90 * MIB, noise=4 * MIB),
        voice="misconfigured",
        exits_after=2.5,
        exit_code=1,
        ready_after=15.0,
        spread=0.02,
    ),
    "user-service:v1.9.3": Behaviour(
        Curve(280 * MIB, teeth=100 * MIB, teeth_period=480, noise=10 * MIB), voice="jvm", cpu=0.1
    ),
    "billing:4.7.1": Behaviour(
        Curve(520 * MIB, teeth=560 * MIB, teeth_period=900, noise=15 * MIB), voice="jvm", cpu=0.2
    ),
    "billing:4.7.2": Behaviour(
        Curve(500 * MIB, teeth=480 * MIB, teeth_period=900, noise=15 * MIB), voice="jvm", cpu=0.2
    ),
    "reports:2026.11": Behaviour(
        Curve(120 * MIB, bump=2.6 * GIB, bump_period=DAY, bump_width=1500, noise=8 * MIB),
        voice="batch",
        exits_after=1560,
        cpu=0.8,
    ),
    "cache:7.2": Behaviour(
        Curve(90 * MIB, warm=620 * MIB, warm_tau=2.2 * HOUR, noise=4 * MIB), voice="cache", cpu=0.05
    ),
    "cache:7.4": Behaviour(
        Curve(90 * MIB, warm=540 * MIB, warm_tau=2.2 * HOUR, noise=4 * MIB), voice="cache", cpu=0.05
    ),
    # 9 MiB an hour under a daily swing of ±25: an hour or two says nothing, a day does.
    "ledger:3.0.4": Behaviour(
        Curve(420 * MIB, leak=9 * MIB / HOUR, day=25 * MIB, noise=14 * MIB), spread=0.03, cpu=0.07
    ),
    "ledger:3.0.5": Behaviour(Curve(420 * MIB, day=25 * MIB, noise=14 * MIB), spread=0.03, cpu=0.07),
    "webhooks:0.9.0": Behaviour(
        Curve(60 * MIB, noise=2 * MIB), voice="crashing", exits_after=38, exit_code=1, cpu=0.01
    ),
    "webhooks:0.9.1": Behaviour(Curve(70 * MIB, noise=2 * MIB)),
    "indexer:5.1": Behaviour(
        Curve(700 * MIB, warm=300 * MIB, noise=20 * MIB), exits_after=5 * HOUR, exit_code=137, cpu=0.4
    ),
    "order-service:1.14.0": Behaviour(
        Curve(210 * MIB, teeth=60 * MIB, teeth_period=300, noise=6 * MIB), cpu=0.09
    ),
    "order-service:1.14.1": Behaviour(
        Curve(205 * MIB, teeth=60 * MIB, teeth_period=300, noise=6 * MIB), cpu=0.09
    ),
    "log-agent:2.3": Behaviour(
        Curve(28 * MIB, leak=36 * MIB / HOUR, noise=1.5 * MIB), voice="agent", spread=0.05, cpu=0.01
    ),
    "log-agent:2.4": Behaviour(Curve(28 * MIB, noise=1.5 * MIB), voice="agent", cpu=0.01),
    "migrate:1.0": Behaviour(Curve(30 * MIB), voice="migrate", exits_after=3.0),
    "session-api:18.2": Behaviour(
        Curve(180 * MIB, leak=520 * MIB / (6 * HOUR), noise=8 * MIB),
        voice="node",
        exits_after=5.6 * HOUR,
        exit_code=134,
        cpu=0.1,
    ),
    "session-api:18.3": Behaviour(Curve(180 * MIB, warm=60 * MIB, noise=8 * MIB), cpu=0.1),
    "postgres:16.4": Behaviour(
        Curve(900 * MIB, warm=500 * MIB, warm_tau=3 * HOUR, day=60 * MIB, noise=20 * MIB),
        voice="database",
        cpu=0.3,
    ),
    "thumbnailer:2.2": Behaviour(
        Curve(160 * MIB, bump=520 * MIB, bump_period=5400, bump_width=600, noise=10 * MIB),
        voice="batch",
        cpu=0.15,
    ),
    "model-server:0.6": Behaviour(Curve(3.4 * GIB, noise=30 * MIB), cpu=0.6),
    "node-agent:1.9": Behaviour(Curve(44 * MIB, noise=2 * MIB), voice="agent", cpu=0.01),
    "node-agent:1.10": Behaviour(Curve(40 * MIB, noise=2 * MIB), voice="agent", cpu=0.01),
    "prometheus:2.53.1": Behaviour(
        Curve(
            850 * MIB, warm=350 * MIB, warm_tau=4 * HOUR, teeth=180 * MIB, teeth_period=7200, noise=15 * MIB
        ),
        cpu=0.2,
    ),
    "grafana:11.2.0": Behaviour(Curve(140 * MIB, noise=6 * MIB)),
    "coredns:1.11.1": Behaviour(Curve(24 * MIB, noise=1 * MIB), cpu=0.005),
    "metrics-server:0.7.1": Behaviour(Curve(38 * MIB, noise=2 * MIB), cpu=0.006),
}
"""What each named image does."""

CAST: tuple[App, ...] = (
    App(
        "production",
        "user-service",
        (Box("user-service", "user-service:v2.0.0", "2Gi", "512Mi", cpu="250m"),),
        replicas=3,
        labels={"tier": "backend", "team": "identity"},
        ages=(4 * 60.0, 0.935 * OOM_EVERY, 0.52 * OOM_EVERY),
        restarts=(11, 10, 10),
        earlier=(
            (
                "user-service:v1.9.3",
                "kubectl set image deployment/user-service user-service=user-service:v1.9.3",
            ),
        ),
        cause="kubectl set image deployment/user-service user-service=user-service:v2.0.0",
    ),
    App(
        "production",
        "billing",
        (Box("billing", "billing:4.7.1", "1536Mi", "1Gi"),),
        replicas=2,
        labels={"team": "money"},
        delivery="helm",
    ),
    App(
        "production",
        "order-service",
        (
            Box("order-service", "order-service:1.14.0", "512Mi", "256Mi"),
            Box("log-agent", "log-agent:2.3", "128Mi", "32Mi"),
        ),
        replicas=2,
        inits=(Box("migrate", "migrate:1.0", "64Mi", "32Mi"),),
    ),
    App(
        "production",
        "session-cache",
        (Box("cache", "cache:7.2", "1Gi", "512Mi"),),
        kind="StatefulSet",
        replicas=2,
        ages=(95 * 60.0, 3.1 * DAY),
    ),
    App(
        "production",
        "webhooks",
        (Box("webhooks", "webhooks:0.9.0", "128Mi", "64Mi"),),
        ages=(20.0,),
        restarts=(280,),
    ),
    App("production", "nightly-report", (Box("report", "reports:2026.11", "4Gi", "512Mi"),), kind="CronJob"),
    App(
        "production",
        "search-indexer",
        (Box("indexer", "indexer:5.1", "2Gi", "1Gi"),),
        ages=(2.2 * HOUR,),
        restarts=(5,),
    ),
    App("production", "debug-shell", (Box("shell", "ordinary/toolbox:1.0"),), kind="Pod"),
    App(
        "payments",
        "ledger",
        (Box("ledger", "ledger:3.0.4", "1Gi", "512Mi"),),
        replicas=2,
        ages=(31 * HOUR, 30 * HOUR),
        delivery="argocd",
    ),
    App(
        "payments",
        "postgres",
        (Box("postgres", "postgres:16.4", "3Gi", "2Gi"),),
        kind="StatefulSet",
        replicas=2,
    ),
    App("payments", "fraud-model", (Box("model", "model-server:0.6", None, "3Gi"),), labels={"team": "risk"}),
    App(
        "staging",
        "session-api",
        (Box("session-api", "session-api:18.2", "1Gi", "256Mi"),),
        ages=(3.4 * HOUR,),
        restarts=(6,),
    ),
    App(
        "staging",
        "thumbnailer",
        (Box("thumbnailer", "thumbnailer:2.2", "1Gi", "256Mi"),),
        replicas=2,
        delivery="flux",
    ),
    App(
        "staging",
        "user-service",
        (Box("user-service", "user-service:v2.1.0", "2Gi", "512Mi"),),
        ages=(FIXED_AGO - 12.0,),
        age=2.2 * DAY,
        earlier=(("user-service:v2.0.0", ""),),
        revised=(FIXED_AGO,),
        cause="kubectl set image deployment/user-service user-service=user-service:v2.1.0",
    ),
    App(
        "observability",
        "prometheus",
        (Box("prometheus", "prometheus:2.53.1", "3Gi", "1Gi"),),
        kind="StatefulSet",
    ),
    App("observability", "grafana", (Box("grafana", "grafana:11.2.0", "512Mi", "128Mi"),)),
    App("kube-system", "node-agent", (Box("agent", "node-agent:1.9", "128Mi", "32Mi"),), kind="DaemonSet"),
    App("kube-system", "coredns", (Box("coredns", "coredns:1.11.1", "170Mi", "70Mi"),), replicas=2),
    App("kube-system", "metrics-server", (Box("metrics-server", "metrics-server:0.7.1", "200Mi", "100Mi"),)),
)
"""The workloads with a story."""
