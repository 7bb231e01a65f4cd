"""``memtop classify``: files of series in, one JSON line per series out.

Read are JSON lines, what Prometheus answers to ``query_range``, and the tables of
`memtop.commands.sample_tables`.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from config.private_files import read_file
from memtop.analysis.judgement import Judgement
from memtop.analysis.memory_series import Batch, Floats, Series
from memtop.analysis.verdict import judge_batch
from memtop.commands.sample_tables import (
    BadInputError,
    TableColumns,
    read_table,
    seconds_from,
    series_names,
)
from memtop.kube.lenient_decoding import JSON_ERRORS

STDIN = "-"
"""In place of a file's name: what comes in by a pipe."""
MAX_SAMPLES_BYTES = 256 * 1024 * 1024
"""Of one file, unpacked: 10,000 series of a day take some 100 MB as JSON."""
ANY_COLUMNS = TableColumns()
_NAME_LABELS = ("namespace", "pod", "container")


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


def read_series_file(name: str, columns: TableColumns = ANY_COLUMNS) -> list[NamedSeries]:
    """Reads all series of one file; the format is told from the content.

    Args:
        name: Path of a file of JSON lines, of JSON, or of a table (`memtop.commands.sample_tables`), which
            may be gzipped; ``-`` for what comes in by a pipe.
        columns: Which columns of a table to read, where somebody said so.

    Raises:
        BadInputError: The file cannot be read, is none of these, or is broken.
    """
    text = _read_text(name)
    start = text.lstrip()
    if not start:
        raise BadInputError(f"{name}: the file is empty")
    if not start.startswith("{"):
        return _from_table(name, text, columns)
    first = start.split("\n", 1)[0]
    if '"timestamps"' in first or not _is_answer(text):
        return _from_lines(name, text)
    return _from_prometheus(name, text)


def _read_text(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else read_file(Path(name), MAX_SAMPLES_BYTES)
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(raw)) as content:
                raw = content.read(MAX_SAMPLES_BYTES + 1)
            if len(raw) > MAX_SAMPLES_BYTES:
                raise BadInputError(f"{name}: it unpacks to more than {MAX_SAMPLES_BYTES >> 20} MiB")
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
    except JSON_ERRORS:
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
        except JSON_ERRORS as error:
            raise BadInputError(f"{where}: not a series: {error}") from error
        series = _make_series(where, case.timestamps, case.values, case.restarts, case.oom_kills, case.limit)
        cases.append(NamedSeries(case.id, series))
    return cases


def _from_prometheus(name: str, text: str) -> list[NamedSeries]:
    try:
        answer = msgspec.json.decode(text, type=_MatrixAnswer)
    except JSON_ERRORS as error:
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


def _from_table(name: str, text: str, columns: TableColumns) -> list[NamedSeries]:
    found = read_table(name, text, columns)
    for one in found:
        if len(one.times) > 1 and all(after < before for before, after in pairwise(one.times)):
            one.times.reverse()  # newest first, as some dashboards export them
            one.values.reverse()
    plain = "-" if name == STDIN else Path(name).name.removesuffix(".gz")
    stem = plain.removesuffix(".csv")
    return [
        NamedSeries(id_, _make_series(name, one.times, one.values, [], [], one.limit))
        for id_, one in zip(series_names(stem, found), found, strict=True)
    ]


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
    time, value = seconds_from(np.asarray(times, np.float64)), np.asarray(values, np.float64)
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
    return np.sort(seconds_from(np.asarray(times, np.float64)))


_BATCH_SIZE = 256


def run_classify(files: Sequence[str], out: TextIO, err: TextIO, columns: TableColumns = ANY_COLUMNS) -> int:
    """Judges every series of ``files``, in order.

    Everything is read and judged before the first line is printed.

    Args:
        files: Paths, see `memtop.commands.classify.read_series_file`.
        out: Takes one JSON line per series.
        err: Takes the one sentence about input that cannot be used.
        columns: Which columns of a table to read, where somebody said so.

    Returns:
        The exit code: 0, or 2 if some input cannot be used.
    """
    named: list[NamedSeries] = []
    try:
        for name in files:
            named.extend(read_series_file(name, columns))
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
