"""A request for a log: which pod and containers it means, how the API server is asked, and why it may refuse.

Also here: whether a container whose log is read runs, how it ended, and which others are beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import quote

from memtop.kube.api_errors import ApiError
from memtop.kube.api_objects import Pod
from memtop.kube.client import Client
from memtop.kube.json_object import (
    Json,
    decode_object,
    mapping,
    name_of,
    number,
    objects,
    selector_words,
    text,
)
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.kube.pod_facts import ContainerKind, StateSeverity, Termination, container_facts

MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class LogRequest:
    """One container's log, or that of all containers of its pod.

    Attributes:
        namespace: The pod's namespace.
        pod: The pod's name.
        containers: Whose logs; more than one are interleaved by time.
        previous: The log of the run before the present one.
        follow: Go on with what is written from now on.
        tail: Lines to begin with at most, counted from the end.
        since_seconds: Begin with what was written so many seconds ago; None for no bound.
    """

    namespace: str
    pod: str
    containers: tuple[str, ...]
    previous: bool = False
    follow: bool = True
    tail: int = MAX_LINES
    since_seconds: int | None = None

    @property
    def path(self) -> str:
        """Where the API server has the log."""
        return f"{self.pod_path}/log"

    @property
    def pod_path(self) -> str:
        """Where the API server has the pod."""
        return f"/api/v1/namespaces/{quote(self.namespace, safe='')}/pods/{quote(self.pod, safe='')}"

    def with_containers(self, *containers: str) -> Self:
        """The same of other containers."""
        return replace(self, containers=containers)

    def params(self, container: str, *, follow: bool, after: int | None = None) -> dict[str, str]:
        """The query for one container.

        The API server always sends the time of each line: it orders the lines of several containers, tells
        what was seen before a connection broke, and makes jumps to a time possible.

        Args:
            container: Whose log.
            follow: Whether the answer goes on with what is written from now on.
            after: Ask only for what was written since, nanoseconds since 1970; the kubelet counts in whole
                seconds, so what was written within that second comes again.
        """
        query = {"container": container, "timestamps": "true"}
        if self.previous:
            query["previous"] = "true"
        if follow:
            query["follow"] = "true"
        if after is not None:
            second = datetime.fromtimestamp(after // 1_000_000_000, UTC)
            return query | {"sinceTime": second.strftime("%Y-%m-%dT%H:%M:%SZ")}
        query["tailLines"] = str(self.tail)
        if self.since_seconds is not None:
            query["sinceSeconds"] = str(max(1, self.since_seconds))
        return query


@dataclass(frozen=True, slots=True)
class ContainerEnding:
    """How a container ended.

    Attributes:
        container: Its name.
        termination: How and when.
    """

    container: str
    termination: Termination

    def words(self) -> str:
        """``user-service was OOM-killed``."""
        end = self.termination
        if end.oom:
            return f"{self.container} was OOM-killed"
        if end.exit_code == 0:
            return f"{self.container} completed"
        return f"{self.container} ended: {end.words()}"


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """A container as the pod's status has it.

    Attributes:
        name: Its name.
        started_at: When it started, Unix seconds; None if it doesn't run.
        state: Its state in the words of `kubectl get`.
        restarts: Restarts since the pod was created.
        ending: How it last ended, or None if it never has.
        ended: Whether it has ended and won't be started again.
        init: Whether it is an init container that runs before the others.
    """

    name: str
    started_at: float | None
    state: str
    restarts: int
    ending: ContainerEnding | None
    ended: bool
    init: bool


async def container_runs(client: Client, request: LogRequest) -> dict[str, ContainerRun]:
    """Asks for the pod's containers, ordinary ones first.

    Raises:
        ApiError: The server refused; 404 if the pod is gone.
        Unreachable: No answer came, or one that is no pod.
    """
    body = await client.get(request.pod_path)
    pod = decode_lenient(body, Pod, f"the pod {request.pod}")
    ended = pod.status.phase in {"Succeeded", "Failed"}
    return {
        facts.name: ContainerRun(
            name=facts.name,
            started_at=facts.started_at,
            state=facts.state,
            restarts=facts.restarts,
            ending=ContainerEnding(facts.name, facts.terminations[-1]) if facts.terminations else None,
            ended=ended or (facts.kind is ContainerKind.INIT and facts.severity is StateSeverity.DONE),
            init=facts.kind is ContainerKind.INIT,
        )
        for facts in container_facts(pod)
    }


_WAITING_TO_START = re.compile(r'container "?([^"]+?)"? in pod .* is waiting to start: (.+)')
_NO_PREVIOUS = re.compile(r"previous terminated container \"?([^\"]+?)\"? in pod")
_NOT_VALID = re.compile(r"container (\S+) is not valid for pod (\S+)")
_KUBELET_ERROR = re.compile(
    rb"unable to retrieve container logs for |failed to try resolving symlinks in path |"
    rb"failed to open log file |rpc error: code = "
)


def refusal_words(error: ApiError) -> str:
    """The sentence for an answer of the API server that is no log."""
    message = error.message
    if (found := _WAITING_TO_START.search(message)) is not None:
        name, reason = found.groups()
        if "BackOff" in reason or "Err" in reason or "Invalid" in reason:
            return f"{name} has not started and has no log: {reason}"
        return f"{name} has not started yet: {reason}"
    if (found := _NO_PREVIOUS.search(message)) is not None:
        return f"{found.group(1)} has no previous log: it has not ended since its pod was created"
    if (found := _NOT_VALID.search(message)) is not None:
        return f"the pod {found.group(2)} has no container {found.group(1)}"
    if error.status == 403:
        return f"you may not read this log: {message}"
    if error.status == 404:
        return "the pod is gone, and its log with it"
    return f"the API server answered {error.status}: {message}"


def may_come_later(error: ApiError) -> bool:
    """Whether the log may be there later: the container is about to start, or the server had a bad moment."""
    if error.status == 400:
        return _WAITING_TO_START.search(error.message) is not None
    return error.status == 429 or error.status >= 500


def is_kubelet_error(line: bytes) -> bool:
    """Whether a line without a time is the kubelet's excuse and not the container's word.

    The kubelet answers with status 200 before it looks for the file, so that is how it says that there is
    none: for some seconds after a kill the log of the dead container is on its way to another name.
    """
    return _KUBELET_ERROR.match(line) is not None


LOGGED_KINDS: Final = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
MAX_PODS = 500


class NoSuchLog(Exception):  # noqa: N818  (often a slip of the pen)
    """There is no such pod or container; one sentence."""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """A pod and those of its containers whose logs are wanted.

    Attributes:
        pod: Its name.
        containers: Their names.
        how_chosen: How the pod was chosen, where there were several; else empty.
    """

    pod: str
    containers: tuple[str, ...]
    how_chosen: str = ""


async def find_log_target(client: Client, ref: ObjectRef, container: str) -> LogTarget:
    """Finds the pod and its containers.

    Args:
        client: The connection.
        ref: The pod, or a workload; of a workload's pods the one that has restarted most.
        container: Only this one; empty for all that are no init containers.

    Raises:
        NoSuchLog: There is no such pod or container.
        ApiError: The server refused.
        Unreachable: No answer came.
    """
    try:
        pod, note = (ref.name, "") if ref.kind == "Pod" else await _most_restarted_pod(client, ref)
        known = await container_runs(client, LogRequest(ref.namespace, pod, ()))
    except ApiError as error:
        if error.status != 404:
            raise
        raise NoSuchLog(f"{ref.namespace} has no {ref.kind.lower()} {ref.name}") from error
    if not container:
        return LogTarget(pod, tuple(name for name, life in known.items() if not life.init), note)
    if container not in known:
        raise NoSuchLog(f"pod {pod} has no container {container!r}; it has {', '.join(known)}")
    return LogTarget(pod, (container,), note)


async def _most_restarted_pod(client: Client, ref: ObjectRef) -> tuple[str, str]:
    """The name of a workload's pod, and why it is that one."""
    _, found = await fetch_object(client, ref)
    path = f"/api/v1/namespaces/{ref.namespace}/pods"
    selected = {
        "labelSelector": selector_words(mapping(found, "spec", "selector")),
        "limit": str(MAX_PODS),
    }
    pods = objects(decode_object(await client.get(path, selected), path), "items")
    if not pods:
        raise NoSuchLog(f"{ref} has no pods")
    chosen = max(pods, key=lambda pod: (restart_count(pod), text(pod, "metadata", "creationTimestamp")))
    if len(pods) == 1:
        return name_of(chosen), ""
    restarts = restart_count(chosen)
    why = f"has restarted most ({restarts})" if restarts else "is the newest"
    return name_of(chosen), f"of {len(pods)} pods of {ref} this is {name_of(chosen)}, which {why}"


def restart_count(pod: Json) -> int:
    """Restarts of its containers and sidecars, as kubectl counts them."""
    sidecars = {
        text(one, "name")
        for one in objects(pod, "spec", "initContainers")
        if text(one, "restartPolicy") == "Always"
    }
    started_first = objects(pod, "status", "initContainerStatuses")
    statuses: Sequence[Json] = [
        *objects(pod, "status", "containerStatuses"),
        *(one for one in started_first if text(one, "name") in sidecars),
    ]
    return sum(number(status, "restartCount") or 0 for status in statuses)
