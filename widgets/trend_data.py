"""The data of a plot of memory over time: the series, fewer points, and round figures for its axes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from memtop import wording

_TIME_STEP_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)  # minutes
_GAP_FACTOR = 2.5
"""Samples further apart than so many times the usual distance are not joined: two were missed in a row."""
_GAP_NEIGHBOURS = 5
"""Distances before and after one, by whose medians it is told from a gap: the older part of a past is sampled
less often than the newer one."""


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """One series with everything that is drawn around it.

    Attributes:
        title: Whose memory it is.
        times: When each sample was taken: epoch seconds, rising.
        values: The samples, in ``unit``; NaN where there is none.
        limit: The limit, in ``unit``; ``None`` without one.
        request: The request, in ``unit``; ``None`` without one.
        floor: The fitted floor: times and values of the line's points, NaN where it is interrupted; ``None``
            where nothing was fitted.
        restarts: When the container restarted, epoch seconds, OOM kills not among them.
        oom_kills: When it was OOM-killed, epoch seconds.
        breaks: Moments across which samples are not joined by a line: when it died or began again.
        unit: What the values are: ``"bytes"``, or the words to put behind a plain number.
        caption: The evidence in one sentence.
        note: What stretch of time it is, and what is missing of it, in a few words.
    """

    title: str
    times: Sequence[float]
    values: Sequence[float]
    limit: float | None = None
    request: float | None = None
    floor: tuple[Sequence[float], Sequence[float]] | None = None
    restarts: Sequence[float] = ()
    oom_kills: Sequence[float] = ()
    breaks: Sequence[float] = ()
    unit: str = "bytes"
    caption: str = ""
    note: str = ""

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last time of its samples; ``None`` where there are none."""
        return (float(self.times[0]), float(self.times[-1])) if len(self.times) else None

    def same(self, other: Trend | None) -> bool:
        """Tells whether the other one makes the same picture; sequences may be lists or arrays."""
        return other is not None and all(
            _equal_values(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )


def _equal_values(one: object, other: object) -> bool:
    if one is other:
        return True
    if one is None or other is None or isinstance(one, str | float | int):
        return bool(one == other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal_values, one, other))
    return np.array_equal(np.asarray(one, dtype=float), np.asarray(other, dtype=float), equal_nan=True)


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def binned_stretches(
    times: Sequence[float], values: Sequence[float], bins: int, parted: Sequence[float] = ()
) -> list[Points]:
    """Takes a series apart at its gaps and down to at most two points per bin: its lowest and highest.

    Peaks and drops survive, whatever the number of samples. A gap is a NaN, or a pause in the samples of
    several times the distance that is usual around it.

    Args:
        times: Epoch seconds, rising.
        values: As many samples.
        bins: How many bins of equal time to share the whole span among.
        parted: Moments across which nothing is joined, epoch seconds.

    Returns:
        The times and values of each stretch to be joined by a line; never more than ``2 * bins`` points in
        all, or as many as there are samples.
    """
    t, v = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if not len(t):
        return []
    known = np.flatnonzero(np.isfinite(v))
    if not len(known):
        return []
    missing = np.diff(known) > 1
    t, v = t[known], v[known]
    apart = missing | (np.diff(t) > _GAP_FACTOR * _usual_distances(t)) | _has_moment_between(t, parted)
    stretch = np.concatenate(([0], np.cumsum(apart)))
    if len(t) > 2 * bins:
        width = (t[-1] - t[0]) / bins or 1.0
        bin_ = np.minimum(((t - t[0]) / width).astype(int), bins - 1)
        kept = np.zeros(len(t), dtype=bool)
        edges = np.flatnonzero(np.concatenate(([True], np.diff(bin_) > 0)))
        for start, end in zip(edges, [*edges[1:], len(t)], strict=True):
            kept[start + int(np.argmin(v[start:end]))] = True
            kept[start + int(np.argmax(v[start:end]))] = True
        t, v, stretch = t[kept], v[kept], stretch[kept]
    cuts = np.flatnonzero(np.diff(stretch)) + 1
    return list(zip(np.split(t, cuts), np.split(v, cuts), strict=True))


def _usual_distances(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is usual at each distance of two samples: the larger median of those before it and after it."""
    distances = np.diff(times)
    if len(distances) < 2:
        return distances
    nothing = np.full(_GAP_NEIGHBOURS, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([nothing, distances, nothing]), _GAP_NEIGHBOURS
    )
    with warnings.catch_warnings():  # the first has nothing before it, the last nothing after it
        warnings.simplefilter("ignore", RuntimeWarning)
        medians = np.nanmedian(windows, axis=1)
    return np.asarray(np.fmax(medians[: len(distances)], medians[_GAP_NEIGHBOURS + 1 :]))


def _has_moment_between(times: NDArray[np.float64], moments: Sequence[float]) -> NDArray[np.bool_]:
    """Whether one of some moments lies between two samples, or on the later of them, for each pair."""
    found = np.zeros(max(len(times) - 1, 0), np.bool_)
    place = np.searchsorted(times, np.asarray(moments, dtype=float), "left")
    found[place[(place > 0) & (place < len(times))] - 1] = True
    return found


def unbroken_segments(
    times: Sequence[float], values: Sequence[float]
) -> list[tuple[list[float], list[float]]]:
    """Takes a line apart where a value is NaN, and only there."""
    known = np.isfinite(np.asarray(values, dtype=float))
    parts = np.split(np.arange(len(known)), np.flatnonzero(~known))
    return [
        ([float(times[i]) for i in part], [float(values[i]) for i in part])
        for part in (part[known[part]] for part in parts)
        if len(part)
    ]


def value_ticks(top: float, most: int, unit: str) -> list[tuple[float, str]]:
    """Returns round values from 0 to ``top`` with their labels, at most ``most`` of them.

    Bytes go in steps of a power of two (0, 512 MiB, 1 GiB, …), other units in steps of 1, 2 or 5.
    """
    if top <= 0 or most < 2:
        return [(0.0, _tick_label(0.0, 0.0, unit))]
    least = top / (most - 1)
    if unit == "bytes":
        step = 2.0 ** math.ceil(math.log2(least))
    else:
        size = 10.0 ** math.floor(math.log10(least))
        step = next(size * s for s in (1, 2, 5, 10) if size * s >= least * (1 - 1e-9))
    return [(i * step, _tick_label(i * step, step, unit)) for i in range(int(top / step * (1 + 1e-9)) + 1)]


def _tick_label(value: float, step: float, unit: str) -> str:
    if unit == "bytes":
        return wording.bytes_(value) if value else "0"
    digits = max(0, -math.floor(math.log10(step))) if step else 0
    return f"{value:.{digits}f}{' ' if unit else ''}{unit}"


def time_ticks(start: float, end: float, most: int, zone: tzinfo | None) -> list[tuple[float, str]]:
    """Returns round times of day between two epoch times, with their labels, at most ``most`` of them.

    Args:
        start: Epoch seconds.
        end: Epoch seconds.
        most: How many ticks there is room for.
        zone: The time zone to be round in; ``None`` for the local one.
    """
    if end <= start or most < 1:
        return []
    least = (end - start) / 60 / most
    step = next((s for s in _TIME_STEP_MINUTES if s >= least), _TIME_STEP_MINUTES[-1])
    first = datetime.fromtimestamp(start, zone or None).astimezone(zone)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = math.ceil((start - midnight.timestamp()) / 60 / step) * step
    ticks: list[tuple[float, str]] = []
    while (at := (midnight + timedelta(minutes=minutes)).timestamp()) <= end and len(ticks) < most:
        when = datetime.fromtimestamp(at, zone or None).astimezone(zone)
        day = f"{when:%b} {when.day}"
        ticks.append((at, day if (when.hour, when.minute) == (0, 0) else f"{when:%H:%M}"))
        minutes += step
    return ticks
