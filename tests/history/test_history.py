"""Asking for the past of containers, over HTTP, of a Prometheus that knows some of them."""

import re

import numpy as np
import pytest

from memtop.history import prometheus_past
from memtop.history.past_series import ContainerName, PastSeries
from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.history.prometheus_client import PrometheusClient, direct_session
from memtop.history.prometheus_queries import (
    LAST_REASON_METRIC,
    LIMITS_METRIC,
    OOM_EVENTS_METRIC,
    RESTARTS_METRIC,
    SPEC_LIMITS_METRIC,
    MetricSchema,
    QueryGrid,
)
from tests.history.conftest import ok

GRID = QueryGrid(0.0, 600.0, 60.0)
RSS, WORKING_SET = "container_memory_rss", "container_memory_working_set_bytes"
WEB = ContainerName("shop", "web-1", "app")


def labels(name=WEB, **more):
    return {"namespace": name.namespace, "pod": name.pod, "container": name.container, **more}


class Known:
    """Answers by metric: ``series[metric]`` is a list of (labels, values per step)."""

    def __init__(self, **series):
        self.series = series
        self.warnings = []

    def __call__(self, asked):
        query = asked.query["query"][0]
        metric = next(name for name in self.series | {"": 0} if f"({name}{{" in query or not name)
        found = self.series.get(metric, [])
        if asked.path.endswith("/query_range"):
            start, step = (float(asked.query[name][0]) for name in ("start", "step"))
            result = [
                {
                    "metric": one,
                    "values": [[start + i * step, str(v)] for i, v in enumerate(values) if v is not None],
                }
                for one, values in found
            ]
            return ok({"resultType": "matrix", "result": result}, warnings=self.warnings)
        result = [{"metric": one, "value": [600.0, str(values[-1])]} for one, values in found]
        return ok({"resultType": "vector", "result": result}, warnings=self.warnings)


@pytest.fixture
def ask(web):
    """``ask(known, names, metrics, restarted)``: what was told, and the queries it took."""
    with direct_session() as session:

        def asking(known, names=(WEB,), metrics=("rss",), restarted=(), alone=(), **schema):
            web.answer = known
            told = prometheus_past.ask_past(
                PrometheusClient(web.url, session, timeout=5),
                MetricSchema(frozenset(known.series), **schema),
                names,
                metrics,
                GRID,
                restarted,
                alone,
            )
            return told, [asked.query["query"][0] for asked in web.asked]

        yield asking


def test_two_metrics_are_two_series(ask):
    known = Known(**{RSS: [(labels(id="a"), [1, 2, 3])], WORKING_SET: [(labels(id="a"), [4, 5, 6])]})
    told, _ = ask(known, metrics=("working_set", "rss"))
    assert told.pasts[WEB, "rss"].values.tolist() == [1, 2, 3]
    assert told.pasts[WEB, "working_set"].values.tolist() == [4, 5, 6]
    assert told.pasts[WEB, "rss"].metric == "rss"
    assert told.pasts[WEB, "rss"].origin == "Prometheus"


def test_rss_that_is_0_throughout_is_none(ask):
    known = Known(**{RSS: [(labels(id="a"), [0, 0, 0])], WORKING_SET: [(labels(id="a"), [4, 5, 6])]})
    told, _ = ask(known, metrics=("working_set", "rss"))
    assert list(told.pasts) == [(WEB, "working_set")]
    assert told.warnings == [prometheus_past.NO_RSS_WORDS]
    known.series[RSS] = [(labels(id="a"), [0, 0, 7])]
    assert ask(known, metrics=("rss",))[0].pasts[WEB, "rss"].values.tolist() == [0, 0, 7]


def test_the_sum_of_a_pod_is_its_only_containers_where_there_is_no_container_label(ask):
    two = [ContainerName("shop", "web-2", container) for container in ("app", "proxy")]
    sums = [({"namespace": "shop", "pod": pod}, [1, 2, 3]) for pod in ("web-1", "web-2")]
    told, queries = ask(Known(**{RSS: sums}), names=(WEB, *two), alone=(WEB,), pods_only=True)
    assert list(told.pasts) == [(WEB, "rss")]
    assert told.pasts[WEB, "rss"].values.tolist() == [1, 2, 3]
    assert told.warnings == [prometheus_past.PODS_ONLY_WORDS]
    assert queries == ['max by (namespace,pod) (container_memory_rss{namespace="shop",pod=~"web-1|web-2"})']


def test_a_metric_it_does_not_have_is_not_asked_for(ask):
    told, queries = ask(Known(**{WORKING_SET: [(labels(id="a"), [4])]}), metrics=("rss", "working_set"))
    assert list(told.pasts) == [(WEB, "working_set")]
    assert not any(RSS in query for query in queries)


def test_others_of_the_same_name_elsewhere_are_left_out(ask):
    other = ContainerName("elsewhere", "web-1", "app")
    told, _ = ask(Known(**{RSS: [(labels(id="a"), [1, 2]), (labels(other, id="b"), [7, 8])]}))
    assert list(told.pasts) == [(WEB, "rss")]


def test_restarts_kills_and_limits_of_kube_state_metrics(ask):
    known = Known(
        **{
            RSS: [(labels(id="a"), [1, 2, 3, 3, 3, 3]), (labels(id="b"), [None] * 5 + [1, 2])],
            RESTARTS_METRIC: [(labels(), [0, 0, 0, 0, 0, 1, 1])],
            LAST_REASON_METRIC: [(labels(), [None] * 5 + [1, 1])],
            LIMITS_METRIC: [(labels(), [1000])],
        }
    )
    told, queries = ask(known, restarted=(WEB,))
    past = told.pasts[WEB, "rss"]
    assert past.times.tolist() == [0, 60, 120, 300, 360]
    assert past.restarts.tolist() == [300]
    assert past.oom_kills.tolist() == [120]
    assert past.limit == 1000
    assert any('reason="OOMKilled"' in query for query in queries)


def test_without_kube_state_metrics(ask):
    known = Known(
        **{
            RSS: [(labels(id="a"), [1, 2, 3]), (labels(id="b"), [None] * 4 + [1, 2])],
            OOM_EVENTS_METRIC: [(labels(id="a"), [0, 0, 1])],
            SPEC_LIMITS_METRIC: [(labels(), [2000])],
        }
    )
    told, queries = ask(known, restarted=(WEB,))
    past = told.pasts[WEB, "rss"]
    assert past.restarts.tolist() == [240]
    assert past.oom_kills.tolist() == [120]
    assert past.limit == 2000
    assert any(query.endswith("> 0") for query in queries)


def test_restarts_are_asked_for_only_where_there_were_any(ask):
    other = ContainerName("shop", "web-2", "app")
    known = Known(**{RSS: [(labels(id="a"), [1])], RESTARTS_METRIC: [], LAST_REASON_METRIC: []})
    _, queries = ask(known, names=(WEB, other), restarted=(other,))
    (restarts,) = [query for query in queries if RESTARTS_METRIC in query]
    assert 'pod="web-2"' in restarts


def test_many_pods_are_asked_for_in_batches(ask):
    names = [ContainerName("shop", f"web-{i}", "app") for i in range(120)]
    known = Known(**{RSS: [(labels(name, id="a"), [1, 2]) for name in names]})
    told, queries = ask(known, names=names)
    assert len(told.pasts) == 120
    asked = [re.search(r'pod=~"([^"]*)"', query)[1].split("|") for query in queries]
    assert sorted(pod for pods in asked for pod in pods) == sorted(name.pod for name in names)
    assert max(map(len, asked)) <= 50


def test_warnings_are_told_once(ask):
    known = Known(**{RSS: [(labels(id="a"), [1])], LIMITS_METRIC: [(labels(), [1])]})
    known.warnings = ["a store is gone"]
    told, _ = ask(known)
    assert told.warnings == ["a store is gone"]


def test_growers_are_named(web):
    web.answer = lambda asked: ok(
        {"resultType": "vector", "result": [{"metric": labels(), "value": [1.0, "5"]}]}
    )
    schema = MetricSchema(frozenset({RSS}))
    with direct_session() as session:
        prometheus = PrometheusClient(web.url, session, timeout=5)
        assert prometheus_past.fastest_growers(prometheus, schema, ("shop",), 30, 21600) == [WEB]
        assert prometheus_past.fastest_growers(prometheus, MetricSchema(), ("shop",), 30, 21600) == []
    (query,) = [asked.query["query"][0] for asked in web.asked]
    assert query.startswith("topk(30, ")
    assert [int(ago) for ago in re.findall(r"offset (\d+)s", query)] == [21600, 10800, 5400, 2700, 1350, 675]
    assert 'namespace="shop"' in query


def past(times, restarts=(), limit=None):
    times = np.array(times, float)
    return PastSeries(
        "rss", "Prometheus", times, times, np.array(restarts, float), np.array(restarts, float), limit
    )


def test_news_replace_what_they_overlap_and_the_old_is_thinned():
    whole = QueryGrid(1200.0, 7200.0, 120.0)
    old = past(
        [960, 1080, 1200, 1215, 1230, 1320, 5000 - 5000 % 120, 5040], restarts=[900, 1215, 5040], limit=7.0
    )
    news = past([5040, 5055, 5070], restarts=[5040, 5055])
    joined = prometheus_past.extend_past(old, news, 5040.0, whole, 3600.0)
    assert joined.times.tolist() == [1080, 1200, 1320, 4920, 5040, 5055, 5070]
    assert joined.restarts.tolist() == [1215, 5040, 5055]
    assert joined.oom_kills.tolist() == [1215, 5040, 5055]
    assert joined.limit == 7.0


def test_of_the_last_hour_every_sample_is_kept_however_often_it_is_extended():
    whole = QueryGrid(0.0, 86400.0, 120.0)
    joined = past(np.arange(3600.0, 7200.0, 15.0))
    for since in (7200.0, 7215.0, 7230.0):
        joined = prometheus_past.extend_past(joined, past([since]), since, whole, since - 3600.0)
    assert joined.times.tolist() == [3600.0, *np.arange(3630.0, 7245.0, 15.0).tolist()]


def test_a_restart_at_the_edge_of_two_grids_is_not_lost():
    """The coarse grid noticed it late, after the fine one begins; the fine one has only the new life."""
    whole = QueryGrid(0.0, 7200.0, 120.0)
    coarse, fine = past([4800, 4920, 5040, 5160], restarts=[3000, 5160]), past([5100, 5115, 5130])
    assert prometheus_past.extend_past(coarse, fine, 5100.0, whole, 5100.0).restarts.tolist() == [3000, 5160]
    seen_by_both = past([5100, 5115, 5130], restarts=[5130])
    joined = prometheus_past.extend_past(coarse, seen_by_both, 5100.0, whole, 5100.0)
    assert joined.restarts.tolist() == [3000, 5130]


def test_kills_that_name_no_container_are_counted_for_none():
    class Mute:
        def instant_query(self, query, at=None):
            return QueryAnswer((MetricStream({}, np.array([1.0]), np.array([60.0])),))

    schema = MetricSchema(frozenset({OOM_EVENTS_METRIC}))
    assert prometheus_past.child_oom_kills(Mute(), schema, (), 3600.0) is None
