"""Asks the API server, and memtop's own audit log, for what changed around one workload."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from memtop.background import run_in_thread
from memtop.change.audit_log import AuditError, AuditLog
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, mapping, name_of, objects, selector_words, text
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision
from memtop.timeline import cluster_changes
from memtop.timeline.cluster_changes import ClusterChange

ONLY_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
"""Without any other form beside it: a server that cannot leave out the contents of a Secret must refuse."""
MOST_CONFIGURATIONS = 40
"""ConfigMaps and Secrets asked for; a workload of more is rare, and each is a request."""
MOST_NODES = 8
"""Nodes asked for."""


@dataclass(frozen=True)
class WorkloadChanges:
    """What changed, and what could not be asked.

    Attributes:
        changes: In the order of time.
        notes: What is forbidden or not known, one sentence each.
    """

    changes: tuple[ClusterChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ChangeQuestion:
    """Whose changes are asked for.

    Attributes:
        ref: The workload.
        workload: The object itself.
        revisions: The newest first.
        pods: Its pods that are there.
        rollouts: When revisions were rolled out where that is better known than by their creation, by number.
        audit: memtop's audit log; None for none.
        server: The API server's address.
        seen: Pods that Prometheus or the disk has seen; 0 where nobody tells. Where those that are there
            are all there ever were, none was replaced.
    """

    ref: ObjectRef
    workload: Json
    revisions: Sequence[Revision]
    pods: Sequence[Json]
    rollouts: dict[int, float]
    audit: Path | None = None
    server: str = ""
    seen: int = 0


async def gather_changes(client: Client, question: ChangeQuestion) -> WorkloadChanges:
    """Asks all who may know, at the same time; what one of them refuses is a note and no failure.

    Args:
        client: The connection.
        question: Whose changes.
    """
    notes: list[str] = []
    found: list[ClusterChange] = [
        *cluster_changes.rollout_changes(question.revisions, question.workload, question.rollouts),
        *cluster_changes.scale_changes(question.workload, question.ref),
    ]
    times = [one.time for one in found if one.revision]
    if not question.seen or question.seen > len(question.pods):
        spans = cluster_changes.rollout_spans(question.workload, question.ref.kind, times)
        found += cluster_changes.pod_changes(question.pods, spans)
    asked: list[Callable[[], Awaitable[list[ClusterChange]]]] = [
        lambda: _configurations(client, question, notes),
        lambda: _events(client, question),
        lambda: _autoscaler_events(client, question),
        lambda: _nodes(client, question),
    ]
    what = ("ConfigMaps and Secrets", "events", "autoscalers", "nodes")
    answers = await asyncio.gather(*(ask() for ask in asked), return_exceptions=True)
    for name, answer in zip(what, answers, strict=True):
        if isinstance(answer, list):
            found += answer
        elif isinstance(answer, ApiError) and answer.status in {401, 403}:
            notes.append(f"{name} may not be read")
        elif isinstance(answer, CLUSTER_FAILURES):
            notes.append(f"{name} cannot be read: {answer}")
        else:
            raise answer
    if question.audit is not None:
        try:
            entries = await run_in_thread(lambda path: list(AuditLog(path).entries()), question.audit)
            found += cluster_changes.audit_changes(entries, question.ref, question.server)
        except AuditError as error:
            notes.append(str(error))
    return WorkloadChanges(tuple(sorted(set(found), key=lambda one: one.time)), tuple(notes))


async def _configurations(client: Client, question: ChangeQuestion, notes: list[str]) -> list[ClusterChange]:
    """When each ConfigMap and Secret of the newest template was written; only metadata is asked for."""
    template = mapping(question.workload, "spec", "template")
    named = list(cluster_changes.configuration_names(template).items())
    if len(named) > MOST_CONFIGURATIONS:
        notes.append(f"only {MOST_CONFIGURATIONS} of {len(named)} ConfigMaps and Secrets were asked for")
    scope = f"/api/v1/namespaces/{quote(question.ref.namespace, safe='')}"
    found: list[ClusterChange] = []
    refused: dict[str, int] = {}
    for (kind, name), how in named[:MOST_CONFIGURATIONS]:
        path = f"{scope}/{kind.lower()}s/{quote(name, safe='')}"
        try:
            metadata = decode_object(await client.get(path, accept=ONLY_METADATA), f"{kind} {name}")
        except ApiError as error:
            if error.status not in {401, 403, 404, 406}:
                raise
            missing = "is not there" if error.status == 404 else "may not be read"
            refused[f"{kind}s: %s {missing}"] = refused.get(f"{kind}s: %s {missing}", 0) + 1
            continue
        found += cluster_changes.configuration_changes(kind, name, how, metadata)
    notes.extend(words % count for words, count in refused.items())
    return found


async def _list(client: Client, path: str, params: dict[str, str] | None = None) -> list[Json]:
    return objects(decode_object(await client.get(path, params)), "items")


async def _events(client: Client, question: ChangeQuestion) -> list[ClusterChange]:
    """What was said of the workload and of its pods."""
    path = f"/api/v1/namespaces/{quote(question.ref.namespace, safe='')}/events"
    about = f"involvedObject.kind={question.ref.kind},involvedObject.name={question.ref.name}"
    own = await _list(client, path, {"fieldSelector": about})
    names = {name_of(pod) for pod in question.pods}
    of_pods = await _list(client, path, {"fieldSelector": "involvedObject.kind=Pod"})
    known = [one for one in of_pods if text(one, "involvedObject", "name") in names]
    return list(cluster_changes.event_changes([*own, *known]))


async def _autoscaler_events(client: Client, question: ChangeQuestion) -> list[ClusterChange]:
    """What the autoscalers that scale this workload did."""
    scope = f"/namespaces/{quote(question.ref.namespace, safe='')}"
    scalers: list[Json] = []
    for version in ("v2", "v1"):
        try:
            scalers = await _list(client, f"/apis/autoscaling/{version}{scope}/horizontalpodautoscalers")
            break
        except ApiError as error:
            if error.status != 404:
                raise
    own = {
        name_of(one)
        for one in scalers
        if (text(one, "spec", "scaleTargetRef", "kind"), text(one, "spec", "scaleTargetRef", "name"))
        == (question.ref.kind, question.ref.name)
    }
    if not own:
        return []
    selector = {"fieldSelector": "involvedObject.kind=HorizontalPodAutoscaler"}
    events = await _list(client, f"/api/v1{scope}/events", selector)
    return list(
        cluster_changes.event_changes(one for one in events if text(one, "involvedObject", "name") in own)
    )


async def _nodes(client: Client, question: ChangeQuestion) -> list[ClusterChange]:
    """What became of the nodes that its pods run on."""
    names = sorted({name for pod in question.pods if (name := text(pod, "spec", "nodeName"))})
    found: list[ClusterChange] = []
    for name in names[:MOST_NODES]:
        try:
            node = decode_object(await client.get(f"/api/v1/nodes/{quote(name, safe='')}"))
        except ApiError as error:
            if error.status == 404:
                continue
            raise
        found += cluster_changes.node_changes(node)
    return found


async def list_pods(client: Client, ref: ObjectRef, workload: Json) -> list[Json]:
    """The pods that a workload's selector finds; of a bare pod the pod itself.

    Raises:
        ApiError: They may not be listed.
        Unreachable: No whole answer came.
    """
    if ref.kind == "Pod":
        return [workload]
    selector = selector_words(mapping(workload, "spec", "selector"))
    scope = f"/api/v1/namespaces/{quote(ref.namespace, safe='')}/pods"
    return await _list(client, scope, {"labelSelector": selector} if selector else None) if selector else []
