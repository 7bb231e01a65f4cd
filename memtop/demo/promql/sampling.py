"""Takes samples of many series at once, in blocks that fit into the processor's caches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memtop.demo.curves import FloatArray, levels
from memtop.demo.promql.rows import SCRAPE, Row
from memtop.demo.promql.series import Metric
from memtop.demo.promql.values import BoolArray, IntArray
from memtop.demo.promql.windows import Windows

LOOKBACK = 300.0  # seconds a sample stands for its series when nothing says that it is stale
BLOCK = 1 << 18  # samples that are looked at together


@dataclass(frozen=True, slots=True)
class Sampler:
    """Samples some series of one metric.

    Attributes:
        metric: which.
        rows: the series.
        oldest: nothing is remembered from before this, seconds since 1970.
        now: nothing has been scraped after this.
    """

    metric: Metric
    rows: Sequence[Row]
    oldest: float
    now: float

    def at(self, times: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return the values an instant selector sees at each time, and where it sees one; shape (N, T)."""
        values = np.zeros((len(self.rows), len(times)))
        present = np.zeros(values.shape, dtype=np.bool_)
        grid = np.floor(times / SCRAPE)
        for part in self._blocks(len(times)):
            block = self.rows[part]
            first, last = self._scrapes(block)
            scrape = np.minimum(grid, last[:, None])
            over = np.array([row.ends <= self.now for row in block])
            reach = np.where(over if self.metric.stale else False, SCRAPE, LOOKBACK)
            reach = np.broadcast_to(reach, over.shape)[:, None]
            present[part] = (scrape >= first[:, None]) & (times - scrape * SCRAPE < reach)
            values[part] = self._values(block, scrape * SCRAPE, present[part])
        return values, present

    def windows(self, ends: FloatArray, width: float) -> Iterator[tuple[slice, Windows]]:
        """Yield the samples in the windows `(end - width, end]`, block by block."""
        begin, end = np.floor((ends - width) / SCRAPE) + 1, np.floor(ends / SCRAPE)
        base = max(float(begin.min()), math.ceil(self.oldest / SCRAPE))
        top = min(float(end.max()), math.floor(self.now / SCRAPE))
        scrapes = np.arange(base, max(top, base) + 1)
        times = scrapes * SCRAPE
        for part in self._blocks(max(len(scrapes), len(ends))):
            block = self.rows[part]
            first, last = self._scrapes(block)
            low = np.maximum(begin, first[:, None])
            high = np.maximum(np.minimum(end, last[:, None]) + 1, low)
            held = high > low
            low_index = np.where(held, low - base, 0).astype(np.int64)
            high_index = np.where(held, high - base, 0).astype(np.int64)
            there = (scrapes >= first[:, None]) & (scrapes <= last[:, None])
            values = self._values(block, np.broadcast_to(times, there.shape), there)
            yield part, Windows(times, values, low_index, high_index, ends, width)

    def _blocks(self, width: int) -> Iterator[slice]:
        height = max(1, BLOCK // max(1, width))
        for begin in range(0, len(self.rows), height):
            yield slice(begin, begin + height)

    def _scrapes(self, block: Sequence[Row]) -> tuple[FloatArray, FloatArray]:
        """Return the numbers of the first and the last scrape of each series so far."""
        begins = np.maximum([row.begins for row in block], self.oldest)
        ends = np.array([row.ends for row in block])
        last = np.minimum(np.ceil(ends / SCRAPE) - 1, np.floor(self.now / SCRAPE))
        return np.ceil(begins / SCRAPE), last

    def _values(self, block: Sequence[Row], times: FloatArray, present: BoolArray) -> FloatArray:
        """Return the values at times of shape (N, T), where they are present, else 0."""
        values = np.zeros(times.shape)
        measured = []
        for index in np.flatnonzero(present.any(axis=1)).tolist():
            row = block[index]
            if row.run is not None:
                measured.append(index)
            elif row.values is None:
                values[index, present[index]] = row.constant
            else:
                moments = times[index, present[index]]
                values[index, present[index]] = row.values(moments, self.metric.amount)
        if measured:
            self._measure(block, np.array(measured), times, present, values)
        return values

    def _measure(
        self,
        block: Sequence[Row],
        measured: IntArray,
        times: FloatArray,
        present: BoolArray,
        values: FloatArray,
    ) -> None:
        """Put in the memory of the rows `measured`, which show a run's."""
        lived = [run for index in measured.tolist() if (run := block[index].run) is not None]
        parameters = np.array([run.curve.row() for run in lived]).T
        starts = np.array([run.start for run in lived])
        seeds = np.array([run.seed for run in lived], dtype=np.uint64)
        place, column = np.nonzero(present[measured])
        row = measured[place]
        at = times[row, column]
        level = levels(parameters[:, place], np.maximum(at - starts[place], 0.0), at, seeds[place])
        values[row, column] = self.metric.amount(level, seeds[place])
