"""Which counter of requests a Prometheus has of a workload, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from memtop.history.past_series import ContainerName
from memtop.history.prometheus_answers import MetricStream, QueryAnswer
from memtop.history.prometheus_queries import QueryGrid
from memtop.history.work_metrics import (
    REQUEST_METRICS,
    RequestCounter,
    WorkloadName,
    ask_requests,
    ask_service_levels,
    find_request_counter,
    request_matchers,
)

CART = WorkloadName("shop", "cart", "cart-h1-[a-z0-9]{5}")
GRID = QueryGrid(0.0, 3600.0, 600.0)


class Recorded:
    """A Prometheus that has some series and one answer."""

    def __init__(self, series: Sequence[dict[str, str]], streams: Sequence[MetricStream] = ()) -> None:
        self.asked: list[str] = []
        self._series = tuple(series)
        self._streams = tuple(streams)

    def series(self, matches: Sequence[str], start: float, end: float) -> tuple[dict[str, str], ...]:
        """What it has."""
        self.asked += matches
        return self._series

    def range_query(self, query: str, grid: QueryGrid) -> QueryAnswer:
        """Its answer."""
        self.asked.append(query)
        return QueryAnswer(self._streams, ())


def _stream(labels: Mapping[str, str], rate: float) -> MetricStream:
    times = np.arange(0.0, 3601.0, 600.0)
    return MetricStream(dict(labels), times, np.full(len(times), rate))


@pytest.mark.parametrize("label", ["pod", "exported_pod", "kubernetes_pod_name"])
def test_a_counter_of_the_pods_is_found_whatever_the_pod_is_called(label: str) -> None:
    """Every known name, under every usual label."""
    for metric in (one for one in REQUEST_METRICS if not one.matchers):
        found = find_request_counter(
            Recorded([{"__name__": metric.name, label: "cart-h1-aaaaa"}]), CART, ["cart-h1-aaaaa"], 9e3
        )
        assert found is not None
        assert (found.metric, found.label) == (metric, label)


def test_a_counter_of_an_ingress_or_mesh_is_found_by_its_own_labels() -> None:
    """They count the whole workload and know no pods."""
    for metric in (one for one in REQUEST_METRICS if one.matchers):
        found = find_request_counter(Recorded([{"__name__": metric.name}]), CART, [], 9e3)
        assert found is not None
        assert found.label == ""
        assert "cart" in found.selector


def test_the_pods_own_counter_is_preferred_and_others_do_not_count() -> None:
    """What an ingress never sees is work too; another workload's requests are none of ours."""
    own = {"__name__": "http_requests_total", "pod": "cart-h1-aaaaa"}
    both = Recorded([{"__name__": "istio_requests_total"}, own])
    found = find_request_counter(both, CART, ["cart-h1-aaaaa"], 9e3)
    assert found is not None
    assert found.metric.name == "http_requests_total"
    other = {"__name__": "http_requests_total", "pod": "other-zzzzz"}
    assert find_request_counter(Recorded([other]), CART, ["cart-h1-aaaaa"], 9e3) is None
    assert find_request_counter(Recorded([]), CART, ["cart-h1-aaaaa"], 9e3) is None


def test_the_question_fits_into_an_address() -> None:
    """Proxies take 8 KiB, of which percent-encoding takes its share."""
    asked = request_matchers(CART, [f"cart-with-a-long-name-h{number}-aaaaa" for number in range(500)])
    assert sum(map(len, asked)) < 4000


def test_requests_of_pods_stay_with_their_pods() -> None:
    """Each has its own."""
    names = [ContainerName("shop", f"cart-h1-{which}", "app") for which in ("aaaaa", "bbbbb")]
    asked = Recorded(
        [{"__name__": "http_requests_total", "pod": "cart-h1-aaaaa"}],
        [_stream({"pod": "cart-h1-aaaaa"}, 3.0), _stream({"pod": "cart-h1-zzzzz"}, 9.0)],
    )
    found = find_request_counter(asked, CART, ["cart-h1-aaaaa"], 9e3)
    assert found is not None
    work = ask_requests(asked, found, GRID, 30.0, names, {})
    assert list(work) == [names[0]]
    assert work[names[0]].values[0] == 3.0
    assert work[names[0]].unit == "request"


def test_requests_of_a_workload_are_shared_among_the_pods_of_the_time() -> None:
    """Twelve a second for two pods are six for each, and twelve while there was one."""
    names = [ContainerName("shop", f"cart-h1-{which}", "app") for which in ("aaaaa", "bbbbb")]
    asked = Recorded([{"__name__": "istio_requests_total"}], [_stream({}, 12.0)])
    found = find_request_counter(asked, CART, [], 9e3)
    assert found is not None
    living = {names[0]: np.array([0.0, 3600.0]), names[1]: np.array([2400.0, 3600.0])}
    work = ask_requests(asked, found, GRID, 30.0, names, living)
    assert work[names[0]].values.tolist() == [12.0, 12.0, 12.0, 6.0, 6.0, 6.0, 6.0]
    assert set(work[names[1]].values) == {6.0}


def test_errors_and_latency_are_asked_by_what_the_counter_itself_calls_them() -> None:
    """The label that its series have tells what an error is, the histogram how long answers take."""
    asked = Recorded(
        [{"__name__": "http_requests_total", "pod": "cart-h1-aaaaa", "code": "200"}], [_stream({}, 2.0)]
    )
    found = find_request_counter(asked, CART, ["cart-h1-aaaaa"], 9e3)
    assert found is not None
    levels = ask_service_levels(asked, found, GRID, 30.0)
    assert list(levels) == ["requests", "errors", "latency"]
    whole, errors, latency = asked.asked[-3:]
    assert whole.startswith("sum(rate(http_requests_total{pod=~")
    assert 'code=~"5..|5xx"' in errors
    assert "http_request_duration_seconds_sum{pod=~" in latency
    assert "http_request_duration_seconds_count{pod=~" in latency


def test_milliseconds_become_seconds_and_what_nobody_counts_is_left_out() -> None:
    """A mesh counts in milliseconds; a counter without a label of results has no errors, which are not 0."""
    metric = next(one for one in REQUEST_METRICS if one.name == "istio_requests_total")
    counter = RequestCounter(metric, "istio_requests_total{a=1}", labels=frozenset({"reporter"}))
    levels = ask_service_levels(Recorded([], [_stream({}, 250.0)]), counter, GRID, 30.0)
    assert list(levels) == ["requests", "latency"]
    assert levels["latency"][1][0] == 0.25
