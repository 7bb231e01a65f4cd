"""From all that is known of an object to the lines a person reads."""

from __future__ import annotations

from memtop.cluster.describe.anything import describe_any
from memtop.cluster.describe.gather import Known
from memtop.cluster.describe.memory import memory_lines
from memtop.cluster.describe.moment import Moment
from memtop.cluster.describe.node import describe_node
from memtop.cluster.describe.pod import describe_pod
from memtop.cluster.describe.workload import KINDS, describe_workload


def described(known: Known, moment: Moment) -> list[str]:
    """An object as ``kubectl describe`` prints it."""
    kind = known.ref.kind
    if kind == "Pod":
        return describe_pod(known.object, known.events, moment)
    if kind == "Node":
        pods = None if isinstance(known.related, str) else known.related
        return describe_node(known.object, pods, known.lease, known.events, moment)
    if kind in KINDS:
        return describe_workload(kind, known.object, known.related, known.events, moment)
    return describe_any(known.object, known.events, moment)


def document(known: Known, moment: Moment) -> list[str]:
    """A description with what matters for memory first.

    Args:
        known: All that is known of the object.
        moment: When, and in which time zone.

    Returns:
        The lines, without newlines.
    """
    first: list[str] = []
    if known.ref.kind == "Pod":
        first = memory_lines(known.object, known.around, moment)
    elif known.around.autoscalers:
        first = ["Memory:", *(f"  {sentence}" for sentence in known.around.autoscalers)]
    if known.events is None:
        first = [*(first or ["Memory:"]), f"  Events cannot be read: {known.events_note}"]
    return [*first, "", *described(known, moment)] if first else described(known, moment)
