"""The form that asks for the number of pods."""

from __future__ import annotations

from memtop.change.check import problem, replicas
from memtop.change.subject import Subject
from memtop.change.wish import Scale
from tui.change.asked import Asked
from widgets.confirm import PlanLine
from widgets.form import Field, Said, Values


def asked(subject: Subject) -> Asked:
    """What to ask of a workload."""
    now = "" if subject.replicas is None else str(subject.replicas)

    def wish(values: Values) -> Scale:
        return Scale(subject.ref, replicas(values["replicas"]))

    def check(values: Values) -> Said:
        if not values["replicas"]:
            return Said("how many pods?", "replicas")
        try:
            wanted = wish(values)
        except ValueError as error:
            return Said(str(error), "replicas")
        why = problem(wanted, subject)
        lines = [PlanLine("means", _means(wanted.replicas, subject.replicas))] if not why else []
        return Said(why, "replicas", lines)

    return Asked(
        title=f"Number of pods of {subject.ref}",
        fields=(Field("replicas", "pods", now, selected=(0, len(now))),),
        check=check,
        wish=wish,
        facts=(PlanLine("now", now or "not known"),),
    )


def _means(wanted: int, now: int | None) -> str:
    if not wanted:
        return "all pods stop: nothing answers any more"
    if now is None:
        return f"{wanted} pods"
    more = wanted - now
    return f"{abs(more)} pod{'' if abs(more) == 1 else 's'} {'more' if more > 0 else 'fewer'}"
