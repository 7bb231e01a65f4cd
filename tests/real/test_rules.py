"""Alert rules on a real cluster: loaded by a real Prometheus, fired by a real leak, applied and undone."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

from tests.real import prometheus_server
from tests.real.patience import eventually

LEAKING = "deployment/slow-leak-service"
CLUSTERS_PROMETHEUS = "http://127.0.0.1:9090"
"""That of the machine, which the one of this test reads from."""


def memtop(admin, state, *words):
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *words, "--kubeconfig", str(admin)],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(url, path, **query):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as got:
        return json.load(got)["data"]


@pytest.fixture
def prometheus_with(tmp_path):
    """``prometheus_with(rule_file)``: a Prometheus of one's own with these rules and the machine's past."""
    if not prometheus_server.available():
        pytest.skip("no real Prometheus: neither prometheus nor promtool may be missing")
    started = []

    def start(rules):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {evaluation_interval: 10s}\n"
            f"rule_files: [{rules}]\n"
            f"remote_read: [{{url: '{CLUSTERS_PROMETHEUS}/api/v1/read', read_recent: true}}]\n"
        )
        words = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data", "--log.level=warn"]
        started.append(subprocess.Popen(["prometheus", *words, f"--web.listen-address={address}"]))
        return f"http://{address}"

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def test_a_real_prometheus_loads_the_rules_and_a_real_leak_fires_before_its_kill(
    admin, clusters_prometheus, prometheus_with, tmp_path
):
    short = ("--alert-forecast-window", "10m", "--alert-leak-window", "20m")
    (tmp_path / "out").mkdir()
    memtop(admin, tmp_path, "rules", LEAKING, "-n", "production", *short, "--to", str(tmp_path / "out"))
    url = prometheus_with(tmp_path / "out" / "memory-alerts.rules.yml")

    def rules():
        try:
            groups = answer(url, "rules")["groups"]
        except OSError:
            return []
        return [rule for group in groups for rule in group["rules"]]

    eventually(lambda: rules() and all(rule["health"] == "ok" for rule in rules()), "every rule evaluated")

    def firing():
        found = [rule for rule in rules() if rule["name"] == "MemoryLimitSoon"]
        return [one for rule in found for one in rule["alerts"] if one["state"] == "firing"]

    if not firing():  # a life that has just begun shows no growth yet
        eventually(firing, "the alert of a leak that reaches its limit soon", 500)
    alert = firing()[0]
    assert alert["labels"]["pod"].startswith("slow-leak-service-")
    assert alert["labels"]["container"] == "slow-leak-service"
    assert 0 < float(alert["value"]) < 4
    assert "memtop rollout undo -n production" in alert["annotations"]["next_steps"]
    alive = f'container_memory_rss{{pod="{alert["labels"]["pod"]}",container="slow-leak-service"}}'
    held = answer(CLUSTERS_PROMETHEUS, "query", query=alive, time=time.time())["result"]
    assert max(float(one["value"][1]) for one in held) < 512 * 2**20


def test_rules_are_applied_as_a_configmap_found_unchanged_and_taken_back(
    admin, kubectl, new_namespace, clusters_prometheus, tmp_path
):
    namespace = new_namespace("rules")
    words = ("-n", "production", "-o", "configmap", "--alert-namespace", namespace)
    memtop(admin, tmp_path, "rules", "apply", *words, "--yes")
    document = memtop(admin, tmp_path, "rules", *words)
    kubectl("diff", "-f", "-", given=document)  # exit code 1 where they differ
    memtop(admin, tmp_path, "rules", "apply", *words, "--critical-ratio", "80", "--yes")
    memtop(admin, tmp_path, "rules", "undo", "--yes")
    kubectl("diff", "-f", "-", given=document)
    memtop(admin, tmp_path, "rules", "undo", "--yes")
    assert not kubectl("-n", namespace, "get", "configmap", "memory-alerts", "--ignore-not-found")


def test_the_real_past_is_looked_at(admin, clusters_prometheus, tmp_path):
    def pages():
        table = memtop(admin, tmp_path, "rules", "-n", "production", "--backtest", "3h").splitlines()
        assert table[0].split()[:2] == ["RULE", "PAGES"]
        return {line.split()[0]: int(line.split()[1]) for line in table[1:]}

    eventually(lambda: pages()["oom-kill"] > 0, "an OOM kill that Prometheus remembers", 500)


@pytest.mark.parametrize(
    "panel",
    [
        "Memory and limit",
        "Share of the limit",
        "Growth of the floor per hour",
        "Time to the limit",
        "Before and after the last change: memory by revision",
        "Before and after the last change: growth of the floor by revision",
        "OOM kills",
        "Restarts",
    ],
)
def test_every_query_of_the_dashboard_has_data(admin, clusters_prometheus, panel, tmp_path):
    pytest.importorskip("grafana_foundation_sdk")
    made = json.loads(memtop(admin, tmp_path, "dashboard", "-n", "production"))
    found = next(one for one in made["panels"] if one["title"] == panel)
    for target in found["targets"]:
        query = target["expr"]
        for name, value in {"$namespace": "production", "$workload": "", "$pod": ".*"}.items():
            query = query.replace(name, value)

        def told(query=query):
            times = {"start": time.time() - 7200, "end": time.time(), "step": 300}
            return answer(CLUSTERS_PROMETHEUS, "query_range", query=query, **times)["result"]

        eventually(told, f"data for {query}", 500)
