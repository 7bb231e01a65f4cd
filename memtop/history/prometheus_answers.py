"""The answers of Prometheus as arrays. Only the fields used are decoded; warnings are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from memtop.history.past_series import Floats
from memtop.kube.api_errors import Unreachable, Unreadable
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.sanitize import sanitize

MAX_WARNINGS = 5


_Point = tuple[float, str | float | None]
"""Unix seconds and a number, which is a text by the API's rules; some proxies write it as a number."""


class _RawStream(msgspec.Struct, gc=False):
    metric: dict[str, str] | None = None
    values: list[_Point] | None = None
    value: _Point | None = None


class _AnswerData(msgspec.Struct, rename="camel"):
    result_type: str = "vector"
    result: msgspec.Raw = msgspec.Raw(b"null")


class _RawAnswer(msgspec.Struct, rename="camel"):
    status: str
    data: _AnswerData | None = None
    warnings: list[str] | None = None
    infos: list[str] | None = None
    is_partial: bool | None = None  # VictoriaMetrics' cluster, when a storage node did not answer


class _LabelValues(msgspec.Struct):
    data: list[str] | None = None


class _SeriesLabels(msgspec.Struct):
    data: list[dict[str, str]] | None = None


class _BuildInfo(msgspec.Struct, frozen=True):
    version: str | None = None


class _BuildInfoAnswer(msgspec.Struct):
    data: _BuildInfo | None = None


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
_STREAMS_DECODER = msgspec.json.Decoder(list[_RawStream] | None)
_STREAM_DECODER = msgspec.json.Decoder(_RawStream)
_PARTS_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_SCALAR_DECODER = msgspec.json.Decoder(_Point | None)


def read_query_answer(body: bytes) -> QueryAnswer:
    """The answer to ``query`` or ``query_range``; null is empty, and a series of another form costs itself.

    Raises:
        Unreachable: It is no such answer, as when a login page came instead.
    """
    unread = ""
    found: list[_RawStream] = []
    try:
        answer = _ANSWER_DECODER.decode(body)
        if answer.status != "success":
            raise Unreachable(error_words(body) or "Prometheus answered without success and without a reason")
        data = answer.data or _AnswerData()
        if data.result_type == "scalar":
            found = [_RawStream(value=_SCALAR_DECODER.decode(data.result))]
        elif data.result_type in {"vector", "matrix"}:
            found, unread = _read_streams(data.result)
    except JSON_ERRORS as error:
        raise not_prometheus_error(body, error) from None
    streams = [_to_stream(one) for one in found]
    said = (*(answer.warnings or ()), *(answer.infos or ()))
    warnings = [sanitize(words) for words in said[:MAX_WARNINGS]]
    if unread:
        warnings.append(unread)
    if answer.is_partial:
        warnings.append("the answer is partial: a storage node did not answer")
    return QueryAnswer(tuple(one for one in streams if len(one.times)), tuple(warnings))


def _read_streams(result: msgspec.Raw) -> tuple[list[_RawStream], str]:
    """The series of an answer, and what is to be said of those that cannot be read.

    Raises:
        Unreadable: They are no series.
    """
    try:
        return _STREAMS_DECODER.decode(result) or [], ""
    except JSON_ERRORS as error:
        whole = str(error)
    try:
        parts = _PARTS_DECODER.decode(result)
    except JSON_ERRORS:
        raise Unreadable(f"an answer of Prometheus cannot be read: {sanitize(whole)}") from None
    found: list[_RawStream] = []
    problem, unread = "", 0
    for part in parts:
        try:
            found.append(_STREAM_DECODER.decode(part))
        except JSON_ERRORS as error:
            problem, unread = str(error), unread + 1
    return found, f"{unread} series of an answer cannot be read: {sanitize(problem)}"


def read_label_values(body: bytes) -> tuple[str, ...]:
    """The answer to ``labels`` or ``label/NAME/values``.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_LabelValues).data or ())
    except JSON_ERRORS as error:
        raise not_prometheus_error(body, error) from None


def read_series_labels(body: bytes) -> tuple[dict[str, str], ...]:
    """The answer to ``series``: the labels of each.

    Raises:
        Unreachable: It is no such answer.
    """
    try:
        return tuple(msgspec.json.decode(body, type=_SeriesLabels).data or ())
    except JSON_ERRORS as error:
        raise not_prometheus_error(body, error) from None


def read_version(body: bytes) -> str:
    """The version in the answer to ``status/buildinfo``; empty where it says none."""
    try:
        return sanitize((msgspec.json.decode(body, type=_BuildInfoAnswer).data or _BuildInfo()).version or "")
    except JSON_ERRORS:
        return ""


def error_words(body: bytes) -> str:
    """What an error answer says, or nothing if it is not one of Prometheus' own."""
    try:
        said = msgspec.json.decode(body, type=_ErrorAnswer)
    except JSON_ERRORS:
        return ""
    return sanitize(f"{said.error_type}: {said.error}" if said.error_type else said.error)


def not_prometheus_error(body: bytes, error: Exception) -> Unreachable:
    """A sentence for an answer that is not of Prometheus' API."""
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return Unreachable("a web page came instead of Prometheus' answer (a login page?)")
    return Unreachable(f"what answered is not Prometheus' API: {sanitize(str(error))}")


MAX_VALUE = 2.0**63
LATEST_TIME = 9_223_372_036.0
"""Unix seconds: as far as 64 bits of nanoseconds reach, in the year 2262."""
MAX_SPAN = 400 * 86_400.0
"""Seconds by which a sample may be away from the middle one of its series. Nothing asks for more than some
weeks, and a grid that is laid over a series would reach over centuries for a single time that is wrong."""


def _to_stream(one: _RawStream) -> MetricStream:
    points = [one.value] if one.value is not None else one.values or []
    times = np.array([time for time, _ in points], np.float64)
    values = np.array([_parse_value(text) for _, text in points], np.float64)
    # Values and times that no machine has would overflow in what is computed of them.
    finite = (np.abs(values) <= MAX_VALUE) & (times >= 0) & (times <= LATEST_TIME)
    if not finite.all():
        times, values = times[finite], values[finite]
    if len(times) and (np.diff(times) < 0).any():  # 7 GiB went into what follows from times out of order
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    if len(times) and times[-1] - times[0] > MAX_SPAN:
        near = np.abs(times - times[len(times) // 2]) <= MAX_SPAN
        times, values = times[near], values[near]
    return MetricStream(one.metric or {}, times, values)


def _parse_value(given: str | float | None) -> float:
    try:
        return math.nan if given is None else float(given)
    except ValueError:
        return math.nan
