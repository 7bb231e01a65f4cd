"""The answers of Prometheus as arrays. Only the fields used are decoded; warnings are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from memtop.history.past_series import Floats
from memtop.kube.api_errors import Unreachable
from memtop.sanitize import sanitize

MAX_WARNINGS = 5


class _RawStream(msgspec.Struct, gc=False):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None


class _AnswerData(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _RawAnswer(msgspec.Struct, rename="camel"):
    status: str
    data: _AnswerData | None = None
    warnings: list[str] = []
    infos: list[str] = []
    is_partial: bool = False  # VictoriaMetrics' cluster, when a storage node did not answer


class _LabelValues(msgspec.Struct):
    data: list[str] = []


class _SeriesLabels(msgspec.Struct):
    data: list[dict[str, str]] = []


class _BuildInfo(msgspec.Struct, frozen=True):
    version: str = ""


class _BuildInfoAnswer(msgspec.Struct):
    data: _BuildInfo = _BuildInfo()


class _ErrorAnswer(msgspec.Struct, rename="camel"):
    error: str
    error_type: str = ""


@dataclass(frozen=True, eq=False)
class MetricStream:
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
class QueryAnswer:
    """The series that match a query.

    Attributes:
        streams: Those with at least one finite value.
        warnings: What the server wants known of the answer, such as that it is partial.
    """

    streams: tuple[MetricStream, ...] = ()
    warnings: tuple[str, ...] = ()


_ANSWER_DECODER = msgspec.json.Decoder(_RawAnswer)
_STREAMS_DECODER = msgspec.json.Decoder(list[_RawStream])
_SCALAR_DECODER = msgspec.json.Decoder(tuple[float, str])


def read_query_answer(body: bytes) -> QueryAnswer:
    """The answer to ``query`` or ``query_range``.

    Raises:
        Unreachable: It is no such answer, as when a login page came instead.
    """
    try:
        answer = _ANSWER_DECODER.decode(body)
        if answer.status != "success" or answer.data is None:
            raise Unreachable(error_words(body) or "Prometheus answered without success and without a reason")
        if answer.data.result_type == "scalar":
            found = [_RawStream(value=_SCALAR_DECODER.decode(answer.data.result))]
        elif answer.data.result_type in {"vector", "matrix"}:
            found = _STREAMS_DECODER.decode(answer.data.result)
        else:
            found = []
    except msgspec.MsgspecError as error:
        raise not_prometheus_error(body, error) from None
    streams = [_to_stream(one) for one in found]
    warnings = [sanitize(words) for words in (*answer.warnings, *answer.infos)[:MAX_WARNINGS]]
    if answer.is_partial:
        warnings.append("the answer is partial: a storage node did not answer")
    return QueryAnswer(tuple(one for one in streams if len(one.times)), tuple(warnings))


def read_label_values(body: bytes) -> tuple[str, ...]:
    """The answer to ``labels`` or ``label/NAME/values``.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_LabelValues).data)
    except msgspec.MsgspecError as error:
        raise not_prometheus_error(body, error) from None


def read_series_labels(body: bytes) -> tuple[dict[str, str], ...]:
    """The answer to ``series``: the labels of each.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_SeriesLabels).data)
    except msgspec.MsgspecError as error:
        raise not_prometheus_error(body, error) from None


def read_version(body: bytes) -> str:
    """The version in the answer to ``status/buildinfo``; empty where it says none."""
    try:
        return sanitize(msgspec.json.decode(body, type=_BuildInfoAnswer).data.version)
    except msgspec.MsgspecError:
        return ""


def error_words(body: bytes) -> str:
    """What an error answer says, or nothing if it is not one of Prometheus' own."""
    try:
        said = msgspec.json.decode(body, type=_ErrorAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return sanitize(f"{said.error_type}: {said.error}" if said.error_type else said.error)


def not_prometheus_error(body: bytes, error: Exception) -> Unreachable:
    """A sentence for an answer that is not of Prometheus' API."""
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return Unreachable("a web page came instead of Prometheus' answer (a login page?)")
    return Unreachable(f"what answered is not Prometheus' API: {sanitize(str(error))}")


def _to_stream(one: _RawStream) -> MetricStream:
    points = [one.value] if one.value is not None else one.values
    times = np.array([time for time, _ in points], np.float64)
    values = np.array([_parse_value(text) for _, text in points], np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        times, values = times[finite], values[finite]
    return MetricStream(one.metric, times, values)


def _parse_value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
