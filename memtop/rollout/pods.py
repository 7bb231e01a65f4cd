"""From a pod to its line: its state in the words of ``kubectl get pods``, and its memory."""

from __future__ import annotations

from collections.abc import Mapping

from memtop.cluster.containers import ContainerFacts, Kind, Mood, container_facts, epoch
from memtop.cluster.objects import Pod
from memtop.cluster.sanitize import sanitize
from memtop.rollout.model import PodLine

_URGENCY = (Mood.OOM, Mood.FAILING, Mood.WAITING, Mood.RUNNING, Mood.DONE)
"""Of several containers the one that asks most for attention speaks for the pod."""


def pod_line(pod: Pod, *, new: bool, revision: int | None, memory: Mapping[str, float]) -> PodLine:
    """Describes a pod.

    Args:
        pod: The pod.
        new: Whether it is of the revision that is rolled out.
        revision: The number of its revision, if that is known.
        memory: The working set of each pod, bytes by name.
    """
    facts = container_facts(pod)
    lasting = [one for one in facts if one.kind is not Kind.INIT]
    ready_now = sum(status.ready for status in pod.status.container_statuses)
    state, mood = _state(pod, facts, ready_now)
    limits = [one.limit for one in lasting]
    return PodLine(
        name=sanitize(pod.metadata.name),
        new=new,
        revision=revision,
        state=state,
        mood=mood,
        ready=ready_now,
        containers=len(pod.spec.containers),
        restarts=sum(one.restarts for one in facts),
        memory=memory.get(pod.metadata.name),
        limit=sum(limit for limit in limits if limit) if limits and all(limits) else None,
        created=epoch(pod.metadata.creation_timestamp),
        node=sanitize(pod.spec.node_name),
        leaving=leaving(pod),
        uid=pod.metadata.uid,
        speaker=min(facts, key=_urgency).name if facts else "",
    )


def leaving(pod: Pod) -> bool:
    """Whether a pod is being deleted."""
    return pod.metadata.deletion_timestamp is not None


def ready(pod: Pod) -> bool:
    """Whether a pod says of itself that it is ready."""
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def ended(pod: Pod) -> bool:
    """Whether a pod has ended for good, as one that was evicted has."""
    return pod.status.phase in {"Failed", "Succeeded"}


def _state(pod: Pod, facts: tuple[ContainerFacts, ...], ready_now: int) -> tuple[str, Mood]:
    if leaving(pod):
        return "Terminating", Mood.WAITING
    if not facts:
        return "Pending", Mood.WAITING
    if ended(pod):
        return sanitize(pod.status.reason or pod.status.phase), Mood.FAILING
    main = [one for one in facts if one.kind is Kind.CONTAINER]
    first = [one for one in facts if one.kind is Kind.INIT]
    waits = [one for one in first if one.mood is not Mood.DONE]
    if waits and not any(one.mood is Mood.RUNNING for one in main):
        speaker = min(waits, key=_urgency)
        if speaker.mood in {Mood.OOM, Mood.FAILING}:
            return f"Init:{speaker.state}", speaker.mood
        if speaker.mood is Mood.RUNNING or len(waits) < len(first):
            return f"Init:{len(first) - len(waits)}/{len(first)}", Mood.WAITING
    speaker = min(main, key=_urgency)
    if speaker.mood is Mood.RUNNING and ready_now < len(main):
        return "not ready", Mood.WAITING
    return speaker.state, speaker.mood


def _urgency(one: ContainerFacts) -> int:
    return _URGENCY.index(one.mood)
