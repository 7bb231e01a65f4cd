"""The revisions of a workload: what its pods were made from, now and before.

A Deployment keeps them as ReplicaSets, a StatefulSet and a DaemonSet as ControllerRevisions, numbered as
``kubectl rollout history`` shows them. Going back to a revision makes no new one: the old one gets a new
number and keeps the time at which it was first created.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.api_objects import ACCEPT_METADATA_LIST
from memtop.kube.client import Client
from memtop.kube.custom_workloads import ROLLOUT_HASH, ROLLOUT_REVISION, custom_workload
from memtop.kube.json_object import (
    Json,
    controller_of,
    decode_object,
    mapping,
    name_of,
    namespace_of,
    number,
    objects,
    parse_timestamp,
    sanitize_tree,
    selector_words,
    text,
    uid_of,
)
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef, fetch_object
from memtop.quantity import bytes_or_none, parse_whole
from memtop.sanitize import sanitize

TEMPLATE_HASH = "pod-template-hash"
"""The label by which a Deployment tells the pods of its revisions apart."""
REVISION_HASH = "controller-revision-hash"
"""The label by which a StatefulSet and a DaemonSet do."""
_HASH_LABELS = frozenset({TEMPLATE_HASH, REVISION_HASH, ROLLOUT_HASH})
_REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_HISTORY_ANNOTATION = "deployment.kubernetes.io/revision-history"
_CHANGE_CAUSE_ANNOTATION = "kubernetes.io/change-cause"


@dataclass(frozen=True, slots=True)
class Revision:
    """One state that a workload's pod template has or had.

    Attributes:
        number: Its number, the highest being the newest; 0 where the controller has not given it one yet.
        name: Of the ReplicaSet or ControllerRevision.
        created: When that was made, Unix seconds; an older time than the rollout's for a revision that was
            gone back to. 0 where the API does not say.
        hash: What its pods carry in the label `hash_label` of the workload's kind.
        images: Container to image; ordinary containers first, then init containers.
        limits: Container to memory limit in bytes, None without one.
        requests: Container to memory request in bytes, None without one.
        change_cause: Why it was made, as far as somebody wrote that down.
        replicas: Pods it has now; None where that is not known.
        current: Whether it is what the workload asks for now. None of them is for the moment that a
            controller takes to see a change.
        template: Its pod template as the API has it, without the label that tells revisions apart. To go back
            to it, nothing in it may be altered: it is the one part that is not sanitised for a screen.
        earlier: The numbers it had before, when it has been gone back to (Deployments only).
    """

    number: int
    name: str
    created: float
    hash: str
    images: Mapping[str, str]
    limits: Mapping[str, int | None]
    requests: Mapping[str, int | None]
    change_cause: str
    replicas: int | None
    current: bool
    template: Json
    earlier: tuple[int, ...] = ()


def hash_label(kind: str) -> str:
    """The label by which the pods of a workload's revisions are told apart."""
    return {"Deployment": TEMPLATE_HASH, "Rollout": ROLLOUT_HASH}.get(kind, REVISION_HASH)


async def list_revisions(
    client: Client, ref: ObjectRef, workload: Json | None = None
) -> tuple[Revision, ...]:
    """The revisions that the cluster still knows, the newest first.

    Args:
        client: The connection.
        ref: The workload.
        workload: The workload itself, if it is at hand.

    Returns:
        None for kinds that have no revisions.

    Raises:
        ApiError: Something of it is not there or may not be read.
        Unreachable: No whole answer came.
    """
    if ref.kind not in ROLLING_KINDS and custom_workload(ref.kind, ref.api_version) is None:
        return ()
    if workload is None:
        _, workload = await fetch_object(client, ref)
    selected = {"labelSelector": selector_words(mapping(workload, "spec", "selector"))}
    scope = f"/namespaces/{namespace_of(workload)}"
    if ref.kind in {"Deployment", "Rollout"}:
        kept = await _list_raw(client, f"/apis/apps/v1{scope}/replicasets", selected)
        return revisions_from_replica_sets(workload, kept)
    kept = await _list_raw(client, f"/apis/apps/v1{scope}/controllerrevisions", selected)
    pods = await _pods_by_hash(client, f"/api/v1{scope}/pods", selected, workload)
    return revisions_from_controller(workload, ref.kind, kept, pods)


def revisions_from_replica_sets(deployment: Json, replica_sets: list[Json]) -> tuple[Revision, ...]:
    """The revisions of a Deployment, or of an Argo Rollout, the newest first.

    Args:
        deployment: The Deployment or Rollout.
        replica_sets: Those in its namespace, also of others, as the API has them.
    """
    wanted = sanitize_tree(_comparable_template(mapping(deployment, "spec", "template")))
    own = [one for one in replica_sets if _is_controlled_by(deployment, one)]
    kind = "Rollout" if text(deployment, "kind") == "Rollout" else "Deployment"
    annotation = ROLLOUT_REVISION if kind == "Rollout" else _REVISION_ANNOTATION
    templates = [_comparable_template(mapping(one, "spec", "template")) for one in own]
    equal = [one for one, template in zip(own, templates, strict=True) if sanitize_tree(template) == wanted]
    # Two with the same template are there after a race of two controllers: the older one is used.
    current = min(
        equal, key=lambda one: (text(one, "metadata", "creationTimestamp"), name_of(one)), default=None
    )
    found = [
        _make_revision(
            one,
            number=_parse_count(text(one, "metadata", "annotations", annotation)),
            hash_=text(one, "metadata", "labels", hash_label(kind)),
            template=template,
            replicas=number(one, "status", "replicas") or 0,
            current=one is current,
            earlier=tuple(_parse_numbers(text(one, "metadata", "annotations", _HISTORY_ANNOTATION))),
        )
        for one, template in zip(own, templates, strict=True)
    ]
    return _newest_first(found)


def revisions_from_controller(
    workload: Json, kind: str, controller_revisions: list[Json], pods: Mapping[str, int] | None
) -> tuple[Revision, ...]:
    """The revisions of a StatefulSet or DaemonSet, the newest first.

    Args:
        workload: The StatefulSet or DaemonSet.
        kind: Which of them it is.
        controller_revisions: Those in its namespace, also of others, as the API has them.
        pods: How many pods there are by the value of `REVISION_HASH`; None where that is not known.
    """
    own = [one for one in controller_revisions if _is_controlled_by(workload, one)]
    observed = number(workload, "status", "observedGeneration") or 0
    seen = observed >= (number(workload, "metadata", "generation") or 0)
    newest = max((number(one, "revision") or 0 for one in own), default=0)
    found = []
    for one in own:
        # A StatefulSet's pods carry the revision's name, a DaemonSet's the hash in it.
        hash_ = text(one, "metadata", "labels", REVISION_HASH) if kind == "DaemonSet" else name_of(one)
        place = number(one, "revision") or 0
        revision = _make_revision(
            one,
            number=place,
            hash_=hash_,
            template=_comparable_template(mapping(one, "data", "spec", "template")),
            replicas=None if pods is None else pods.get(hash_, 0),
            current=seen and place == newest,
        )
        found.append(revision)
    return _newest_first(found)


def _newest_first(found: list[Revision]) -> tuple[Revision, ...]:
    # One without a number is so new that its controller has not come round to numbering it.
    return tuple(sorted(found, key=lambda one: (one.number or float("inf"), one.created), reverse=True))


def _make_revision(
    found: Json,
    *,
    number: int,
    hash_: str,
    template: Json,
    replicas: int | None,
    current: bool,
    earlier: tuple[int, ...] = (),
) -> Revision:
    created = parse_timestamp(text(found, "metadata", "creationTimestamp"))
    containers = list(_template_containers(mapping(sanitize_tree(template))))
    return Revision(
        number=number,
        name=name_of(found),
        created=created.timestamp() if created is not None else 0.0,
        hash=hash_,
        images={text(one, "name"): text(one, "image") for one in containers},
        limits={text(one, "name"): _memory_bytes(one, "limits") for one in containers},
        requests={text(one, "name"): _memory_bytes(one, "requests") for one in containers},
        change_cause=sanitize(text(found, "metadata", "annotations", _CHANGE_CAUSE_ANNOTATION)),
        replicas=replicas,
        current=current,
        template=template,
        earlier=earlier,
    )


def _template_containers(template: Json) -> Iterator[Json]:
    yield from objects(template, "spec", "containers")
    yield from objects(template, "spec", "initContainers")


def _memory_bytes(container: Json, which: str) -> int | None:
    return bytes_or_none(text(container, "resources", which, "memory")) or None


def _comparable_template(template: Json) -> Json:
    """A pod template without what only tells revisions apart, or says how to merge it."""
    metadata = {
        key: value
        for key, value in mapping(template, "metadata").items()
        if key != "creationTimestamp" and value is not None
    }
    if "labels" in metadata:
        own = mapping(metadata, "labels")
        metadata["labels"] = {key: own[key] for key in own if key not in _HASH_LABELS}
    return {**{key: value for key, value in template.items() if key != "$patch"}, "metadata": metadata}


def _is_controlled_by(workload: Json, found: Json) -> bool:
    return text(controller_of(found), "uid") == uid_of(workload)


def _parse_count(written: str) -> int:
    return parse_whole(written) or 0


def _parse_numbers(written: str) -> Iterator[int]:
    return (found for part in written.split(",") if (found := _parse_count(part.strip())))


async def _list_raw(client: Client, path: str, selected: Mapping[str, str]) -> list[Json]:
    """Objects as the API has them: a template that is put back must not have been sanitised."""
    raw = await client.get(path, selected)
    try:
        return objects(msgspec.json.decode(raw), "items")
    except JSON_ERRORS as error:
        raise Unreachable(f"{path} cannot be read: {error}") from error


async def _pods_by_hash(
    client: Client, path: str, selected: Mapping[str, str], workload: Json
) -> Mapping[str, int] | None:
    """How many pods of a workload there are of each revision; None where pods may not be listed."""
    try:
        answer = decode_object(await client.get(path, selected, accept=ACCEPT_METADATA_LIST), "the pods")
    except (ApiError, Unreachable):
        return None
    own = [pod for pod in objects(answer, "items") if _is_controlled_by(workload, pod)]
    return Counter(text(pod, "metadata", "labels", REVISION_HASH) for pod in own)
