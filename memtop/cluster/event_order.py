"""A pod's events apart from what its node says of other pods: own ones first, others' OOM kills folded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memtop.cluster.events import Concern, Event

NEAR = 5.0
"""Seconds between a container's end and the node's word of it; the kubelet stamps both within one or two."""
_VICTIM = re.compile(r"victim process: ([^\s,]+)|[Kk]ill(?:ed)? process \d+ \(([^)]+)\)")
_MOST_VICTIMS = 3


@dataclass(frozen=True, slots=True)
class Arranged:
    """Events in the order in which they matter to one pod.

    Attributes:
        own: Of the pod and of what owns it, and the OOM kills of the node that were this pod's; newest first.
        node: What else the node said; newest first.
        others: OOM kills on the node that match no kill of this pod; newest first.
    """

    own: tuple[Event, ...]
    node: tuple[Event, ...]
    others: tuple[Event, ...]


def arranged(events: Iterable[Event], kills: Sequence[float]) -> Arranged:
    """Tells a pod's own events from its node's.

    The node's words for an OOM kill name a process and no pod, so the time has to tell whose it was.

    Args:
        events: Merged, newest first.
        kills: When containers of the pod were OOM-killed, Unix seconds, as far as known.
    """
    own: list[Event] = []
    node: list[Event] = []
    others: list[Event] = []
    for event in events:
        if event.kind != "Node":
            own.append(event)
        elif event.concern is not Concern.OOM:
            node.append(event)
        else:
            (own if _matches(event, kills) else others).append(event)
    return Arranged(tuple(own), tuple(node), tuple(others))


def _matches(event: Event, kills: Sequence[float]) -> bool:
    told = [at for at in (event.first, event.last) if at is not None]
    return any(abs(kill - at) <= NEAR for kill in kills for at in told)


def folded(others: Sequence[Event]) -> Event:
    """One event that stands for other pods' OOM kills, of which there must be one at least."""
    victims: Counter[str] = Counter()
    for event in others:
        if (found := _VICTIM.search(event.message)) is not None:
            victims[found.group(1) or found.group(2)] += event.count
    whose = ", ".join(f"{name} ×{times}" for name, times in victims.most_common(_MOST_VICTIMS))
    more = " and others" if len(victims) > _MOST_VICTIMS else ""
    return Event(
        kind="Node",
        name=others[0].name,
        part="",
        warning=False,
        reason=others[0].reason,
        message="OOM kills on this node at other times than this pod's"
        + (f": {whose}{more}" if whose else ""),
        source=others[0].source,
        count=sum(event.count for event in others),
        first=min((event.first for event in others if event.first is not None), default=None),
        last=max((event.last for event in others if event.last is not None), default=None),
    )
