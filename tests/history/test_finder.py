"""Where Prometheus is looked for, and in which order."""

import json

import pytest

from memtop.history.prometheus_finder import find_candidates
from memtop.kube.api_errors import ApiError

HERE = ("monitoring", "observability")


class Api:
    """Answers lists: services per namespace, Prometheus resources, and refusals."""

    def __init__(self, services=(), resources=None, forbidden=()):
        self.services, self.resources, self.forbidden = services, resources, forbidden
        self.asked = []

    async def get(self, path, params=None):
        self.asked.append(path)
        if path in self.forbidden:
            raise ApiError(403, "Forbidden", "you may not")
        if "prometheuses" in path:
            if self.resources is None:
                raise ApiError(404, "NotFound", "page not found")
            return json.dumps({"items": self.resources}).encode()
        parts = path.split("/")
        namespace = parts[4] if "namespaces" in parts else None
        found = [one for one in self.services if namespace in (None, one["metadata"]["namespace"])]
        return json.dumps({"items": found}).encode()


def service(name, labels="", ports="web:9090", namespace="monitoring", **spec):
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(pair.split("=", 1) for pair in labels.split(",") if pair),
        },
        "spec": {
            "ports": [
                {"name": port.split(":")[0], "port": int(port.split(":")[1]), "targetPort": "web"}
                for port in ports.split(",")
                if port
            ],
            **spec,
        },
    }


async def test_the_recorded_cluster(recording):
    class Recorded(Api):
        async def get(self, path, params=None):
            if path == "/api/v1/services":
                return recording("services-all.json")
            return await super().get(path, params)

    looked = await find_candidates(Recorded(), HERE)
    (place,) = looked.candidates
    assert str(place) == "observability/prometheus-service:9090"
    assert place.proxy_path == "/api/v1/namespaces/observability/services/prometheus-service:9090/proxy"
    assert place.found_by == "name prometheus-service"
    assert place.selector == {"app": "prometheus"}


@pytest.mark.parametrize(
    ("labels", "ports", "kind", "end"),
    [
        ("app=kube-prometheus-stack-prometheus", "http-web:9090", "Prometheus", "x:9090/proxy"),
        ("app=prometheus,component=server", "http:80", "Prometheus", "x:80/proxy"),
        ("app.kubernetes.io/name=prometheus", "web:9090", "Prometheus", "x:9090/proxy"),
        ("app=thanos-query", "grpc:10901,http:9090", "Thanos", "x:9090/proxy"),
        ("app.kubernetes.io/name=thanos-query", "grpc:10901,http:10902", "Thanos", "x:10902/proxy"),
        ("app.kubernetes.io/name=vmsingle", "http:8429", "VictoriaMetrics", "x:8429/proxy"),
        ("app=vmselect", "http:8481", "VictoriaMetrics", "x:8481/proxy/select/0/prometheus"),
        (
            "app.kubernetes.io/name=mimir,app.kubernetes.io/component=query-frontend",
            "grpc:9095,http-metrics:8080",
            "Mimir",
            "x:8080/proxy/prometheus",
        ),
    ],
)
async def test_services_by_label(labels, ports, kind, end):
    looked = await find_candidates(
        Api([service("other", "app=alertmanager"), service("x", labels, ports)]), HERE
    )
    (place,) = looked.candidates
    assert place.kind == kind
    assert place.proxy_path.endswith(end)
    assert place.found_by == f"label {labels}"
    assert dict(place.headers) == ({"X-Scope-OrgID": "anonymous"} if kind == "Mimir" else {})


@pytest.mark.parametrize(
    "name", ["prometheus-k8s", "prometheus-operated", "prometheus-server", "mon-kube-prometheus-prometheus"]
)
async def test_services_by_name(name):
    looked = await find_candidates(Api([service("prometheus-node-exporter"), service(name)]), HERE)
    assert [place.service for place in looked.candidates] == [name]


async def test_part_of_the_labels_is_not_enough():
    looked = await find_candidates(
        Api([service("x", "app=prometheus"), service("y", "app.kubernetes.io/name=mimir")]), HERE
    )
    assert looked.candidates == ()
    assert looked.attempts == ("2 services listed, none with Prometheus' labels or names",)
    assert not looked.forbidden


async def test_the_operators_resource_comes_first():
    resources = [
        {
            "metadata": {"name": "k8s", "namespace": "observability"},
            "spec": {"routePrefix": "/prom/", "portName": "metrics"},
        }
    ]
    services = [
        service("a", "app=prometheus,component=server"),
        service("prometheus-operated", ports="grpc:10901,metrics:9091", namespace="observability"),
    ]
    looked = await find_candidates(Api(services, resources), HERE)
    assert [str(place) for place in looked.candidates] == [
        "observability/prometheus-operated:9091",
        "monitoring/a:9090",
    ]
    assert looked.candidates[0].path == "/prom"
    assert looked.candidates[0].found_by == "resource prometheuses/k8s"


async def test_of_two_prometheuses_each_has_its_own_service():
    resources = [{"metadata": {"name": name, "namespace": "observability"}} for name in ("one", "two")]
    services = [
        service(
            "prometheus-operated",
            namespace="observability",
            selector={"app.kubernetes.io/name": "prometheus"},
        ),
        service("b", namespace="observability", selector={"operator.prometheus.io/name": "two"}),
        service("a", namespace="observability", selector={"prometheus": "one"}),
    ]
    looked = await find_candidates(Api(services, resources), HERE)
    assert [place.service for place in looked.candidates] == ["a", "b", "prometheus-operated"]


async def test_a_service_with_tls_is_asked_over_tls():
    looked = await find_candidates(Api([service("prometheus-k8s", ports="https:9091")]), HERE)
    assert "/services/https:prometheus-k8s:9091/proxy" in looked.candidates[0].proxy_path


async def test_another_hosts_name_and_no_port_are_no_place():
    services = [
        service("prometheus-server", type="ExternalName"),
        service("prometheus-k8s", ports=""),
    ]
    assert (await find_candidates(Api(services), HERE)).candidates == ()


async def test_one_namespace_must_be_enough():
    services = [
        service("prometheus-server", namespace="observability"),
        service("prometheus-k8s", namespace="x"),
    ]
    api = Api(services, forbidden=("/api/v1/services", "/api/v1/namespaces/monitoring/services"))
    looked = await find_candidates(api, (*HERE, "shop", "shop"))
    assert [place.namespace for place in looked.candidates] == ["observability"]
    assert looked.attempts == ("listing services is forbidden in all namespaces together, and in monitoring",)
    assert api.asked.count("/api/v1/namespaces/shop/services") == 1


async def test_forbidden_everywhere():
    paths = ["/api/v1/services", *(f"/api/v1/namespaces/{name}/services" for name in HERE)]
    looked = await find_candidates(Api(forbidden=paths), HERE)
    assert looked.forbidden
    assert looked.candidates == ()


async def test_a_service_counts_once_and_there_are_not_too_many():
    services = [
        service(f"prometheus-{i}", "app=prometheus-server,app.kubernetes.io/name=prometheus")
        for i in range(20)
    ]
    looked = await find_candidates(Api(services), HERE)
    assert len(looked.candidates) == len({place.service for place in looked.candidates}) == 6


async def test_a_service_outside_the_usual_namespaces_never_beats_one_inside():
    fake = service("prometheus", "app=kube-prometheus-stack-prometheus", namespace="attacker")
    real = service("prometheus", namespace="monitoring")
    looked = await find_candidates(Api([fake, real]), HERE)
    assert [place.namespace for place in looked.candidates] == ["monitoring"]
    assert looked.attempts == ("not tried, outside the usual namespaces: attacker/prometheus:9090",)
    (alone,) = (await find_candidates(Api([fake]), HERE)).candidates
    assert alone.found_by.endswith("outside the usual namespaces")
