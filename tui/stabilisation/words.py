"""What the stabilisation screen says; pure, so that it can be read without a screen."""

from __future__ import annotations

import re
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from memtop.growth.stability import StabilityVerdict
from memtop.stabilisation.document import FACTS, facts
from memtop.stabilisation.watch import Seen
from memtop.wording import ago, duration
from widgets.palette import Symbols
from widgets.text import literal, shorten

_SIGNS = {
    StabilityVerdict.WATCHING: ("◌", "~", "accent"),
    StabilityVerdict.HOLDING: ("✔", "+", "ok"),
    StabilityVerdict.STILL_LEAKING: ("✖", "X", "critical"),
    StabilityVerdict.WORSE: ("✖", "X", "critical"),
    StabilityVerdict.ONLY_POSTPONED: ("!", "!", "warn"),
}
_BAR = {True: ("=", "."), False: ("█", "░")}
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[KMGTP]?i?B|[smhdy]|%)(?:\W|$))")
_NAMES = 21
_PODS = "pods counted"
_SHORT = ("growth of the floor", "OOM kills", "restarts", "highest memory")
"""What is left of the facts where there are few lines."""


def verdict_lines(seen: Seen, now: float, width: int, symbols: Symbols) -> list[Text]:
    """The verdict, plain and first; what was changed; why, in up to three lines; how much longer."""
    stability = seen.stability
    sign, plain, role = _SIGNS[stability.verdict]
    head = Text().append(f" {plain if symbols == 'ascii' else sign} ", role)
    head.append(stability.verdict.value.upper(), role)
    if stability.since is not None and stability.verdict is StabilityVerdict.HOLDING:
        head.append(f" for {duration(seen.at - stability.since)}", "strong")
    changed = f"{seen.change.words(seen.container)}, {ago(now - seen.change.at)} "
    room = width - cell_len(head.plain) - 2
    changed = shorten(literal(changed), max(0, room))
    head.append(" " * max(2, width - cell_len(head.plain) - cell_len(changed))).append(changed, "dim")
    sentence = stability.sentence[:1].upper() + stability.sentence[1:]
    lines = _wrapped(literal(sentence), max(20, width - 4))
    return [head, *(Text(f"   {line}") for line in lines[:3]), _progress(seen, width, symbols)]


def _wrapped(sentence: str, width: int) -> list[str]:
    """Lines that end between words, and not between a figure and its unit."""
    whole = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", sentence)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrap(whole, width)]


def _progress(seen: Seen, width: int, symbols: Symbols) -> Text:
    """How much of the needed time is over."""
    needed, left = seen.stability.needed_seconds, seen.stability.remaining_seconds
    if seen.stability.verdict.decided or not needed or left is None:
        return Text()
    full, empty = _BAR[symbols == "ascii"]
    cells = max(10, min(40, width - 46))
    done = min(cells, int(cells * max(0.0, needed - left) / needed))
    line = Text("   ").append(full * done, "primary").append(empty * (cells - done), "faint")
    return line.append(f"  {duration(needed - left)} of {duration(needed)} watched")


def fact_lines(seen: Seen, width: int, height: int) -> list[Text]:
    """Both sides in figures, beside one another."""
    stability, change = seen.stability, seen.change
    column = (width - _NAMES - 1) // 2
    old = "before" if change.previous is None else f"before: revision {change.previous.number}"
    new = f"after: revision {change.revision.number}, {_pods(stability.after.pods)}"
    lines = [_row("", f"{old}, {_pods(stability.before.pods)}", new, column, "strong")]
    both = zip(FACTS, facts(stability.before), facts(stability.after), strict=True)
    chosen = [row for row in both if row[0] in _SHORT or (height > len(_SHORT) + 2 and row[0] != _PODS)]
    for name, was, now in chosen[: height - 1]:
        lines.append(_row(name, was, now, column, "warn" if _bad(name, seen) else ""))
    return lines


def _pods(count: int) -> str:
    return "no pods known" if not count else "1 pod" if count == 1 else f"{count} pods"


def _bad(name: str, seen: Seen) -> bool:
    """Whether the new figure is one to worry about."""
    after = seen.stability.after
    return (name == "OOM kills" and after.oom_kills > 0) or (name == "growth of the floor" and after.leaks)


def _row(name: str, before: str, after: str, column: int, role: str) -> Text:
    line = Text().append(f" {name:<{_NAMES - 1}}", "dim")
    line.append(shorten(before, column - 1).ljust(column), role if role == "strong" else "")
    return line.append(shorten(after, column - 1), role)


def note_line(seen: Seen) -> Text:
    """What is in the way, and where the figures come from."""
    if seen.problem:
        return Text(f" {literal(seen.problem)}; what is shown is the last that was seen", "warn")
    wanted = seen.change.desired
    missing = wanted is not None and seen.running < wanted
    pods = f" {seen.running} of {wanted} new pods are there ·" if missing else ""
    line = Text().append(pods, "warn").append(f" {seen.sides[seen.container].basis}", "dim")
    line.append(f" · the change is dated by {seen.change.how}", "dim")
    for note in seen.notes:
        line.append(f" · {literal(note)}", "dim")
    return line
