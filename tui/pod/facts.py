"""What one line says of the selected container."""

from __future__ import annotations

import math

from rich.text import Text

from memtop import wording
from memtop.observe.frame import Frame
from memtop.observe.rows import until_limit
from memtop.observe.store import Identity
from tui.overview.cells import verdict_words


def verdict_line(frame: Frame, row: int) -> Text:
    """The verdict and its evidence: the line a tired person reads first."""
    words, role = verdict_words(frame, row)
    line = Text(no_wrap=True, end="").append(f" {words} ", f"{role or 'strong'}")
    judgement = frame.detail.judgement if frame.detail is not None else None
    if row in frame.awaited:
        return line.append(f" {frame.awaited[row]}", "dim")
    if judgement is not None:
        line.append(f" {judgement.evidence()}")
    return line


def fact_lines(frame: Frame, row: int) -> list[tuple[str, str]]:
    """Name and value of what is known beside the graph."""
    rows = frame.rows
    identity = rows.identities[row]
    facts: list[tuple[str, str]] = []
    if isinstance(identity, Identity):
        facts += [
            ("workload", f"{identity.workload}"),
            ("node", identity.node or wording.UNKNOWN),
        ]
    limit = rows.limit[row]
    facts += [
        ("state", rows.states[row]),
        ("working set", wording.bytes_(rows.working_set[row])),
        ("limit", wording.bytes_(limit) if math.isfinite(limit) else "none"),
        ("of limit", wording.share(rows.share[row])),
        ("request", wording.bytes_(rows.request[row]) if math.isfinite(rows.request[row]) else "none"),
        ("growth", wording.rate(rows.rate[row])),
        ("limit in", until_limit(rows, row)),
        ("restarts", _restarts(frame, row)),
    ]
    last = rows.lasts[row]
    if last is not None:
        ended = wording.ago(None if last.finished_at is None else frame.time - last.finished_at)
        facts += [("last end", f"{last.words()}, exit code {last.exit_code}"), ("", ended)]
        if last.finished_at is not None and last.started_at is not None:
            facts.append(("", f"ran for {wording.duration(last.finished_at - last.started_at)}"))
    return facts


def _restarts(frame: Frame, row: int) -> str:
    rows = frame.rows
    lower = "" if rows.restarts_exact[row] else "at least "
    return f"{rows.restarts[row]}, {lower}{rows.restarts_hour[row]} in the last hour"
