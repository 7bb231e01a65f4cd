"""The API request that makes a change, its dry run on the server, and the same as a kubectl command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from memtop.change.change_plan import (
    VERSION_POINTER,
    ChangePlanLine,
    FieldPath,
    field_differences,
    path_text,
    same_value,
)
from memtop.change.change_request import (
    DUMP_VOLUME,
    ChangeRequest,
    DeletePod,
    Pause,
    ResizePod,
    Restart,
    Resume,
    Scale,
    SetImage,
    SetMemory,
    SetVariables,
    Undo,
    pod_template,
    template_path,
)
from memtop.change.field_owners import FIELD_MANAGER
from memtop.change.workload_state import TemplateContainer, WorkloadState
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.custom_workloads import CustomWorkload, custom_workload
from memtop.kube.json_object import (
    Json,
    decode_object,
    labels,
    mapping,
    number,
    objects,
    sanitize_tree,
    text,
    uid_of,
)
from memtop.kube.kubeconfig import IN_CLUSTER
from memtop.kube.workload_revisions import Revision

STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CHANGE_CAUSE = "kubernetes.io/change-cause"

ChangedField = tuple[FieldPath, str, str]
"""A field, its value before and after."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What would be sent.

    Attributes:
        method: ``PATCH`` or ``DELETE``.
        path: Of the object, or of its scale.
        content_type: Of the body.
        body: Not yet encoded; carries the version.
        changed: The fields that it changes.
        cause: The change cause that it records; None where it leaves that alone, empty where it removes it.
    """

    method: str
    path: str
    content_type: str
    body: dict[str, Any] | list[dict[str, Any]]
    changed: tuple[ChangedField, ...]
    cause: str | None = None


def build_request(
    change: ChangeRequest,
    subject: WorkloadState,
    collection: str,
    command: str,
    target: Revision | None,
    now: float,
) -> ApiRequest:
    """The request that grants a change in which nothing is wrong.

    Args:
        change: The change.
        subject: The object as it is.
        collection: The path of its collection.
        command: The change cause, where the change makes a new revision.
        target: The revision that an undo leads to.
        now: Unix seconds, for a restart.
    """
    path = f"{collection}/{quote(subject.ref.name, safe='')}"
    version = {"resourceVersion": subject.resource_version}
    custom = custom_workload(subject.ref.kind, subject.ref.api_version)
    if custom is not None and not isinstance(change, DeletePod | Scale | ResizePod | SetVariables):
        return _custom_request(change, custom, subject, path, target, now)
    match change:
        case DeletePod():
            body: dict[str, Any] = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": uid_of(subject.object), **version},
            }
            return ApiRequest("DELETE", path, "application/json", body, ())
        case Scale():
            now_ = "" if subject.replicas is None else str(subject.replicas)
            body = {"metadata": version, "spec": {"replicas": change.replicas}}
            changed: tuple[ChangedField, ...] = ((("spec", "replicas"), now_, str(change.replicas)),)
            return ApiRequest("PATCH", f"{path}/scale", MERGE_PATCH, body, changed)
        case Pause() | Resume():
            paused = isinstance(change, Pause)
            body = {"metadata": version, "spec": {"paused": True if paused else None}}
            before, after = ("", "true") if paused else ("true", "")
            return ApiRequest(
                "PATCH", path, STRATEGIC_MERGE_PATCH, body, ((("spec", "paused"), before, after),)
            )
        case ResizePod():
            element, changed = _container_patch(change, subject, ())
            return ApiRequest(
                "PATCH",
                f"{path}/resize",
                STRATEGIC_MERGE_PATCH,
                {"metadata": version, **element},
                changed,
            )
        case SetImage() | SetMemory() | SetVariables() | Restart() | Undo():
            patch, changed = _template_patch(change, subject, target, now)
            cause = None if subject.ref.kind == "CronJob" else command
            if isinstance(change, Undo):  # kubectl gives the revision its cause back
                cause = target.change_cause if target is not None else ""
            body = {"metadata": dict(version)}
            had = CHANGE_CAUSE in labels(subject.object, "metadata", "annotations")
            if cause or (cause is not None and had):
                body["metadata"]["annotations"] = {CHANGE_CAUSE: cause or None}
            inside = body
            *above, last = template_path(subject.ref.kind)
            for step in above:
                inside = inside.setdefault(step, {})
            inside[last] = patch
            return ApiRequest("PATCH", path, STRATEGIC_MERGE_PATCH, body, changed, cause)


def _custom_request(
    change: SetImage | SetMemory | Restart | Undo | Pause | Resume,
    custom: CustomWorkload,
    subject: WorkloadState,
    path: str,
    target: Revision | None,
    now: float,
) -> ApiRequest:
    """The JSON patch of a custom resource, for which the API server takes no strategic-merge patch."""
    match change:
        case Pause() | Resume():
            paused = isinstance(change, Pause)
            changed: tuple[ChangedField, ...] = (
                (custom.pause_path, "" if paused else "true", "true" if paused else ""),
            )
            steps = json_patch(subject.object, [(custom.pause_path, True if paused else None)])
        case Restart() if custom.restart_field:
            stamp = _restart_stamp(now)
            changed = ((custom.restart_field, text(subject.object, *custom.restart_field), stamp),)
            steps = json_patch(subject.object, [(custom.restart_field, stamp)])
        case Undo():
            _, changed = _template_patch(change, subject, target, now)
            template = {} if target is None else dict(target.template)
            steps = json_patch(subject.object, [(("spec", "template"), template)])
        case _:
            _, changed = _template_patch(change, subject, target, now)
            steps = json_patch(subject.object, [(field, after) for field, _, after in changed])
    version = {"op": "replace", "path": VERSION_POINTER, "value": subject.resource_version}
    return ApiRequest("PATCH", path, JSON_PATCH, [version, *steps], changed)


def json_patch(found: Json, wanted: Sequence[tuple[FieldPath, object]]) -> list[dict[str, Any]]:
    """The steps of a JSON patch (RFC 6902) that give fields their values.

    Args:
        found: The object as it is. What is missing above a field is made.
        wanted: Fields and their values; None removes one.
    """
    made: Any = msgspec.json.decode(msgspec.json.encode(found))
    steps: list[dict[str, Any]] = []
    for field, value in wanted:
        inside, pointer = made, ""
        for place, step in enumerate(field):
            key: str | int = step if isinstance(step, str) else _index_of(inside, *step)
            pointer += f"/{str(key).replace('~', '~0').replace('/', '~1')}"
            there = isinstance(key, int) or (isinstance(inside, dict) and inside.get(key) is not None)
            last = place == len(field) - 1
            if value is None:
                if not there:
                    break
                if last:
                    steps.append({"op": "remove", "path": pointer})
                    del inside[key]
                    break
            elif last or not there:
                whole = value
                for above in reversed(field[place + 1 :]):
                    whole = {above: whole}
                steps.append({"op": "replace" if there else "add", "path": pointer, "value": deepcopy(whole)})
                inside[key] = whole
                break
            inside = inside[key]
    return steps


def _index_of(elements: Iterable[object], key: str, name: str) -> int:
    """Where in a list the element is that carries a name."""
    return next(place for place, one in enumerate(elements) if text(one, key) == name)


def patch_command(request: ApiRequest, subject: WorkloadState, otherwise: str) -> str:
    """The kubectl command of a change of a custom resource, which is its patch; of others the one there is.

    Args:
        request: The change.
        subject: The object.
        otherwise: The command that kubectl has for kinds of Kubernetes' own.
    """
    custom = custom_workload(subject.ref.kind, subject.ref.api_version)
    if custom is None or not isinstance(request.body, list):
        return otherwise
    words = shlex.split(otherwise)
    steps = [step for step in request.body if step["path"] != VERSION_POINTER]
    patch = ["--type=json", "-p", msgspec.json.encode(steps).decode()]
    rest = words[words.index("-n") :] if "-n" in words else []
    return shlex.join(
        ["kubectl", "patch", f"{custom.plural}.{custom.group}", subject.ref.name, *patch, *rest]
    )


def _restart_stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _template_patch(
    change: SetImage | SetMemory | SetVariables | Restart | Undo,
    subject: WorkloadState,
    target: Revision | None,
    now: float,
) -> tuple[dict[str, Any], tuple[ChangedField, ...]]:
    """The patch of the pod template, and what it changes."""
    where: FieldPath = template_path(subject.ref.kind)
    template = pod_template(subject.ref.kind, subject.object)
    if isinstance(change, Undo):
        if target is None:
            raise ValueError("an undo needs the revision it leads to")
        return {"$patch": "replace", **target.template}, tuple(
            field_differences(
                _without_server_fields(template),
                _without_server_fields(sanitize_tree(target.template)),
                where,
            )
        )
    if isinstance(change, Restart):
        stamp = _restart_stamp(now)
        before = text(template, "metadata", "annotations", RESTARTED_AT)
        annotation = (*where, "metadata", "annotations", RESTARTED_AT)
        return {"metadata": {"annotations": {RESTARTED_AT: stamp}}}, ((annotation, before, stamp),)
    if isinstance(change, SetVariables):
        return _variables_patch(change, subject, where)
    return _container_patch(change, subject, where)


def _container_patch(
    change: SetImage | SetMemory | ResizePod, subject: WorkloadState, where: FieldPath
) -> tuple[dict[str, Any], tuple[ChangedField, ...]]:
    """The patch of one container of a pod or pod template, and what it changes."""
    container = subject.container(change.container)
    if container is None:
        raise ValueError(f"there is no container {change.container!r}")
    among = "initContainers" if container.init else "containers"
    place: FieldPath = (*where, "spec", among, ("name", container.name))
    element: dict[str, Any] = {"name": container.name}
    if isinstance(change, SetImage):
        element["image"] = change.image
        changed: list[ChangedField] = [((*place, "image"), container.image, change.image)]
    else:
        changed = list(_memory_changes(change, container, place))
        element["resources"] = {str(steps[-2]): {"memory": after} for steps, _, after in changed}
    return {"spec": {among: [element]}}, tuple(changed)


def _variables_patch(
    change: SetVariables, subject: WorkloadState, where: FieldPath
) -> tuple[dict[str, Any], tuple[ChangedField, ...]]:
    """The patch that sets variables of one container and mounts room for a dump, and what it changes."""
    container = subject.container(change.container)
    if container is None:
        raise ValueError(f"there is no container {change.container!r}")
    among = "initContainers" if container.init else "containers"
    template = pod_template(subject.ref.kind, subject.object)
    found = next(one for one in objects(template, "spec", among) if text(one, "name") == container.name)
    place: FieldPath = (*where, "spec", among, ("name", container.name))
    element: dict[str, Any] = {
        "name": container.name,
        "env": [{"name": name, "value": value} for name, value in change.variables],
    }
    spec: dict[str, Any] = {among: [element]}
    present = {text(one, "name"): text(one, "value") for one in objects(found, "env")}
    changed: list[ChangedField] = []
    for name, value in change.variables:
        if name not in present:
            changed.append(((*place, "env", ("name", name), "name"), "", name))
        if present.get(name, "") != value:
            changed.append(((*place, "env", ("name", name), "value"), present.get(name, ""), value))
    mounted = {text(one, "mountPath") for one in objects(found, "volumeMounts")}
    if change.dump_folder and change.dump_folder not in mounted:
        volume, mount = ("volumes", ("name", DUMP_VOLUME)), ("volumeMounts", ("name", DUMP_VOLUME))
        spec["volumes"] = [{"name": DUMP_VOLUME, "emptyDir": {"sizeLimit": change.dump_size}}]
        element["volumeMounts"] = [{"name": DUMP_VOLUME, "mountPath": change.dump_folder}]
        changed += [
            ((*where, "spec", *volume, "name"), "", DUMP_VOLUME),
            ((*where, "spec", *volume, "emptyDir", "sizeLimit"), "", change.dump_size),
            ((*place, *mount, "name"), "", DUMP_VOLUME),
            ((*place, *mount, "mountPath"), "", change.dump_folder),
        ]
    return {"spec": spec}, tuple(changed)


def _memory_changes(
    change: SetMemory | ResizePod, container: TemplateContainer, place: FieldPath
) -> Iterator[ChangedField]:
    for key, before, after in (
        ("limits", container.limit, change.limit),
        ("requests", container.request, change.request),
    ):
        if after is not None and not same_value(after, before):
            yield (*place, "resources", key, "memory"), before, after


def _without_server_fields(template: object) -> dict[str, object]:
    """A pod template without what the API server adds to it for itself."""
    parts = dict(mapping(template))
    metadata = {key: value for key, value in mapping(parts, "metadata").items() if key != "creationTimestamp"}
    return {**parts, "metadata": metadata}


DRY_RUN_LABEL = "dry run"
MOST_OTHER_FIELDS = 6
"""Fields beside the wanted ones that are named."""


@dataclass(frozen=True, slots=True)
class DryRunAnswer:
    """What the server says of a request.

    Attributes:
        lines: In words.
        refused: Why it would refuse it; empty if it would not.
        object_after: The object as it would be; None where the server does not say.
    """

    lines: tuple[ChangePlanLine, ...]
    refused: str = ""
    object_after: Json | None = None


async def dry_run(client: Client, request: ApiRequest, before: Json) -> DryRunAnswer:
    """Asks the server what it would make of a request.

    Args:
        client: The connection.
        request: The request.
        before: The object as it is.

    Raises:
        ApiError: 409: the object is another by now.
        Unreachable: No whole answer came.
    """
    body: Any = request.body
    params = {"dryRun": "All"}
    if request.method == "DELETE":  # of a deletion with a body the server reads no query
        body = {**body, "dryRun": ["All"]}
    else:
        params["fieldManager"] = FIELD_MANAGER
    try:
        answer = await client.request(
            request.method,
            request.path,
            params,
            body=msgspec.json.encode(body),
            content_type=request.content_type,
        )
    except ApiError as error:
        if error.status == 409:
            raise
        if "does not support dry run" in error.message:
            words = f"this cluster can't try it ({error.message}): whether it is accepted shows when applied"
            return DryRunAnswer((ChangePlanLine(DRY_RUN_LABEL, words, "warn"),))
        refused = f"the server refuses it: {error.message}"
        return DryRunAnswer((ChangePlanLine(DRY_RUN_LABEL, refused, "critical"),), refused)
    after = decode_object(answer.body, "the dry run's answer")
    if request.method == "DELETE":
        return DryRunAnswer((_accepted_line(),))
    if request.path.endswith("/scale"):
        return _scale_answer(request, after)
    return _patch_answer(request, before, after)


def _accepted_line() -> ChangePlanLine:
    return ChangePlanLine(DRY_RUN_LABEL, "the server accepts it, admission included")


def _scale_answer(request: ApiRequest, after: Json) -> DryRunAnswer:
    wanted, would = number(request.body, "spec", "replicas") or 0, number(after, "spec", "replicas") or 0
    if wanted == would:
        return DryRunAnswer((_accepted_line(),))
    words = f"the server would scale it to {would} and not to {wanted}"
    return DryRunAnswer((ChangePlanLine(DRY_RUN_LABEL, words, "critical"),), words)


def _patch_answer(request: ApiRequest, before: Json, after: Json) -> DryRunAnswer:
    """What the server would change, against what was meant to change."""
    would = {
        path_text(steps): (old, new)
        for steps, old, new in field_differences(before.get("spec"), after.get("spec"), ("spec",))
    }
    meant: dict[str, str] = {path_text(steps): new for steps, _, new in request.changed}
    if request.changed and not would:
        words = "the server would change nothing: it takes this for what the object has, or puts it back"
        return DryRunAnswer((ChangePlanLine(DRY_RUN_LABEL, words, "critical"),), words, after)
    other = [
        f"{path} to {would[path][1] or 'nothing'}" if path in would else f"{path} to what it has"
        for path, new in meant.items()
        if path not in would or not same_value(would[path][1], new)
    ]
    lines = [_accepted_line()]
    if other:
        lines = [ChangePlanLine(DRY_RUN_LABEL, f"the server would set {'; '.join(other)}", "critical")]
    return DryRunAnswer((*lines, *_other_field_lines(would, meant.keys())), "", after)


def _other_field_lines(
    would: Mapping[str, tuple[str, str]], meant: Collection[str]
) -> Iterator[ChangePlanLine]:
    others = [path for path in would if path not in meant]
    for path in others[:MOST_OTHER_FIELDS]:
        old, new = would[path]
        yield ChangePlanLine(
            DRY_RUN_LABEL, f"the server would also change {path}: {old or 'none'} → {new or 'none'}", "warn"
        )
    if len(others) > MOST_OTHER_FIELDS:
        yield ChangePlanLine(DRY_RUN_LABEL, f"and {len(others) - MOST_OTHER_FIELDS} other fields", "warn")


def kubectl_command(
    change: ChangeRequest, subject: WorkloadState, target: ClusterTarget, environ: Mapping[str, str]
) -> str:
    """The command for a shell, which reaches the same cluster from the same machine.

    Args:
        change: The change.
        subject: The object.
        target: The cluster.
        environ: The environment variables, where kubectl looks for its kubeconfig.
    """
    words = [*_kubectl_words(change, subject), "-n", subject.ref.namespace]
    if target.source != IN_CLUSTER:
        words += ["--context", target.context]
        if not _is_default_kubeconfig(target.source, environ):
            words += ["--kubeconfig", target.source]
    return shlex.join(words)


def change_cause(change: ChangeRequest, subject: WorkloadState) -> str:
    """The command as a change cause: without what only this machine knows, nor values of variables."""
    if isinstance(change, SetVariables):
        names = ", ".join(name for name, _ in change.variables)
        return f"memtop set {names} of {change.ref.kind.lower()}/{change.ref.name}"
    return shlex.join([*_kubectl_words(change, subject), f"--namespace={subject.ref.namespace}"])


def _is_default_kubeconfig(source: str, environ: Mapping[str, str]) -> bool:
    named = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = os.path.expanduser("~")  # noqa: PTH111  (raises nothing without a home)
    return source in (named or [f"{home}/.kube/config"])


def _kubectl_words(change: ChangeRequest, subject: WorkloadState) -> Iterator[str]:
    custom = custom_workload(change.ref.kind, change.ref.api_version)
    kind = change.ref.kind.lower() if custom is None else f"{custom.plural}.{custom.group}"
    name = f"{kind}/{change.ref.name}"
    match change:
        case SetImage():
            yield from ("kubectl", "set", "image", name, f"{change.container}={change.image}")
        case SetMemory():
            yield from ("kubectl", *_kubectl_memory_words(change, subject, name))
        case SetVariables():
            inside: dict[str, object] = {
                "template": _variables_patch(change, subject, template_path(change.ref.kind))[0]
            }
            patch = {"spec": inside}
            if change.ref.kind == "CronJob":
                patch = {"spec": {"jobTemplate": {"spec": inside}}}
            yield from ("kubectl", "patch", name, "-p", msgspec.json.encode(patch).decode())
        case ResizePod():
            patch = _container_patch(change, subject, ())[0]
            words = ("--subresource", "resize", "-p", msgspec.json.encode(patch).decode())
            yield from ("kubectl", "patch", name, *words)
        case Restart():
            yield from ("kubectl", "rollout", "restart", name)
        case Undo():
            to = () if change.revision is None else (f"--to-revision={change.revision}",)
            yield from ("kubectl", "rollout", "undo", name, *to)
        case Scale():
            yield from ("kubectl", "scale", name, f"--replicas={change.replicas}")
        case DeletePod():
            yield from ("kubectl", "delete", name)
        case Pause():
            yield from ("kubectl", "rollout", "pause", name)
        case Resume():
            yield from ("kubectl", "rollout", "resume", name)


def _kubectl_memory_words(change: SetMemory, subject: WorkloadState, name: str) -> Iterator[str]:
    given = [("limits", change.limit), ("requests", change.request)]
    container = subject.container(change.container)
    if container is not None and container.init:  # `kubectl set resources` leaves init containers alone
        resources = {key: {"memory": value} for key, value in given if value is not None}
        element = {"name": change.container, "resources": resources}
        patch: dict[str, object] = {"spec": {"template": {"spec": {"initContainers": [element]}}}}
        if change.ref.kind == "CronJob":
            patch = {"spec": {"jobTemplate": patch}}
        yield from ("patch", name, "-p", msgspec.json.encode(patch).decode())
        return
    yield from ("set", "resources", name, f"-c={change.container}")
    yield from (f"--{key}=memory={value}" for key, value in given if value is not None)
