"""From a request to its handler: parse the path as the API server does, authorize, dispatch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from memtop.demo.api.authorization import (
    AccessRequest,
    User,
    access_review,
    authorize,
    rules_review,
    self_review,
)
from memtop.demo.api.list_and_watch import Watch, label_test, list_body
from memtop.demo.api.object_changes import ObjectWriter
from memtop.demo.api.protobuf_reviews import MAGIC, decoded_review
from memtop.demo.api.response_formats import ResponseFormat, negotiate_format
from memtop.demo.api.status_errors import ApiStatusError, details_of, json_response, not_found, page_not_found
from memtop.demo.api_resources import (
    ACCESS_REVIEWS,
    BY_PATH,
    METRICS_GROUP,
    NODE_METRICS,
    POD_METRICS,
    PODS,
    RULES_REVIEWS,
    SELF_REVIEWS,
    Resource,
    core_versions,
    group_document,
    group_list,
    resource_list,
    version_document,
)
from memtop.demo.metrics_server import MetricsServer
from memtop.demo.simulated_cluster import Cluster

JSON = "application/json"
Handler = Callable[["ResourceRequest"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class RequestPath:
    """The resource, object and subresource that a path names."""

    resource: Resource
    namespace: str | None = None
    name: str = ""
    subresource: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """One authorized request for a resource."""

    request: web.Request
    user: User
    target: RequestPath
    response_format: ResponseFormat


def parse_path(path: str) -> RequestPath | None:
    """Read a path such as `/api/v1/namespaces/NS/pods/NAME/log`; None if it names no resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource = resource_of(group, version, parts[0])
    if resource is None:
        return None
    if resource.plural == "namespaces" and len(parts) > 1:
        namespace = parts[1]
    name, subresource = (*parts[1:3], "", "")[:2]
    return RequestPath(resource, namespace, name, subresource, "/".join(parts[3:]))


def resource_of(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource a path names."""
    for virtual in (POD_METRICS, NODE_METRICS, ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS):
        if (virtual.group, virtual.version, virtual.plural) == (group, version, plural):
            return virtual
    return BY_PATH.get((group, version, plural))


class Router:
    """Answers requests for one cluster.

    Attributes:
        watches: the watches being served.
        bookmark_every: real seconds between bookmarks.
    """

    def __init__(self, cluster: Cluster, bookmark_every: float) -> None:
        self._cluster = cluster
        self._metrics = MetricsServer(cluster)
        self._writer = ObjectWriter(cluster)
        self.bookmark_every = bookmark_every
        self.watches: set[Watch] = set()
        self._subresources: dict[str, Handler] = {}

    def serves(self, subresource: str, handler: Handler) -> None:
        """Have `handler` answer all requests for a subresource (`log`, `proxy`, …)."""
        self._subresources[subresource] = handler

    async def answer(self, request: web.Request, path: str, user: User) -> web.StreamResponse:
        """Answer a request.

        Args:
            request: the request.
            path: its path, without a prefix.
            user: the user who sends it.

        Raises:
            ApiStatusError: the request is refused.
        """
        document = self._discovery(path, request)
        if document is not None:
            return json_response(document)
        target = parse_path(path)
        if target is None and path.startswith("/openapi/"):
            raise ApiStatusError(
                404, "the demo cluster has no schema of its API: give kubectl --validate=false"
            )
        if target is None:
            return page_not_found()
        resource_request = ResourceRequest(
            request,
            user,
            target,
            negotiate_format(
                request.headers.get("Accept", JSON), request.query.get("includeObject", "Metadata")
            ),
        )
        authorize(
            user,
            AccessRequest(
                _verb(resource_request), target.resource, target.namespace, target.name, target.subresource
            ),
        )
        return await self._dispatch(resource_request)

    def _discovery(self, path: str, request: web.Request) -> object | None:
        parts = path.strip("/").split("/")
        match parts:
            case ["version"]:
                return version_document()
            case ["api"]:
                return core_versions(request.host)
            case ["apis"]:
                return group_list()
            case ["api", version]:
                return resource_list("", version)
            case ["apis", group]:
                return group_document(group)
            case ["apis", group, version]:
                return resource_list(group, version)
            case _:
                return None

    async def _dispatch(self, resource_request: ResourceRequest) -> web.StreamResponse:
        target, request = resource_request.target, resource_request.request
        if target.resource is ACCESS_REVIEWS:
            return json_response(access_review(await _document(request), resource_request.user), 201)
        if target.resource is RULES_REVIEWS:
            return json_response(rules_review(await _document(request), resource_request.user), 201)
        if target.resource is SELF_REVIEWS:
            return json_response(self_review(await _document(request), resource_request.user), 201)
        if target.resource.group == METRICS_GROUP:
            return self._answer_metrics(resource_request)
        if target.subresource:
            if target.subresource == "scale" and any(
                sub[0] == "scale" for sub in target.resource.subresources
            ):
                return await self._writer.scale(request, target.resource, target.namespace or "", target.name)
            if target.resource is PODS and target.subresource == "resize":
                return await self._writer.resize(request, target.namespace or "", target.name)
            handler = self._subresources.get(target.subresource)
            return await handler(resource_request) if handler is not None else _unknown_subresource(target)
        if request.method == "GET" and not target.name:
            return await self._watch(resource_request) if _watches(request) else self._list(resource_request)
        if request.method == "GET":
            return self._get(resource_request)
        if target.name and request.method in _METHODS and _METHODS[request.method] in target.resource.verbs:
            namespace = (target.namespace or "") if target.resource.namespaced else ""
            if request.method == "DELETE":
                return await self._writer.delete(request, target.resource, namespace, target.name)
            return await self._writer.change(
                request, target.resource, namespace, target.name, resource_request.response_format
            )
        if request.method == "POST" and "create" in target.resource.verbs:
            return await self._writer.create(
                request, target.resource, target.namespace or "", resource_request.response_format
            )
        raise ApiStatusError(405, _refusal(request.method, target), details=details_of(target.resource))

    def _get(self, resource_request: ResourceRequest) -> web.Response:
        target = resource_request.target
        namespace = (target.namespace or "") if target.resource.namespaced else ""
        entry = self._cluster.store.get(target.resource, namespace, target.name)
        if entry is None:
            raise not_found(target.resource, target.name)
        return web.Response(
            body=resource_request.response_format.one(target.resource, entry, self._cluster.clock.now()),
            content_type=JSON,
        )

    def _list(self, resource_request: ResourceRequest) -> web.Response:
        target = resource_request.target
        now = self._cluster.clock.now()
        body = list_body(
            self._cluster.store,
            target.resource,
            target.namespace,
            resource_request.request.query,
            resource_request.response_format,
            now,
        )
        return web.Response(body=body, content_type=JSON)

    async def _watch(self, resource_request: ResourceRequest) -> web.StreamResponse:
        target = resource_request.target
        watch = Watch(
            self._cluster.store,
            target.resource,
            target.namespace,
            resource_request.request.query,
            resource_request.response_format,
            self._cluster.clock.now,
        )
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(resource_request.request)
        self.watches.add(watch)
        try:
            await watch.serve(response, self.bookmark_every)
        finally:
            self.watches.discard(watch)
        return response

    def _answer_metrics(self, resource_request: ResourceRequest) -> web.Response:
        target, query = resource_request.target, resource_request.request.query
        if resource_request.request.method != "GET":
            raise ApiStatusError(405, "the server does not allow this method on the requested resource")
        body: bytes | None
        if target.resource is NODE_METRICS:
            body = self._metrics.node(target.name) if target.name else self._metrics.nodes()
        elif target.name:
            body = self._metrics.pod(target.namespace or "", target.name)
        else:
            test = label_test(query["labelSelector"]) if query.get("labelSelector") else None
            body = self._metrics.pods(target.namespace, test)
        if body is None:
            raise ApiStatusError(
                404,
                f'{target.resource.plural} "{target.name}" not found',
                details={"name": target.name, "kind": target.resource.plural},
            )
        return web.Response(body=body, content_type=JSON)


NOT_SIMULATED = {
    "attach": "kubectl attach: kubectl logs -f shows what a container prints",
    "portforward": "kubectl port-forward: its containers listen on no port",
    "ephemeralcontainers": "kubectl debug",
    "eviction": "kubectl drain: kubectl delete pod has the pod made anew",
    "binding": "the binding of pods to nodes",
    "token": "kubectl create token",
}


def _unknown_subresource(target: RequestPath) -> web.Response:
    """The answer to a request for a subresource that is not served."""
    if target.subresource in NOT_SIMULATED:
        raise ApiStatusError(405, f"the demo cluster does not simulate {NOT_SIMULATED[target.subresource]}")
    return page_not_found()


def _refusal(method: str, target: RequestPath) -> str:
    """Why a request is refused that a real cluster would answer."""
    verb = {"POST": "creating", "PUT": "replacing", "PATCH": "changing", "DELETE": "deleting"}.get(method)
    if verb is None:
        return "the server does not allow this method on the requested resource"
    able = {"create": "created", "update": "replaced", "patch": "changed", "delete": "deleted"}
    words = [word for name, word in able.items() if name in target.resource.verbs]
    can = f"they can be {', '.join(words)}" if words else "they can only be looked at"
    return f"the demo cluster does not simulate {verb} {target.resource.plural}: {can}"


_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _watches(request: web.Request) -> bool:
    return request.query.get("watch", "") in ("true", "1")


def _verb(resource_request: ResourceRequest) -> str:
    method, target = resource_request.request.method, resource_request.target
    if method == "GET":
        if target.name:
            return "get"
        return "watch" if _watches(resource_request.request) else "list"
    return _METHODS.get(method, method.lower())


async def _document(request: web.Request) -> dict[str, object]:
    body = await request.read()
    if body.startswith(MAGIC):
        return decoded_review(body)
    try:
        document: dict[str, object] = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise ApiStatusError(400, f"the object provided is unrecognized: {error}") from None
    return document
