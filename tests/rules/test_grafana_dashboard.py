"""The Grafana dashboard: what the SDK accepts, with queries that promtool accepts, for each installation."""

import json
import shutil
import subprocess

import pytest
import yaml

from memtop.rules.grafana_dashboard import (
    DASHBOARD_FILE,
    change_query,
    dashboard_json,
    dashboard_object,
    graph_panels,
)
from tests.rules.installations import INSTALLATIONS

KUBE_PROMETHEUS = INSTALLATIONS["kube-prometheus"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_every_query(tmp_path):
    queries = [
        query
        for metrics in INSTALLATIONS.values()
        for panel in graph_panels(metrics)
        for query in panel.queries.values()
    ]
    queries += filter(None, map(change_query, INSTALLATIONS.values()))
    rules = [{"record": f"q:{at}", "expr": query} for at, query in enumerate(queries)]
    path = tmp_path / "q.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


def test_panels_without_a_metric_are_left_out_and_named():
    panels = {panel.title: panel for panel in graph_panels(INSTALLATIONS["no OOM events"])}
    assert "not scraped" in panels["Waiting for memory"].missing
    assert "container_oom_events_total" in panels["OOM kills of child processes"].missing
    assert not panels["Waiting for memory"].queries
    assert not any(panel.missing for panel in graph_panels(KUBE_PROMETHEUS))


def test_the_sdk_accepts_what_is_written_and_it_has_all_that_was_asked_for():
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    written = json.loads(dashboard_json(KUBE_PROMETHEUS))
    read = models.Dashboard.from_json(written)
    assert read.title == "Memory of workloads"
    assert [one["name"] for one in written["templating"]["list"]] == [
        "datasource",
        "namespace",
        "workload",
        "pod",
    ]
    assert [panel["title"] for panel in written["panels"]] == [
        panel.title for panel in graph_panels(KUBE_PROMETHEUS)
    ]
    assert written["annotations"]["list"][0]["name"] == "New revision"
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in written["panels"]}
    assert len(places) == len(written["panels"])


def test_the_configmap_is_one_that_grafanas_sidecar_loads():
    made = dashboard_object("{}", "observability")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["data"][DASHBOARD_FILE] == "{}"
