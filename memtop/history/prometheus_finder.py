"""Where Prometheus may be, from what the cluster says of itself: the services to try, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from memtop.kube.api_errors import ApiError
from memtop.kube.api_objects import ObjectMeta
from memtop.kube.client import Client
from memtop.kube.lenient_decoding import decode_lenient
from memtop.sanitize import sanitize
from memtop.wording import counted

T = TypeVar("T")

PROMETHEUSES_PATH = "/apis/monitoring.coreos.com/v1/prometheuses"
OPERATED_SERVICE = "prometheus-operated"
"""The service that Prometheus Operator makes for the Prometheuses of a namespace."""
PORT_NAMES = ("web", "http-web", "http", "http-metrics", "https", "https-web")
MAX_CANDIDATES = 6
"""More than this are not tried: somebody has to wait for each that does not answer."""

PROMETHEUS, THANOS, VICTORIA, MIMIR = "Prometheus", "Thanos", "VictoriaMetrics", "Mimir"


@dataclass(frozen=True)
class ServiceProfile:
    """A kind of service that speaks the Prometheus API, and how to recognise it.

    Attributes:
        kind: What it is.
        labels: A service is of this sort if it has all of them.
        path: Where the API is below the service's root.
        headers: What it wants to be sent.
    """

    kind: str
    labels: Mapping[str, str]
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def _profile(kind: str, labels: str, path: str = "", **headers: str) -> ServiceProfile:
    pairs = dict(pair.split("=", 1) for pair in labels.split(","))
    return ServiceProfile(
        kind, pairs, path, {name.replace("_", "-"): value for name, value in headers.items()}
    )


SERVICE_PROFILES = (
    _profile(PROMETHEUS, "app=kube-prometheus-stack-prometheus"),
    _profile(PROMETHEUS, "app=prometheus,component=server"),
    _profile(PROMETHEUS, "app=prometheus-server"),
    _profile(PROMETHEUS, "app=prometheus-operator-prometheus"),
    _profile(PROMETHEUS, "app=rancher-monitoring-prometheus"),
    _profile(PROMETHEUS, "app=prometheus-prometheus"),
    _profile(PROMETHEUS, "app.kubernetes.io/name=prometheus"),
    _profile(PROMETHEUS, "app=stack-prometheus"),
    _profile(THANOS, "app.kubernetes.io/name=thanos-query"),
    _profile(THANOS, "app.kubernetes.io/name=thanos,app.kubernetes.io/component=query"),
    _profile(THANOS, "app=thanos-query"),
    _profile(THANOS, "app=thanos-querier"),
    _profile(VICTORIA, "app.kubernetes.io/name=vmsingle"),
    _profile(VICTORIA, "app.kubernetes.io/name=victoria-metrics-single"),
    _profile(VICTORIA, "app.kubernetes.io/name=vmselect", "/select/0/prometheus"),
    _profile(VICTORIA, "app=vmselect", "/select/0/prometheus"),
    _profile(
        MIMIR,
        "app.kubernetes.io/name=mimir,app.kubernetes.io/component=query-frontend",
        "/prometheus",
        X_Scope_OrgID="anonymous",
    ),
)
"""In the order in which they are tried. Mimir answers as ``anonymous`` where it knows no tenants."""
SERVICE_NAMES = (
    "prometheus-k8s",
    OPERATED_SERVICE,
    "prometheus-server",
    "prometheus-service",
    "*-kube-prometheus-prometheus",
    "prometheus",
)


class ServicePort(msgspec.Struct, rename="camel"):
    """A port of a service; its target is a number or the name of a container's port."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    app_protocol: str = ""


class _ServiceSpec(msgspec.Struct):
    ports: list[ServicePort] = []
    selector: dict[str, str] = {}
    type: str = "ClusterIP"


class Service(msgspec.Struct):
    """A service, as far as finding needs it."""

    metadata: ObjectMeta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _ServiceList(msgspec.Struct):
    items: list[Service] = []


class _PrometheusSpec(msgspec.Struct, rename="camel"):
    port_name: str = "web"
    route_prefix: str = "/"


class _PrometheusResource(msgspec.Struct):
    metadata: ObjectMeta
    spec: _PrometheusSpec = msgspec.field(default_factory=_PrometheusSpec)


class _PrometheusList(msgspec.Struct):
    items: list[_PrometheusResource] = []


@dataclass(frozen=True)
class PrometheusCandidate:
    """Where Prometheus may be.

    Attributes:
        found_by: What spoke for it, such as ``label app=prometheus-server``.
        kind: What is probably there.
        namespace: Of the service.
        service: Its name.
        port: The number of the service's port.
        target_port: Of the pods behind it: a number, or the name of a container's port.
        tls: Whether it speaks TLS.
        path: Where the API is below its root, without a trailing slash.
        headers: What it wants to be sent.
        selector: The labels of the pods behind it.
    """

    found_by: str
    kind: str
    namespace: str
    service: str
    port: int
    target_port: int | str
    tls: bool = False
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port}"

    @property
    def proxy_path(self) -> str:
        """Its way through the API server's service proxy."""
        name = f"{'https:' if self.tls else ''}{self.service}:{self.port}"
        return f"/api/v1/namespaces/{self.namespace}/services/{name}/proxy{self.path}"


@dataclass(frozen=True)
class CandidateSearch:
    """Where to try, and what the looking itself met with.

    Attributes:
        candidates: Best first.
        attempts: One sentence for each thing that was looked at.
        forbidden: Whether looking was refused everywhere.
        retry_after: Seconds that the server asks to wait before it is looked again; None if it does not.
    """

    candidates: tuple[PrometheusCandidate, ...]
    attempts: tuple[str, ...]
    forbidden: bool = False
    retry_after: float | None = None


async def find_candidates(
    client: Client, namespaces: Sequence[str], usual: Sequence[str] | None = None
) -> CandidateSearch:
    """Looks for Prometheus: its custom resource, then services by label, then by name.

    Anybody who may make a service in some namespace can name it like a Prometheus: where one of the usual
    namespaces has a service that fits, no other is tried.

    Args:
        client: The connection to the API server.
        namespaces: Where to look for services, and for the resource, where all together may not be listed.
        usual: The namespaces that are trusted more than others; by default all of `namespaces`.

    Raises:
        Unreachable: The API server did not answer.
        CredentialError: No credential could be had.
    """
    trail: list[str] = []
    refusals: list[ApiError] = []
    services, forbidden = await _list_services(client, namespaces, trail, refusals)
    resources = await _list_resources(client, namespaces, trail, refusals)
    places = list(
        _unique_candidates(
            [*_candidates_from_resources(resources, services), *_candidates_from_services(services)]
        )
    )
    if not places and not forbidden:
        trail.append(f"{counted(len(services), 'service')} listed, none with Prometheus' labels or names")
    inside = [place for place in places if place.namespace in (namespaces if usual is None else usual)]
    if inside and (passed := [str(place) for place in places if place not in inside]):
        trail.append(f"not tried, outside the usual namespaces: {', '.join(passed[:MAX_CANDIDATES])}")
    found = inside or [
        replace(place, found_by=f"{place.found_by}, outside the usual namespaces") for place in places
    ]
    wait = longest_wait(error.retry_after for error in refusals)
    return CandidateSearch(tuple(found[:MAX_CANDIDATES]), tuple(trail), forbidden, wait)


async def find_named_candidate(client: Client, service: str) -> CandidateSearch:
    """Looks at the one service that the settings name.

    Args:
        client: The connection to the API server.
        service: ``NAMESPACE/NAME``.

    Raises:
        Unreachable: The API server did not answer.
        CredentialError: No credential could be had.
    """
    namespace, _, name = service.partition("/")
    why = "--prometheus-service"
    try:
        found = _decode_as(await client.get(f"/api/v1/namespaces/{namespace}/services/{name}"), Service)
    except ApiError as error:
        return CandidateSearch(
            (), (f"{why}, {service}: {error.message}",), error.status == 403, error.retry_after
        )
    labels = found.metadata.labels or {}
    sort = next(
        (one for one in SERVICE_PROFILES if one.labels.items() <= labels.items()),
        ServiceProfile(PROMETHEUS, {}),
    )
    place = _candidate_at(found, sort, why)
    if place is None:
        return CandidateSearch((), (f"{why}, {service}: has no TCP port in this cluster",))
    return CandidateSearch((place,), ())


async def _list_services(
    client: Client, namespaces: Sequence[str], trail: list[str], refusals: list[ApiError]
) -> tuple[list[Service], bool]:
    try:
        body = await client.get("/api/v1/services", {"resourceVersion": "0"})
        return _decode_as(body, _ServiceList).items, False
    except ApiError as error:
        refusals.append(error)
        if error.status != 403:
            trail.append(f"services cannot be listed: {error.message}")
            return [], False
    found: list[Service] = []
    refused = []
    for namespace in dict.fromkeys(namespaces):
        try:
            body = await client.get(f"/api/v1/namespaces/{namespace}/services", {"resourceVersion": "0"})
            found += _decode_as(body, _ServiceList).items
        except ApiError as error:
            refusals.append(error)
            refused.append(namespace)
    if refused:
        trail.append(f"listing services is forbidden in all namespaces together, and in {', '.join(refused)}")
    else:
        trail.append("listing services of all namespaces is forbidden; looked in " + ", ".join(namespaces))
    return found, len(refused) == len(set(namespaces))


async def _list_resources(
    client: Client, namespaces: Sequence[str], trail: list[str], refusals: list[ApiError]
) -> list[_PrometheusResource]:
    try:
        return _decode_as(await client.get(PROMETHEUSES_PATH), _PrometheusList).items
    except ApiError as error:
        if error.status == 404:
            return []  # no operator here
        refusals.append(error)
        if error.status != 403:
            trail.append(f"prometheuses.monitoring.coreos.com cannot be listed: {error.message}")
            return []
    found: list[_PrometheusResource] = []
    for namespace in dict.fromkeys(namespaces):
        path = f"/apis/monitoring.coreos.com/v1/namespaces/{namespace}/prometheuses"
        try:
            found += _decode_as(await client.get(path), _PrometheusList).items
        except ApiError:
            continue  # as likely for want of the operator as of the right; services are looked at anyway
    return found


def _candidates_from_resources(
    resources: Iterable[_PrometheusResource], services: Sequence[Service]
) -> Iterator[PrometheusCandidate]:
    """The service of each Prometheus resource: the one that selects its pods alone, else the operator's."""
    for resource in resources:
        namespace, name = resource.metadata.namespace, resource.metadata.name
        mine = [
            service
            for service in services
            if service.metadata.namespace == namespace
            and name in (service.spec.selector.get("prometheus"), service.spec.selector.get(_OPERATOR_LABEL))
            and service.metadata.name != OPERATED_SERVICE
        ] or [
            service
            for service in services
            if (service.metadata.namespace, service.metadata.name) == (namespace, OPERATED_SERVICE)
        ]
        path = resource.spec.route_prefix.strip("/")
        why = f"resource prometheuses/{sanitize(name)}"
        for service in mine[:1]:
            place = _candidate_at(service, ServiceProfile(PROMETHEUS, {}), why, resource.spec.port_name)
            if place is not None:
                yield replace(place, path=f"/{path}" if path else "")


_OPERATOR_LABEL = "operator.prometheus.io/name"


def _candidates_from_services(services: Sequence[Service]) -> Iterator[PrometheusCandidate]:
    for sort in SERVICE_PROFILES:
        for service in services:
            labels = service.metadata.labels or {}
            if all(labels.get(name) == value for name, value in sort.labels.items()):
                why = "label " + ",".join(f"{name}={value}" for name, value in sort.labels.items())
                if place := _candidate_at(service, sort, why):
                    yield place
    for pattern in SERVICE_NAMES:
        for service in services:
            if fnmatchcase(service.metadata.name, pattern) and (
                place := _candidate_at(service, ServiceProfile(PROMETHEUS, {}), f"name {pattern}")
            ):
                yield place


def _candidate_at(
    service: Service, sort: ServiceProfile, why: str, port_name: str = ""
) -> PrometheusCandidate | None:
    """The place at a service's right port; None where it has none, or is only another host's name."""
    ports = [port for port in service.spec.ports if port.protocol == "TCP"]
    if not ports or service.spec.type == "ExternalName":
        return None
    wanted = (port_name, *PORT_NAMES) if port_name else PORT_NAMES
    port = next((port for name in wanted for port in ports if port.name == name), ports[0])
    return PrometheusCandidate(
        why,
        sort.kind,
        service.metadata.namespace,
        service.metadata.name,
        port.port,
        port.target_port or port.port,
        tls=port.name.startswith("https") or port.app_protocol.lower() == "https" or port.port == 443,
        path=sort.path,
        headers=sort.headers,
        selector=service.spec.selector,
    )


def _unique_candidates(places: Iterable[PrometheusCandidate]) -> Iterator[PrometheusCandidate]:
    """Each service once, as it was found first."""
    seen: set[tuple[str, str]] = set()
    for place in places:
        if (place.namespace, place.service) not in seen:
            seen.add((place.namespace, place.service))
            yield place


def longest_wait(waits: Iterable[float | None]) -> float | None:
    """The longest of the waits that servers ask for; None where none asks."""
    return max((wait for wait in waits if wait is not None), default=None)


def _decode_as(body: bytes, kind: type[T]) -> T:
    return decode_lenient(body, kind, "the list of services")
