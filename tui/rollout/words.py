"""What the rollout screen says above the pods, as pure functions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from memtop.change.rollout_model import Rollout, StuckCause, StuckReason
from memtop.kube.workload_revisions import Revision
from memtop.wording import ago, bytes_, duration
from widgets.styled_text import Symbols, literal, shorten

RECENT_SECONDS = 600.0
"""Seconds after its end in which a rollout's duration says more than how long ago it was."""
_BAR_WIDTH = 40
_SIGNS = {"done": ("✔", "+", "ok"), "stuck": ("✖", "X", "critical"), "going": ("◌", "~", "accent")}
_BAR_CELLS = {True: ("=", "-", "."), False: ("█", "▒", "░")}


def rollout_standing(rollout: Rollout) -> str:
    """Whether it is ``done``, ``stuck`` or ``going``."""
    if rollout.status.done and not rollout.deleted:
        return "done"
    return "stuck" if rollout.deleted or rollout.status.failed or rollout.blocked is not None else "going"


def status_lines(rollout: Rollout, width: int, symbols: Symbols) -> list[Text]:
    """The sentence of ``kubectl rollout status`` with a sign before it, on two lines.

    Args:
        rollout: The rollout.
        width: Width in cells.
        symbols: Which characters are drawn with.
    """
    sign, plain, role = _SIGNS[rollout_standing(rollout)]
    words = "The workload has been deleted" if rollout.deleted else rollout.status.words
    pieces = _wrapped(literal(words), width - 4, 2)
    first = Text(f" {plain if symbols == 'ascii' else sign} ", role).append(pieces[0], "strong")
    return [first, Text("   ").append(pieces[1], "strong") if len(pieces) > 1 else Text()]


def progress_line(rollout: Rollout, width: int, now: float, ended: float | None, symbols: Symbols) -> Text:
    """How many new pods do their work, as a bar and in words, and how long that has taken so far.

    Args:
        rollout: The rollout.
        width: Width in cells.
        now: The cluster's time, Unix seconds.
        ended: When it was done, Unix seconds; None where it was not yet, or where that is not known.
        symbols: Which characters are drawn with.
    """
    status, arrived = rollout.status, rollout.working_new_pods
    cells = max(10, min(_BAR_WIDTH, width - 42))
    full, half, empty = _BAR_CELLS[symbols == "ascii"]
    target = max(1, status.target)
    ready = cells if status.target == 0 else cells * arrived // target
    made = max(0, cells * min(status.updated, target) // target - ready) if status.observed else 0
    role = {"done": "ok", "stuck": "critical", "going": "graph"}[rollout_standing(rollout)]
    line = Text(" ").append(full * ready, role).append(half * made, role)
    line.append(empty * (cells - ready - made), "faint")
    line.append(f"  {arrived} of {status.target}", "strong").append(" new pods ready")
    if not status.done and ended is None and rollout.started is not None:
        return line.append(f", for {duration(now - rollout.started)} now", "dim")
    return line


def count_line(rollout: Rollout) -> Text:
    """The figures that kubectl judges by."""
    status = rollout.status
    leaving = sum(pod.terminating for pod in rollout.pods)
    line = Text(" ")
    for number, label in (
        (status.desired, "desired"),
        (status.updated, "updated"),
        (status.ready, "ready"),
        (status.available, "available"),
        (status.old, "old"),
        (leaving, "leaving"),
    ):
        line.append(str(number), "strong" if number else "dim").append(f" {label}   ", "dim")
    return line


def change_line(rollout: Rollout, width: int) -> Text:
    """Which revision it is, and what is other in it than before."""
    now, before = rollout.revision, rollout.previous
    line = Text(" ")
    if now is None:
        return line.append("The controller has not made the new revision yet", "dim")
    line.append(f"revision {now.number or '…'}", "strong")
    if before is None:
        return line.append("  the first one", "dim")
    line.append(f" after {before.number}", "dim")
    words = "; ".join(_revision_differences(before, now))
    room = max(0, width - cell_len(line.plain) - 3)
    return line.append(f"  {shorten(literal(words), room)}")


def reason_lines(
    rollout: Rollout, width: int, height: int, now: float, ended: float | None, symbols: Symbols
) -> list[Text]:
    """Why it does not go on, as long as there is room; or, where nothing is in its way, what comes next.

    Args:
        rollout: The rollout.
        width: Width in cells.
        height: Lines there are.
        now: The cluster's time, Unix seconds.
        ended: When it was done, Unix seconds, if that is known.
        symbols: Which characters are drawn with.
    """
    lines: list[Text] = []
    if rollout.status.done:
        lines.append(_end_line(rollout, now, ended))
        if held := rollout.status.desired - rollout.status.target:
            words = "1 pod as it was" if held == 1 else f"{held} pods as they were"
            lines.append(Text(f"   The partition keeps {words}.", "dim"))
    elif not rollout.stuck and not rollout.deleted and ended is not None:
        lines.append(
            Text(f"   It was done {ago(now - ended)}; since then pods were lost or became unready.", "dim")
        )
    elif not rollout.stuck and not rollout.deleted:
        lines.append(Text("   Nothing is in its way so far; esc leaves it running.", "dim"))
    offer = _way_out(rollout) if height > 2 else None
    height -= 1 if offer is not None else 0
    for at, reason in enumerate(rollout.stuck):
        rest = len(rollout.stuck) - at - 1
        room = height - len(lines) - (1 if rest else 0)
        if room < 1:
            lines.append(Text(f"   and {rest + 1} more", "dim"))
            break
        lines += _wrapped_reason(reason, width, room, symbols)
    return lines[:height] if offer is None else [*lines[:height], offer]


def _way_out(rollout: Rollout) -> Text | None:
    """The way out of a rollout that will not go on by itself."""
    reason = rollout.blocked
    if reason is None or rollout.deleted:
        return None
    if reason.cause is StuckCause.PAUSED:
        return Text("   ").append("P", "title").append(" resumes it.")
    if rollout.previous is None or reason.cause is StuckCause.ON_DELETE:
        return None
    words = f" goes back to an earlier revision; this one replaces revision {rollout.previous.number}."
    return Text("   ").append("u", "title").append(words)


def _wrapped_reason(reason: StuckReason, width: int, room: int, symbols: Symbols) -> Iterator[Text]:
    role = "critical" if reason.blocking else "warn"
    sign = "!" if not reason.blocking else "X" if symbols == "ascii" else "✖"
    words = literal(reason.words + (":" if reason.message else ""))
    pieces = _wrapped(words, width - 4, room)
    yield Text(f" {sign} ", role).append(pieces[0], role)
    yield from (Text("   ").append(piece, role) for piece in pieces[1:])
    if reason.message and room > len(pieces):
        said = _wrapped(literal(reason.message), width - 4, room - len(pieces))
        yield from (Text(f"   {piece}") for piece in said)


def _end_line(rollout: Rollout, now: float, ended: float | None) -> Text:
    line = Text("   Done", "ok")
    if ended is not None and now - ended > RECENT_SECONDS:
        line.append(f" {ago(now - ended)}", "ok")
    if ended is not None and rollout.started is not None:
        line.append(f", it took {duration(ended - rollout.started)}", "ok")
    return line.append(".  ").append("b", "title").append(" shows whether it has helped.")


def _revision_differences(before: Revision, now: Revision) -> Iterator[str]:
    """What is other in a revision than in the one before: images and memory, else that something else is."""
    found = False
    several = len(now.images) > 1
    for name, image in now.images.items():
        prefix = f"{name}: " if several else ""
        was = before.images.get(name)
        if was != image:
            found = True
            yield f"{prefix}image {was or 'none'} → {image}"
        for what, old, new in (
            ("limit", before.limits.get(name), now.limits[name]),
            ("request", before.requests.get(name), now.requests[name]),
        ):
            if old != new:
                found = True
                yield f"{prefix}memory {what} {_limit_words(old)} → {_limit_words(new)}"
    if not found:
        yield "same images and memory as before"


def _limit_words(size: int | None) -> str:
    return "none" if size is None else bytes_(size)


def _wrapped(words: str, width: int, most: int) -> Sequence[str]:
    """The words on at most so many lines; what does not fit ends in an ellipsis."""
    pieces = textwrap.wrap(
        words, max(10, width), max_lines=max(1, most), placeholder=" …", break_on_hyphens=False
    )
    return pieces or [""]
