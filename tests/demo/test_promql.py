import re

import numpy as np
import pytest

from memtop.demo.promql.query_parser import (
    Aggregate,
    Binary,
    FunctionCall,
    Matcher,
    ParseError,
    Selector,
    duration_seconds,
    parse,
)
from memtop.demo.promql.range_functions import WINDOW_FUNCTIONS, Windows, predict_linear
from memtop.demo.simulated_time import parse_rfc3339
from memtop.demo.thread import DemoThread

HOUR = 3600.0


def vector(api, query, **parameters):
    answer = api.promql(query, **parameters)
    assert answer["status"] == "success", answer
    return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def windows(values, width=300.0):
    times = np.arange(len(values)) * 15.0
    low, high = np.array([[0]]), np.array([[len(values)]])
    return Windows(times, np.array([values], dtype=float), low, high, times[-1:], width)


def test_precedence_and_shapes():
    expression = parse("1 + 2 * 3 ^ 2 > bool 4 or vector(1)")
    assert isinstance(expression, Binary)
    assert expression.operator == "or"
    aggregate = parse('sum by (pod, namespace) (rate(x{a="b",c!~"d.*"}[5m] offset 1h))')
    assert isinstance(aggregate, Aggregate)
    assert aggregate.labels == ("pod", "namespace")
    assert isinstance(aggregate.expression, FunctionCall)
    selector = aggregate.expression.arguments[0]
    assert isinstance(selector, Selector)
    assert (selector.window, selector.offset) == (300.0, 3600.0)
    assert parse("sum(x) by (a)") == parse("sum by (a) (x)")


def test_durations():
    assert duration_seconds("1h30m") == 5400.0
    with pytest.raises(ValueError, match="not a valid duration"):
        duration_seconds("soon")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sum(up", "unclosed left parenthesis"),
        ("nosuch(up)", 'unknown function with name "nosuch"'),
        ("rate(up)", "expected type range vector"),
        ('up{a=~"("}', "error parsing regexp"),
        ("up{", "unexpected"),
        ("", "no expression found in input"),
        ("up +", "unexpected end of input"),
        ("sum(up)[5m]", "ranges only allowed for vector selectors"),
    ],
)
def test_mistakes_are_worded_as_prometheus_words_them(query, message):
    with pytest.raises(ParseError, match=r"^1:\d+: parse error: ") as caught:
        parse(query)
    assert message in str(caught.value)


def one(result):
    """The only value of a function over the only window of the only series."""
    values, present = result
    assert present.tolist() == [[True]]
    return values.item()


def test_window_functions_on_known_numbers():
    line = windows([10.0 * index for index in range(21)])
    assert one(WINDOW_FUNCTIONS["deriv"](line)) == pytest.approx(10.0 / 15.0)
    assert one(predict_linear(line, np.array([150.0]))) == pytest.approx(300.0)
    assert one(WINDOW_FUNCTIONS["increase"](line)) == pytest.approx(200.0)
    assert one(WINDOW_FUNCTIONS["rate"](line)) == pytest.approx(200.0 / 300.0)
    saw = windows([0, 5, 1, 6, 2, 2])
    assert one(WINDOW_FUNCTIONS["resets"](saw)) == 2
    assert one(WINDOW_FUNCTIONS["changes"](saw)) == 4
    assert one(WINDOW_FUNCTIONS["max_over_time"](saw)) == 6
    assert one(WINDOW_FUNCTIONS["min_over_time"](saw)) == 0
    assert one(WINDOW_FUNCTIONS["avg_over_time"](saw)) == pytest.approx(16 / 6)
    assert one(WINDOW_FUNCTIONS["sum_over_time"](saw)) == pytest.approx(16)
    assert one(WINDOW_FUNCTIONS["count_over_time"](saw)) == 6


@pytest.mark.parametrize("function", sorted(WINDOW_FUNCTIONS))
def test_many_series_and_windows_at_once_equal_each_by_itself(function):
    random = np.random.default_rng(5)
    times = np.arange(40) * 15.0
    values = random.integers(0, 90, (3, 40)).astype(float)
    ends = times[[9, 20, 39]]
    low = np.array([[0, 5, 24], [3, 5, 24], [12, 12, 30]])
    high = np.array([[10, 21, 40], [10, 21, 25], [12, 12, 40]])  # of one, nothing is there at first
    together, present = WINDOW_FUNCTIONS[function](Windows(times, values, low, high, ends, 240.0))
    for series in range(3):
        for window in range(3):
            span = slice(low[series, window], max(high[series, window], low[series, window] + 1))
            count = high[series, window] - low[series, window]
            alone = Windows(
                times[span],
                values[series : series + 1, span],
                np.array([[0]]),
                np.array([[count]]),
                ends[window : window + 1],
                240.0,
            )
            value, only_present = WINDOW_FUNCTIONS[function](alone)
            assert only_present.item() == present[series, window]
            assert value.item() == pytest.approx(together[series, window], rel=1e-6, abs=1e-6)


def test_a_list_of_names_is_matched_as_the_expression_it_is():
    for pattern in ("api-1|api\\.2|", "api-[12]|api.2", "api-.*"):
        matcher = Matcher("pod", "=~", pattern)
        for value in ("api-1", "api.2", "apix2", "api-12", "", "xapi-1"):
            assert matcher.accepts(value) is (re.fullmatch(pattern, value) is not None), (pattern, value)


def test_growth_of_the_leak_and_of_nothing_else(api):
    found = vector(
        api, 'deriv(container_memory_rss{namespace="production",container=~"user-service|billing"}[1h])'
    )
    grown = {metric["pod"].rsplit("-", 2)[0]: value * HOUR for metric, value in found}
    assert grown["user-service"] > 300 * 2**20
    assert abs(grown["billing"]) < 200 * 2**20


def test_a_dead_container_stands_beside_the_new_one_for_five_minutes(api):
    query = 'container_memory_working_set_bytes{namespace="production",pod="%s",container="user-service"}'
    restarted = max(
        api.items("/api/v1/namespaces/production/pods", labelSelector="app=user-service"),
        key=lambda pod: pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"],
    )["metadata"]["name"]
    both = vector(api, query % restarted)
    assert len(both) == 2
    assert len({metric["id"] for metric, _ in both}) == 2
    later = vector(api, query % restarted, time=1_795_363_200 - 600)
    assert len(later) == 1


def test_pod_level_and_pause_series_have_no_container(api):
    found = vector(api, 'container_memory_working_set_bytes{pod="debug-shell"}')
    assert sorted("container" in metric for metric, _ in found) == [False, False, True]
    limits = vector(api, 'container_spec_memory_limit_bytes{pod="debug-shell",container!=""}')
    assert [value for _, value in limits] == [0.0]


def test_share_of_the_limit_joins_two_metrics(api):
    close = vector(
        api,
        "max by (namespace,pod,container) "
        '(container_memory_working_set_bytes{container!="",container!="POD"}) / on'
        ' (namespace,pod,container) kube_pod_container_resource_limits{resource="memory"} > 0.9',
    )
    assert {metric["container"] for metric, _ in close} == {"user-service"}
    assert all(set(metric) == {"namespace", "pod", "container"} for metric, _ in close)


def test_counting_kills_and_restarts(api):
    kills = vector(api, 'sum(increase(container_oom_events_total{container="user-service"}[6h]))')
    assert 6 <= round(kills[0][1]) <= 8
    reasons = vector(api, 'kube_pod_container_status_last_terminated_reason{namespace="production"} == 1')
    assert {"OOMKilled", "Error"} <= {metric["reason"] for metric, _ in reasons}
    restarts = vector(api, 'kube_pod_container_status_restarts_total{container="webhooks"}')
    assert restarts[0][1] == 280


def test_what_is_near_its_limit_stalls_on_memory(api):
    rate = "rate(container_pressure_memory_waiting_seconds_total{container!=''}[5m])"
    stalls = {metric["pod"]: value for metric, value in vector(api, rate)}
    used = vector(
        api, 'container_memory_working_set_bytes{container!=""} / container_spec_memory_limit_bytes < Inf'
    )
    assert all(0 <= value < 1 for value in stalls.values())
    assert any(value > 0.01 for value in stalls.values())
    calm = [metric["pod"] for metric, share in used if share < 0.6]
    assert calm
    assert all(stalls[pod] < 0.2 for pod in calm if pod in stalls)
    assert {value for _, value in vector(api, "container_memory_swap")} == {0.0}


def test_set_operators_and_top(api):
    both = 'kube_pod_owner{namespace="production"} and on (pod) kube_pod_container_status_restarts_total > 5'
    assert len(vector(api, both)) < len(vector(api, 'kube_pod_owner{namespace="production"}'))
    assert vector(api, "up unless up") == []
    assert len(vector(api, "vector(1) or vector(2)")) == 1
    top = [value for _, value in vector(api, 'topk(3, container_memory_rss{container!=""})')]
    assert len(top) == 3
    assert top == sorted(top, reverse=True)
    concatenated = vector(
        api,
        "kube_pod_owner * on (namespace,pod) group_left () "
        "max by (namespace,pod) (kube_pod_container_status_restarts_total)",
    )
    assert any(value == 280 for _, value in concatenated)


def test_many_to_many_is_refused(api):
    answer = api.promql("kube_pod_container_status_restarts_total / on (namespace) kube_pod_owner")
    assert (answer["status"], answer["errorType"]) == ("error", "execution")
    assert "many-to-many matching not allowed" in answer["error"]


def test_a_day_of_past(api):
    end = 1_795_363_200
    answer = api.get(
        "/prometheus/api/v1/query_range",
        query='max by (pod) (container_memory_rss{container="user-service",namespace="production"})',
        start=end - 86400,
        end=end,
        step=300,
    ).json
    series = answer["data"]["result"]
    assert len(series) == 3
    assert all(len(one["values"]) > 280 for one in series)
    assert max(float(value) for one in series for _, value in one["values"]) > 1.8 * 2**30


def test_the_other_endpoints(api):
    assert "production" in api.get("/prometheus/api/v1/label/namespace/values").json["data"]
    assert "container" in api.get("/prometheus/api/v1/labels").json["data"]
    series = api.get("/prometheus/api/v1/series", **{"match[]": 'up{job="kubelet"}'}).json["data"]
    assert len(series) == 4
    assert "version" in api.get("/prometheus/api/v1/status/buildinfo").json["data"]
    posted = api.request(
        "POST", "/prometheus/api/v1/query", b"query=scalar(sum(up))", "application/x-www-form-urlencoded"
    )
    assert posted.json["data"]["result"][1] == "9"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"start": "0", "end": "86400", "step": "1"}, "exceeded maximum resolution of 11,000 points"),
        ({"start": "soon", "end": "2", "step": "1"}, 'cannot parse "soon" to a valid timestamp'),
        ({"start": "1", "end": "2", "step": "0"}, "zero or negative query resolution"),
        ({"start": "2", "end": "1", "step": "1"}, "end timestamp must not be before start time"),
    ],
)
def test_bad_ranges(api, parameters, words):
    answer = api.get("/prometheus/api/v1/query_range", query="up", **parameters)
    assert (answer.status, answer.json["errorType"]) == (400, "bad_data")
    assert words in answer.json["error"]


def test_through_the_service_proxy_by_port_name_or_number(api):
    base = "/api/v1/namespaces/observability/services"
    for port in ("web", "9090"):
        answer = api.get(f"{base}/prometheus-service:{port}/proxy/api/v1/query", query="vector(1)")
        assert answer.json["data"]["result"][0]["value"][1] == "1"
    wrong = api.get(f"{base}/prometheus-service:1234/proxy/")
    assert (wrong.status, wrong.json["message"]) == (
        503,
        'no service port 1234 found for service "prometheus-service"',
    )
    nobody = api.get("/api/v1/namespaces/kube-system/services/https:metrics-server:443/proxy/healthz")
    assert nobody.json["message"] == 'no endpoints available for service "https:metrics-server:443"'


def test_the_pods_of_the_revision_before_the_fix_are_remembered(api):
    """Staging was fixed seven hours ago: its dead pods tell how it was before."""
    staging = '{namespace="staging",container="user-service"}'
    before = {"time": 1_795_363_200 - 8 * 3600}
    ((old, kills),) = vector(
        api, f"sum by (pod) (increase(container_oom_events_total{staging}[12h]))", **before
    )
    assert kills > 3
    ((now, _),) = vector(api, f"kube_pod_container_status_restarts_total{staging}")
    assert now["pod"] != old["pod"]
    ((was, restarts),) = vector(api, f"kube_pod_container_status_restarts_total{staging}", **before)
    assert was["pod"] == old["pod"]
    assert restarts > 10
    owner = f'kube_pod_owner{{pod="{old["pod"]}"}}'
    assert vector(api, owner) == []
    ((labels, _),) = vector(api, owner, **before)
    names = [one["metadata"]["name"] for one in api.items("/apis/apps/v1/namespaces/staging/replicasets")]
    assert labels["owner_name"] in names
    limits = vector(api, f"kube_pod_container_resource_limits{staging}", **before)
    assert [value for _, value in limits] == [2 * 2**30]
    reasons = vector(api, f"kube_pod_container_status_last_terminated_reason{staging}", **before)
    assert {metric["reason"] for metric, _ in reasons} == {"OOMKilled"}


def test_a_replica_set_is_known_from_its_beginning(api):
    query = 'kube_replicaset_owner{namespace="staging",owner_name="user-service"}'
    assert len(vector(api, query)) == 2
    assert len(vector(api, query, time=1_795_363_200 - 8 * 3600)) == 1


def test_what_is_deleted_is_remembered(fresh, fresh_api):
    path = "/apis/apps/v1/namespaces/production/deployments/search-indexer"
    pods = 'count(container_memory_rss{container="indexer"})'
    owner = 'kube_replicaset_owner{owner_name="search-indexer"}'
    before = {"time": 1_795_363_200 - 60}
    fresh_api.request("DELETE", path)
    fresh.advance(900)
    for query in (pods, owner):
        assert vector(fresh_api, query) == []
        assert [value for _, value in vector(fresh_api, query, **before)] == [1]


def test_samples_are_as_far_apart_as_the_clock_of_the_demo_says(as_user):
    """However fast it runs: metrics-server and Prometheus look every 15 of its own seconds."""
    with DemoThread(speed=600) as demo:
        client = as_user(demo)
        stamps = set()
        while len(stamps) < 4:
            for item in client.items("/apis/metrics.k8s.io/v1beta1/namespaces/production/pods"):
                stamps.add(parse_rfc3339(item["timestamp"]))
        assert {stamp % 15.0 for stamp in stamps} == {0.0}
        assert client.get("/demo/clock").json["now"] >= max(stamps)
        answer = client.promql('container_memory_rss{namespace="production",container="billing"}[10m]')
        now = client.get("/demo/clock").json["now"]
        for series in answer["data"]["result"]:
            times = [time for time, _ in series["values"]]
            assert np.diff(times).tolist() == [15.0] * 39
            assert times[-1] <= now


def test_a_range_of_years_holds_what_there_is(api):
    """Nothing is looked for where nothing is remembered."""
    answer = api.get(
        "/prometheus/api/v1/query_range",
        query='max_over_time(container_memory_rss{container="billing"}[1h])',
        start=0,
        end=2 * 1_795_363_200,
        step=1_795_363_200,
    ).json
    assert [time for one in answer["data"]["result"] for time, _ in one["values"]] == [1_795_363_200] * 2
