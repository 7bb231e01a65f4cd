"""The service proxy: `/api/v1/namespaces/NS/services/NAME:PORT/proxy/PATH`."""

from __future__ import annotations

from aiohttp import web

from memtop.demo.api.routes import Call
from memtop.demo.api.status import ApiStatusError, not_found
from memtop.demo.cluster import Cluster
from memtop.demo.promql.http import Prometheus
from memtop.demo.resources import SERVICES

PROMETHEUS = ("observability", "prometheus-service")


class ProxyHandler:
    """Passes requests on to the one service that answers: Prometheus."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus) -> None:
        self._cluster = cluster
        self._prometheus = prometheus

    async def __call__(self, call: Call) -> web.StreamResponse:
        """Answer a proxied request.

        Raises:
            ApiStatusError: 404 without such a service, 503 without such a port or anyone behind it.
        """
        target = call.target
        parts = target.name.split(":")
        scheme, name, port = ("", *parts, "")[:3] if len(parts) < 3 else parts[:3]
        entry = self._cluster.store.get(SERVICES, target.namespace or "", name)
        if entry is None:
            raise not_found(SERVICES, name)
        ports = entry.object["spec"]["ports"]
        if port and not any(port in (str(known["port"]), known["name"]) for known in ports):
            raise ApiStatusError(503, f'no service port {port} found for service "{name}"')
        if (target.namespace, name) != PROMETHEUS or scheme == "https":
            raise ApiStatusError(503, f'no endpoints available for service "{target.name}"')
        return await self._prometheus.answer(call.request, f"/{target.rest}")
