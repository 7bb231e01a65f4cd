"""Memory over time as an SVG element: curves, limits, OOM kills and changes on axes with round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree as Tree

import numpy as np

from memtop.report.incident import ReportCurve, ReportGraph
from memtop.sanitize import sanitize
from memtop.wording import bytes_

WIDTH, HEIGHT = 960.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 12.0, 14.0, 26.0
MOST_POINTS = 600
"""Points of a curve; more than one in one and a half pixels show nothing. Each keeps its bin's extremes."""
GAP_SHARE = 0.02
"""A hole between two samples of more than this share of the time breaks the line."""
_TICKS = 5
_STEPS_OF_TIME = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


def memory_svg(graph: ReportGraph) -> Tree.Element:
    """The element; everything that is drawn lies inside its view box.

    Args:
        graph: At least one curve with at least two samples.
    """
    begin = min(float(one.times[0]) for one in graph.curves)
    end = max(float(one.times[-1]) for one in graph.curves)
    span = max(end - begin, 1.0)
    highest = max(float(np.nanmax(one.values)) for one in graph.curves)
    top = 1.05 * max([highest, 1.0, *(limit for _, limit in graph.limits if limit < 4 * highest)])

    def across(moment: float) -> float:
        return _LEFT + (moment - begin) / span * (WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)

    svg = Tree.Element(
        "svg",
        {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "aria-label": sanitize(graph.title)},
    )
    for value in _byte_ticks(top):
        _line(svg, "axis", _LEFT, up(value), WIDTH - _RIGHT, up(value))
        _text(svg, _LEFT - 6, up(value) + 4, bytes_(value), "end")
    for moment, words in _time_ticks(begin, span):
        _line(svg, "axis", across(moment), HEIGHT - _BOTTOM, across(moment), HEIGHT - _BOTTOM + 4)
        _text(svg, across(moment), HEIGHT - 8, words, "middle")
    for one in graph.curves:
        for points in _pieces(one, span):
            drawn = " ".join(f"{across(at):.1f},{up(value):.1f}" for at, value in points)
            Tree.SubElement(svg, "polyline", {"class": f"curve {_side(one)}", "points": drawn})
    for name, limit in graph.limits:
        if limit <= top:
            _line(svg, "limit", _LEFT, up(limit), WIDTH - _RIGHT, up(limit))
            _text(svg, WIDTH - _RIGHT, up(limit) - 4, f"{name} {bytes_(limit)}", "end")
    for moment_ in graph.moments:
        if begin <= moment_.at <= end:
            style = "kill" if moment_.kind in {"OOM kill", "end"} else "change"
            mark = _line(svg, style, across(moment_.at), _TOP, across(moment_.at), HEIGHT - _BOTTOM)
            Tree.SubElement(mark, "title").text = sanitize(
                f"{moment_.time}: {moment_.kind} – {moment_.words}"
            )
    return svg


def _side(curve: ReportCurve) -> str:
    return "after" if curve.after else "before"


def _pieces(curve: ReportCurve, span: float) -> Iterator[list[tuple[float, float]]]:
    """A curve without holes and with few points: of each bin its lowest and highest, in their order."""
    known = np.isfinite(curve.values)
    times, values = curve.times[known], curve.values[known]
    if len(times) > MOST_POINTS:
        bins = np.array_split(np.arange(len(times)), MOST_POINTS // 2)
        ends = [sorted({int(one[np.argmin(values[one])]), int(one[np.argmax(values[one])])}) for one in bins]
        kept = np.array([place for pair in ends for place in pair])
        times, values = times[kept], values[kept]
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    breaks = np.nonzero(np.diff(times) > max(GAP_SHARE * span, 5 * usual))[0] + 1
    for at, value in zip(np.split(times, breaks), np.split(values, breaks), strict=True):
        if len(at):
            yield list(zip(at.tolist(), value.tolist(), strict=True))


def _byte_ticks(top: float) -> Iterator[float]:
    """Round numbers of bytes from 0 to the top."""
    rough = top / _TICKS
    unit = 1024.0 ** math.floor(math.log(max(rough, 1.0), 1024))
    scale = 10.0 ** math.floor(math.log10(max(rough / unit, 1e-9)))
    step = next((one for one in (1, 2, 5) if one * scale * unit >= rough), 10) * scale * unit
    for number in range(int(top / step) + 1):
        yield number * step


def _time_ticks(begin: float, span: float) -> Iterator[tuple[float, str]]:
    """Round moments in UTC, with a date where the span is longer than a day."""
    step = next((one for one in _STEPS_OF_TIME if span / one <= 8), _STEPS_OF_TIME[-1])
    first = math.ceil(begin / step) * step
    form = "%H:%M" if span < 86_400 else "%m-%d %H:%M"
    for number in range(int((begin + span - first) / step) + 1):
        moment = first + number * step
        yield moment, f"{datetime.fromtimestamp(moment, UTC):{form}}"


def _line(parent: Tree.Element, style: str, x1: float, y1: float, x2: float, y2: float) -> Tree.Element:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return Tree.SubElement(parent, "line", {"class": style, **ends})


def _text(parent: Tree.Element, x: float, y: float, words: str, anchor: str) -> None:
    made = Tree.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor})
    made.text = sanitize(words)
