"""What the containers of a workload hold now, and how that grows: what a new limit is measured against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from memtop.cluster.refs import ObjectRef
from memtop.growth.judgement import Judgement, Verdict
from memtop.observe.frame import Frame, Members
from memtop.observe.identity import Identity
from memtop.wording import bytes_, duration, rate


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container of a workload does, over all its pods.

    Attributes:
        held: Working set of the pod that holds the most, bytes; None while unknown.
        pods: How many pods were seen.
        judgement: What is judged of them, a leak of any revision first; None before anything is.
    """

    held: float | None = None
    pods: int = 0
    judgement: Judgement | None = None

    @property
    def rate(self) -> float | None:
        """Bytes per hour that a leak adds; None where there is none, or it could not be measured."""
        found = self.judgement
        if found is None or found.verdict is not Verdict.LEAK or not found.rate or found.rate <= 0:
            return None
        return found.rate


def members_of(frame: Frame | None, workload: ObjectRef) -> Members | None:
    """What a frame knows of a workload's containers; None unless that is what it looked at."""
    members = None if frame is None else frame.members
    if members is None:
        return None
    key = members.key
    named = (key.workload.kind, key.namespace, key.workload.name)
    return members if named == (workload.kind, workload.namespace, workload.name) else None


def usage(members: Members | None) -> Mapping[str, Usage]:
    """What every container of a workload does, by its name."""
    if members is None:
        return {}
    slots: dict[str, list[int]] = {}
    for slot in members.slots.tolist():
        identity = members.rows.identities[slot]
        if isinstance(identity, Identity):
            slots.setdefault(identity.container, []).append(slot)
    return {name: _usage(members, name, own) for name, own in slots.items()}


def _usage(members: Members, container: str, slots: list[int]) -> Usage:
    sizes = [float(members.rows.working_set[slot]) for slot in slots]
    held = max((size for size in sizes if math.isfinite(size)), default=None)
    return Usage(held, len(slots), _worst(members, container, slots))


def _worst(members: Members, container: str, slots: list[int]) -> Judgement | None:
    """The pooled judgement of any revision; before there is one, that of any single pod."""
    judged = [judgement for (name, _), judgement in members.parts.items() if name == container]
    judged = judged or [members.rows.judgements[slot] for slot in slots]
    return max(judged, key=lambda one: one.confidence if one.verdict is Verdict.LEAK else -1.0, default=None)


def bought(limit: int, before: int | None, usage: Usage) -> str:
    """What another limit gains or loses, in words; empty where nothing is known to be gained.

    Args:
        limit: The new one, bytes.
        before: The present one, bytes; None without one.
        usage: What the container does.
    """
    if usage.held is None:
        return "what it uses now is not known"
    growth = usage.rate
    if growth is None:
        why = "no leak is known that would fill it"
        if usage.judgement is None or usage.judgement.verdict is Verdict.NOT_ENOUGH_DATA:
            why = "whether anything fills it is not judged yet"
        return f"{bytes_(limit - usage.held)} more than the fullest pod holds; {why}"
    then = duration(max(0.0, limit - usage.held) / growth * 3600)
    if before is None:
        return f"at {rate(growth)} the fullest pod reaches it in about {then}; so far there is no limit"
    now = duration(max(0.0, before - usage.held) / growth * 3600)
    return f"at {rate(growth)} the fullest pod reaches it in about {then} instead of {now}: the leak stays"
