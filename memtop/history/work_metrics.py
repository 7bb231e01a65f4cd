"""How much a workload had to do, as Prometheus knows it: requests where they are counted, else CPU.

Also here: threads, file descriptors, sockets and page cache of its containers, as the kubelet exports them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memtop.analysis.likely_causes import CORE_SECOND
from memtop.analysis.traffic import WorkSeries
from memtop.history import prometheus_queries
from memtop.history.past_series import ContainerName, Floats
from memtop.history.prometheus_answers import QueryAnswer
from memtop.history.prometheus_past import group_by_container
from memtop.history.prometheus_queries import MetricSchema, QueryGrid, quote_promql

PODS_PROBED, PROBE_SECONDS = 5, 3600.0
"""Pods whose series are looked for, and seconds back: an hour without one request still has its counter."""
LEAST_SCRAPES = 4
"""Scrapes that an average goes over: a rate needs two, and some come late."""
REQUEST, RECEIVED_KIB = "request", "KiB received"
"""What work is counted in, beside `CORE_SECOND`."""


@dataclass(frozen=True)
class RequestMetric:
    """A counter of requests that some software is known to export.

    Attributes:
        name: The metric's.
        source: Whose it is, and where that is documented.
        matchers: Which of its series are requests to the workload: PromQL with ``{namespace}`` and
            ``{service}``; where empty, its series are those of pods.
        only: What else its series must match.
    """

    name: str
    source: str
    matchers: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


REQUEST_METRICS = (
    RequestMetric("http_server_requests_seconds_count", "Spring Boot, Micrometer (docs.spring.io, Metrics)"),
    RequestMetric(
        "http_server_request_duration_seconds_count", "OpenTelemetry semantic conventions for HTTP"
    ),
    RequestMetric("http_server_duration_milliseconds_count", "OpenTelemetry before 1.23 of its conventions"),
    RequestMetric(
        "http_requests_total", "most HTTP libraries of Go, Python and Node.js; Prometheus' own guide"
    ),
    RequestMetric("http_request_duration_seconds_count", "prom-client's express bundles, prometheus-net"),
    RequestMetric("http_requests_received_total", "prometheus-net for ASP.NET Core"),
    RequestMetric("flask_http_request_total", "prometheus-flask-exporter"),
    RequestMetric("django_http_requests_total_by_method_total", "django-prometheus"),
    RequestMetric("starlette_requests_total", "starlette_exporter (FastAPI)"),
    RequestMetric("grpc_server_handled_total", "go-grpc-prometheus and java-grpc-prometheus"),
    RequestMetric(
        "request_total", "Linkerd's proxy (linkerd.io, Proxy Metrics)", only=('direction="inbound"',)
    ),
    RequestMetric(
        "istio_requests_total",
        "Istio (istio.io, Standard Metrics)",
        (
            'reporter="destination"',
            "destination_workload_namespace={namespace}",
            "destination_workload={workload}",
        ),
    ),
    RequestMetric(
        "nginx_ingress_controller_requests",
        "ingress-nginx (kubernetes.github.io/ingress-nginx, Monitoring)",
        ("exported_namespace={namespace}", "exported_service=~{services}"),
    ),
    RequestMetric(
        "traefik_service_requests_total",
        "Traefik (doc.traefik.io, Metrics)",
        ("service=~{traefik}",),
    ),
)
"""What is probed for, what is counted in the pods themselves first: it counts what an ingress never sees."""

POD_LABELS = ("pod", "exported_pod", "kubernetes_pod_name", "pod_name")
"""What a scrape's configuration calls the pod: the operator's, a clash of labels, and older examples'."""
CONTAINER_GAUGES = {
    "container_threads": "threads",
    "container_file_descriptors": "file descriptors",
    "container_sockets": "sockets",
    "container_memory_cache": "page cache",
    "container_memory_rss": "RSS",
}
"""What cAdvisor exports of a container beside its memory (github.com/google/cadvisor, docs/storage)."""


class AskedPrometheus(Protocol):
    """The part of a connection that is needed here."""

    def series(self, matches: Sequence[str], start: float, end: float) -> tuple[dict[str, str], ...]:
        """The labels of the series that match."""

    def range_query(self, query: str, grid: QueryGrid) -> QueryAnswer:
        """The answer to a query over a grid of moments."""


@dataclass(frozen=True)
class WorkloadName:
    """What metrics may call a workload.

    Attributes:
        namespace: Its namespace.
        workload: Its name.
        pods: A regular expression (RE2) for the names of its pods.
        services: Names of the Services in front of it; by default its own name is tried.
    """

    namespace: str
    workload: str
    pods: str
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class RequestCounter:
    """A counter of requests that one Prometheus has of one workload.

    Attributes:
        metric: Which.
        selector: PromQL of its series.
        label: What it calls the pod; empty where it counts a whole workload.
        labels: All labels that its series have.
    """

    metric: RequestMetric
    selector: str
    label: str = ""
    labels: frozenset[str] = frozenset()


def request_matchers(name: WorkloadName, living: Sequence[str]) -> list[str]:
    """PromQL that finds any series of a known counter of requests: by pod, and by workload.

    Args:
        name: The workload.
        living: Names of pods that live now; a few are enough.
    """
    of_pods = "|".join(metric.name for metric in REQUEST_METRICS if not metric.matchers)
    few = quote_promql(prometheus_queries.any_of_regex(list(living)[:PODS_PROBED]))
    by_pod = [f'{{__name__=~"{of_pods}",{label}=~{few}}}' for label in POD_LABELS] if living else []
    return by_pod + [_of_workload(metric, name) for metric in REQUEST_METRICS if metric.matchers]


def _of_workload(metric: RequestMetric, name: WorkloadName) -> str:
    services = name.services or (name.workload,)
    words = {
        "namespace": quote_promql(name.namespace),
        "workload": quote_promql(name.workload),
        "services": quote_promql(prometheus_queries.any_of_regex(services)),
        "traefik": quote_promql("|".join(f"{name.namespace}-{one}-.*" for one in services)),
    }
    return f"{metric.name}{{{','.join(one.format(**words) for one in metric.matchers)}}}"


def find_request_counter(
    prometheus: AskedPrometheus, name: WorkloadName, living: Sequence[str], now: float
) -> RequestCounter | None:
    """The counter of requests that this Prometheus has of a workload; None for none. Blocks.

    One question for all that are known: which of them has any series of this workload.

    Args:
        prometheus: Whom to ask.
        name: The workload.
        living: Names of its pods that live now.
        now: The cluster's time, Unix seconds.

    Raises:
        Unreachable: No whole answer came in time.
        ApiError: The answer was a refusal.
    """
    found = prometheus.series(request_matchers(name, living), now - PROBE_SECONDS, now)
    pods = frozenset(living)
    for metric in REQUEST_METRICS:
        own = [labels for labels in found if labels.get("__name__") == metric.name]
        if own and metric.matchers:
            return RequestCounter(metric, _of_workload(metric, name), labels=_all_labels(own))
        for label in POD_LABELS:
            if any(labels.get(label) in pods for labels in own):
                where = ",".join((*metric.only, f"{label}=~{quote_promql(name.pods)}"))
                return RequestCounter(metric, f"{metric.name}{{{where}}}", label, _all_labels(own))
    return None


def _all_labels(series: Sequence[Mapping[str, str]]) -> frozenset[str]:
    return frozenset(name for labels in series for name in labels)


ERROR_MATCHERS = {
    "status": '=~"5..|5xx"',
    "code": '=~"5..|5xx"',
    "status_code": '=~"5..|5xx"',
    "http_status_code": '=~"5.."',
    "http_response_status_code": '=~"5.."',
    "response_code": '=~"5..|0"',
    "status_class": '=~"5xx"',
    "classification": '="failure"',
    "grpc_code": '=~"Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss"',
}
"""Which series of a counter are errors of the server, by the label that tells: HTTP's 5xx as the libraries of
`REQUEST_METRICS` name it, Envoy's 0 for no answer, Linkerd's and gRPC's own words."""
DURATIONS = {
    "http_server_requests_seconds_count": ("http_server_requests_seconds", 1.0),
    "http_server_request_duration_seconds_count": ("http_server_request_duration_seconds", 1.0),
    "http_server_duration_milliseconds_count": ("http_server_duration_milliseconds", 0.001),
    "http_requests_total": ("http_request_duration_seconds", 1.0),
    "http_request_duration_seconds_count": ("http_request_duration_seconds", 1.0),
    "http_requests_received_total": ("http_request_duration_seconds", 1.0),
    "flask_http_request_total": ("flask_http_request_duration_seconds", 1.0),
    "starlette_requests_total": ("starlette_request_duration_seconds", 1.0),
    "grpc_server_handled_total": ("grpc_server_handling_seconds", 1.0),
    "request_total": ("response_latency_ms", 0.001),
    "istio_requests_total": ("istio_request_duration_milliseconds", 0.001),
    "nginx_ingress_controller_requests": ("nginx_ingress_controller_request_duration_seconds", 1.0),
    "traefik_service_requests_total": ("traefik_service_request_duration_seconds", 1.0),
}
"""By a counter of requests: the histogram of how long they take, without its ending, and its unit in seconds;
by the same documents."""


def ask_service_levels(
    prometheus: AskedPrometheus, found: RequestCounter, grid: QueryGrid, scrape: float
) -> dict[str, tuple[Floats, Floats]]:
    """Requests a second, share of errors and mean latency (seconds) of a whole workload over time. Blocks.

    Args:
        prometheus: Whom to ask.
        found: Its counter of requests.
        grid: The moments to ask for.
        scrape: Seconds between scrapes.

    Returns:
        By ``requests``, ``errors`` and ``latency``: times (Unix seconds) and values; without what nobody
        counts.
    """
    window = f"[{max(grid.step, LEAST_SCRAPES * scrape):.0f}s]"
    whole = f"sum(rate({found.selector}{window}))"
    asked = {"requests": whole}
    error = next((label for label in ERROR_MATCHERS if label in found.labels), None)
    if error is not None:
        failed = f"{found.selector[:-1]},{error}{ERROR_MATCHERS[error]}}}"
        asked["errors"] = f"(sum(rate({failed}{window})) or vector(0)) / {whole}"
    duration = DURATIONS.get(found.metric.name)
    if duration is not None:
        where = found.selector[len(found.metric.name) :]
        took, count = (f"sum(rate({duration[0]}_{end}{where}{window}))" for end in ("sum", "count"))
        asked["latency"] = f"{took} / {count}"
    levels: dict[str, tuple[Floats, Floats]] = {}
    for name, query in asked.items():
        for stream in prometheus.range_query(query, grid).streams[:1]:
            values = stream.values * (duration[1] if name == "latency" and duration else 1.0)
            known = np.isfinite(values)
            levels[name] = (stream.times[known], values[known])
    return {name: one for name, one in levels.items() if len(one[0])}


def ask_requests(
    prometheus: AskedPrometheus,
    found: RequestCounter,
    grid: QueryGrid,
    scrape: float,
    names: Sequence[ContainerName],
    living: Mapping[ContainerName, Floats],
) -> dict[ContainerName, WorkSeries]:
    """The requests a second of each container. Blocks.

    Where only the whole workload is counted, each of the containers that had samples at a time has an equal
    share of what there was.

    Args:
        prometheus: Whom to ask.
        found: The counter.
        grid: The moments to ask for.
        scrape: Seconds between scrapes.
        names: The containers.
        living: When each of them had samples, Unix seconds.
    """
    metric, selector, label = found.metric, found.selector, found.label
    window = max(grid.step, LEAST_SCRAPES * scrape)
    by = f" by ({label})" if label else ""
    answer = prometheus.range_query(f"sum{by} (rate({selector}[{window:.0f}s]))", grid)
    if label:
        of_pod = {stream.labels.get(label, ""): stream for stream in answer.streams}
        return {
            name: WorkSeries(REQUEST, of_pod[name.pod].times, of_pod[name.pod].values, metric.name)
            for name in names
            if name.pod in of_pod
        }
    if not answer.streams:
        return {}
    whole = answer.streams[0]
    present = {
        name: (whole.times >= times[0] - grid.step) & (whole.times <= times[-1] + grid.step)
        for name, times in living.items()
        if len(times)
    }
    count = sum(present.values()) if present else 1
    return {
        name: WorkSeries(REQUEST, whole.times[there], (whole.values / count)[there], metric.name)
        for name, there in present.items()
        if there.sum() > 2
    }


def ask_usual_work(
    prometheus: AskedPrometheus, schema: MetricSchema, names: Sequence[ContainerName], grid: QueryGrid
) -> tuple[dict[ContainerName, WorkSeries], dict[ContainerName, WorkSeries]]:
    """CPU and received bytes of each container's pod, where nobody counts requests. Blocks."""
    window = max(grid.step, LEAST_SCRAPES * schema.interval)
    cores: dict[ContainerName, WorkSeries] = {}
    received: dict[ContainerName, WorkSeries] = {}
    labels = schema.cadvisor_labels()
    for pods in prometheus_queries.batch_pods((name.namespace, name.pod) for name in names):
        cpu = prometheus.range_query(prometheus_queries.cpu_query(schema, pods, window), grid)
        for name, (one, *_) in group_by_container(cpu.streams, labels).items():
            cores[name] = WorkSeries(CORE_SECOND, one.times, one.values, prometheus_queries.CPU_METRIC)
        traffic = prometheus.range_query(prometheus_queries.received_query(schema, pods, window), grid)
        by_pod = group_by_container(traffic.streams, labels)
        for name in names:
            for one in by_pod.get(name._replace(container=""), ())[:1]:
                received[name] = WorkSeries(
                    RECEIVED_KIB, one.times, one.values / 1024, prometheus_queries.RECEIVED_METRIC
                )
    return cores, received


def ask_gauges(
    prometheus: AskedPrometheus, schema: MetricSchema, pods: Sequence[tuple[str, str]], grid: QueryGrid
) -> dict[ContainerName, dict[str, tuple[Floats, Floats]]]:
    """Threads, descriptors, sockets and page cache of the containers of some pods. Blocks.

    Returns:
        By container and what it is: times (Unix seconds) and values.
    """
    found: dict[ContainerName, dict[str, tuple[Floats, Floats]]] = {}
    labels = schema.cadvisor_labels()
    names = "|".join(CONTAINER_GAUGES)
    for part in prometheus_queries.batch_pods(pods):
        where = [
            *schema.selectors,
            f'__name__=~"{names}"',
            f"namespace=~{quote_promql(prometheus_queries.any_of_regex({one for one, _ in part}))}",
            f"{schema.pod}=~{quote_promql(prometheus_queries.any_of_regex(pod for _, pod in part))}",
        ]
        if not schema.pods_only:
            where += [f'{schema.container}!=""', f'{schema.container}!="POD"']
        by = ",".join(("__name__", *labels))
        answer = prometheus.range_query(f"max by ({by}) ({{{','.join(where)}}})", grid)
        for stream in answer.streams:
            name = next(iter(group_by_container([stream], labels)))
            what = CONTAINER_GAUGES.get(stream.labels.get("__name__", ""))
            if what is not None:
                found.setdefault(name, {})[what] = (stream.times, stream.values)
    return found
