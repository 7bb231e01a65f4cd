"""A frame as text: aligned columns for a terminal, or a Markdown table for an incident channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memtop.cluster.containers import Kind, Mood
from memtop.growth.judgement import VERDICTS, Judgement, Verdict
from memtop.observe.document import Listing, listings, moment
from memtop.observe.frame import Frame
from memtop.observe.rows import until_limit
from memtop.wording import UNKNOWN, ago, at_least, bytes_, rate, share

GAP = "   "
MOST_PASTED = 40
"""Rows of a Markdown table; an incident channel is no place for ten thousand."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~])")

Cell = Callable[[Frame, Listing], str]


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its heading, its text, and whether it is a number."""

    heading: str
    text: Cell
    number: bool = False


def name(listing: Listing) -> str:
    """The pod's name, and the container's where the pod has several."""
    who = listing.identity
    return who.pod if who.only else f"{who.pod}/{who.container}"


def verdict_words(frame: Frame, listing: Listing) -> str:
    """The verdict as the screen says it; one that is not sure is ``suspected``."""
    rows, row = frame.rows, listing.row
    return Judgement(VERDICTS[rows.verdict[row]], float(rows.confidence[row])).certainty


def _last_end(frame: Frame, listing: Listing) -> str:
    end = frame.rows.lasts[listing.row]
    if end is None:
        return UNKNOWN
    return end.words() if end.finished_at is None else f"{end.words()} {ago(frame.time - end.finished_at)}"


def _last_hour(frame: Frame, listing: Listing) -> str:
    rows, row = frame.rows, listing.row
    return at_least(int(rows.restarts_hour[row]), bool(rows.restarts_exact[row]))


NAMESPACE = Field("NAMESPACE", lambda _, listing: listing.identity.namespace)
POD = Field("POD", lambda _, listing: name(listing))
MEMORY = Field("MEMORY", lambda frame, at: bytes_(frame.rows.working_set[at.row]), number=True)
REQUEST = Field("REQUEST", lambda frame, at: bytes_(frame.rows.request[at.row]), number=True)
LIMIT = Field("LIMIT", lambda frame, at: bytes_(frame.rows.limit[at.row]), number=True)
USED = Field("USED", lambda frame, at: share(frame.rows.share[at.row]), number=True)
RESTARTS = Field("RESTARTS", lambda frame, at: str(frame.rows.restarts[at.row]), number=True)
LAST_HOUR = Field("LAST HOUR", _last_hour, number=True)
LAST_END = Field("LAST END", _last_end)
GROWTH = Field("GROWTH", lambda frame, at: rate(frame.rows.rate[at.row]), number=True)
LIMIT_IN = Field("LIMIT IN", lambda frame, at: until_limit(frame.rows, at.row), number=True)
VERDICT = Field("VERDICT", verdict_words)
STATE = Field("STATE", lambda frame, at: frame.rows.states[at.row])
KIND = Field("KIND", lambda _, listing: listing.identity.kind.value)
WORKLOAD = Field("WORKLOAD", lambda _, listing: str(listing.identity.workload))
NODE = Field("NODE", lambda _, listing: listing.identity.node or UNKNOWN)

NARROW = (
    *(NAMESPACE, POD, MEMORY, LIMIT, USED, RESTARTS, LAST_HOUR, LAST_END),
    *(GROWTH, LIMIT_IN, VERDICT, STATE),
)
WIDE = (
    *(NAMESPACE, POD, KIND, MEMORY, REQUEST, LIMIT, USED, RESTARTS, LAST_HOUR, LAST_END),
    *(GROWTH, LIMIT_IN, VERDICT, STATE, WORKLOAD, NODE),
)
PASTED = (NAMESPACE, POD, MEMORY, LIMIT, USED, RESTARTS, LAST_END, GROWTH, LIMIT_IN, VERDICT, STATE)


def as_table(frame: Frame, *, wide: bool = False) -> str:
    """Aligned columns, one container a line; init containers that are done are left out."""
    fields = WIDE if wide else NARROW
    lines = [[field.heading for field in fields]]
    lines += [[field.text(frame, listing) for field in fields] for listing in _present(frame)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(fields))]
    return "\n".join(
        GAP.join(
            cell.rjust(width) if field.number else cell.ljust(width)
            for cell, width, field in zip(line, widths, fields, strict=True)
        ).rstrip()
        for line in lines
    )


def as_markdown(frame: Frame) -> str:
    """A heading, the header's counts, and the containers that ask for attention before the others."""
    present = sorted(_present(frame), key=lambda listing: not _asks_for_attention(frame, listing))
    shown, hidden = present[:MOST_PASTED], len(present) - MOST_PASTED
    lines = [
        f"**memory in {_escaped(frame.context)}, {_escaped(frame.scope)}** at {moment(frame.time)}",
        "",
        f"{_summary(frame)} – what asks for attention first, then by memory",
        "",
        _row([field.heading.capitalize() for field in PASTED]),
        _row(["---:" if field.number else "---" for field in PASTED]),
        *(_row([_escaped(field.text(frame, listing)) for field in PASTED]) for listing in shown),
    ]
    if hidden > 0:
        lines += ["", f"and {hidden} more containers that hold less and ask for no attention"]
    return "\n".join(lines)


def _present(frame: Frame) -> list[Listing]:
    return [
        listing
        for listing in listings(frame)
        if listing.identity.kind is not Kind.INIT or frame.rows.moods[listing.row] is not Mood.DONE
    ]


def _asks_for_attention(frame: Frame, listing: Listing) -> bool:
    rows, row = frame.rows, listing.row
    return bool(
        rows.restarts_hour[row]
        or rows.ooms_hour[row]
        or VERDICTS[rows.verdict[row]] is Verdict.LEAK
        or rows.moods[row] in {Mood.OOM, Mood.FAILING}
    )


def _summary(frame: Frame) -> str:
    counts = frame.counts
    parts: Sequence[tuple[int | None, str]] = (
        (counts.pods, "pods"),
        (counts.containers, "containers"),
        (counts.growing, "leaking"),
        (counts.suspected, "suspected of leaking"),
        (counts.near_limit, "near the limit"),
        (counts.oom_killed_last_hour, "OOM-killed in the last hour"),
    )
    return ", ".join(f"{UNKNOWN if number is None else number} {words}" for number, words in parts)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
