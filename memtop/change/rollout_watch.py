"""Follows a rollout with one watch for each kind of object, on a screen or in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from memtop.change.rollout_model import Rollout, StuckCause, is_ready, is_terminating
from memtop.change.rollout_objects import (
    RETRY_SECONDS,
    FullObject,
    FullObjectCollection,
    ObjectCache,
    RolloutObjects,
    follow_collection,
)
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.api_objects import METRICS_PATH, Node, Pod, PodMetricsList
from memtop.kube.client import Client
from memtop.kube.core_events import CoreEvent
from memtop.kube.json_object import mapping, sanitize_tree, selector_words
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.list_watch import ApiCollection
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef, fetch_object
from memtop.log_file import get_logger
from memtop.quantity import bytes_or_none
from memtop.retry import Backoff
from memtop.wording import failure_sentence

GATHER_SECONDS = 0.2
"""Changes that come closer together are told together."""
REVIEW_SECONDS = 5.0
"""Without any change it is judged anew so often: time alone makes a slow pod one that does not get ready."""
MEASURE_SECONDS = 5.0
"""Between two looks at memory and nodes; metrics-server itself measures every 15 s at best."""
MOST_EVENTS = 2000
MOST_NODES = 5
_Work = Coroutine[Any, Any, None]


async def follow_rollout(
    client: Client, ref: ObjectRef, now: Callable[[], float] = time.time, *, with_memory: bool = True
) -> AsyncGenerator[Rollout | str, None]:
    """Tells how a rollout stands, and again whenever that has changed; ends when the caller does.

    Ends of watches, versions that are too old and a server that restarts are got over; what was known stays.

    Args:
        client: The connection.
        ref: The Deployment, StatefulSet or DaemonSet.
        now: The cluster's clock, Unix seconds.
        with_memory: Whether to ask for the pods' memory and for nodes as well.

    Yields:
        The rollout; or, while nothing at all is known of it, in one sentence why.
    """
    if ref.kind not in ROLLING_KINDS:
        yield f"a {ref.kind} is not rolled out"
        return
    seen = RolloutObjects(ref)
    async for why in _first_reading(client, seen):
        yield why
    news = asyncio.Event()
    news.set()
    works, enough = _watches(client, seen, news)
    tasks = [asyncio.ensure_future(work) for work in works]
    if with_memory:
        tasks.append(asyncio.ensure_future(_poll_memory_and_nodes(client, seen, news)))
    told: Rollout | None = None
    try:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), REVIEW_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            news.clear()
            for task in tasks:
                if task.done():
                    task.result()  # a mistake of memtop's own is not kept quiet
            rollout = seen.rollout(now()) if enough() else None
            if rollout is not None and rollout != told:
                told = rollout
                yield rollout
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_reading(client: Client, seen: RolloutObjects) -> AsyncIterator[str]:
    """Reads the workload for the first time; yields why that fails until it does not."""
    backoff = Backoff()
    while seen.workload is None:
        try:
            _, seen.workload = await fetch_object(client, seen.ref)
        except CLUSTER_FAILURES as error:
            yield str(error)
            await backoff.wait(error, at_least=RETRY_SECONDS)


def _watches(
    client: Client, seen: RolloutObjects, news: asyncio.Event
) -> tuple[list[_Work], Callable[[], bool]]:
    """The watches, and whether all that a first judgement needs has been told."""
    ref, scope, selected = seen.ref, f"namespaces/{seen.ref.namespace}", _selector_params(seen)
    histories = "replicasets" if ref.kind == "Deployment" else "controllerrevisions"
    workload = _WorkloadCache(client, seen)
    kept, pods, events = (
        ObjectCache(seen.revision_objects),
        ObjectCache(seen.pods),
        ObjectCache(seen.events, MOST_EVENTS),
    )
    own = {"fieldSelector": f"metadata.name={ref.name}"}
    warnings = {"fieldSelector": "type!=Normal"}
    rest = (seen.notes, news)
    works = [
        follow_collection(
            client, FullObjectCollection(ref.collections()[0], FullObject, own), workload, *rest
        ),
        follow_collection(
            client,
            FullObjectCollection(f"/apis/apps/v1/{scope}/{histories}", FullObject, selected),
            kept,
            *rest,
        ),
        follow_collection(client, ApiCollection(f"/api/v1/{scope}/pods", Pod, selected), pods, *rest),
        follow_collection(
            client, ApiCollection(f"/api/v1/{scope}/events", CoreEvent, warnings), events, *rest
        ),
    ]
    return works, lambda: workload.answered and kept.answered and pods.answered


def _selector_params(seen: RolloutObjects) -> dict[str, str]:
    selector = selector_words(mapping(seen.workload, "spec", "selector"))
    return {"labelSelector": selector} if selector else {}


class _WorkloadCache(ObjectCache[FullObject]):
    """Keeps the workload itself, which may be got by its name where listing is forbidden."""

    def __init__(self, client: Client, seen: RolloutObjects) -> None:
        super().__init__({})
        self._client = client
        self._seen = seen

    def listed(self, items: Iterable[FullObject]) -> None:
        """It, or nothing."""
        found = next(iter(items), None)
        self._seen.deleted = found is None
        if found is not None:
            self._seen.workload = mapping(sanitize_tree(found.json))

    def changed(self, how: str, item: FullObject) -> None:
        """It has changed, is gone, or is there again."""
        self._seen.deleted = how == "DELETED"
        self._seen.workload = mapping(sanitize_tree(item.json))

    async def fetch_without_list(self) -> bool:
        """Gets it by its name."""
        try:
            _, self._seen.workload = await fetch_object(self._client, self._seen.ref)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                return False
            self._seen.deleted = True
        return True


async def _poll_memory_and_nodes(client: Client, seen: RolloutObjects, news: asyncio.Event) -> None:
    """Asks for the memory of the pods, and for the nodes of those that are not ready."""
    path = f"{METRICS_PATH}/namespaces/{seen.ref.namespace}/pods"
    backoff = Backoff(first=MEASURE_SECONDS)
    while True:
        failure: Exception | None = None
        try:
            raw = await client.get(path, _selector_params(seen))
            answer = decode_lenient(raw, PodMetricsList, "the list of samples")
            seen.memory = _memory_by_pod(answer)
            backoff.reset()
        except CLUSTER_FAILURES as error:
            failure = error
            seen.memory = {}  # unknown; the header of every screen says why
        troubled = {
            pod.spec.node_name for pod in seen.own_pods() if not is_terminating(pod) and not is_ready(pod)
        }
        seen.nodes = await _read_nodes(client, sorted(name for name in troubled if name)[:MOST_NODES])
        news.set()
        if failure is None:
            await asyncio.sleep(MEASURE_SECONDS)
        else:
            await backoff.wait(failure, at_least=MEASURE_SECONDS)


def _memory_by_pod(answer: PodMetricsList) -> dict[str, float]:
    found: dict[str, float] = {}
    for pod in answer.items or []:
        sizes = [bytes_or_none(one.usage.memory) for one in pod.containers]
        known = [size for size in sizes if size is not None]
        if known and len(known) == len(sizes):
            found[pod.metadata.name] = sum(known)
    return found


async def _read_nodes(client: Client, names: Sequence[str]) -> dict[str, Node]:
    """The nodes that may be read; the others have nothing to say."""
    found: dict[str, Node] = {}
    for name in names:
        with suppress(*CLUSTER_FAILURES):
            raw = await client.get(f"/api/v1/nodes/{quote(name, safe='')}")
            found[name] = decode_lenient(raw, Node, f"the node {name}")
    return found


LONGEST_RETRY_SECONDS = 60.0
LOGGER = get_logger("change")
_SHORT_CAUSES = {
    StuckCause.PAUSED: "paused",
    StuckCause.DEADLINE: "deadline exceeded",
    StuckCause.ON_DELETE: "waits for pods to be deleted",
}


class BackgroundState(StrEnum):
    """How a rollout stands."""

    GOING = "going"
    STUCK = "stuck"
    DONE = "done"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BackgroundRollout:
    """How a rollout stands that nobody looks at.

    Attributes:
        ref: The workload.
        state: In a word.
        words: In a short line, such as ``rollout user-service 2/4``.
        why: Why it is stuck or unknown, in a sentence; empty where it is neither.
    """

    ref: ObjectRef
    state: BackgroundState
    words: str
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to be told."""
        return self.state in {BackgroundState.DONE, BackgroundState.GONE}


def background_rollout(rollout: Rollout) -> BackgroundRollout:
    """A rollout in a short line."""
    ref, status = rollout.ref, rollout.status
    name = f"rollout {ref.name}"
    if rollout.deleted:
        return BackgroundRollout(ref, BackgroundState.GONE, f"{name}: deleted")
    if rollout.is_over:
        return BackgroundRollout(ref, BackgroundState.DONE, f"{name} done")
    counted = f"{name} {rollout.working_new_pods}/{status.target}"
    if (reason := rollout.blocked) is not None:
        return BackgroundRollout(
            ref,
            BackgroundState.STUCK,
            f"{counted} stuck: {_SHORT_CAUSES.get(reason.cause, reason.cause)}",
            str(reason),
        )
    if status.failed:
        return BackgroundRollout(ref, BackgroundState.STUCK, f"{counted} stuck", status.words)
    return BackgroundRollout(ref, BackgroundState.GOING, counted)


async def follow_in_background(
    client: Client,
    ref: ObjectRef,
    tell: Callable[[BackgroundRollout], None],
    now: Callable[[], float] = time.time,
) -> None:
    """Tells how a rollout stands whenever its line has changed; returns when it is over.

    One that is stuck is followed on: somebody may help it, here or elsewhere.

    Args:
        client: The connection.
        ref: The workload.
        tell: Is told, on the engine's thread; must return at once.
        now: The cluster's clock, Unix seconds.
    """
    pause = RETRY_SECONDS
    while True:
        try:
            return await _follow_until_over(client, ref, tell, now)
        except Exception as error:  # a mistake of memtop's own must not lose the rollout
            LOGGER.exception("following a rollout failed; it is followed again")
            tell(
                BackgroundRollout(
                    ref, BackgroundState.UNKNOWN, f"rollout {ref.name} ?", failure_sentence(error)
                )
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)


async def _follow_until_over(
    client: Client, ref: ObjectRef, tell: Callable[[BackgroundRollout], None], now: Callable[[], float]
) -> None:
    told: BackgroundRollout | None = None
    async with aclosing(follow_rollout(client, ref, now, with_memory=False)) as rollouts:
        async for rollout in rollouts:
            if not isinstance(rollout, str):
                line = background_rollout(rollout)
            elif await _is_gone(client, ref):
                line = BackgroundRollout(ref, BackgroundState.GONE, f"rollout {ref.name}: deleted")
            else:
                line = BackgroundRollout(ref, BackgroundState.UNKNOWN, f"rollout {ref.name} ?", rollout)
            if told is None or (line.state, line.words) != (told.state, told.words):
                told = line
                tell(line)
            if line.is_over:
                return


async def _is_gone(client: Client, ref: ObjectRef) -> bool:
    """Whether it is certain that the workload is not there; what cannot be asked now may be there."""
    try:
        await fetch_object(client, ref)
    except ApiError as error:
        return error.status == HTTPStatus.NOT_FOUND
    except CLUSTER_FAILURES:
        pass
    return False
