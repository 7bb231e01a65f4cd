"""Summaries and growth of heaps as a table, as JSON, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from memtop.heap_files.heap_contents import HeapContents
from memtop.heap_files.heap_growth import (
    HeapGrowth,
    grower_sentence,
    kept_by,
    signed_bytes,
    signed_count,
    whole_sentence,
)
from memtop.wording import bytes_, share

GAP = "   "
LONGEST_CELL = 76
"""Characters of a name in a table; JSON has all of it."""


def summary_rows(summary: HeapContents, top: int) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the largest types."""
    heads = ["BYTES", "SHARE", summary.object_word.upper(), summary.type_word.upper()]
    retained = any(one.retained is not None for one in summary.types)
    if retained:
        heads.insert(3, "RETAINED")
    rows = []
    for one in summary.types[:top]:
        part = one.bytes / summary.total_bytes if one.bytes is not None and summary.total_bytes else None
        row = [
            "?" if one.bytes is None else bytes_(one.bytes),
            "?" if part is None else share(part),
            "?" if one.objects is None else f"{one.objects:,}",
            one.name,
        ]
        if retained:
            row.insert(3, "" if one.retained is None else bytes_(one.retained))
        rows.append(row)
    return heads, rows


def growth_rows(growth: HeapGrowth, top: int) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of what grew most."""
    heads = ["GREW BY", "SHARE", "OBJECTS", "NOW", "WHAT"]
    whole = sum(one.bytes or 0 for one in growth.growers)
    rows = [
        [
            signed_bytes(one.bytes),
            share(one.bytes / whole) if one.bytes is not None and whole else "?",
            signed_count(one.objects),
            "?" if one.bytes_after is None else bytes_(one.bytes_after),
            one.name,
        ]
        for one in growth.growers[:top]
    ]
    return heads, rows


def summary_text(summary: HeapContents, top: int, output: str) -> str:
    """A summary, to be printed.

    Args:
        summary: What to print.
        top: How many types.
        output: ``table``, ``json`` or ``markdown``.
    """
    if output == "json":
        return _json(msgspec.structs.replace(summary, types=summary.types[:top]))
    size = "" if summary.total_bytes is None else f" of {bytes_(summary.total_bytes)}"
    count = "" if summary.total_objects is None else f", {summary.total_objects:,} {summary.object_word}"
    title = f"{summary.kind}{size}{count}"
    heads, rows = summary_rows(summary, top)
    paths = [f"{one.name} is {kept_by(summary.kind, one.path)}" for one in summary.types[:top] if one.path]
    return _document(title, (heads, rows), [*paths, *summary.notes, *_more(len(summary.types), top)], output)


def growth_text(growth: HeapGrowth, top: int, output: str, floor_rate: float | None = None) -> str:
    """What grew, to be printed.

    Args:
        growth: What to print.
        top: How many types.
        output: ``table``, ``json`` or ``markdown``.
        floor_rate: Bytes an hour by which the container's memory rises, where that is known.
    """
    if output == "json":
        said = msgspec.to_builtins(msgspec.structs.replace(growth, types=growth.types[:top]))
        said["sentence"] = grower_sentence(growth, floor_rate)
        said["floor_rate"] = floor_rate
        return msgspec.json.format(msgspec.json.encode(said), indent=2).decode()
    title = whole_sentence(growth, floor_rate)
    lead = grower_sentence(growth, floor_rate)
    notes = [f"{one.name} is {kept_by(growth.kind, one.path)}" for one in growth.growers[:top] if one.path]
    ending = [*notes, *growth.notes, *_more(len(growth.growers), top)]
    return _document(f"{title}\n{lead}", growth_rows(growth, top), ending, output)


def _more(count: int, top: int) -> list[str]:
    return [f"{count - top:,} more are not shown (--top)."] if count > top else []


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _document(
    title: str, table: tuple[Sequence[str], Sequence[Sequence[str]]], ending: Sequence[str], output: str
) -> str:
    heads, rows = table
    if output == "markdown":
        lines = [*title.splitlines(), ""]
        if rows:
            lines += list(_markdown(heads, rows))
        lines += ["", *(f"- {_escaped(words)}" for words in ending)] if ending else []
        return "\n".join(lines)
    lines = [*title.splitlines()]
    if rows:
        lines += ["", *text_columns(heads, rows)]
    return "\n".join([*lines, *([""] if ending else []), *ending])


def text_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], longest: int = LONGEST_CELL
) -> Iterator[str]:
    """The lines of a table: all to the right but the last column, which holds the name."""
    shown = [heads, *([*row[:-1], _cut(row[-1], longest)] for row in rows)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(heads))]
    for row in shown:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield GAP.join([*cells, row[-1]])


def _cut(name: str, longest: int) -> str:
    """The end of a long name: that is where the class is, and the line."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head.capitalize() for head in heads)} |"
    yield f"|{'---:|' * (len(heads) - 1)}---|"
    for row in rows:
        yield f"| {' | '.join([*row[:-1], f'`{_escaped(row[-1])}`'])} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
