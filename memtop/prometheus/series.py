"""From Prometheus' streams to the one series of each container."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from memtop.past import ContainerName, Floats, matched, merged_times, nothing
from memtop.prometheus.answers import Stream
from memtop.prometheus.queries import Grid

LOOKBACK = 300.0
"""Seconds for which Prometheus answers with a sample that nothing has followed.

cAdvisor's samples carry their own time, which keeps Prometheus from marking a series as ended: a dead
container's goes on, flat, for that long beside its successor's.
"""


def by_container(streams: Sequence[Stream], labels: Sequence[str]) -> dict[ContainerName, list[Stream]]:
    """Sorts streams by the container that their labels name.

    Args:
        streams: Of one answer.
        labels: What namespace, pod and container are called in it.
    """
    found: dict[ContainerName, list[Stream]] = defaultdict(list)
    for stream in streams:
        found[ContainerName(*(stream.labels.get(label, "") for label in labels[:3]))].append(stream)
    return dict(found)


def one_series(streams: Sequence[Stream], grid: Grid) -> tuple[Floats, Floats, Floats]:
    """Lays the lives of one container end to end.

    Each life is a stream (a cgroup of its own). What a dead one echoes is cut off: everything from where its
    successor begins, and the flat end before that. A stream that goes on beside another for longer than any
    echo (kubelets may tell of the dead for some minutes more) is the same container scraped twice, and counts
    once.

    Args:
        streams: All streams of the container, in any order.
        grid: The moments that were asked for.

    Returns:
        Unix seconds and bytes, shape (n,); and when each life but the first was first seen, Unix seconds.
    """
    lives: list[Stream] = []
    for stream in sorted(streams, key=lambda one: (one.times[0], one.times[-1])):
        if lives and lives[-1].times[-1] - stream.times[0] > 2 * LOOKBACK + grid.step:
            continue
        if lives and lives[-1].times[0] == stream.times[0]:
            lives.pop()  # both there from the start: the one that ends first was an echo already
        lives.append(stream)
    if not lives:
        return nothing(), nothing(), nothing()
    times: list[Floats] = []
    values: list[Floats] = []
    for life, successor in zip(lives, [*lives[1:], None], strict=True):
        kept = len(life.times)
        if successor is not None or life.times[-1] <= grid.end - grid.step:
            kept = _without_echo(life)
        if successor is not None:
            kept = min(kept, int(np.searchsorted(life.times, successor.times[0])))
        times.append(life.times[:kept])
        values.append(life.values[:kept])
    return np.concatenate(times), np.concatenate(values), np.array([life.times[0] for life in lives[1:]])


def _without_echo(life: Stream) -> int:
    """How many samples of an ended stream are its own: of the flat end, only the first."""
    flat = (life.values == life.values[-1]) & (life.times > life.times[-1] - LOOKBACK)
    differing = np.flatnonzero(~flat)
    return int(differing[-1]) + 2 if len(differing) else 1


def risen(counter: Stream) -> Floats:
    """When a counter rose, Unix seconds: once for each step up, at the first moment that shows it."""
    return np.repeat(counter.times[1:], np.clip(np.diff(counter.values), 0, 100).astype(np.int64))


def steps(counter: Stream | None) -> tuple[Floats, Floats] | None:
    """When a counter was first seen and whenever it moved, Unix seconds, and what it was; None for none."""
    if counter is None or not len(counter.times):
        return None
    moved = np.append(True, np.diff(counter.values) != 0)
    return counter.times[moved], counter.values[moved]


def ends(
    times: Floats,
    seen: Floats,
    counter: Stream | None,
    oom: Stream | None,
    oom_events: Sequence[Stream],
    grid: Grid,
) -> tuple[Floats, Floats]:
    """Restarts and OOM kills, from all that tells of them.

    Args:
        times: When there were samples, Unix seconds, ascending.
        seen: When a new life was first seen, Unix seconds.
        counter: kube-state-metrics' count of restarts, if there is one; it also knows of lives too short to
            be scraped.
        oom: Its flag that the last end was an OOM kill.
        oom_events: The kernel's count of OOM kills, per life; asked where there is no flag.
        grid: The moments that were asked for.

    Returns:
        When the container started again, and when it was OOM-killed, both Unix seconds and ascending. Before
        a start there may be minutes of back-off: a kill is put at the last sample of the life it ended.
    """
    tolerance = 2 * grid.step + 60.0  # a scrape of each, and a moment of the grid of each
    counted = risen(counter) if counter is not None else nothing()
    restarts = merged_times(seen, counted, tolerance)
    if oom is not None:
        killed = counted[np.isin(counted, oom.times[oom.values > 0])]
    else:
        killed = np.sort(np.concatenate([nothing(), *(risen(stream) for stream in oom_events)]))
    which = matched(killed, restarts, tolerance)
    if not len(times) or not len(restarts):
        return restarts, killed
    last = times[np.maximum(np.searchsorted(times, restarts[which]) - 1, 0)]
    return restarts, np.sort(np.where((which < 0) | (last >= restarts[which]), killed, last))
