"""An incident as Markdown, for a ticket or an incident channel. Other people's text stays text in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from memtop import __version__
from memtop.report.incident import Incident
from memtop.sanitize import sanitize

_MARKUP = re.compile(r"([\\`*_\[\]<>|~&#])")
"""What could begin markup, HTML, a link or a cell in the middle of a line."""
_AUTOLINK = re.compile(r"(?i)\b(https?|ftp)://|\bwww\.|@(?=\w)")
"""What viewers make links and mentions of by themselves."""


def markdown(incident: Incident) -> str:
    """The whole report, ending with a newline."""
    return "\n".join(_lines(incident)) + "\n"


def escape_markdown(words: str) -> str:
    """Text that shows as what it is: no markup, no HTML, no link, no mention, on one line."""
    one_line = " ".join(sanitize(words).split())
    escaped = _MARKUP.sub(r"\\\1", one_line)
    return _AUTOLINK.sub(lambda found: found[0][:-1] + f"&#{ord(found[0][-1])};", escaped)


def _lines(incident: Incident) -> Iterator[str]:
    said = escape_markdown
    yield f"# Memory of {said(f'{incident.kind.lower()}/{incident.name}')} in {said(incident.namespace)}"
    yield ""
    yield f"**{said(incident.verdict)}** · context {said(incident.context)} · {said(incident.time)}"
    if incident.withheld:
        yield ""
        yield "> Names are pseudonyms. Withheld:"
        yield from (f"> - {said(one)}" for one in incident.withheld)
    yield from _section("What grows", [f"- {said(one)}" for one in incident.summary])
    yield from _section(
        "Containers",
        list(_table(_ROW_TITLES, [_row_cells(incident, one) for one in range(len(incident.rows))])),
    )
    yield from _section("Timeline", list(_timeline(incident)))
    yield from _section("Did it help?", list(_help(incident)))
    yield from _section("What the logs say", list(_quotes(incident)))
    yield from _section("What was captured", [f"- {said(one)}" for one in incident.captures])
    yield from _section(
        "What was changed from this machine",
        list(
            _table(
                ("time", "outcome", "what", "user", "why"),
                [(one.time, one.outcome, one.what, one.user, one.why) for one in incident.changes],
            )
        ),
    )
    yield from _section("Advice", [f"- **{said(title)}**: {said(why)}" for title, why in incident.advice])
    yield from _section("Alert rules proposed", [f"- {said(one)}" for one in incident.rules])
    yield from _section("Still unknown", [f"- {said(one.sentence)}" for one in incident.unknown])
    yield ""
    yield f"Made by memtop {__version__}."


_ROW_TITLES = ("pod", "container", "node", "memory", "limit", "growth", "restarts", "last end", "verdict")


def _row_cells(incident: Incident, place: int) -> Sequence[str]:
    one = incident.rows[place]
    return (
        one.pod,
        one.container,
        one.node,
        one.memory,
        one.limit,
        one.growth,
        one.restarts,
        one.last_end,
        one.verdict,
    )


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    """A heading and what stands below it; nothing where there is nothing to say."""
    if lines:
        yield from ("", f"## {title}", "", *lines)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(titles)} |"
        yield f"|{'---|' * len(titles)}"
        yield from (f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in rows)


def _timeline(incident: Incident) -> Iterator[str]:
    if incident.moments_left_out:
        yield f"- {incident.moments_left_out} older ones are left out"
    for one in incident.moments:
        note = f" ({escape_markdown(one.note)})" if one.note else ""
        yield f"- {one.time}: {escape_markdown(one.kind)} – {escape_markdown(one.words)}{note}"


def _help(incident: Incident) -> Iterator[str]:
    if incident.help_verdict:
        yield escape_markdown(incident.help_verdict)
        yield ""
        yield from _table(("", "before", "after"), incident.sides)


def _quotes(incident: Incident) -> Iterator[str]:
    for one in incident.quotes:
        yield f"{escape_markdown(one.title)}: {escape_markdown(one.summary)}"
        yield ""
        if one.lines:
            longest = max((len(run) for line in one.lines for run in re.findall("`+", line)), default=0)
            fence = "`" * max(3, longest + 1)
            yield from (f"{fence}text", *(sanitize(line) for line in one.lines), fence, "")
