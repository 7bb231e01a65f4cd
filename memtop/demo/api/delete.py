"""DELETE, with its options: grace period, dry run, preconditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from memtop.demo.api.forms import Whole
from memtop.demo.api.status import ApiStatusError, decoded, details_of, json_response, number_of
from memtop.demo.clock import rfc3339
from memtop.demo.cluster import Cluster
from memtop.demo.resources import PODS, Resource
from memtop.demo.store import Entry, Object

JSON = "application/json"


async def delete(cluster: Cluster, request: web.Request, resource: Resource, entry: Entry) -> web.Response:
    """Answer a DELETE: pods go gracefully, the rest at once with what it owns.

    Raises:
        ApiStatusError: 400 or 422 for options that make no sense, 409 when a precondition does not hold.
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
    return web.Response(body=Whole().one(resource, entry, now), content_type=JSON)


def is_dry_run(query: Mapping[str, str], options: Mapping[str, Any] | None = None) -> bool:
    """Return whether a request is only to be tried.

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
