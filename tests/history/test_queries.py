"""PromQL as it is built, and the moments it is asked for."""

import re

import pytest

from memtop.history import prometheus_queries
from memtop.history.prometheus_queries import MetricSchema

DAY = 86400.0


def test_memory_of_two_pods():
    query = prometheus_queries.memory_query(MetricSchema(), "rss", [("shop", "cart-1"), ("shop", "cart-2")])
    assert query == (
        'max by (namespace,pod,container,id) (container_memory_rss{namespace="shop",pod=~"cart-1|cart-2",'
        'container!="",container!="POD"})'
    )


def test_old_labels_and_one_cluster_of_several():
    schema = MetricSchema(pod="pod_name", container="container_name", selectors=('cluster="eu"',))
    query = prometheus_queries.memory_query(schema, "working_set", [("shop", "cart-1")])
    assert query == (
        "max by (namespace,pod_name,container_name,id) (container_memory_working_set_bytes"
        '{cluster="eu",namespace="shop",pod_name="cart-1",container_name!="",container_name!="POD"})'
    )


def test_limits_without_kube_state_metrics_leave_out_the_kernels_zero():
    assert prometheus_queries.kernel_limits_query(MetricSchema(), [("a", "b")]).endswith(" > 0")


def test_exported_labels_of_kube_state_metrics():
    query = prometheus_queries.restarts_query(MetricSchema(state_prefix="exported_"), [("shop", "cart-1")])
    assert query == (
        "max by (exported_namespace,exported_pod,exported_container) "
        '(kube_pod_container_status_restarts_total{exported_namespace="shop",exported_pod="cart-1"})'
    )


@pytest.mark.parametrize("name", ["a.b", "a|b", 'a"b', "a\\b", "a.*", "a\nb", "(a)", "ab]"])
def test_names_match_themselves_and_nothing_else(name):
    assert re.fullmatch(prometheus_queries.any_of_regex([name, "x"]), name)
    assert not re.fullmatch(prometheus_queries.any_of_regex([name]), "aXb")
    literal = prometheus_queries.quote_promql(name)
    assert literal[0] == literal[-1] == '"'
    assert "\n" not in literal
    assert literal[1:-1].replace("\\\\", "").replace('\\"', "").count('"') == 0


def test_a_name_cannot_end_the_query():
    query = prometheus_queries.memory_query(MetricSchema(), "rss", [('x"} or vector(1) #', "p")])
    assert r'namespace="x\"} or vector(1) #"' in query


def test_batches_are_small_and_miss_nobody():
    pods = [
        (f"namespace-{i % 7}", f"a-rather-long-deployment-name-{i:05d}-5d4f8c7b9-x{i:05d}")
        for i in range(333)
    ]
    parts = list(prometheus_queries.batch_pods(pods + pods))
    assert sorted(pair for part in parts for pair in part) == sorted(pods)
    for part in parts:
        assert len(part) <= prometheus_queries.PODS_PER_QUERY
        assert len(prometheus_queries.memory_query(MetricSchema(), "working_set", part)) < 4096


def test_one_pod_with_an_endless_name_is_still_asked_for():
    assert list(prometheus_queries.batch_pods([("a", "x" * 5000)])) == [[("a", "x" * 5000)]]


@pytest.mark.parametrize("window", [900.0, 3600.0, DAY, 7 * DAY])
def test_the_grid_has_about_720_points_and_never_too_many(window):
    grid = prometheus_queries.query_grid(1795364520.7, window)
    points = (grid.end - grid.start) / grid.step + 1
    assert points <= 722
    assert points >= min(500, window / prometheus_queries.MIN_STEP)
    assert grid.end % grid.step == 0
    assert 0 <= 1795364520.7 - grid.end < grid.step
    assert abs(grid.end - grid.start - window) <= grid.step


@pytest.mark.parametrize("window", [900.0, 10 * 3600.0, DAY, 7 * DAY])
@pytest.mark.parametrize("interval", [10.0, 15.0, 30.0, 59.0])
def test_the_last_hour_has_every_scrape_and_fits_the_grid(window, interval):
    grid, recent = (
        prometheus_queries.query_grid(1795364520.7, window),
        prometheus_queries.recent_grid(1795364520.7, interval),
    )
    span = prometheus_queries.RECENT_SECONDS
    assert span - recent.step <= recent.end - recent.start <= span + recent.step
    assert recent.step == max(15, 15 * round(interval / 15))
    assert grid.step % 15 == recent.step % 15 == grid.start % 15 == recent.start % 15 == 0


def test_the_grid_never_asks_for_more_than_prometheus_gives():
    grid = prometheus_queries.query_grid(1795364520.0, 7 * DAY, points=1_000_000)
    assert (grid.end - grid.start) / grid.step < prometheus_queries.MAX_POINTS


def test_part_of_a_grid_has_its_moments():
    grid = prometheus_queries.query_grid(1795364520.0, DAY)
    part = grid.starting_at(grid.end - 1000)
    assert part.start <= grid.end - 1000 < part.start + grid.step
    assert (part.start - grid.start) % grid.step == 0
    assert grid.starting_at(0) == grid
