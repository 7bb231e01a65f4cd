"""An incident as one HTML file: graph as inline SVG, no script, nothing that is loaded from elsewhere.

The document is a tree of elements that the standard library writes: text and attributes are escaped by it,
so no name of a pod can become markup. A Content-Security-Policy in the file forbids scripts and requests, in
case a mistake was made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as Tree

from memtop import __version__
from memtop.report.incident import Incident, ReportRow
from memtop.report.memory_svg import memory_svg
from memtop.sanitize import sanitize, sanitize_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --fg: #1b1f24; --bg: #ffffff; --dim: #5a6472; --line: #d5dae1;
  --bad: #b3261e; --good: #1a6f3c; --accent: #1f5fae; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e8ee; --bg: #14171b; --dim: #98a3b1; --line: #343b45;
  --bad: #ff8a80; --good: #7fd6a0; --accent: #86b6ff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.dim { color: var(--dim); } .verdict { font-weight: 700; } .bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--dim); }
pre { background: color-mix(in srgb, var(--fg) 6%, transparent); padding: .7rem; white-space: pre-wrap; }
svg { width: 100%; height: auto; } svg text { fill: var(--dim); font-size: 11px; }
.after { stroke: var(--accent); } .before { stroke: var(--dim); } .curve { fill: none; stroke-width: 1.4; }
.limit { stroke: var(--bad); stroke-dasharray: 6 4; } .axis { stroke: var(--line); }
.kill { stroke: var(--bad); } .change { stroke: var(--good); stroke-dasharray: 3 3; }
"""
_BAD = ("leak", "suspected leak", "OOM loop")


def html(incident: Incident) -> str:
    """The whole document."""
    name = f"{incident.kind.lower()}/{incident.name}"
    root = Tree.Element("html", lang="en")
    head = Tree.SubElement(root, "head")
    Tree.SubElement(head, "meta", charset="utf-8")
    Tree.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    Tree.SubElement(head, "meta", name="viewport", content="width=device-width")
    _add(head, "title", f"Memory of {name} in {incident.namespace}")
    Tree.SubElement(head, "style").text = _STYLE
    body = Tree.SubElement(root, "body")
    _add(body, "h1", f"Memory of {name} in {incident.namespace}")
    line = Tree.SubElement(body, "p", {"class": "dim"})
    verdict = _add(line, "span", incident.verdict, "verdict bad" if incident.verdict in _BAD else "verdict")
    verdict.tail = sanitize(f" · context {incident.context} · {incident.time}")
    if incident.withheld:
        _section(body, "Withheld")
        _list(body, incident.withheld)
    _section(body, "What grows")
    for sentence in incident.summary:
        _add(body, "p", sentence)
    if incident.graph is not None:
        _add(body, "p", incident.graph.title, "dim")
        body.append(memory_svg(incident.graph))
    if incident.rows:
        _section(body, "Containers")
        _table(body, _ROW_TITLES, [_row_cells(one) for one in incident.rows])
    _what_happened(body, incident)
    _what_was_done(body, incident)
    _section(body, "Still unknown")
    _list(body, [one.sentence for one in incident.unknown] or ["nothing that memtop looks for"])
    _add(body, "p", f"Made by memtop {__version__}.", "dim")
    return "<!DOCTYPE html>\n" + Tree.tostring(root, encoding="unicode", method="html") + "\n"


_ROW_TITLES = (
    "pod",
    "container",
    "node",
    "memory",
    "limit",
    "growth",
    "restarts",
    "last end",
    "verdict",
    "evidence",
)


def _row_cells(row: ReportRow) -> Sequence[str]:
    return (
        row.pod,
        row.container,
        row.node,
        row.memory,
        row.limit,
        row.growth,
        row.restarts,
        row.last_end,
        row.verdict,
        row.evidence,
    )


def _what_happened(body: Tree.Element, incident: Incident) -> None:
    if incident.moments:
        _section(body, "Timeline")
        if incident.moments_left_out:
            _add(body, "p", f"{incident.moments_left_out} older ones are left out.", "dim")
        rows = [(one.time, one.kind, one.words, one.note) for one in incident.moments]
        _table(body, ("time", "what", "", "note"), rows)
    if incident.help_verdict:
        _section(body, "Did it help?")
        _add(body, "p", incident.help_verdict)
        _table(body, ("", "before", "after"), incident.sides)
    if incident.quotes:
        _section(body, "What the logs say")
    for quote in incident.quotes:
        _add(body, "p", f"{quote.title}: {quote.summary}")
        if quote.lines:
            _add(body, "pre", "\n".join(sanitize(one) for one in quote.lines))


def _what_was_done(body: Tree.Element, incident: Incident) -> None:
    if incident.captures:
        _section(body, "What was captured")
        _list(body, incident.captures)
    if incident.changes:
        _section(body, "What was changed from this machine")
        rows = [(one.time, one.outcome, one.what, one.user, one.why) for one in incident.changes]
        _table(body, ("time", "outcome", "what", "user", "why"), rows)
    if incident.advice:
        _section(body, "Advice")
        _list(body, [f"{title}: {why}" for title, why in incident.advice])
    if incident.rules:
        _section(body, "Alert rules proposed")
        _list(body, incident.rules)


def _add(parent: Tree.Element, tag: str, words: str, style: str = "") -> Tree.Element:
    """An element with text, which is all that other people's text ever becomes."""
    made = Tree.SubElement(parent, tag, {"class": style} if style else {})
    made.text = sanitize_text(words) if tag == "pre" else sanitize(words)
    return made


def _section(body: Tree.Element, title: str) -> None:
    _add(body, "h2", title)


def _list(body: Tree.Element, items: Iterable[str]) -> None:
    listed = Tree.SubElement(body, "ul")
    for one in items:
        _add(listed, "li", one)


def _table(body: Tree.Element, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Tree.SubElement(body, "table")
    head = Tree.SubElement(Tree.SubElement(table, "thead"), "tr")
    for title in titles:
        _add(head, "th", title)
    inside = Tree.SubElement(table, "tbody")
    for row in rows:
        line = Tree.SubElement(inside, "tr")
        for cell in row:
            _add(line, "td", cell, "bad" if cell in _BAD else "")
