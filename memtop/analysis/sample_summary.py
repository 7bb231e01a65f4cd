"""Samples folded into buckets: the compressed past that every verdict is made from.

A summary keeps at most about `MAX_BUCKETS` buckets per container however long it was watched (a container
of very many lives keeps more). A bucket never spans a restart, so a *life* (from one start of the container
to the next) is a run of buckets. All columns are flat: buckets of one container follow one another,
containers follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.memory_series import Batch, Bools, Floats, Ints

MAX_BUCKETS = 128
"""Buckets a container's whole window is folded into; fewer samples than that stay single."""
MIN_BUCKETS_PER_LIFE = 8
"""Buckets that each life needs to show its ramp; many lives get more than `MAX_BUCKETS` in all."""
GLITCH_SHARE = 0.5
"""A single sample below this share of both its neighbours is a false reading."""
LATE_SAMPLES = 3
"""So many samples after a restart may still show the dead container."""
ECHO_SECONDS = 300.0
"""For so long Prometheus repeats the last sample of a series that has ended (its look-back)."""
COLLAPSE_SHARE = 0.2
"""A fall by this share next to a restart is where the life begins."""


@dataclass(frozen=True, eq=False)
class SampleSummary:
    """Buckets of many containers.

    Attributes:
        time: Mean sample time of each bucket, unix seconds, shape (m,).
        low: Smallest value, bytes.
        mean: Mean value.
        high: Largest value.
        squared_steps: Sum of the squared differences between successive samples of one life, bytes².
        cubed_steps: Sum of the cubed differences, bytes³: far below 0 where memory climbs slowly and falls at
            once.
        count: Samples in it.
        life: Number of the life it belongs to, counted over all containers from 0.
        life_container: The container of each life, shape (lives,).
        first: First sample time of each container, shape (n,), NaN without samples.
        last: Last sample time.
        latest: Value of the last sample, bytes.
        samples: Samples per container.
    """

    time: Floats
    low: Floats
    mean: Floats
    high: Floats
    squared_steps: Floats
    cubed_steps: Floats
    count: Ints
    life: Ints
    life_container: Ints
    first: Floats
    last: Floats
    latest: Floats
    samples: Ints


def summarise_samples(batch: Batch) -> SampleSummary:
    """Folds the samples of ``batch`` into buckets.

    False readings are dropped first: nothing that runs has 0 bytes, and a single sample below half of both
    its neighbours is a scrape that went wrong, not memory that was freed and taken again within one step.
    What is repeated of a dead container goes as well.
    """
    rows, time, value = _flat_samples(batch)
    keep = _is_plausible(value, rows)
    if not keep.all():
        rows, time, value = rows[keep], time[keep], value[keep]
    life = _number_lives(batch, rows, time, value)
    keep = ~(_is_loading(value, life) | _is_echo(batch, rows, time, value, life))
    if not keep.all():
        rows, time, value, life = rows[keep], time[keep], value[keep], life[keep]
    return fold_samples(rows, time, value, life, len(batch))


def _flat_samples(batch: Batch) -> tuple[Ints, Floats, Floats]:
    """Container, time and value of every sample, by container and time."""
    count, width = batch.values.shape
    there = np.isfinite(batch.values) & np.isfinite(batch.times)
    if there.all():  # nothing to look for, which takes as long as all the rest
        times = np.broadcast_to(batch.times, batch.values.shape).ravel()
        return np.repeat(np.arange(count), width), times, batch.values.ravel().astype(np.float64)
    rows, columns = np.nonzero(there)
    time = batch.times[columns] if batch.times.ndim == 1 else batch.times[rows, columns]
    return rows, time, batch.values[rows, columns].astype(np.float64)


def _is_loading(value: Floats, life: Ints) -> Bools:
    """Marks the first sample of a life that is less than half of the next: the process was still loading.

    A life of two samples keeps both: they are all that is known of it.
    """
    loading = np.zeros(len(value), np.bool_)
    if len(value) > 2:
        begins = np.append(True, life[1:-2] != life[:-3])
        loading[:-2] = begins & (life[2:] == life[:-2]) & (value[:-2] < GLITCH_SHARE * value[1:-1])
    return loading


def _is_echo(batch: Batch, rows: Ints, time: Floats, value: Floats, life: Ints) -> Bools:
    """Marks the samples at the end of a life that has ended that repeat the one before them to the byte.

    They look like growth that has levelled off. A life has ended if another follows, or its container started
    again or is known to have ended since; a life that is one value throughout keeps it.
    """
    echo = np.zeros(len(value), np.bool_)
    if len(value) < 2:
        return echo
    new_life = life[1:] != life[:-1]
    run_starts = np.flatnonzero(np.append(True, new_life | (value[1:] != value[:-1])))
    life_starts, last = np.flatnonzero(np.append(True, new_life)), np.flatnonzero(np.append(new_life, True))
    first = run_starts[np.searchsorted(run_starts, last, "right") - 1]
    ended = np.append(rows[last[1:]] == rows[last[:-1]], False)
    for told in (batch.restarts, None if batch.ends is None else batch.ends.times):
        if told is not None and len(told.times):
            newest = np.full(len(batch), -np.inf)
            np.maximum.at(newest, told.owners(), told.times)
            ended |= newest[rows[last]] > time[first]
    repeated = ended & (last > first) & (first > life_starts) & (time[last] - time[first] <= ECHO_SECONDS)
    for begin, end in zip(first[repeated].tolist(), last[repeated].tolist(), strict=True):
        echo[begin + 1 : end + 1] = True
    return echo


def _number_lives(batch: Batch, rows: Ints, time: Floats, value: Floats) -> Ints:
    """The number of restarts up to each sample, counted over all containers before it.

    Metrics lag behind restarts: a sample may still show the dead container. So a cut is put at the largest
    fall next to the restart, if memory falls there by a fifth or more.
    """
    restarts = batch.restarts.times
    if not len(restarts) or not len(time):
        return rows
    base = min(float(time.min()), float(restarts.min()))
    span = max(float(time.max()), float(restarts.max())) - base + 1.0
    owners = batch.restarts.owners()
    key = rows * span + (time - base)
    cut = np.searchsorted(key, owners * span + (restarts - base), "left")
    near = np.clip(cut[:, None] + np.arange(-1, LATE_SAMPLES + 1), 1, len(time) - 1)
    fall = (value[near - 1] - value[near]) / np.maximum(value[near - 1], 1.0)
    fall[(rows[near] != owners[:, None]) | (rows[near - 1] != owners[:, None])] = 0.0
    deepest = fall.argmax(axis=1)
    which = np.arange(len(cut))
    snapped = np.where(fall[which, deepest] > COLLAPSE_SHARE, near[which, deepest], cut)
    steps = np.bincount(snapped, minlength=len(time) + 1)[: len(time)]
    return rows + np.cumsum(steps)


def _is_plausible(value: Floats, rows: Ints) -> Bools:
    keep = value > 0
    if len(value) > 2:
        neighbours = np.minimum(value[:-2], value[2:])
        keep[1:-1] &= ~((value[1:-1] < GLITCH_SHARE * neighbours) & (rows[:-2] == rows[2:]))
    return keep


def fold_samples(rows: Ints, time: Floats, value: Floats, life: Ints, containers: int) -> SampleSummary:
    """Folds flat samples, ordered by container and time, into buckets.

    Args:
        rows: Container of each sample, ascending.
        time: Unix seconds.
        value: Bytes.
        life: A number that grows by container and restart.
        containers: How many containers there are, including those without samples.
    """
    samples = np.bincount(rows, minlength=containers)
    first, last, latest = (np.full(containers, np.nan) for _ in range(3))
    ends = np.cumsum(samples)
    some = samples > 0
    first[some], last[some] = time[(ends - samples)[some]], time[ends[some] - 1]
    latest[some] = value[ends[some] - 1]
    if not len(value):
        return _empty_summary(first, last, latest, samples)
    new_life = np.empty(len(time), np.bool_)
    new_life[0] = True
    new_life[1:] = (life[1:] != life[:-1]) | (rows[1:] != rows[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        step = (last - first) / np.maximum(samples - 1, 1)
        lives = np.bincount(rows[new_life], minlength=containers)
        doublings = np.ceil(
            np.log2(np.maximum(samples / np.maximum(MAX_BUCKETS, MIN_BUCKETS_PER_LIFE * lives), 1.0))
        )
        width = np.where(step > 0, step, 1.0) * 2.0**doublings
    folded = doublings[rows] > 0
    numbered = np.cumsum(new_life) - 1
    begins = np.nonzero(new_life)[0]
    length = time[np.append(begins[1:], len(time)) - 1] - time[begins]
    # A short life keeps its shape also where its container's samples are far apart most of the time.
    narrow = np.maximum(length / MIN_BUCKETS_PER_LIFE, 1e-3)[numbered]
    slot = np.where(
        folded, np.floor((time - first[rows]) / np.minimum(width[rows], narrow)), np.arange(len(time))
    )
    opens = new_life.copy()
    opens[1:] |= slot[1:] != slot[:-1]
    starts = np.nonzero(opens)[0]
    count = np.diff(np.append(starts, len(time)))
    moved = np.zeros(len(time))
    moved[1:] = np.where(new_life[1:], 0.0, np.diff(value))
    squared = moved * moved
    return SampleSummary(
        time=np.add.reduceat(time - time[0], starts) / count + time[0],
        low=np.minimum.reduceat(value, starts),
        mean=np.add.reduceat(value, starts) / count,
        high=np.maximum.reduceat(value, starts),
        squared_steps=np.add.reduceat(squared, starts),
        cubed_steps=np.add.reduceat(squared * moved, starts),
        count=count,
        life=numbered[starts],
        life_container=rows[new_life],
        first=first,
        last=last,
        latest=latest,
        samples=samples,
    )


def _empty_summary(first: Floats, last: Floats, latest: Floats, samples: Ints) -> SampleSummary:
    none, nothing = np.empty(0, np.int64), np.empty(0, np.float64)
    return SampleSummary(
        time=nothing,
        low=nothing,
        mean=nothing,
        high=nothing,
        squared_steps=nothing,
        cubed_steps=nothing,
        count=none,
        life=none,
        life_container=none,
        first=first,
        last=last,
        latest=latest,
        samples=samples,
    )
