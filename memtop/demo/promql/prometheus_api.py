"""The Prometheus HTTP API over the simulated past, also behind the API server's service proxy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from aiohttp import web
from multidict import MultiMapping

from memtop.demo.api.router import ResourceRequest
from memtop.demo.api.status_errors import ApiStatusError, not_found
from memtop.demo.api_resources import SERVICES
from memtop.demo.memory_curves import FloatArray
from memtop.demo.promql.evaluation import EvaluationError, Evaluator
from memtop.demo.promql.query_parser import Expression, ParseError, Selector, Text, duration_seconds, parse
from memtop.demo.promql.range_functions import Sampler
from memtop.demo.promql.scraped_series import METRICS, ScrapedSeries
from memtop.demo.promql.vectors import Labels, MatchError, Vector
from memtop.demo.simulated_cluster import PAST, Cluster
from memtop.demo.simulated_time import parse_rfc3339

MOST_POINTS = 11_000
_LABEL_VALUES = re.compile(r"/api/v1/label/([a-zA-Z_][a-zA-Z0-9_]*)/values")

BUILD = {
    "version": "2.53.1",
    "revision": "memtop-demo",
    "branch": "HEAD",
    "buildUser": "memtop",
    "buildDate": "20240710-10:14:55",
    "goVersion": "go1.22.5",
}


class PrometheusError(Exception):
    """An error the API answers with its own JSON: a type (`bad_data`, `execution`) and a sentence."""

    def __init__(self, message: str, kind: str = "bad_data", status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class Prometheus:
    """Answers requests to the Prometheus API."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._scraped = ScrapedSeries(cluster)

    async def answer(self, request: web.Request, path: str) -> web.Response:
        """Answer a request for a path such as `/api/v1/query`."""
        parameters: dict[str, list[str]] = _lists(request.query)
        if request.method == "POST":
            for name, values in _lists(await request.post()).items():
                parameters.setdefault(name, []).extend(values)
        try:
            data = self._data(path, parameters)
        except PrometheusError as error:
            return _json_answer(
                {"status": "error", "errorType": error.kind, "error": str(error)}, error.status
            )
        if data is None:
            return web.Response(text="404 page not found\n", status=404)
        return _json_answer({"status": "success", "data": data})

    def _data(self, path: str, parameters: Mapping[str, list[str]]) -> Any:  # noqa: ANN401  any JSON
        first = {name: values[0] for name, values in parameters.items()}
        match path:
            case "/api/v1/query":
                return self._query(first)
            case "/api/v1/query_range":
                return self._query_range(first)
            case "/api/v1/series":
                return self._series(parameters)
            case "/api/v1/labels":
                return sorted({name for labels in self._matching(parameters) for name in labels})
            case "/api/v1/status/buildinfo":
                return BUILD
        if match := _LABEL_VALUES.fullmatch(path):
            name = match[1]
            if name == "__name__" and not parameters.get("match[]"):
                return sorted(METRICS)
            return sorted({labels[name] for labels in self._matching(parameters) if name in labels})
        return None

    def _query(self, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401  any JSON
        now = self._cluster.clock.now()
        at = _time_parameter(parameters, "time", now)
        expression = _parsed(parameters.get("query", ""))
        if isinstance(expression, Text):
            return {"resultType": "string", "result": [_stamp(at), expression.value]}
        times = np.array([at])
        if isinstance(expression, Selector) and expression.window is not None:
            result = self._matrix(expression, at, now)
            return {"resultType": "matrix", "result": result}
        value = self._evaluated(expression, times, now)
        if not isinstance(value, Vector):
            return {"resultType": "scalar", "result": [_stamp(at), number_text(float(value[0]))]}
        stamp, texts = _stamp(at), _texts(value.values[:, 0])
        result = [
            {"metric": value.metric(index), "value": [stamp, texts[index]]}
            for index in np.flatnonzero(value.present[:, 0]).tolist()
        ]
        return {"resultType": "vector", "result": result}

    def _matrix(self, selector: Selector, at: float, now: float) -> list[dict[str, Any]]:
        assert selector.window is not None
        found: list[dict[str, Any]] = []
        for metric, rows in self._scraped.select(selector.matchers):
            sampler = Sampler(metric, rows, self._scraped.oldest, now)
            for part, windows in sampler.windows(np.array([at - selector.offset]), selector.window):
                for place, row in enumerate(rows[part]):
                    low, high = int(windows.low[place, 0]), int(windows.high[place, 0])
                    times = windows.times[low:high].tolist()
                    values = _texts(windows.values[place, low:high])
                    pairs = [[time, value] for time, value in zip(times, values, strict=True)]
                    if pairs:
                        found.append({"metric": {"__name__": metric.name, **row.labels}, "values": pairs})
        return found

    def _query_range(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        start, end = _time_parameter(parameters, "start"), _time_parameter(parameters, "end")
        step = _step_parameter(parameters.get("step", ""))
        if end < start:
            raise PrometheusError('invalid parameter "end": end timestamp must not be before start time')
        if step <= 0:
            message = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            raise PrometheusError(f'invalid parameter "step": {message}')
        if (end - start) / step > MOST_POINTS:
            raise PrometheusError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        times = start + step * np.arange(math.floor((end - start) / step + 1e-9) + 1, dtype=np.float64)
        value = self._evaluated(_parsed(parameters.get("query", "")), times, self._cluster.clock.now())
        stamps = [_stamp(time) for time in times.tolist()]
        if not isinstance(value, Vector):
            pairs = [[stamp, number_text(v)] for stamp, v in zip(stamps, value.tolist(), strict=True)]
            return {"resultType": "matrix", "result": [{"metric": {}, "values": pairs}]}
        return {"resultType": "matrix", "result": _series_rows(value, stamps)}

    def _evaluated(self, expression: Expression, times: FloatArray, now: float) -> Vector | FloatArray:
        try:
            return Evaluator(self._scraped, times, now).value(expression)
        except EvaluationError as error:
            raise PrometheusError(f'invalid parameter "query": {error}') from None
        except MatchError as error:
            raise PrometheusError(str(error), "execution", 422) from None

    def _series(self, parameters: Mapping[str, list[str]]) -> list[Labels]:
        if not parameters.get("match[]"):
            raise PrometheusError("no match[] parameter provided")
        return self._matching(parameters)

    def _matching(self, parameters: Mapping[str, list[str]]) -> list[Labels]:
        now = self._cluster.clock.now()
        first = {name: values[0] for name, values in parameters.items()}
        start, end = _time_parameter(first, "start", now - PAST), _time_parameter(first, "end", now)
        found: list[Labels] = []
        for text in parameters.get("match[]") or ['{__name__=~".+"}']:
            selector = _parsed(text)
            if not isinstance(selector, Selector):
                raise PrometheusError(f'invalid parameter "match[]": 1:1: parse error: {text}')
            for metric, rows in self._scraped.select(selector.matchers):
                found += [
                    {"__name__": metric.name, **row.labels}
                    for row in rows
                    if row.begins <= end and row.ends >= start
                ]
        return found


def number_text(value: float) -> str:
    """Format a sample's value as Prometheus does: without an exponent, `NaN`, `+Inf`, `-Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value):
        return str(int(value))
    return np.format_float_positional(value, trim="-")


def _texts(values: FloatArray) -> list[str]:
    """Format many values; most are whole numbers."""
    if (np.abs(values) < 2**53).all() and (values == np.floor(values)).all():
        return [str(value) for value in values.astype(np.int64).tolist()]
    return [number_text(value) for value in values.tolist()]


def _series_rows(vector: Vector, stamps: list[float | int]) -> list[dict[str, Any]]:
    rows = []
    for index in range(len(vector)):
        only_present = np.flatnonzero(vector.present[index])
        texts = _texts(vector.values[index, only_present])
        values = [[stamps[place], text] for place, text in zip(only_present.tolist(), texts, strict=True)]
        if values:
            rows.append({"metric": vector.metric(index), "values": values})
    return rows


def _lists(parameters: MultiMapping[Any]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in parameters.items():
        lists.setdefault(name, []).append(str(value))
    return lists


def _stamp(at: float) -> float | int:
    return int(at) if at == int(at) else round(at, 3)


def _parsed(query: str) -> Expression:
    try:
        return parse(query)
    except ParseError as error:
        raise PrometheusError(f'invalid parameter "query": {error}') from None


def _time_parameter(parameters: Mapping[str, str], name: str, default: float | None = None) -> float:
    text = parameters.get(name)
    if not text:
        if default is not None:
            return default
        raise PrometheusError(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
    return _number_parameter(name, text, parse_rfc3339, "timestamp")


def _step_parameter(text: str) -> float:
    return _number_parameter("step", text, duration_seconds, "duration")


def _number_parameter(name: str, text: str, parse: Callable[[str], float], kind: str) -> float:
    """A number of seconds, plain or in the words that ``parse`` reads."""
    for read in (float, parse):
        try:
            return read(text)
        except ValueError:
            continue
    raise PrometheusError(f'invalid parameter "{name}": cannot parse "{text}" to a valid {kind}')


def _json_answer(document: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


PROMETHEUS = ("observability", "prometheus-service")


class ProxyHandler:
    """Proxies requests to Prometheus, the only service that answers."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus) -> None:
        self._cluster = cluster
        self._prometheus = prometheus

    async def __call__(self, resource_request: ResourceRequest) -> web.StreamResponse:
        """Answer a proxied request.

        Raises:
            ApiStatusError: 404 without such a service, 503 without such a port or endpoint.
        """
        target = resource_request.target
        parts = target.name.split(":")
        scheme, name, port = ("", *parts, "")[:3] if len(parts) < 3 else parts[:3]
        entry = self._cluster.store.get(SERVICES, target.namespace or "", name)
        if entry is None:
            raise not_found(SERVICES, name)
        ports = entry.object["spec"]["ports"]
        if port and not any(port in (str(known["port"]), known["name"]) for known in ports):
            raise ApiStatusError(503, f'no service port {port} found for service "{name}"')
        if (target.namespace, name) != PROMETHEUS or scheme == "https":
            raise ApiStatusError(503, f'no endpoints available for service "{target.name}"')
        return await self._prometheus.answer(resource_request.request, f"/{target.rest}")
