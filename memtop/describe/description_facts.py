"""Asks the API for all that a description needs, and again whenever something of it has changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from memtop.describe.formatting import USUAL_MINOR
from memtop.describe.memory_section import PodSurroundings, hpa_sentences, vpa_sentences
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, mapping, objects, selector_words, text
from memtop.kube.list_watch import await_change
from memtop.kube.object_ref import ObjectRef, fetch_object, owner_chain, reference_to
from memtop.retry import Backoff

PAUSE_SECONDS = 1.0
"""Seconds between two looks at an object that changes all the time."""
UNWATCHED_SECONDS = 15.0
"""Seconds between two looks where watching is forbidden, or after a failure."""
SURROUNDINGS_SECONDS = 60.0
"""Seconds after which what lies around the object is asked for again."""
MAX_PODS = 500
"""More pods than one node or workload has in practice; the rest is not counted."""
_MIRROR = "kubernetes.io/config.mirror"
_HORIZONTAL = ("v2", "v2beta2", "v1")


@dataclass(frozen=True, slots=True)
class ChangeWatch:
    """Where to wait for the next change.

    Attributes:
        path: The collection's path.
        params: Which of its objects, and from which version on.
    """

    path: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DescribedObject:
    """All that is known of one object, at one time.

    Attributes:
        ref: Which object.
        object: The object itself, sanitised.
        related: A Deployment's ReplicaSets, the pods of the other workloads or of a node; or why not.
        events: Its events; None where they could not be had.
        events_note: Why not.
        lease: A node's heartbeat, or why it could not be had.
        surroundings: What lies around a pod.
        watches: What to watch for the next change.
        minor: The server's minor version, whose kubectl's words are used.
    """

    ref: ObjectRef
    object: Json
    related: Sequence[Json] | str = ()
    events: Sequence[Json] | None = ()
    events_note: str = ""
    lease: Json | str = ""
    surroundings: PodSurroundings = field(default_factory=PodSurroundings)
    watches: tuple[ChangeWatch, ...] = ()
    minor: int = USUAL_MINOR


async def gather_facts(
    client: Client, ref: ObjectRef, around: PodSurroundings | None = None
) -> DescribedObject:
    """Asks for an object and all that its description needs.

    Args:
        client: The connection.
        ref: Which object.
        around: What lies around the pod, if that is known well enough.

    Raises:
        ApiError: The object is not there, or reading it is forbidden; what else is refused is said in words.
        Unreachable: No whole answer came.
    """
    collection, found = await fetch_object(client, ref)
    ref = reference_to(found, ref.kind)
    (events, events_note, events_watch), related, lease, surroundings = await asyncio.gather(
        _events_of(client, ref, found),
        _related_objects(client, ref, found),
        _lease_of(client, ref),
        _surroundings(client, ref, found) if around is None else _already_known(around),
    )
    version = text(found, "metadata", "resourceVersion")
    own = ChangeWatch(collection, {"fieldSelector": f"metadata.name={ref.name}", "resourceVersion": version})
    watches = (own,) if events_watch is None else (own, events_watch)
    minor = await client.minor_version() or USUAL_MINOR
    return DescribedObject(ref, found, related, events, events_note, lease, surroundings, watches, minor)


async def follow_object(
    client: Client, ref: ObjectRef, publish: Callable[[DescribedObject | str], None]
) -> None:
    """Says what is known of an object, and again after every change, until it is cancelled.

    Args:
        client: The connection.
        ref: Which object.
        publish: Gets all that is known, or why nothing is; must return at once.
    """
    loop = asyncio.get_running_loop()
    around: PodSurroundings | None = None
    expires = 0.0
    backoff = Backoff()
    of_watches: defaultdict[str, Backoff] = defaultdict(Backoff)
    while True:
        try:
            if loop.time() >= expires:
                around, expires = None, loop.time() + SURROUNDINGS_SECONDS
            known = await gather_facts(client, ref, around)
            ref, around = (
                known.ref,
                known.surroundings,
            )  # which says where it is, so that nobody has to search
            publish(known)
            backoff.reset()
            await _wait_for_change(client, known.watches, of_watches)
            await asyncio.sleep(PAUSE_SECONDS)
        except CLUSTER_FAILURES as error:
            publish(str(error))
            await backoff.wait(error, at_least=UNWATCHED_SECONDS)


async def _already_known(around: PodSurroundings) -> PodSurroundings:
    return around


async def _wait_for_change(
    client: Client, watches: Sequence[ChangeWatch], backoffs: Mapping[str, Backoff]
) -> None:
    """Returns when one of the watched collections has changed, or cannot be watched any longer."""
    ending = {"timeoutSeconds": str(round(SURROUNDINGS_SECONDS) + 30)}
    waits = [
        asyncio.ensure_future(
            await_change(
                client, one.path, {**one.params, **ending}, backoffs[one.path], at_least=UNWATCHED_SECONDS
            )
        )
        for one in watches
    ]
    try:
        await asyncio.wait(waits, timeout=SURROUNDINGS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _events_of(
    client: Client, ref: ObjectRef, found: Json
) -> tuple[list[Json] | None, str, ChangeWatch | None]:
    """The events of an object, why there are none to be had, and where to wait for more."""
    path = f"/api/v1/namespaces/{ref.namespace}/events" if ref.namespace else "/api/v1/events"
    uid = text(found, "metadata", "annotations", _MIRROR) or ref.uid
    selector = f"involvedObject.uid={uid}"
    if ref.kind == "Node":  # the kubelet puts the node's name where others put its uid
        selector = f"involvedObject.kind=Node,involvedObject.name={ref.name}"
    try:
        answer = decode_object(await client.get(path, {"fieldSelector": selector}), "the events")
    except (ApiError, Unreachable) as error:
        return None, str(error), None
    events = objects(answer, "items")
    if ref.kind == "Node":
        events = [event for event in events if text(event, "involvedObject", "uid") in {uid, ref.name}]
    version = text(answer, "metadata", "resourceVersion")
    return events, "", ChangeWatch(path, {"fieldSelector": selector, "resourceVersion": version})


async def _related_objects(client: Client, ref: ObjectRef, found: Json) -> list[Json] | str:
    selected = {"labelSelector": selector_words(mapping(found, "spec", "selector"))}
    if ref.kind == "Deployment":
        return await _list_or_reason(
            client, f"/apis/apps/v1/namespaces/{ref.namespace}/replicasets", selected
        )
    if ref.kind in {"ReplicaSet", "StatefulSet", "DaemonSet"}:
        return await _list_or_reason(client, f"/api/v1/namespaces/{ref.namespace}/pods", selected)
    if ref.kind == "Node":
        running = f"spec.nodeName={ref.name},status.phase!=Succeeded,status.phase!=Failed"
        return await _list_or_reason(client, "/api/v1/pods", {"fieldSelector": running})
    return []


async def _list_or_reason(client: Client, path: str, params: Mapping[str, str]) -> list[Json] | str:
    try:
        raw = await client.get(path, {**params, "limit": str(MAX_PODS)})
        return objects(decode_object(raw, path), "items")
    except (ApiError, Unreachable) as error:
        return str(error)


async def _lease_of(client: Client, ref: ObjectRef) -> Json | str:
    if ref.kind != "Node":
        return ""
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{ref.name}"
    return await _object_or_reason(client, path)


async def _object_or_reason(client: Client, path: str) -> Json | str:
    """An object, or in words why it cannot be had."""
    try:
        return decode_object(await client.get(path), path)
    except (ApiError, Unreachable) as error:
        return str(error)


async def _surroundings(client: Client, ref: ObjectRef, found: Json) -> PodSurroundings:
    if ref.kind == "Node":
        return PodSurroundings()
    name = text(found, "spec", "nodeName")
    node, (owners, note) = await asyncio.gather(_node_of(client, name), owner_chain(client, found))
    targets = (ref, *owners)
    horizontal, vertical = await asyncio.gather(
        _horizontal(client, ref.namespace, targets), _vertical(client, ref.namespace, targets)
    )
    return PodSurroundings(node, owners, note, (*horizontal, *vertical))


async def _node_of(client: Client, name: str) -> Json | str:
    return await _object_or_reason(client, f"/api/v1/nodes/{name}") if name else ""


async def _horizontal(client: Client, namespace: str, targets: Sequence[ObjectRef]) -> list[str]:
    for version in _HORIZONTAL:
        path = f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers"
        found = await _autoscalers(client.get(path, {"limit": str(MAX_PODS)}))
        if isinstance(found, str):
            return [f"HorizontalPodAutoscalers: {found}"]
        if found is not None:
            return list(hpa_sentences(found, targets))
    return []


async def _vertical(client: Client, namespace: str, targets: Sequence[ObjectRef]) -> list[str]:
    path = f"/apis/autoscaling.k8s.io/v1/namespaces/{namespace}/verticalpodautoscalers"
    found = await _autoscalers(client.get(path, {"limit": str(MAX_PODS)}))
    if isinstance(found, str):
        return [f"VerticalPodAutoscalers: {found}"]
    return list(vpa_sentences(found or [], targets))


async def _autoscalers(answer: Awaitable[bytes]) -> list[Json] | str | None:
    """The autoscalers, in words why they cannot be had, or None where the API has no such kind."""
    try:
        return objects(decode_object(await answer, "the autoscalers"), "items")
    except ApiError as error:
        return None if error.status == 404 else str(error)
    except Unreachable as error:
        return str(error)
