"""POST, PATCH, PUT, the scale subresource and DELETE, with dry run and optimistic concurrency."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from memtop.demo.api.patches import check, check_identity, check_immutable_fields, patched
from memtop.demo.api.response_formats import FullObjects, ResponseFormat
from memtop.demo.api.status_errors import (
    ApiStatusError,
    decoded,
    details_of,
    json_response,
    not_found,
    number_of,
)
from memtop.demo.api_resources import PODS, Resource
from memtop.demo.in_place_resize import check_resize
from memtop.demo.object_metadata import FieldWriter, uid_of, updated_managed_fields
from memtop.demo.object_store import Entry, Object
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_time import rfc3339

JSON = "application/json"
CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


class ObjectWriter:
    """Changes stored objects on behalf of requests."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def change(
        self,
        request: web.Request,
        resource: Resource,
        namespace: str,
        name: str,
        response_format: ResponseFormat,
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
        return web.Response(body=response_format.one(resource, stored, now), content_type=JSON)

    async def create(
        self, request: web.Request, resource: Resource, namespace: str, response_format: ResponseFormat
    ) -> web.Response:
        """Answer a POST of an object that no controller looks after, such as a ConfigMap.

        Raises:
            ApiStatusError: 409 where there is one of its name, 422 for another dry run than `All`.
        """
        made: Object = decoded(await request.read())
        name = made["metadata"]["name"]
        store, now = self._cluster.store, self._cluster.clock.now()
        if store.get(resource, namespace, name) is not None:
            said = f'{resource.qualified} "{name}" already exists'
            raise ApiStatusError(409, said, details=details_of(resource, name))
        made["metadata"] |= {
            "namespace": namespace,
            "uid": uid_of(resource.kind, namespace, name, store.version),
            "creationTimestamp": rfc3339(now),
        }
        entry = store.encode(made, store.version) if is_dry_run(request.query) else store.put(resource, made)
        return web.Response(status=201, body=response_format.one(resource, entry, now), content_type=JSON)

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

    async def resize(self, request: web.Request, namespace: str, name: str) -> web.Response:
        """Answer a request for the resize of a pod.

        Raises:
            ApiStatusError: 403, 404, 409, 415, 422 as the API server would.
        """
        entry = self._entry(PODS, namespace, name)
        now = self._cluster.clock.now()
        if request.method != "GET":
            before, sent = entry.plain(), decoded(await request.read())
            after = patched(request.content_type, before, sent) if request.method == "PATCH" else sent
            self._check_version(PODS, entry, after)
            pod = self._cluster.pods[entry.key]
            if pod.node is not None:
                check_resize(before, after, self._cluster.scheduler.host(pod.node).allocatable)
            after["metadata"], after["status"] = before["metadata"], before.get("status", {})
            if is_dry_run(request.query):
                entry = self._cluster.store.encode(after, entry.version)
            elif after["spec"] != before["spec"]:
                self._cluster.resize_pod(pod, after["spec"]["containers"], now)
                entry = self._cluster.store.get(PODS, *entry.key) or entry
        return web.Response(body=FullObjects().one(PODS, entry, now), content_type=JSON)

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
        self._check_version(resource, entry, after)
        check_identity(resource, before, after)
        for field in ("name", "namespace", "uid", "creationTimestamp", "managedFields"):
            if before["metadata"].get(field) is not None:
                after["metadata"][field] = before["metadata"][field]
        if "status" in before:
            after["status"] = before["status"]
        if isinstance(template := (after.get("spec") or {}).get("template"), dict):
            template.setdefault("metadata", {}).setdefault("creationTimestamp", None)  # as Go writes it
        check(resource, after, sent)
        check_immutable_fields(resource, before, after)
        if resource is PODS and after["spec"] != before["spec"]:
            self._check_pod(after, before)
        if after == before:
            return entry
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        now = self._cluster.clock.now()
        manager = _manager(request, subresource)
        after["metadata"]["managedFields"] = updated_managed_fields(before, after, manager, resource, now)
        if is_dry_run(request.query):
            return self._cluster.store.encode(after, entry.version)
        stored = self._cluster.store.put(resource, after)
        if resource is PODS:
            self._cluster.pods[entry.key].labels = after["metadata"].get("labels") or {}
        self._cluster.enqueue(resource, entry.key)
        self._cluster.reconcile_queue(now)
        return self._cluster.store.get(resource, *entry.key) or stored

    @staticmethod
    def _check_version(resource: Resource, entry: Entry, after: Object) -> None:
        name, version = entry.key[1], after.get("metadata", {}).get("resourceVersion")
        if version and version != str(entry.version):
            message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {CONFLICT}'
            raise ApiStatusError(409, message, details=details_of(resource, name))

    @staticmethod
    def _check_pod(after: Object, before: Object) -> None:
        message = (
            f'Pod "{before["metadata"]["name"]}" is invalid: spec: Forbidden: pod updates may not change '
            "fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, "
            "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations)"
        )
        raise ApiStatusError(422, message, details=details_of(PODS, after["metadata"]["name"]))


def _manager(request: web.Request, subresource: str) -> FieldWriter:
    """Return the field manager of a request: its parameter, or the program's name."""
    agent = request.headers.get("User-Agent", "unknown").split("/")[0]
    return FieldWriter(request.query.get("fieldManager") or agent, subresource=subresource)


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


async def delete(cluster: Cluster, request: web.Request, resource: Resource, entry: Entry) -> web.Response:
    """Answer a DELETE: pods end gracefully; other objects are deleted at once with what they own.

    Raises:
        ApiStatusError: 400 or 422 for invalid options, 409 when a precondition does not hold.
    """
    body = await request.read()
    sent = decoded(body) if body.strip() else {}
    options: Object = sent if isinstance(sent, dict) else {}
    _check_preconditions(options.get("preconditions") or {}, resource, entry)
    dry = is_dry_run(request.query, options)
    now = cluster.clock.now()
    if resource is not PODS:
        if not dry:
            cluster.delete_workload(resource, entry.key, now)
        details = {**details_of(resource, entry.key[1]), "uid": entry.object["metadata"]["uid"]}
        return json_response(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )
    grace = _grace(request.query, options, entry)
    if dry:
        metadata = {
            **entry.object["metadata"],
            "deletionTimestamp": rfc3339(now + grace),
            "deletionGracePeriodSeconds": grace,
        }
        entry = cluster.store.encode({**entry.object, "metadata": metadata}, entry.version)
    else:
        cluster.delete_pod(cluster.pods[entry.key], now, grace)
        entry = cluster.store.get(PODS, *entry.key) or entry
    return web.Response(body=FullObjects().one(resource, entry, now), content_type=JSON)


def is_dry_run(query: Mapping[str, str], options: Mapping[str, Any] | None = None) -> bool:
    """Return whether a request is a dry run.

    Raises:
        ApiStatusError: 422 for a dry run of another kind than `All`.
    """
    wanted = [*([query["dryRun"]] if query.get("dryRun") else ()), *((options or {}).get("dryRun") or ())]
    for word in wanted:
        if word != "All":
            said = f'Unsupported value: []string{{"{word}"}}: supported values: "All"'
            kind = "DeleteOptions" if options is not None else "PatchOptions"
            cause = {"reason": "FieldValueNotSupported", "message": said, "field": "dryRun"}
            details = {"group": "meta.k8s.io", "kind": kind, "causes": [cause]}
            raise ApiStatusError(422, f'{kind}.meta.k8s.io "" is invalid: dryRun: {said}', details=details)
    return bool(wanted)


def _grace(query: Mapping[str, str], options: Mapping[str, Any], entry: Entry) -> int:
    if query.get("gracePeriodSeconds"):
        return number_of(query, "gracePeriodSeconds")
    if options.get("gracePeriodSeconds") is not None:
        return int(options["gracePeriodSeconds"])
    return int(entry.object["spec"].get("terminationGracePeriodSeconds", 30))


def _check_preconditions(wanted: Mapping[str, str], resource: Resource, entry: Entry) -> None:
    metadata = entry.object["metadata"]
    for name, field, since in (
        ("UID", "uid", "The object might have been deleted and then recreated"),
        ("ResourceVersion", "resourceVersion", "The object might have been modified"),
    ):
        if wanted.get(field) and wanted[field] != metadata[field]:
            said = (
                f"the {name} in the precondition ({wanted[field]}) does not match the {name} in record "
                f"({metadata[field]}). {since}"
            )
            message = f'Operation cannot be fulfilled on {resource.kind} "{entry.key[1]}": {said}'
            details = {"name": entry.key[1], "kind": resource.kind}
            raise ApiStatusError(409, message, details=details)
