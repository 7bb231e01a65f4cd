"""Probing what a Prometheus calls things."""

import re

import numpy as np
import pytest

from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.history.prometheus_queries import (
    LIMITS_METRIC,
    MEMORY_METRICS,
    OOM_EVENTS_METRIC,
    RESTARTS_METRIC,
    MetricSchema,
    probe_schema,
)

RSS = "container_memory_rss"
WORKING_SET = "container_memory_working_set_bytes"


class Installation:
    """A Prometheus that has some series; matches as far as probing asks."""

    def __init__(self, *series, scrapes=30):
        self.all = series
        self.scrapes = scrapes

    def label_values(self, label, matches, start, end):
        assert start < end
        return tuple(sorted({one[label] for one in self.series(matches, start, end) if label in one}))

    def instant_query(self, query, at=None):
        series = query.removeprefix("max(count_over_time(").partition("[")[0]
        self.counted = [one for one in self.all if fits(series, one)]
        scrapes = self.scrapes if self.counted else 0
        return QueryAnswer((MetricStream({}, np.array([at]), np.array([float(scrapes)])),) if scrapes else ())

    def series(self, matches, start, end):
        return tuple(one for one in self.all if any(fits(match, one) for match in matches))


def fits(match, labels):
    name, _, rest = match.partition("{")
    if name and labels["__name__"] != name:
        return False
    return all(
        re.fullmatch(value.replace("\\\\", "\\"), labels.get(label, ""))
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', rest)
    )


def kubelet(metric=RSS, pod="web-1", **labels):
    return {
        "__name__": metric,
        "namespace": "shop",
        "pod": pod,
        "container": "web",
        "job": "kubelet",
        **labels,
    }


def restarts(pod="web-1", **labels):
    return {"__name__": RESTARTS_METRIC, "namespace": "shop", "pod": pod, "container": "web", **labels}


def test_a_usual_installation():
    schema = probe_schema(Installation(kubelet(), kubelet(WORKING_SET), restarts()), ["web-1"], 1e9)
    assert schema == MetricSchema(
        frozenset({RSS, WORKING_SET, RESTARTS_METRIC}), jobs=("kubelet",), known=True
    )
    assert schema.memory == ("rss", "working_set")
    assert schema.kube_state


def test_series_without_a_container_label_are_those_of_pods():
    series = kubelet()
    del series["container"]
    schema = probe_schema(Installation(series), ["web-1"], 1e9)
    assert schema.pods_only
    assert schema.known
    assert schema.cadvisor_labels("id") == ("namespace", "pod")
    assert not probe_schema(Installation(series, kubelet()), ["web-1"], 1e9).pods_only


def test_old_labels():
    series = kubelet()
    series["pod_name"], series["container_name"] = series.pop("pod"), series.pop("container")
    schema = probe_schema(Installation(series), ["web-1"], 1e9)
    assert (schema.pod, schema.container) == ("pod_name", "container_name")
    assert schema.known


def test_labels_that_the_scrape_has_too():
    mine = {"__name__": RESTARTS_METRIC, "namespace": "monitoring", "pod": "ksm-0", "container": "ksm"}
    mine |= {"exported_namespace": "shop", "exported_pod": "web-1", "exported_container": "web"}
    schema = probe_schema(Installation(kubelet(), mine), ["web-1"], 1e9)
    assert schema.state_labels() == ("exported_namespace", "exported_pod", "exported_container")


def test_several_clusters_are_told_apart_by_our_own_pods():
    here = [kubelet(cluster='e"u'), kubelet(pod="db-0", cluster='e"u'), restarts(cluster='e"u')]
    there = [kubelet(pod="db-0", cluster="us"), kubelet(pod="other", cluster="us")]
    schema = probe_schema(Installation(*here, *there), ["web-1", "db-0"], 1e9)
    assert schema.selectors == schema.state_selectors == ('cluster="e\\"u"',)


def test_one_cluster_needs_no_selector():
    assert probe_schema(Installation(kubelet(cluster="eu")), ["web-1"], 1e9).selectors == ()


def test_kube_state_metrics_without_the_cluster_label():
    installation = Installation(kubelet(cluster="eu"), kubelet(pod="x", cluster="us"), restarts())
    schema = probe_schema(installation, ["web-1"], 1e9)
    assert schema.selectors == ('cluster="eu"',)
    assert schema.state_selectors == ()


def test_several_jobs_are_noticed():
    schema = probe_schema(
        Installation(kubelet(), kubelet(job="cadvisor"), kubelet(job="x", container="POD")), ["web-1"], 1
    )
    assert schema.jobs == ("cadvisor", "kubelet")


def test_pods_of_another_cluster():
    schema = probe_schema(Installation(kubelet(pod="theirs")), ["web-1"], 1e9)
    assert schema.memory == ("rss",)
    assert not schema.known


def test_no_memory_at_all():
    schema = probe_schema(Installation({"__name__": "up"}, restarts()), ["web-1"], 1e9)
    assert schema.memory == ()


@pytest.mark.parametrize(("scrapes", "interval"), [(60, 15.0), (30, 30.0), (15, 60.0), (1, 30.0), (0, 30.0)])
def test_how_often_the_kubelets_are_scraped(scrapes, interval):
    assert probe_schema(Installation(kubelet(), scrapes=scrapes), ["web-1"], 1e9).interval == interval


def test_dots_in_names_are_no_wildcards():
    assert not probe_schema(Installation(kubelet(pod="webX1")), ["web.1"], 1e9).known
    assert probe_schema(Installation(kubelet(pod="web.1")), ["web.1"], 1e9).known


@pytest.mark.parametrize("name", [*MEMORY_METRICS.values(), LIMITS_METRIC, OOM_EVENTS_METRIC])
def test_each_metric_is_looked_for(name):
    assert name in probe_schema(Installation({"__name__": name}), [], 1e9).names
