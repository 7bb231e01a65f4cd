"""What the stabilisation screen shows of a verdict: sentences, figures, and the curves of both sides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.text import Text

from memtop.analysis.memory_series import Series
from memtop.analysis.stability import StabilityVerdict
from memtop.stabilisation.stabilisation_watch import StabilisationState
from memtop.stabilisation.verdict_report import FACT_NAMES, side_facts
from memtop.wording import ago, duration
from widgets.memory_plots import Curve, MemoryComparison
from widgets.styled_text import Symbols, literal, shorten

HOUR = 3600.0
CURVE_RANGES = {"the change": 0.0, "1 h": HOUR, "6 h": 6 * HOUR, "24 h": 24 * HOUR, "7 d": 168 * HOUR}
"""Stretches of time that the graph can show; 0 for as much before the change as there is since."""
MOST_LIVES = 24
"""Curves drawn of each side: the newest."""


def curves_by_clock(seen: StabilisationState, stretch: float) -> MemoryComparison:
    """Both sides in absolute time.

    Args:
        seen: What is known.
        stretch: Seconds back from now; 0 for about as much before the change as there is since.
    """
    sides = seen.by_container[seen.container]
    since = max(seen.time - seen.change.changed_at, 600.0)
    start = seen.time - stretch if stretch else seen.change.changed_at - max(since, HOUR)
    known = [
        one.timestamps[0] for side in (sides.before, sides.after) for one in side.series if len(one.values)
    ]
    start = max(start, min(known, default=start))
    kills = [float(at) for side in (sides.before, sides.after) for one in side.series for at in one.oom_kills]
    return MemoryComparison(
        before=[life for one in sides.before.series[-MOST_LIVES:] for life in _lives_by_clock(one)],
        after=[life for one in sides.after.series[-MOST_LIVES:] for life in _lives_by_clock(one)],
        span=(float(start), seen.time),
        changed_at=seen.change.changed_at,
        limits=(sides.before.limit, sides.after.limit),
        oom_kills=kills,
    )


def _lives(series: Series) -> Iterator[tuple[float, float, npt.NDArray[np.bool_]]]:
    """Each life of a container: its begin and end, Unix seconds or infinite, and which samples are of it."""
    cuts: Sequence[float] = sorted(series.restarts.tolist())
    for begin, end in zip([-math.inf, *cuts], [*cuts, math.inf], strict=True):
        yield begin, end, (series.timestamps >= begin) & (series.timestamps < end)


def _lives_by_clock(series: Series) -> Iterator[Curve]:
    """Each life of a container as a curve of its own: nothing is drawn from a death to the start after it."""
    for _, _, inside in _lives(series):
        if inside.any():
            yield series.timestamps[inside].tolist(), series.values[inside].tolist()


def curves_by_age(seen: StabilisationState, stretch: float) -> MemoryComparison:
    """The lives of both sides laid over one another by the time since each began.

    Args:
        seen: What is known.
        stretch: The longest age shown, seconds; 0 for the oldest of the new pods, half as much again.
    """
    sides = seen.by_container[seen.container]
    old = [life for one in sides.before.series for life in _lives_by_age(one, begun=False)][-MOST_LIVES:]
    new = [life for one in sides.after.series for life in _lives_by_age(one, begun=True)][-MOST_LIVES:]
    before, after = [curve for curve, _ in old], [curve for curve, _ in new]
    kills = [float(curve[0][-1]) for curve, killed in (*old, *new) if killed]
    newest = max((float(curve[0][-1]) for curve in after), default=0.0)
    oldest = max((float(curve[0][-1]) for curve in (*before, *after)), default=0.0)
    end = stretch or max(1.5 * newest, HOUR)
    return MemoryComparison(
        before=before,
        after=after,
        span=(0.0, max(min(end, oldest), 60.0)),
        limits=(sides.before.limit, sides.after.limit),
        oom_kills=kills,
        by_age=True,
    )


def _lives_by_age(series: Series, *, begun: bool) -> Iterator[tuple[Curve, bool]]:
    """Each life of a container at its age, and whether an OOM kill ended it.

    Args:
        series: The container's samples.
        begun: Whether it began with the first of them. If not, the age of its first life is not known, and
            that life is left out if there are others.
    """
    for begin, end, inside in _lives(series):
        if np.count_nonzero(inside) < 2 or (not begun and len(series.restarts) and not math.isfinite(begin)):
            continue
        times = series.timestamps[inside]
        start = begin if math.isfinite(begin) else float(times[0])
        killed = bool(((series.oom_kills > start) & (series.oom_kills <= end)).any())
        yield ((times - start).tolist(), series.values[inside].tolist()), killed


VERDICT_SIGNS = {
    StabilityVerdict.WATCHING: ("◌", "~", "accent"),
    StabilityVerdict.HOLDING: ("✔", "+", "ok"),
    StabilityVerdict.STILL_LEAKING: ("✖", "X", "critical"),
    StabilityVerdict.WORSE: ("✖", "X", "critical"),
    StabilityVerdict.ONLY_POSTPONED: ("!", "!", "warn"),
}
_BAR_CHARACTERS = {True: ("=", "."), False: ("█", "░")}
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[KMGTP]?i?B|[smhdy]|%)(?:\W|$))")
_NAME_WIDTH = 21
_PODS_FACT = "pods counted"
_SHORT_FACTS = ("growth of the floor", "OOM kills", "restarts", "highest memory")
"""What is left of the facts where there are few lines."""


def verdict_lines(seen: StabilisationState, now: float, width: int, symbols: Symbols) -> list[Text]:
    """The verdict, plain and first; what was changed; why, in up to three lines; how much longer."""
    stability = seen.stability
    sign, plain, role = VERDICT_SIGNS[stability.verdict]
    head = Text().append(f" {plain if symbols == 'ascii' else sign} ", role)
    head.append(stability.verdict.value.upper(), role)
    if stability.watched_seconds is not None and stability.verdict is StabilityVerdict.HOLDING:
        head.append(f" for {duration(stability.watched_seconds)}", "strong")
    changed = f"{seen.change.words(seen.container)}, {ago(now - seen.change.changed_at)} "
    room = width - cell_len(head.plain) - 2
    changed = shorten(literal(changed), max(0, room))
    head.append(" " * max(2, width - cell_len(head.plain) - cell_len(changed))).append(changed, "dim")
    sentence = stability.sentence[:1].upper() + stability.sentence[1:]
    lines = wrap_sentence(literal(sentence), max(20, width - 4))
    return [head, *(Text(f"   {line}") for line in lines[:3]), _progress_bar(seen, width, symbols)]


def wrap_sentence(sentence: str, width: int) -> list[str]:
    """Lines that end between words, and not between a figure and its unit."""
    whole = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", sentence)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrap(whole, width)]


def _progress_bar(seen: StabilisationState, width: int, symbols: Symbols) -> Text:
    """How much of the needed time is over."""
    needed, left = seen.stability.needed_seconds, seen.stability.remaining_seconds
    if seen.stability.verdict.decided or not needed or left is None:
        return Text()
    full, empty = _BAR_CHARACTERS[symbols == "ascii"]
    cells = max(10, min(40, width - 46))
    done = min(cells, int(cells * max(0.0, needed - left) / needed))
    line = Text("   ").append(full * done, "primary").append(empty * (cells - done), "faint")
    return line.append(f"  {duration(needed - left)} of {duration(needed)} watched")


def fact_lines(seen: StabilisationState, width: int, height: int) -> list[Text]:
    """Both sides in figures, beside one another."""
    stability, change = seen.stability, seen.change
    column = (width - _NAME_WIDTH - 1) // 2
    old = "before" if change.previous is None else f"before: revision {change.previous.number}"
    new = f"after: revision {change.revision.number}, {_pods_words(stability.after.pods)}"
    lines = [_fact_row("", f"{old}, {_pods_words(stability.before.pods)}", new, column, "strong")]
    both = zip(FACT_NAMES, side_facts(stability.before), side_facts(stability.after), strict=True)
    chosen = [
        row
        for row in both
        if row[0] in _SHORT_FACTS or (height > len(_SHORT_FACTS) + 2 and row[0] != _PODS_FACT)
    ]
    for name, was, now in chosen[: height - 1]:
        lines.append(_fact_row(name, was, now, column, "warn" if _is_worrying(name, seen) else ""))
    return lines


def _pods_words(count: int) -> str:
    return "no pods known" if not count else "1 pod" if count == 1 else f"{count} pods"


def _is_worrying(name: str, seen: StabilisationState) -> bool:
    """Whether the new figure is one to worry about."""
    after = seen.stability.after
    return (name == "OOM kills" and after.oom_kills > 0) or (name == "growth of the floor" and after.leaks)


def _fact_row(name: str, before: str, after: str, column: int, role: str) -> Text:
    line = Text().append(f" {name:<{_NAME_WIDTH - 1}}", "dim")
    line.append(shorten(before, column - 1).ljust(column), role if role == "strong" else "")
    return line.append(shorten(after, column - 1), role)


def note_line(seen: StabilisationState) -> Text:
    """What is in the way, and where the figures come from."""
    if seen.problem:
        return Text(f" {literal(seen.problem)}; what is shown is the last that was seen", "warn")
    wanted = seen.change.desired_pods
    missing = wanted is not None and seen.running < wanted
    pods = f" {seen.running} of {wanted} new pods are there ·" if missing else ""
    line = Text().append(pods, "warn").append(f" {seen.by_container[seen.container].basis}", "dim")
    line.append(f" · the change is dated by {seen.change.how_known}", "dim")
    for note in seen.notes:
        line.append(f" · {literal(note)}", "dim")
    return line
