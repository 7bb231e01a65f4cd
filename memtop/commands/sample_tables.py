"""Reads recorded memory in the forms that people have: tables of text, told apart by their content.

CSV with a column of times and one or more of memory (Grafana's export, ``process.memoryUsage()``, anything
whose columns are named), what ``mprof`` and ``psrecord`` write, and what ``docker stats`` and ``kubectl top``
print again and again with the time before it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from memtop.analysis.memory_series import Floats
from memtop.sanitize import sanitize


class BadInputError(ValueError):
    """One sentence that names the file, the line where it is known, and what is wrong."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which columns of a table to read, where somebody said so.

    Attributes:
        time: The name of the column of the times; empty to find it.
        value: The name of the column of the memory; empty to find them.
    """

    time: str = ""
    value: str = ""


@dataclass(slots=True)
class RecordedMemory:
    """One series of a table.

    Attributes:
        name: What the table calls it; empty for the only one.
        times: Seconds, of whatever beginning.
        values: Bytes.
        limit: Bytes, where the table tells it.
    """

    name: str = ""
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    limit: float | None = None


TIME_COLUMNS = (
    *("time", "timestamp", "date", "datetime", "ts"),
    *("elapsed", "elapsed_s", "elapsed_ms", "seconds"),
)
_MEMORY_COLUMNS = (
    *("value", "rss", "working_set", "memory", "mem"),
    *("memory_usage", "mem_usage", "usage", "real"),
)
_NAME_COLUMNS = ("series", "metric", "pod", "container", "name")
_UNITS = {"": 1.0, "b": 1.0, "byte": 1.0, "bytes": 1.0} | {
    f"{prefix}{tail}": float(base**power)
    for base, tails in ((1000, ("b",)), (1024, ("i", "ib")))
    for power, prefix in enumerate("kmgt", 1)
    for tail in tails
}
"""Kubernetes' and Docker's units; ``MB`` is 10^6 and ``MiB`` 2^20."""
_HEADER_UNITS = _UNITS | {
    unit: 1024.0**power for power, units in enumerate(("k kb", "m mb", "g gb"), 1) for unit in units.split()
}
"""In the name of a column: tools that measure processes count in 1024 whatever they call it."""
_AMOUNT = re.compile(r"([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_UNIT_AT_END = re.compile(r"[_ (\[]+([kmgt]?i?b|[kmg]|bytes?)[)\]]?$", re.IGNORECASE)
_EMPTY_CELLS = frozenset({"", "-", "–", "null", "none", "nan", "n/a", "undefined", "<unknown>"})


def read_table(where: str, text: str, columns: TableColumns) -> list[RecordedMemory]:
    """Reads all series of a text that is no JSON.

    Args:
        where: The file's name, for sentences.
        text: Its content.
        columns: Which columns to read, where somebody said so.

    Raises:
        BadInputError: It is none of the known forms, or broken.
    """
    lines = text.splitlines()
    if any(line.startswith("MEM ") for line in lines[:20]):
        found = _from_mprof(where, lines)
    elif lines[0].startswith("#") and "Real" in lines[0]:
        found = _from_psrecord(where, lines)
    elif any(_TOP_HEADER.search(line) for line in lines[:20]):
        found = _from_printed_tables(where, lines)
    else:
        found = _from_csv(where, text, columns)
    if not any(one.times for one in found):
        raise BadInputError(f"{where}: there is no sample in it")
    return found


def parse_amount(text: str, unit: float = 1.0) -> float | None:
    """Bytes of a cell such as ``352759808``, ``1.2 GiB`` or ``1,5 MB``; None for a gap.

    Args:
        text: The cell.
        unit: Bytes of one where the cell names no unit.

    Raises:
        ValueError: It is no amount of memory.
    """
    if text.strip().lower() in _EMPTY_CELLS:
        return None
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or found.group(2).lower() not in _UNITS:
        return float(text) * unit
    number = float(found.group(1).replace(",", "."))
    return number * (_UNITS[found.group(2).lower()] if found.group(2) else unit)


MILLISECONDS, MICROSECONDS, NANOSECONDS = 1e11, 1e14, 1e17
"""From here on a time is no seconds since 1970 any more (that would be the year 5138) but something finer."""
_DATE_FORMATS = (
    "%a %b %d %H:%M:%S %Z %Y",  # date
    "%a %d %b %Y %H:%M:%S %Z",
    "%a %b %d %I:%M:%S %p %Z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%Y/%m/%d %H:%M:%S",
)
"""As `date` writes them in the usual locales. Zones by name are passed over: only distances matter."""
_CLOCK = re.compile(r"(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)")


def seconds_from(times: Floats) -> Floats:
    """Times in seconds, whether they were told in seconds, or in milli-, micro- or nanoseconds since 1970."""
    middle = float(np.median(np.abs(times))) if len(times) else 0.0
    for bound, divisor in ((NANOSECONDS, 1e9), (MICROSECONDS, 1e6), (MILLISECONDS, 1e3)):
        if middle >= bound:
            return times / divisor
    return times


def parse_time(text: str) -> float:
    """A time as a number or a date; without a zone it is UTC; a time of day counts from midnight.

    Raises:
        ValueError: It is none.
    """
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        pass
    if (clock := _CLOCK.fullmatch(text)) is not None:
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    for form in ("", *_DATE_FORMATS):
        try:
            moment = _dated(text, form)
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise ValueError(text)


def _dated(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC) if form else datetime.fromisoformat(text)


def _from_csv(where: str, text: str, columns: TableColumns) -> list[RecordedMemory]:
    lines = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
    table: _CsvTable | None = None
    try:
        for row in lines:
            if not any(cell.strip() for cell in row) or row[0].startswith("sep="):
                continue
            line = f"{where}, line {lines.line_num}"
            if table is None:
                table = _CsvTable(line, [cell.strip() for cell in row], columns)
            else:
                table.add_row(line, row)
    except csv.Error as error:
        raise BadInputError(f"{where}, line {lines.line_num}: {error}") from error
    return [] if table is None else table.series()


def _delimiter(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip() and not line.startswith("sep=")), "")
    return max(",;\t", key=head.count)


class _CsvTable:
    """The rows of one CSV file, taken apart into series.

    Args:
        where: File and line of the header.
        header: The names of the columns.
        columns: Which to read, where somebody said so.
    """

    def __init__(self, where: str, header: list[str], columns: TableColumns) -> None:
        self._header = header
        self._words = [_column_word(name) for name in header]
        self._time = self._time_column(where, columns.time)
        self._values = self._value_columns(where, columns.value)
        self._name = next((at for at in map(self._find, _NAME_COLUMNS) if at is not None), None)
        if self._name in (self._time, *self._values):
            self._name = None
        self._units = {at: _header_unit(header[at]) for at in self._values}
        self._found: dict[tuple[str, int], RecordedMemory] = {}

    def add_row(self, where: str, row: Sequence[str]) -> None:
        """Takes in a row; an empty cell is a gap."""
        wanted = max(self._time, *self._values) + 1
        if len(row) < wanted and (len(self._values) == 1 or len(row) <= self._time):
            raise BadInputError(f"{where}: {len(row)} columns where {wanted} are needed")
        try:
            time = parse_time(row[self._time]) * (0.001 if self._words[self._time].endswith("_ms") else 1.0)
        except ValueError as error:
            cell = sanitize(row[self._time].strip())
            raise BadInputError(f"{where}: {cell!r} is neither unix seconds nor an ISO 8601 time") from error
        for at in self._values:
            cell = row[at] if at < len(row) else ""
            try:
                amount = parse_amount(cell, self._units[at])
            except ValueError as error:
                raise BadInputError(
                    f"{where}: {sanitize(cell.strip())!r} is not a number of bytes"
                ) from error
            if amount is not None:
                series = self._series_of(row, at)
                series.times.append(time)
                series.values.append(amount)

    def series(self) -> list[RecordedMemory]:
        """What there is, in order; columns that are empty throughout are none."""
        return [one for _, one in sorted(self._found.items(), key=lambda entry: entry[0][1])]

    def _series_of(self, row: Sequence[str], at: int) -> RecordedMemory:
        named = row[self._name].strip() if self._name is not None and self._name < len(row) else ""
        found = self._found.get((named, at))
        if found is None:
            parts = (named, self._header[at] if len(self._values) > 1 else "")
            name = "/".join(sanitize(part) for part in parts if part)
            found = self._found[named, at] = RecordedMemory(name)
        return found

    def _time_column(self, where: str, wanted: str) -> int:
        if wanted:
            return self._named(where, wanted, "--time")
        found = next((at for at in map(self._find, TIME_COLUMNS) if at is not None), None)
        if found is None:
            raise BadInputError(
                f"{where}: neither JSON nor a known table; as CSV it has no column of times such as time or "
                f"timestamp: {self._listed()}; name two with --time and --value"
            )
        return found

    def _value_columns(self, where: str, wanted: str) -> list[int]:
        if wanted:
            return [self._named(where, wanted, "--value")]
        known = next((at for at in map(self._find, _MEMORY_COLUMNS) if at not in (None, self._time)), None)
        if known is not None:
            return [known]
        others = [at for at, word in enumerate(self._words) if at != self._time and word not in _NAME_COLUMNS]
        if not others:
            raise BadInputError(
                f"{where}: as CSV it has no column of memory such as value or rss: {self._listed()}; "
                "name one with --value"
            )
        return others

    def _find(self, word: str) -> int | None:
        return self._words.index(word) if word in self._words else None

    def _named(self, where: str, wanted: str, flag: str) -> int:
        names = [name.lower() for name in self._header]
        if wanted.lower() in names:
            return names.index(wanted.lower())
        raise BadInputError(
            f"{where}: flag {flag}: no column is called {sanitize(wanted)!r}; {self._listed()}"
        )

    def _listed(self) -> str:
        return f"it has {', '.join(sanitize(name) or '(no name)' for name in self._header)}"


def _column_word(name: str) -> str:
    """A column's name without its unit: ``rss_kb`` is ``rss``, ``Memory Usage (MB)`` is ``memory_usage``."""
    word = name.strip().lower()
    if word not in TIME_COLUMNS:
        word = _UNIT_AT_END.sub("", word)
    return re.sub(r"[\s-]+", "_", word.strip())


def _header_unit(name: str) -> float:
    found = _UNIT_AT_END.search(name.strip())
    return 1.0 if found is None else _HEADER_UNITS[found.group(1).lower()]


def _from_mprof(where: str, lines: Sequence[str]) -> list[RecordedMemory]:
    """``mprof run``: MiB and Unix seconds of the process (MEM) and of each child (CHLD)."""
    found: dict[str, RecordedMemory] = {}
    for number, line in enumerate(lines, 1):
        kind, *rest = line.split() or [""]
        if kind not in {"MEM", "CHLD"} or not rest:
            continue
        name = "" if kind == "MEM" else f"child {sanitize(rest[0])}"
        try:
            size, time = map(float, rest[-2:])
        except ValueError as error:
            raise BadInputError(
                f"{where}, line {number}: not MiB and a time, as mprof writes them"
            ) from error
        series = found.setdefault(name, RecordedMemory(name))
        series.times.append(time)
        series.values.append(size * 2**20)
    return list(found.values())


def _from_psrecord(where: str, lines: Sequence[str]) -> list[RecordedMemory]:
    """``psrecord --log``: seconds since the start, CPU, real and virtual memory in units of 2^20."""
    series = RecordedMemory()
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if not cells or line.startswith("#"):
            continue
        try:
            time, size = float(cells[0]), float(cells[2])
        except (ValueError, IndexError) as error:
            raise BadInputError(f"{where}, line {number}: not a row as psrecord writes them") from error
        series.times.append(time)
        series.values.append(size * 2**20)
    return [series]


_TOP_HEADER = re.compile(r"\bMEM USAGE / LIMIT\b|\bMEMORY\(bytes\)")
_SCREEN_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GAP = re.compile(r"\s{2,}|\t")


def _from_printed_tables(where: str, lines: Sequence[str]) -> list[RecordedMemory]:
    """``docker stats`` and ``kubectl top``, printed again and again, with a line of time before each."""
    header: list[str] = []
    found: dict[str, RecordedMemory] = {}
    now: float | None = None
    for number, raw in enumerate(lines, 1):
        line = _SCREEN_CODES.sub("", raw).strip()
        if not line:
            continue
        if _TOP_HEADER.search(line):
            now, line = _leading_time(line, now)
            header = _GAP.split(line) if "/ LIMIT" in line else line.split()
            continue
        try:
            now = parse_time(line)
            continue
        except ValueError:
            pass
        now, line = _leading_time(line, now)
        row = _top_row(header, line)
        if row is None:
            continue
        if now is None:
            raise BadInputError(
                f"{where}, line {number}: the table tells no time; print the time before it, as in "
                "`while date; do kubectl top pod; sleep 15; done`"
            )
        name, size, limit = row
        series = found.setdefault(name, RecordedMemory(name))
        if not series.times or series.times[-1] != now:
            series.times.append(now)
            series.values.append(size)
            series.limit = limit
    return list(found.values())


def _leading_time(line: str, now: float | None) -> tuple[float | None, str]:
    """The time in front of a row, if there is one, and the rest of the line."""
    for words in (2, 1):
        parts = line.split(None, words)
        if len(parts) <= words:
            continue
        start = " ".join(parts[:words])
        if "-" not in start and ":" not in start and not (start.isdigit() and float(start) > 1e9):
            continue
        try:
            return parse_time(start), parts[words]
        except ValueError:
            continue
    return now, line


def _top_row(header: Sequence[str], line: str) -> tuple[str, float, float | None] | None:
    """Name, bytes and limit of one row; None for what is no row."""
    cells = _GAP.split(line)
    if len(cells) != len(header):
        cells = line.split()
    found = dict(zip(header, cells, strict=False))
    names = [found[key] for key in ("NAMESPACE", "POD", "NAME") if found.get(key)]
    usage, _, limit = found.get("MEM USAGE / LIMIT", found.get("MEMORY(bytes)", "")).partition("/")
    try:
        size, most = parse_amount(usage), parse_amount(limit)
    except ValueError:
        return None
    return None if size is None or not names else (sanitize("/".join(names)), size, most)


def series_names(stem: str, found: Sequence[RecordedMemory]) -> Iterator[str]:
    """What to call the series of one file: by the file's name, or by their own where there are several."""
    for one in found:
        yield f"{stem}/{one.name}" if one.name and len(found) > 1 else one.name or stem
