"""``memtop classify``: files of series in, one JSON line per series out.

Read are JSON lines, CSV, and what Prometheus answers to ``query_range``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from memtop.analysis.judgement import Judgement
from memtop.analysis.memory_series import Batch, Floats, Series
from memtop.analysis.verdict import judge_batch

_TIME_COLUMNS = ("time", "timestamp")
_NAME_LABELS = ("namespace", "pod", "container")


class BadInputError(ValueError):
    """One sentence that names the file, the line where it is known, and what is wrong."""


@dataclass(frozen=True, eq=False)
class NamedSeries:
    """A series and what its file calls it."""

    id: str
    series: Series


class _SeriesLine(msgspec.Struct):
    id: str
    timestamps: list[float]
    values: list[float]
    restarts: list[float] = []
    limit: float | None = None
    oom_kills: list[float] = []


class _MatrixStream(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _MatrixData(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_MatrixStream]


class _MatrixAnswer(msgspec.Struct):
    status: str
    data: _MatrixData


def read_series_file(name: str) -> list[NamedSeries]:
    """Reads all series of one file; the format is told from the content.

    Args:
        name: Path of a JSON-lines, CSV or JSON file, which may be gzipped.

    Raises:
        BadInputError: The file cannot be read, is none of these, or is broken.
    """
    text = _read_text(name)
    start = text.lstrip()
    if not start:
        raise BadInputError(f"{name}: the file is empty")
    if not start.startswith("{"):
        return [_from_csv(name, text)]
    first = start.split("\n", 1)[0]
    if '"timestamps"' in first or not _is_answer(text):
        return _from_lines(name, text)
    return _from_prometheus(name, text)


def _read_text(name: str) -> str:
    try:
        raw = Path(name).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{name}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise BadInputError(f"{name}: broken gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{name}: not a text file (byte {error.start} is not UTF-8)") from error


def _is_answer(text: str) -> bool:
    try:
        whole = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return isinstance(whole, dict) and "timestamps" not in whole


def _from_lines(name: str, text: str) -> list[NamedSeries]:
    decoder = msgspec.json.Decoder(_SeriesLine)
    cases = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            case = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise BadInputError(f"{where}: not a series: {error}") from error
        series = _make_series(where, case.timestamps, case.values, case.restarts, case.oom_kills, case.limit)
        cases.append(NamedSeries(case.id, series))
    return cases


def _from_prometheus(name: str, text: str) -> list[NamedSeries]:
    try:
        answer = msgspec.json.decode(text, type=_MatrixAnswer)
    except msgspec.DecodeError as error:
        raise BadInputError(f"{name}: neither series nor an answer to query_range: {error}") from error
    if answer.data.result_type != "matrix":
        raise BadInputError(
            f"{name}: a {answer.data.result_type} is no range; ask Prometheus with query_range"
        )
    found = []
    for number, stream in enumerate(answer.data.result, 1):
        where = f"{name}, series {number}"
        try:
            values = [float(value) for _, value in stream.values]
        except ValueError as error:
            raise BadInputError(f"{where}: {error}") from error
        times = [time for time, _ in stream.values]
        kept = [at for at, value in enumerate(values) if np.isfinite(value)]
        series = _make_series(where, [times[at] for at in kept], [values[at] for at in kept], [], [], None)
        found.append(NamedSeries(_series_name(stream.metric), series))
    return found


def _series_name(labels: dict[str, str]) -> str:
    known = [labels[name] for name in _NAME_LABELS if labels.get(name)]
    if known:
        return "/".join(known)
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items())) or "series"


def _from_csv(name: str, text: str) -> NamedSeries:
    lines = csv.reader(io.StringIO(text), strict=True)
    header: list[str] | None = None
    times: list[float] = []
    values: list[float] = []
    column = (0, 1)
    try:
        for row in lines:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{name}, line {lines.line_num}"
            if header is None:
                header = [cell.strip().lower() for cell in row]
                column = _csv_columns(where, header)
                continue
            if len(row) <= max(column):
                raise BadInputError(f"{where}: {len(row)} columns where {max(column) + 1} are needed")
            times.append(_parse_time(where, row[column[0]].strip()))
            values.append(_parse_number(where, row[column[1]].strip()))
    except csv.Error as error:
        raise BadInputError(f"{name}, line {lines.line_num}: {error}") from error
    plain = Path(name).name.removesuffix(".gz")
    return NamedSeries(plain.removesuffix(".csv"), _make_series(name, times, values, [], [], None))


def _csv_columns(where: str, header: list[str]) -> tuple[int, int]:
    time = next((header.index(word) for word in _TIME_COLUMNS if word in header), None)
    if time is None or "value" not in header:
        raise BadInputError(f"{where}: not JSON, and as CSV it lacks the columns time and value")
    return time, header.index("value")


def _parse_time(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{where}: {text!r} is neither unix seconds nor an ISO 8601 time") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _parse_number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInputError(f"{where}: {text!r} is not a number of bytes") from error


def _make_series(
    where: str,
    times: list[float],
    values: list[float],
    restarts: list[float],
    oom_kills: list[float],
    limit: float | None,
) -> Series:
    if len(times) != len(values):
        raise BadInputError(f"{where}: {len(times)} timestamps but {len(values)} values")
    time, value = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if not np.isfinite(time).all() or not np.isfinite(value).all():
        raise BadInputError(f"{where}: times and values have to be finite numbers")
    if (value < 0).any():
        raise BadInputError(f"{where}: memory cannot be negative ({value.min():.0f} bytes)")
    if (np.diff(time) < 0).any():
        raise BadInputError(f"{where}: the times do not ascend")
    if limit is not None and not limit > 0:
        raise BadInputError(f"{where}: a limit of {limit:g} bytes is none; leave it out or say null")
    return Series(time, value, _sorted_times(restarts), _sorted_times(oom_kills), limit)


def _sorted_times(times: list[float]) -> Floats:
    return np.sort(np.asarray(times, np.float64))


_BATCH_SIZE = 256


def run_classify(files: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Judges every series of ``files``, in order.

    Everything is read and judged before the first line is printed.

    Args:
        files: Paths, see `memtop.commands.classify.read_series_file`.
        out: Takes one JSON line per series.
        err: Takes the one sentence about input that cannot be used.

    Returns:
        The exit code: 0, or 2 if some input cannot be used.
    """
    named: list[NamedSeries] = []
    try:
        for name in files:
            named.extend(read_series_file(name))
    except BadInputError as error:
        print(error, file=err)
        return 2
    for one, judgement in zip(named, judge_named_series(named), strict=True):
        out.write(json.dumps(_result_line(one.id, judgement), ensure_ascii=False) + "\n")
    return 0


def judge_named_series(named: Sequence[NamedSeries]) -> list[Judgement]:
    """Judges series of different lengths in batches of about the same length, and returns them in order."""
    order = sorted(range(len(named)), key=lambda index: len(named[index].series.values))
    found: dict[int, Judgement] = {}
    for first in range(0, len(order), _BATCH_SIZE):
        together = order[first : first + _BATCH_SIZE]
        batch = Batch.of([named[index].series for index in together])
        found.update(zip(together, judge_batch(batch), strict=True))
    return [found[index] for index in range(len(named))]


def _result_line(name: str, judgement: Judgement) -> dict[str, object]:
    return {
        "id": name,
        "label": judgement.verdict.value,
        "verdict": judgement.certainty,
        "slope_bytes_per_hour": judgement.rate,
        "eta_seconds": judgement.seconds_to_limit,
        "confidence": round(judgement.confidence, 4),
        "evidence": judgement.evidence(),
    }
