"""Changes: PATCH, PUT and the scale subresource, with dry run and optimistic concurrency."""

from __future__ import annotations

import copy
from typing import Any

from aiohttp import web

from memtop.demo.api.delete import delete, is_dry_run
from memtop.demo.api.forms import Form
from memtop.demo.api.patch import patched
from memtop.demo.api.status import ApiStatusError, decoded, details_of, json_response, not_found
from memtop.demo.api.validate import check, check_identity, unchangeable
from memtop.demo.cluster import Cluster
from memtop.demo.ownership import Manager, changed_hands
from memtop.demo.resources import PODS, Resource
from memtop.demo.store import Entry, Object

JSON = "application/json"
CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


class Writer:
    """Changes stored objects on behalf of requests."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def change(
        self, request: web.Request, resource: Resource, namespace: str, name: str, form: Form
    ) -> web.Response:
        """Answer a PATCH or PUT of an object.

        Raises:
            ApiStatusError: 404, 409, 415, 422 as the API server would.
        """
        entry = self._entry(resource, namespace, name)
        before = entry.plain()
        sent = decoded(await request.read())
        if request.method == "PATCH":
            after = patched(request.content_type, before, sent)
        else:
            after = {key: value for key, value in sent.items() if key not in ("kind", "apiVersion")}
        stored = self._store(request, resource, entry, before, after, sent)
        now = self._cluster.clock.now()
        return web.Response(body=form.one(resource, stored, now), content_type=JSON)

    async def scale(
        self, request: web.Request, resource: Resource, namespace: str, name: str
    ) -> web.Response:
        """Answer a request for the scale of a workload.

        Raises:
            ApiStatusError: 404, 409, 415, 422 as the API server would.
        """
        entry = self._entry(resource, namespace, name)
        if request.method == "GET":
            return json_response(_scale_of(entry))
        sent = decoded(await request.read())
        scale = _scale_of(entry)
        after_scale = patched(request.content_type, scale, sent) if request.method == "PATCH" else sent
        before = entry.plain()
        after = copy.deepcopy(before)
        after["spec"]["replicas"] = (after_scale.get("spec") or {}).get("replicas", 0)
        version = (after_scale.get("metadata") or {}).get("resourceVersion")
        if version:
            after["metadata"]["resourceVersion"] = version
        return json_response(_scale_of(self._store(request, resource, entry, before, after, sent, "scale")))

    async def delete(
        self, request: web.Request, resource: Resource, namespace: str, name: str
    ) -> web.Response:
        """Answer a DELETE.

        Raises:
            ApiStatusError: 404 without such an object, and what `delete` raises.
        """
        return await delete(self._cluster, request, resource, self._entry(resource, namespace, name))

    def _entry(self, resource: Resource, namespace: str, name: str) -> Entry:
        entry = self._cluster.store.get(resource, namespace, name)
        if entry is None:
            raise not_found(resource, name)
        return entry

    def _store(
        self,
        request: web.Request,
        resource: Resource,
        entry: Entry,
        before: Object,
        after: Object,
        sent: Any,  # noqa: ANN401  any JSON
        subresource: str = "",
    ) -> Entry:
        name = entry.key[1]
        version = after.get("metadata", {}).get("resourceVersion")
        if version and version != str(entry.version):
            message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {CONFLICT}'
            raise ApiStatusError(409, message, details=details_of(resource, name))
        check_identity(resource, before, after)
        for field in ("name", "namespace", "uid", "creationTimestamp", "managedFields"):
            if before["metadata"].get(field) is not None:
                after["metadata"][field] = before["metadata"][field]
        after["status"] = before.get("status", {})
        if isinstance(template := (after.get("spec") or {}).get("template"), dict):
            template.setdefault("metadata", {}).setdefault("creationTimestamp", None)  # as Go writes it
        check(resource, after, sent)
        unchangeable(resource, before, after)
        if resource is PODS and after["spec"] != before["spec"]:
            self._check_pod(after, before)
        if after == before:
            return entry
        if after["spec"] != before["spec"]:
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        now = self._cluster.clock.now()
        manager = _manager(request, subresource)
        after["metadata"]["managedFields"] = changed_hands(before, after, manager, resource, now)
        if is_dry_run(request.query):
            return self._cluster.store.encode(after, entry.version)
        stored = self._cluster.store.put(resource, after)
        if resource is PODS:
            self._cluster.pods[entry.key].labels = after["metadata"].get("labels") or {}
        self._cluster.touch(resource, entry.key)
        self._cluster.settle(now)
        return self._cluster.store.get(resource, *entry.key) or stored

    @staticmethod
    def _check_pod(after: Object, before: Object) -> None:
        message = (
            f'Pod "{before["metadata"]["name"]}" is invalid: spec: Forbidden: pod updates may not change '
            "fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, "
            "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations)"
        )
        raise ApiStatusError(422, message, details=details_of(PODS, after["metadata"]["name"]))


def _manager(request: web.Request, subresource: str) -> Manager:
    """Return who a request writes as: what it says, or the program's name."""
    agent = request.headers.get("User-Agent", "unknown").split("/")[0]
    return Manager(request.query.get("fieldManager") or agent, subresource=subresource)


def _scale_of(entry: Entry) -> Object:
    metadata, spec = entry.object["metadata"], entry.object["spec"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = spec["selector"].get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept},
        "spec": {"replicas": spec["replicas"]},
        "status": {
            "replicas": (entry.object.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        },
    }
