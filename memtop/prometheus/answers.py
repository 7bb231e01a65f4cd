"""What Prometheus answers, as arrays. Only the fields used are decoded; warnings are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from memtop.cluster.errors import Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.past import Floats

MOST_WARNINGS = 5


class _Stream(msgspec.Struct, gc=False):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    warnings: list[str] = []
    infos: list[str] = []
    is_partial: bool = False  # VictoriaMetrics' cluster, when a storage node did not answer


class _Names(msgspec.Struct):
    data: list[str] = []


class _SeriesList(msgspec.Struct):
    data: list[dict[str, str]] = []


class _Build(msgspec.Struct, frozen=True):
    version: str = ""


class _BuildAnswer(msgspec.Struct):
    data: _Build = _Build()


class _Problem(msgspec.Struct, rename="camel"):
    error: str
    error_type: str = ""


@dataclass(frozen=True, eq=False)
class Stream:
    """One series of an answer.

    Attributes:
        labels: Its labels, as they came.
        times: Unix seconds, shape (n,), ascending.
        values: Shape (n,), all finite: what is not a number is left out.
    """

    labels: dict[str, str]
    times: Floats
    values: Floats

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])


@dataclass(frozen=True)
class Answer:
    """The series that match a query.

    Attributes:
        streams: Those with at least one finite value.
        warnings: What the server wants known of the answer, such as that it is partial.
    """

    streams: tuple[Stream, ...] = ()
    warnings: tuple[str, ...] = ()


_ANSWER = msgspec.json.Decoder(_Answer)
_STREAMS = msgspec.json.Decoder(list[_Stream])
_SCALAR = msgspec.json.Decoder(tuple[float, str])


def read(body: bytes) -> Answer:
    """The answer to ``query`` or ``query_range``.

    Raises:
        Unreachable: It is no such answer, as when a login page came instead.
    """
    try:
        answer = _ANSWER.decode(body)
        if answer.status != "success" or answer.data is None:
            raise Unreachable(problem(body) or "Prometheus answered without success and without a reason")
        if answer.data.result_type == "scalar":
            found = [_Stream(value=_SCALAR.decode(answer.data.result))]
        elif answer.data.result_type in {"vector", "matrix"}:
            found = _STREAMS.decode(answer.data.result)
        else:
            found = []
    except msgspec.MsgspecError as error:
        raise not_prometheus(body, error) from None
    streams = [_stream(one) for one in found]
    warnings = [sanitize(words) for words in (*answer.warnings, *answer.infos)[:MOST_WARNINGS]]
    if answer.is_partial:
        warnings.append("the answer is partial: a storage node did not answer")
    return Answer(tuple(one for one in streams if len(one.times)), tuple(warnings))


def read_names(body: bytes) -> tuple[str, ...]:
    """The answer to ``labels`` or ``label/NAME/values``.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_Names).data)
    except msgspec.MsgspecError as error:
        raise not_prometheus(body, error) from None


def read_series(body: bytes) -> tuple[dict[str, str], ...]:
    """The answer to ``series``: the labels of each.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_SeriesList).data)
    except msgspec.MsgspecError as error:
        raise not_prometheus(body, error) from None


def read_version(body: bytes) -> str:
    """The version in the answer to ``status/buildinfo``; empty where it says none."""
    try:
        return sanitize(msgspec.json.decode(body, type=_BuildAnswer).data.version)
    except msgspec.MsgspecError:
        return ""


def problem(body: bytes) -> str:
    """What an error answer says, or nothing if it is not one of Prometheus' own."""
    try:
        said = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return sanitize(f"{said.error_type}: {said.error}" if said.error_type else said.error)


def not_prometheus(body: bytes, error: Exception) -> Unreachable:
    """A sentence for an answer that is not of Prometheus' API."""
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return Unreachable("a web page came instead of Prometheus' answer (a login page?)")
    return Unreachable(f"what answered is not Prometheus' API: {sanitize(str(error))}")


def _stream(one: _Stream) -> Stream:
    points = [one.value] if one.value is not None else one.values
    times = np.array([time for time, _ in points], np.float64)
    values = np.array([_number(text) for _, text in points], np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        times, values = times[finite], values[finite]
    return Stream(one.metric, times, values)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
