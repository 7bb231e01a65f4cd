"""What a few lines say of a workload: how many pods it has, how it replaces them, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from memtop.change.kinds import impossible
from memtop.change.subject import Subject
from memtop.change.wish import SetImage
from memtop.cluster.refs import ROLLING
from memtop.cluster.tree import Json, objects, text
from memtop.rollout.status import status

_GOOD = {"Available": "True", "Progressing": "True", "Complete": "True"}


def standing_lines(subject: Subject) -> list[Text]:
    """Pods and rollout, strategy, conditions: a line each."""
    how = impossible(subject.ref, SetImage) or subject.strategy
    return [_pods(subject), _line(("dim", "  pods    "), ("", how)), _conditions(subject)]


def _pods(subject: Subject) -> Text:
    ref = subject.ref
    line = _line(("strong", f" {ref.kind} "), ("", f"{ref.namespace}/{ref.name}"))
    if ref.kind in ROLLING:
        now = status(subject.object, ref.kind)
        counted = (
            (now.desired, "wanted"), (now.ready, "ready"), (now.updated, "updated"),
            (now.available, "available"), (now.old, "old"),
        )  # fmt: skip
        short = now.ready < now.desired
        for count, name in counted:
            line.append(f"   {count}", "warn" if short and name == "ready" else "strong")
            line.append(f" {name}", "dim")
        if not now.done:
            line.append("   rollout under way: o follows it", "accent")
    if subject.paused:
        line.append("   rollouts are paused: P resumes them", "warn")
    return line


def _conditions(subject: Subject) -> Text:
    line = _line(("dim", "  status  "))
    said = list(_said(objects(subject.object, "status", "conditions")))
    for number, (words, good) in enumerate(said):
        line.append(f"{', ' if number else ''}{words}", "" if good else "warn")
    if not said:
        line.append("no condition is told", "dim")
    if subject.revisions_note:
        line.append(f"   revisions: {subject.revisions_note}", "warn")
    return line


def _said(conditions: list[Json]) -> Iterator[tuple[str, bool]]:
    """Each condition, with its reason and message where it is not as it should be."""
    for one in conditions:
        name, value = text(one, "type"), text(one, "status")
        good = value == _GOOD.get(name, "False")
        if good:
            yield (name if value == "True" else f"no {name}"), True
        else:
            why = ": ".join(part for part in (text(one, "reason"), text(one, "message")) if part)
            yield f"{'not ' if value == 'False' else ''}{name}{f' ({why})' if why else ''}", False


def _line(*parts: tuple[str, str]) -> Text:
    line = Text(no_wrap=True, end="")
    for role, words in parts:
        line.append(words, role)
    return line
