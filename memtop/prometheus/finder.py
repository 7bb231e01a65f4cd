"""Where Prometheus may be, from what the cluster says of itself: the order of the places to try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.objects import Metadata
from memtop.cluster.sanitize import sanitize

T = TypeVar("T")

RESOURCE = "/apis/monitoring.coreos.com/v1/prometheuses"
OPERATED = "prometheus-operated"
"""The service that Prometheus Operator makes for the Prometheuses of a namespace."""
PORT_NAMES = ("web", "http-web", "http", "http-metrics", "https", "https-web")
MOST_PLACES = 6
"""More than this are not tried: somebody has to wait for each that does not answer."""

PROMETHEUS, THANOS, VICTORIA, MIMIR = "Prometheus", "Thanos", "VictoriaMetrics", "Mimir"


@dataclass(frozen=True)
class Sort:
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


def _sort(kind: str, labels: str, path: str = "", **headers: str) -> Sort:
    pairs = dict(pair.split("=", 1) for pair in labels.split(","))
    return Sort(kind, pairs, path, {name.replace("_", "-"): value for name, value in headers.items()})


SORTS = (
    _sort(PROMETHEUS, "app=kube-prometheus-stack-prometheus"),
    _sort(PROMETHEUS, "app=prometheus,component=server"),
    _sort(PROMETHEUS, "app=prometheus-server"),
    _sort(PROMETHEUS, "app=prometheus-operator-prometheus"),
    _sort(PROMETHEUS, "app=rancher-monitoring-prometheus"),
    _sort(PROMETHEUS, "app=prometheus-prometheus"),
    _sort(PROMETHEUS, "app.kubernetes.io/name=prometheus"),
    _sort(PROMETHEUS, "app=stack-prometheus"),
    _sort(THANOS, "app.kubernetes.io/name=thanos-query"),
    _sort(THANOS, "app.kubernetes.io/name=thanos,app.kubernetes.io/component=query"),
    _sort(THANOS, "app=thanos-query"),
    _sort(THANOS, "app=thanos-querier"),
    _sort(VICTORIA, "app.kubernetes.io/name=vmsingle"),
    _sort(VICTORIA, "app.kubernetes.io/name=victoria-metrics-single"),
    _sort(VICTORIA, "app.kubernetes.io/name=vmselect", "/select/0/prometheus"),
    _sort(VICTORIA, "app=vmselect", "/select/0/prometheus"),
    _sort(
        MIMIR,
        "app.kubernetes.io/name=mimir,app.kubernetes.io/component=query-frontend",
        "/prometheus",
        X_Scope_OrgID="anonymous",
    ),
)
"""In the order in which they are tried. Mimir answers as ``anonymous`` where it knows no tenants."""
NAMES = (
    "prometheus-k8s",
    OPERATED,
    "prometheus-server",
    "prometheus-service",
    "*-kube-prometheus-prometheus",
    "prometheus",
)


class Port(msgspec.Struct, rename="camel"):
    """A port of a service; its target is a number or the name of a container's port."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    app_protocol: str = ""


class _ServiceSpec(msgspec.Struct):
    ports: list[Port] = []
    selector: dict[str, str] = {}
    type: str = "ClusterIP"


class Service(msgspec.Struct):
    """A service, as far as finding needs it."""

    metadata: Metadata
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _Services(msgspec.Struct):
    items: list[Service] = []


class _ResourceSpec(msgspec.Struct, rename="camel"):
    port_name: str = "web"
    route_prefix: str = "/"


class _Resource(msgspec.Struct):
    metadata: Metadata
    spec: _ResourceSpec = msgspec.field(default_factory=_ResourceSpec)


class _Resources(msgspec.Struct):
    items: list[_Resource] = []


@dataclass(frozen=True)
class Place:
    """Where Prometheus may be.

    Attributes:
        why: What spoke for it, such as ``label app=prometheus-server``.
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

    why: str
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
class Looked:
    """Where to try, and what the looking itself met with.

    Attributes:
        places: Best first.
        trail: One sentence for each thing that was looked at.
        forbidden: Whether looking was refused everywhere.
    """

    places: tuple[Place, ...]
    trail: tuple[str, ...]
    forbidden: bool = False


async def look(client: Client, namespaces: Sequence[str], usual: Sequence[str] | None = None) -> Looked:
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
    services, forbidden = await _services(client, namespaces, trail)
    resources = await _resources(client, namespaces, trail)
    places = list(_unique([*_of_resources(resources, services), *_of_services(services)]))
    if not places and not forbidden:
        trail.append(f"{_count(len(services), 'service')} listed, none with Prometheus' labels or names")
    inside = [place for place in places if place.namespace in (namespaces if usual is None else usual)]
    if inside and (passed := [str(place) for place in places if place not in inside]):
        trail.append(f"not tried, outside the usual namespaces: {', '.join(passed[:MOST_PLACES])}")
    found = inside or [replace(place, why=f"{place.why}, outside the usual namespaces") for place in places]
    return Looked(tuple(found[:MOST_PLACES]), tuple(trail), forbidden)


async def look_at(client: Client, service: str) -> Looked:
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
        found = _decoded(await client.get(f"/api/v1/namespaces/{namespace}/services/{name}"), Service)
    except ApiError as error:
        return Looked((), (f"{why}, {service}: {error.message}",), error.status == 403)
    labels = found.metadata.labels or {}
    sort = next((one for one in SORTS if one.labels.items() <= labels.items()), Sort(PROMETHEUS, {}))
    place = _place(found, sort, why)
    if place is None:
        return Looked((), (f"{why}, {service}: has no TCP port in this cluster",))
    return Looked((place,), ())


async def _services(
    client: Client, namespaces: Sequence[str], trail: list[str]
) -> tuple[list[Service], bool]:
    try:
        body = await client.get("/api/v1/services", {"resourceVersion": "0"})
        return _decoded(body, _Services).items, False
    except ApiError as error:
        if error.status != 403:
            trail.append(f"services cannot be listed: {error.message}")
            return [], False
    found: list[Service] = []
    refused = []
    for namespace in dict.fromkeys(namespaces):
        try:
            body = await client.get(f"/api/v1/namespaces/{namespace}/services", {"resourceVersion": "0"})
            found += _decoded(body, _Services).items
        except ApiError:
            refused.append(namespace)
    if refused:
        trail.append(f"listing services is forbidden in all namespaces together, and in {', '.join(refused)}")
    else:
        trail.append("listing services of all namespaces is forbidden; looked in " + ", ".join(namespaces))
    return found, len(refused) == len(set(namespaces))


async def _resources(client: Client, namespaces: Sequence[str], trail: list[str]) -> list[_Resource]:
    try:
        return _decoded(await client.get(RESOURCE), _Resources).items
    except ApiError as error:
        if error.status == 404:
            return []  # no operator here
        if error.status != 403:
            trail.append(f"prometheuses.monitoring.coreos.com cannot be listed: {error.message}")
            return []
    found: list[_Resource] = []
    for namespace in dict.fromkeys(namespaces):
        path = f"/apis/monitoring.coreos.com/v1/namespaces/{namespace}/prometheuses"
        try:
            found += _decoded(await client.get(path), _Resources).items
        except ApiError:
            continue  # as likely for want of the operator as of the right; services are looked at anyway
    return found


def _of_resources(resources: Iterable[_Resource], services: Sequence[Service]) -> Iterator[Place]:
    """The service of each Prometheus resource: the one that selects its pods alone, else the operator's."""
    for resource in resources:
        namespace, name = resource.metadata.namespace, resource.metadata.name
        mine = [
            service
            for service in services
            if service.metadata.namespace == namespace
            and name in (service.spec.selector.get("prometheus"), service.spec.selector.get(_OPERATOR_LABEL))
            and service.metadata.name != OPERATED
        ] or [
            service
            for service in services
            if (service.metadata.namespace, service.metadata.name) == (namespace, OPERATED)
        ]
        path = resource.spec.route_prefix.strip("/")
        why = f"resource prometheuses/{sanitize(name)}"
        for service in mine[:1]:
            place = _place(service, Sort(PROMETHEUS, {}), why, resource.spec.port_name)
            if place is not None:
                yield replace(place, path=f"/{path}" if path else "")


_OPERATOR_LABEL = "operator.prometheus.io/name"


def _of_services(services: Sequence[Service]) -> Iterator[Place]:
    for sort in SORTS:
        for service in services:
            labels = service.metadata.labels or {}
            if all(labels.get(name) == value for name, value in sort.labels.items()):
                why = "label " + ",".join(f"{name}={value}" for name, value in sort.labels.items())
                if place := _place(service, sort, why):
                    yield place
    for pattern in NAMES:
        for service in services:
            if fnmatchcase(service.metadata.name, pattern) and (
                place := _place(service, Sort(PROMETHEUS, {}), f"name {pattern}")
            ):
                yield place


def _place(service: Service, sort: Sort, why: str, port_name: str = "") -> Place | None:
    """The place at a service's right port; None where it has none, or is only another host's name."""
    ports = [port for port in service.spec.ports if port.protocol == "TCP"]
    if not ports or service.spec.type == "ExternalName":
        return None
    wanted = (port_name, *PORT_NAMES) if port_name else PORT_NAMES
    port = next((port for name in wanted for port in ports if port.name == name), ports[0])
    return Place(
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


def _unique(places: Iterable[Place]) -> Iterator[Place]:
    """Each service once, as it was found first."""
    seen: set[tuple[str, str]] = set()
    for place in places:
        if (place.namespace, place.service) not in seen:
            seen.add((place.namespace, place.service))
            yield place


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"the list of services cannot be read: {error}") from error


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
