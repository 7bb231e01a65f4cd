"""Puts live and past samples together into the two sides of a change: before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import ChangeEvidence, LoadSeries
from memtop.history.past_series import (
    METRIC_WORDS,
    ContainerName,
    Metric,
    PastSeries,
    merge_past_and_live,
    with_live_limit,
)
from memtop.stabilisation.live_samples import LiveContainer
from memtop.stabilisation.past_samples import (
    LOOKBACK_SECONDS,
    LoadsByContainer,
    PastByContainer,
    PastSamples,
)
from memtop.stabilisation.revision_change import RevisionChange, belongs_to_replica_set

RECENT_SECONDS = 900.0
"""Seconds by which what is remembered may lag behind and still be what is judged."""
SHORTEST_RUN = 60.0
"""Seconds after a start at which something that restarts has to be seen alive once to have run."""


@dataclass(frozen=True, eq=False)
class BeforeAndAfter:
    """What is known of one container before and after a change.

    Attributes:
        before: Of the old revision's pods.
        after: Of the new revision's.
        basis: Which memory that is, and who remembered it, in words.
    """

    before: ChangeEvidence
    after: ChangeEvidence
    basis: str


@dataclass(frozen=True, eq=False)
class _KnownContainer:
    """One pod's container, from whoever knows it."""

    pod: str
    series: Series
    start: float
    end: float


def compare_with_last_run(
    change: RevisionChange,
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: PastSamples,
    disk: PastByContainer,
) -> RevisionChange:
    """The change from the newest earlier revision that is known to have run; from the last if there is none.

    A revision whose image never came, that had no room, or that crashed whenever it was started, has
    replaced nothing: the pods that ran until the change are of the one before it.

    Args:
        change: What changed, from the last revision.
        watched: What was seen while watching.
        memory: What Prometheus remembers.
        disk: What memtop remembers.
    """
    pods = {(one.revision, one.container) for one in watched.values() if _really_ran(one.series())}
    told = (*memory.before.items(), *disk.items())
    past = {name for (name, _), known in told if _really_ran(_joined_series(known, None, None))}
    for old in change.earlier:
        found = replace(change, previous=old)
        if any((old.hash, container) in pods for container in found.containers):
            return found
        if change.ref.kind == "Deployment" and any(
            name.container in found.containers and belongs_to_replica_set(old, name.pod) for name in past
        ):
            return found
    return change


def _really_ran(series: Series) -> bool:
    """Whether these are samples of something that ran, and did not only crash whenever it was started.

    What was OOM-killed has run, however briefly: it is what a change is to be compared with.
    """
    times, restarts = series.timestamps, np.sort(series.restarts)
    if not len(times) or not len(restarts) or len(series.oom_kills):
        return len(times) > 0
    starts = np.append(min(times[0], restarts[0]), restarts)
    lasted = times - starts[np.searchsorted(starts, times, side="right") - 1]
    return bool(lasted.max() >= SHORTEST_RUN)


def gather_sides(
    change: RevisionChange,
    container: str,
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: PastSamples,
    disk: PastByContainer,
    now: float,
) -> BeforeAndAfter:
    """Puts the sides together.

    All series are of one metric. It is the one of the settings where Prometheus knows it of both sides, up to
    now; else the working set, which the disk and the metrics API know too.

    Args:
        change: What changed, and when.
        container: Which container.
        watched: What was seen while watching.
        memory: What Prometheus remembers.
        disk: What memtop remembers.
        now: The cluster's time, Unix seconds.
    """
    working: Metric = "working_set"
    metric = (
        memory.metric
        if memory.reached_until is not None and now - memory.reached_until < RECENT_SECONDS
        else working
    )
    before = list(_old_containers(change, container, watched, memory.before, disk, working))
    after: list[_KnownContainer] = []
    if metric != working:
        judged = list(_old_containers(change, container, watched, memory.before, disk, metric))
        after = list(
            _new_containers(change, container, watched, memory.after, disk, metric, memory.before, now)
        )
        if after and len(judged) >= len(before):
            before = judged
        else:
            metric = working
    if metric == working:
        after = list(
            _new_containers(change, container, watched, memory.after, disk, working, memory.before, now)
        )
    origins = ["Prometheus"] if memory.after or memory.before else []
    if metric == working:
        origins += ["disk"] if disk else []
        origins += ["the metrics API"] if any(one.samples for one in watched.values()) else []
    old = change.previous
    return BeforeAndAfter(
        _evidence(
            before,
            old.limits.get(container) if old is not None else None,
            _loads(change, container, before, watched, memory.loads_before),
        ),
        _evidence(
            after,
            change.revision.limits.get(container),
            _loads(change, container, after, watched, memory.loads_after),
        ),
        f"{METRIC_WORDS[metric]} from {' and '.join(origins) or 'nowhere yet'}",
    )


def _loads(
    change: RevisionChange,
    container: str,
    known: list[_KnownContainer],
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: LoadsByContainer,
) -> tuple[LoadSeries, ...]:
    """Signs of load of the same containers over the same time: from Prometheus, else from the metrics API."""
    live: dict[str, list[LoadSeries]] = {}
    for seen in watched.values():
        if seen.container == container:
            live.setdefault(seen.pod, []).append(seen.load())
    found: list[LoadSeries] = []
    for one in known:
        name = ContainerName(change.ref.namespace, one.pod, container)
        told = memory.get((name, "cpu"))
        received = memory.get((name._replace(container=""), "received"))
        requests = memory.get((name, "requests"))
        series = [*([told] if told is not None else live.get(one.pod, ())), received, requests]
        for load in series:
            if load is not None:
                inside = (load.times >= one.start) & (load.times <= one.end)
                found.append(LoadSeries(load.signal, load.times[inside], load.values[inside]))
    return tuple(found)


def _evidence(
    known: list[_KnownContainer], limit: int | None, loads: tuple[LoadSeries, ...]
) -> ChangeEvidence:
    return ChangeEvidence(
        tuple(one.series for one in known),
        tuple((one.start, one.end) for one in known),
        float(limit) if limit is not None else None,
        loads,
    )


def _old_containers(
    change: RevisionChange,
    container: str,
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: PastByContainer,
    disk: PastByContainer,
    metric: Metric,
) -> Iterator[_KnownContainer]:
    """The old revision's pods, each up to its own end."""
    if change.previous is None:
        return
    limit, begin = change.previous.limits.get(container), change.changed_at - LOOKBACK_SECONDS
    old: dict[str, LiveContainer] = {}
    others: dict[str, list[LiveContainer]] = {}
    for one in watched.values():
        if one.container == container and one.revision == change.previous.hash:
            old[one.pod] = one
        elif one.container == container:
            others.setdefault(one.pod, []).append(one)
    names = {name for name, _ in (*memory, *disk) if name.container == container}
    names |= {ContainerName(change.ref.namespace, pod, container) for pod in old}
    for name in sorted(names):
        if change.ref.kind == "Deployment" and not belongs_to_replica_set(change.previous, name.pod):
            continue
        seen = old.get(name.pod)
        past = _known_past(memory, disk, name, metric)
        if past is not None:
            # A stateful pod has its name from one that is gone: that one's is what came before.
            after = [
                one.created for one in others.get(name.pod, ()) if seen is None or one.created > seen.created
            ]
            if change.ref.kind != "Deployment" and change.previous_until < change.changed_at:
                after.append(change.previous_until)  # pods of revisions between have the same names
            past = _past_since(past.before(min(after, default=math.inf)), begin)
            if len(past) and past.times[0] >= change.changed_at:
                continue  # of neither: made after the change
        live = seen.series(guess=past is None) if seen is not None and metric == "working_set" else None
        series = _joined_series(past, live, limit).since(begin)
        if len(series.values) < 1 or (seen is None and series.timestamps[0] >= change.changed_at):
            continue
        first, last = float(series.timestamps[0]), float(series.timestamps[-1])
        if seen is not None and live is not None:
            # The pod itself tells how often it restarted since it was made.
            first, last = min(first, seen.created) if past is None else first, max(last, seen.last_seen)
        yield _KnownContainer(name.pod, series, max(begin, first), last)


def _new_containers(
    change: RevisionChange,
    container: str,
    watched: Mapping[tuple[str, str], LiveContainer],
    memory: PastByContainer,
    disk: PastByContainer,
    metric: Metric,
    earlier: PastByContainer,
    now: float,
) -> Iterator[_KnownContainer]:
    """The new revision's pods, dead ones too."""
    limit = change.revision.limits.get(container)
    of_new = [
        one
        for one in watched.values()
        if one.container == container
        and one.revision == change.revision.hash
        and one.last_seen >= change.changed_at
    ]
    for one in of_new:
        name = ContainerName(change.ref.namespace, one.pod, container)
        past = _known_past(memory, disk, name, metric)
        past = _past_since(past, max(one.created - 30.0, change.changed_at)) if past is not None else None
        if metric == "working_set":
            series = _joined_series(past, one.series(guess=past is None), limit)
        else:
            working = _known_past(memory, disk, name, "working_set")
            series = _joined_series(working, one.series(guess=working is None), limit)
            if past is None or not len(past):
                continue
            series = with_live_limit(past, series)
        end = now if one.is_present else one.last_seen
        yield _KnownContainer(
            one.pod, series.since(change.changed_at), max(one.created, change.changed_at), end
        )
    living = {one.pod for one in watched.values()}
    for name, of in (*memory, *disk):
        if of != metric or name.container != container or name.pod in living:
            continue
        past = _known_past(memory, disk, name, metric)
        past = _past_since(past, change.changed_at) if past is not None else None
        if past is None or not len(past):
            continue
        whole = _known_past(earlier, disk, name, metric)
        begun = whole is None or not len(whole) or whole.times[0] >= change.changed_at
        if belongs_to_replica_set(change.revision, name.pod) if change.ref.kind == "Deployment" else begun:
            living.add(name.pod)
            yield _KnownContainer(
                name.pod, _joined_series(past, None, limit), float(past.times[0]), float(past.times[-1])
            )


def _known_past(
    memory: PastByContainer, disk: PastByContainer, name: ContainerName, metric: Metric
) -> PastSeries | None:
    """What is remembered of a container: by Prometheus, else by the disk."""
    return memory.get((name, metric)) or disk.get((name, metric))


def _past_since(past: PastSeries, moment: float) -> PastSeries:
    kept = past.times >= moment
    return PastSeries(
        past.metric,
        past.origin,
        past.times[kept],
        past.values[kept],
        past.restarts[past.restarts > moment],
        past.oom_kills[past.oom_kills > moment],
        past.limit,
    )


def _joined_series(past: PastSeries | None, live: Series | None, limit: int | None) -> Series:
    """What is remembered and what was seen as one series, with the limit that the revision sets."""
    nothing = np.empty(0)
    whole = merge_past_and_live(past, live if live is not None else Series(nothing, nothing))
    return Series(
        whole.timestamps,
        whole.values,
        whole.restarts,
        whole.oom_kills,
        float(limit) if limit is not None else whole.limit,
    )
