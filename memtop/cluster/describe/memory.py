"""What matters for memory in a pod's description, said first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from memtop.cluster.describe.amounts import canonical
from memtop.cluster.describe.columns import aligned
from memtop.cluster.describe.containers import probe_words
from memtop.cluster.describe.moment import Moment, human_duration, seconds_between
from memtop.cluster.describe.resources import qos_class
from memtop.cluster.refs import ObjectRef
from memtop.cluster.tree import Json, has, mapping, number, objects, text

OOM_KILLED = "OOMKilled"
_EXITS: Final = {
    137: "SIGKILL, and not by the OOM killer as far as the kubelet knows",
    134: "SIGABRT; Node.js ends so at its own heap limit",
    139: "SIGSEGV; Node.js as process 1 ends so at its own heap limit",
    3: "a JVM ends so with -XX:+ExitOnOutOfMemoryError",
}
"""What an exit code says of memory where the kubelet's reason says nothing."""
_PROBES: Final = {"livenessProbe": "Liveness", "readinessProbe": "Readiness", "startupProbe": "Startup"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around a pod.

    Attributes:
        node: Its node, or why that is not known.
        owners: The controllers above it, the nearest first.
        owners_note: Why the chain may end too early; empty where it does not.
        autoscalers: A sentence for each autoscaler that has to do with its memory, and for each kind of
            autoscaler that could not be asked for.
    """

    node: Json | str = ""
    owners: tuple[ObjectRef, ...] = ()
    owners_note: str = ""
    autoscalers: tuple[str, ...] = ()


def memory_lines(pod: Json, around: Surroundings, moment: Moment) -> list[str]:
    """The block that comes before kubectl's text.

    Args:
        pod: The pod, sanitised.
        around: What lies around it.
        moment: When, and in which time zone.
    """
    return aligned(_memory(pod, around, moment))


def _memory(pod: Json, around: Surroundings, moment: Moment) -> Iterator[str]:
    spec, status = mapping(pod, "spec"), mapping(pod, "status")
    statuses = {
        text(one, "name"): one
        for key in ("containerStatuses", "initContainerStatuses")
        for one in objects(status, key)
    }
    yield "Memory:"
    yield from _whole_pod(status)
    for container in objects(spec, "containers"):
        yield from _container(container, statuses.get(text(container, "name"), {}), moment)
    for container in objects(spec, "initContainers"):
        own = statuses.get(text(container, "name"), {})
        if text(container, "restartPolicy") == "Always" or _failed(_last_end(own)):
            yield from _container(container, own, moment)
    yield f"  QoS Class:\t{text(status, 'qosClass') or qos_class(spec)}"
    yield f"  Node:\t{_node(text(spec, 'nodeName'), around.node)}"
    owners = " ← ".join(map(str, around.owners)) or "none: nothing starts this pod again elsewhere"
    yield f"  Owners:\t{owners}"
    if around.owners_note:
        yield f"  \tthat may not be all of them: {around.owners_note}"
    yield from _listed("  Autoscalers", around.autoscalers or ("none has to do with its memory",))


def _whole_pod(status: Json) -> Iterator[str]:
    """What became of the pod as a whole: evicted, or not placed for want of memory."""
    reason, message = text(status, "reason"), " ".join(text(status, "message").split())
    if reason:
        yield f"  Pod:\t{text(status, 'phase')}, {reason}{f': {message}' if message else ''}"
    for condition in objects(status, "conditions"):
        if text(condition, "type") == "PodScheduled" and text(condition, "status") == "False":
            why = text(condition, "message") or text(condition, "reason")
            yield f"  Pod:\tnot scheduled: {why}"


def _container(container: Json, status: Json, moment: Moment) -> Iterator[str]:
    yield f"  {text(container, 'name')}:"
    yield f"    State:\t{_state(mapping(status, 'state'))}"
    yield f"    Restart Count:\t{number(status, 'restartCount') or 0}"
    end = _last_end(status)
    if end:
        started, finished = text(end, "startedAt"), text(end, "finishedAt")
        code, reason = number(end, "exitCode") or 0, text(end, "reason")
        words = "" if reason == OOM_KILLED else _EXITS.get(code, "")
        ran = seconds_between(started, finished)
        yield "    Last State:\tTerminated"
        yield f"      Reason:\t{reason or 'not given'}"
        yield f"      Exit Code:\t{code}{f' ({words})' if words else ''}"
        yield f"      Started:\t{moment.stamp(started)}"
        yield f"      Finished:\t{moment.stamp(finished)} ({moment.since(finished)} ago)"
        if ran is not None:
            yield f"      Ran For:\t{human_duration(ran)}"
    for key, title, without in (
        ("limits", "Limit", "none: it may take all the memory of its node"),
        ("requests", "Request", "none"),
    ):
        quantity = text(container, "resources", key, "memory")
        yield f"    {title}:\t{canonical(quantity) if quantity else without}"
    probes = [
        f"{title.lower()} {probe_words(mapping(container, key))}"
        for key, title in _PROBES.items()
        if has(container, key)
    ]
    yield from _listed("    Probes", probes or ("none",))


def _listed(title: str, values: Sequence[str]) -> Iterator[str]:
    for number_, value in enumerate(values):
        yield f"  \t{value}" if number_ else f"{title}:\t{value}"


def _last_end(status: Json) -> Json:
    """How it ended last, be it in its present state or in the one before."""
    return mapping(status, "state", "terminated") or mapping(status, "lastState", "terminated")


def _failed(end: Json) -> bool:
    return bool(end) and (number(end, "exitCode") or 0) != 0


def _state(state: Json) -> str:
    for key, words in (("running", "Running"), ("terminated", "Terminated"), ("waiting", "Waiting")):
        if has(state, key):
            reason = text(state, key, "reason")
            return f"{words}, {reason}" if reason else words
    return "Waiting"


def _node(name: str, node: Json | str) -> str:
    if not name:
        return "none yet"
    if isinstance(node, str):
        return f"{name}, MemoryPressure not known: {node}" if node else name
    for condition in objects(node, "status", "conditions"):
        if text(condition, "type") == "MemoryPressure":
            message = text(condition, "message")
            return f"{name}, MemoryPressure {text(condition, 'status')}{f' ({message})' if message else ''}"
    return f"{name}, which does not report MemoryPressure"
