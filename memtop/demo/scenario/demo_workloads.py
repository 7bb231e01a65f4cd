"""The workloads of the demo: those of its story and ordinary ones, and what their images do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memtop.demo.container_runs import Behaviour
from memtop.demo.memory_curves import DAY, GIB, HOUR, MIB, Curve, fraction_of, seed_of
from memtop.demo.workload_objects import ContainerTemplate, DemoWorkload

OOM_EVERY = 2.5 * HOUR
LEAKING_SINCE = 28 * HOUR  # since production runs what leaks: the pods' lives and restarts take as long
FIXED_AGO = 7 * HOUR  # since staging runs the fix, so that there is a before and an after at the start

STORY_IMAGES: dict[str, Behaviour] = {
    # Grows from 300 MiB to 2 GiB in two and a half hours, with the saw-tooth of a garbage collector.
    "user-service:v2.0.0": Behaviour(
        Curve(300 * MIB, leak=1660 * MIB / OOM_EVERY, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        log_style="leaking",
        spread=0.02,
        cpu=0.12,
    ),
    "user-service:v2.1.0": Behaviour(
        Curve(300 * MIB, warm=180 * MIB, warm_tau=600, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        log_style="jvm",
        spread=0.02,
        cpu=0.1,
    ),
    # Half a fix: leaks half as fast and is killed half as often.
    "user-service:v2.0.1": Behaviour(
        Curve(300 * MIB, leak=830 * MIB / OOM_EVERY, teeth=120 * MIB, teeth_period=420, noise=12 * MIB),
        log_style="leaking",
        spread=0.02,
        cpu=0.11,
    ),
    # Ends before it is ready: a rollout to it never completes.
    "user-service:v2.2.0-bad": Behaviour(
        Curve(90 * MIB, noise=4 * MIB),
        log_style="misconfigured",
        exits_after=2.5,
        exit_code=1,
        ready_after=15.0,
        spread=0.02,
    ),
    "user-service:v1.9.3": Behaviour(
        Curve(280 * MIB, teeth=100 * MIB, teeth_period=480, noise=10 * MIB), log_style="jvm", cpu=0.1
    ),
    "billing:4.7.1": Behaviour(
        Curve(520 * MIB, teeth=560 * MIB, teeth_period=900, noise=15 * MIB), log_style="jvm", cpu=0.2
    ),
    "billing:4.7.2": Behaviour(
        Curve(500 * MIB, teeth=480 * MIB, teeth_period=900, noise=15 * MIB), log_style="jvm", cpu=0.2
    ),
    "reports:2026.11": Behaviour(
        Curve(120 * MIB, bump=2.6 * GIB, bump_period=DAY, bump_width=1500, noise=8 * MIB),
        log_style="batch",
        exits_after=1560,
        cpu=0.8,
    ),
    "cache:7.2": Behaviour(
        Curve(90 * MIB, warm=620 * MIB, warm_tau=2.2 * HOUR, noise=4 * MIB), log_style="cache", cpu=0.05
    ),
    "cache:7.4": Behaviour(
        Curve(90 * MIB, warm=540 * MIB, warm_tau=2.2 * HOUR, noise=4 * MIB), log_style="cache", cpu=0.05
    ),
    # 9 MiB an hour under a daily swing of ±25: visible over a day, not over an hour.
    "ledger:3.0.4": Behaviour(
        Curve(420 * MIB, leak=9 * MIB / HOUR, day=25 * MIB, noise=14 * MIB), spread=0.03, cpu=0.07
    ),
    "ledger:3.0.5": Behaviour(Curve(420 * MIB, day=25 * MIB, noise=14 * MIB), spread=0.03, cpu=0.07),
    "webhooks:0.9.0": Behaviour(
        Curve(60 * MIB, noise=2 * MIB), log_style="crashing", exits_after=38, exit_code=1, cpu=0.01
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
        Curve(28 * MIB, leak=36 * MIB / HOUR, noise=1.5 * MIB), log_style="agent", spread=0.05, cpu=0.01
    ),
    "log-agent:2.4": Behaviour(Curve(28 * MIB, noise=1.5 * MIB), log_style="agent", cpu=0.01),
    "migrate:1.0": Behaviour(Curve(30 * MIB), log_style="migrate", exits_after=3.0),
    "session-api:18.2": Behaviour(
        Curve(180 * MIB, leak=520 * MIB / (6 * HOUR), noise=8 * MIB),
        log_style="node",
        exits_after=5.6 * HOUR,
        exit_code=134,
        cpu=0.1,
    ),
    "session-api:18.3": Behaviour(Curve(180 * MIB, warm=60 * MIB, noise=8 * MIB), cpu=0.1),
    "postgres:16.4": Behaviour(
        Curve(900 * MIB, warm=500 * MIB, warm_tau=3 * HOUR, day=60 * MIB, noise=20 * MIB),
        log_style="database",
        cpu=0.3,
    ),
    "thumbnailer:2.2": Behaviour(
        Curve(160 * MIB, bump=520 * MIB, bump_period=5400, bump_width=600, noise=10 * MIB),
        log_style="batch",
        cpu=0.15,
    ),
    "model-server:0.6": Behaviour(Curve(3.4 * GIB, noise=30 * MIB), cpu=0.6),
    "node-agent:1.9": Behaviour(Curve(44 * MIB, noise=2 * MIB), log_style="agent", cpu=0.01),
    "node-agent:1.10": Behaviour(Curve(40 * MIB, noise=2 * MIB), log_style="agent", cpu=0.01),
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

STORY_WORKLOADS: tuple[DemoWorkload, ...] = (
    DemoWorkload(
        "production",
        "user-service",
        (ContainerTemplate("user-service", "user-service:v2.0.0", "2Gi", "512Mi", cpu="250m"),),
        replicas=3,
        labels={"tier": "backend", "team": "identity"},
        run_ages=(4 * 60.0, 0.935 * OOM_EVERY, 0.52 * OOM_EVERY),
        restarts=(11, 10, 10),
        earlier=(
            (
                "user-service:v1.9.3",
                "kubectl set image deployment/user-service user-service=user-service:v1.9.3",
            ),
        ),
        revision_ages=(LEAKING_SINCE,),
        change_cause="kubectl set image deployment/user-service user-service=user-service:v2.0.0",
    ),
    DemoWorkload(
        "production",
        "billing",
        (ContainerTemplate("billing", "billing:4.7.1", "1536Mi", "1Gi"),),
        replicas=2,
        labels={"team": "money"},
        deployed_by="helm",
    ),
    DemoWorkload(
        "production",
        "order-service",
        (
            ContainerTemplate("order-service", "order-service:1.14.0", "512Mi", "256Mi"),
            ContainerTemplate("log-agent", "log-agent:2.3", "128Mi", "32Mi"),
        ),
        replicas=2,
        init_containers=(ContainerTemplate("migrate", "migrate:1.0", "64Mi", "32Mi"),),
    ),
    DemoWorkload(
        "production",
        "session-cache",
        (ContainerTemplate("cache", "cache:7.2", "1Gi", "512Mi"),),
        kind="StatefulSet",
        replicas=2,
        run_ages=(95 * 60.0, 3.1 * DAY),
    ),
    DemoWorkload(
        "production",
        "webhooks",
        (ContainerTemplate("webhooks", "webhooks:0.9.0", "128Mi", "64Mi"),),
        run_ages=(20.0,),
        restarts=(280,),
    ),
    DemoWorkload(
        "production",
        "nightly-report",
        (ContainerTemplate("report", "reports:2026.11", "4Gi", "512Mi"),),
        kind="CronJob",
    ),
    DemoWorkload(
        "production",
        "search-indexer",
        (ContainerTemplate("indexer", "indexer:5.1", "2Gi", "1Gi"),),
        run_ages=(2.2 * HOUR,),
        restarts=(5,),
    ),
    DemoWorkload(
        "production", "debug-shell", (ContainerTemplate("shell", "ordinary/toolbox:1.0"),), kind="Pod"
    ),
    DemoWorkload(
        "payments",
        "ledger",
        (ContainerTemplate("ledger", "ledger:3.0.4", "1Gi", "512Mi"),),
        replicas=2,
        run_ages=(31 * HOUR, 30 * HOUR),
        deployed_by="argocd",
    ),
    DemoWorkload(
        "payments",
        "postgres",
        (ContainerTemplate("postgres", "postgres:16.4", "3Gi", "2Gi"),),
        kind="StatefulSet",
        replicas=2,
    ),
    DemoWorkload(
        "payments",
        "fraud-model",
        (ContainerTemplate("model", "model-server:0.6", None, "3Gi"),),
        labels={"team": "risk"},
    ),
    DemoWorkload(
        "staging",
        "session-api",
        (ContainerTemplate("session-api", "session-api:18.2", "1Gi", "256Mi"),),
        run_ages=(3.4 * HOUR,),
        restarts=(6,),
    ),
    DemoWorkload(
        "staging",
        "thumbnailer",
        (ContainerTemplate("thumbnailer", "thumbnailer:2.2", "1Gi", "256Mi"),),
        replicas=2,
        deployed_by="flux",
    ),
    DemoWorkload(
        "staging",
        "user-service",
        (ContainerTemplate("user-service", "user-service:v2.1.0", "2Gi", "512Mi"),),
        run_ages=(FIXED_AGO - 12.0,),
        age=2.2 * DAY,
        earlier=(("user-service:v2.0.0", ""),),
        revision_ages=(FIXED_AGO,),
        change_cause="kubectl set image deployment/user-service user-service=user-service:v2.1.0",
    ),
    DemoWorkload(
        "observability",
        "prometheus",
        (ContainerTemplate("prometheus", "prometheus:2.53.1", "3Gi", "1Gi"),),
        kind="StatefulSet",
    ),
    DemoWorkload(
        "observability", "grafana", (ContainerTemplate("grafana", "grafana:11.2.0", "512Mi", "128Mi"),)
    ),
    DemoWorkload(
        "kube-system",
        "node-agent",
        (ContainerTemplate("agent", "node-agent:1.9", "128Mi", "32Mi"),),
        kind="DaemonSet",
    ),
    DemoWorkload(
        "kube-system",
        "coredns",
        (ContainerTemplate("coredns", "coredns:1.11.1", "170Mi", "70Mi"),),
        replicas=2,
    ),
    DemoWorkload(
        "kube-system",
        "metrics-server",
        (ContainerTemplate("metrics-server", "metrics-server:0.7.1", "200Mi", "100Mi"),),
    ),
)
"""The workloads of the story."""


NAMESPACES = ("shop", "search", "media", "payments", "staging", "platform", "data", "mobile")
WORDS = (
    "cart", "catalog", "checkout", "pricing", "stock", "mailer", "profile", "reviews", "gateway", "router",
    "geo", "feed", "ranking", "coupons", "returns", "tracking", "notify", "quotes", "images", "tags",
)  # fmt: skip
RELEASES = re.compile(r"ordinary/([a-z0-9-]+):v?\d+(?:\.\d+)*")
FIRST_RELEASES = 3  # minor releases of an ordinary image that are in use at the start


def behaviour_of(image: str) -> Behaviour | None:
    """Return what an image does, None when it does not exist: the catalogue of images.

    Images of the story exist only with the tags in `STORY_IMAGES`; ordinary images exist with every version
    as tag, and all versions behave alike.
    """
    named = STORY_IMAGES.get(image)
    if named is not None:
        return named
    match = RELEASES.fullmatch(image)
    return None if match is None else _ordinary(match[1])


def _ordinary(name: str) -> Behaviour:
    base = (40 + 70 * fraction_of(name, "base")) * MIB
    kind = seed_of(name, "kind") % 4
    if kind == 0:
        curve = Curve(
            base, teeth=0.7 * base, teeth_period=300 + 900 * fraction_of(name, "period"), noise=0.02 * base
        )
        return Behaviour(curve, log_style="jvm", spread=0.15)
    if kind == 1:
        return Behaviour(Curve(base, warm=0.8 * base, warm_tau=1.5 * HOUR, noise=0.03 * base), spread=0.15)
    if kind == 2:
        return Behaviour(Curve(base, day=0.15 * base, noise=0.04 * base), spread=0.15)
    return Behaviour(Curve(base, noise=0.03 * base), spread=0.15)


def ordinary_workloads(pods: int, containers_per_pod: int, seed: int) -> Iterator[DemoWorkload]:
    """Yield workloads of `pods` pods in all.

    Args:
        pods: how many pods.
        containers_per_pod: how many containers each has (1 or 2).
        seed: the seed of their sizes.
    """
    made = 0
    index = 0
    while made < pods:
        word = WORDS[index % len(WORDS)]
        name = word if index < len(WORDS) else f"{word}-{index // len(WORDS)}"
        largest = 4 if pods < 500 else 24
        replicas = min(1 + seed_of(seed, name, "replicas") % largest, pods - made)
        image = f"ordinary/{word}:1.{seed_of(name) % FIRST_RELEASES}"
        limit = "256Mi" if seed_of(word, "limit") % 3 else "512Mi"
        containers = [ContainerTemplate(name, image, limit, "128Mi")]
        if containers_per_pod > 1:
            containers.append(ContainerTemplate("proxy", "ordinary/proxy:1.0", "256Mi", "64Mi", cpu="20m"))
        yield DemoWorkload(
            NAMESPACES[index % len(NAMESPACES)],
            name,
            tuple(containers),
            replicas=replicas,
            labels={"tier": "backend" if index % 3 else "frontend"},
            age=(4 + seed_of(name, "age") % 40) * DAY,
        )
        made += replicas
        index += 1
