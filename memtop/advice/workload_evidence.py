"""Everything that is known of one workload's memory, gathered once: what reports and advice are made from.

The frame tells what its containers are like now. Everything else is asked for here, and each part may fail:
then a sentence says what is missing, and the rest stands.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from memtop.advice.health_endpoint import HealthReading, read_health
from memtop.analysis.judgement import Judgement
from memtop.analysis.memory_series import Series
from memtop.analysis.onset import Onset, find_onset
from memtop.background import run_in_thread
from memtop.change.audit_log import AuditEntry, AuditError, AuditLog
from memtop.change.workload_state import WorkloadState, read_workload
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import labels
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from memtop.kube.pod_facts import Termination
from memtop.logs.gc_log_parsers import GcEvents
from memtop.logs.heap_readings import HeapReading, HeapSummary, summarise_readings
from memtop.logs.log_lines import parse_line
from memtop.observe.frame import Frame, WorkloadMembers
from memtop.observe.slots import ContainerIdentity
from memtop.sanitize import sanitize
from memtop.stabilisation.past_samples import pod_name_pattern
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    StabilisationWatch,
)

T = TypeVar("T")
MOST_LOGS = 3
"""Containers whose logs are read: what the worst ones say, the others repeat."""
LOG_LINES, LOG_BYTES = 5000, 4 * 1024 * 1024
"""The end of a log that is read; a JVM's last 5,000 lines hold hours of collections."""
MOST_FOUND_LINES = 12
"""Lines that are quoted, the last ones: those before a death say most."""
LONGEST_LINE = 240
"""Characters of a quoted line."""
MOST_CAPTURES = 50
"""Files that are listed."""
_MEMORY_LINE = re.compile(
    r"\b(memory|heap|rss|oom\w*|OutOfMemory\w*|MemoryError|cannot allocate|bad_alloc|full gc|gc overhead)\b",
    re.IGNORECASE,
)
"""Lines of a log that are quoted. A fixed expression without nested repetition: it cannot run away."""


@dataclass(frozen=True)
class MemberFacts:
    """One container of the workload as it is now; None is unknown.

    Attributes:
        pod: Its pod's name.
        container: Its name.
        node: Where it runs; empty where not known.
        state: In words.
        working_set: Bytes.
        limit: Bytes.
        request: Bytes.
        restarts: Since the pod was created.
        oom_kills_hour: Within the last hour.
        last_end: How it last ended.
        judgement: What is judged of it.
    """

    pod: str
    container: str
    node: str
    state: str
    working_set: float | None
    limit: float | None
    request: float | None
    restarts: int
    oom_kills_hour: int
    last_end: Termination | None
    judgement: Judgement


@dataclass(frozen=True)
class LogEvidence:
    """What the end of one log says of memory.

    Attributes:
        pod: Its pod's name.
        container: The container's name.
        previous: Whether it is the log of the run before.
        lines: The last lines that speak of memory, oldest first.
        count: How many such lines there are.
        heap: The figures of heap and collections; None where it tells of none.
    """

    pod: str
    container: str
    previous: bool
    lines: tuple[str, ...]
    count: int
    heap: HeapSummary | None


@dataclass(frozen=True)
class CapturedFile:
    """A file on this machine that was captured from one of its pods.

    Attributes:
        name: The file's name.
        size: Bytes.
        at: When it was written, Unix seconds.
    """

    name: str
    size: int
    at: float


@dataclass(frozen=True, eq=False)
class WorkloadEvidence:
    """What is known of a workload.

    Attributes:
        ref: Which.
        context: The kubeconfig's context.
        at: The cluster's time, Unix seconds.
        members: Its containers, the largest first.
        judgement: What is judged of its pods together; None before anything is.
        before: Series of each container name before the newest change, of all pods known.
        after: Series since the newest change, or of all that is known where there was none.
        basis: Which memory these are, in words; empty where there are none.
        stabilisation: How the newest change did; None where there was none, or it is not known.
        workload: The object and its revisions; None where they are not known.
        logs: What logs say.
        plans: What was planned and changed from this machine, the oldest first.
        captures: What was captured.
        missing: What is not known and why, one sentence each.
        rules: Alert rules proposed for it, one line each; empty where nobody has asked.
        health: What its pods say of their memory themselves, where it names a port for that.
    """

    ref: ObjectRef
    context: str
    at: float
    members: tuple[MemberFacts, ...] = ()
    judgement: Judgement | None = None
    before: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    after: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    basis: str = ""
    stabilisation: StabilisationState | None = None
    workload: WorkloadState | None = None
    logs: tuple[LogEvidence, ...] = ()
    plans: tuple[AuditEntry, ...] = ()
    captures: tuple[CapturedFile, ...] = ()
    missing: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    health: tuple[HealthReading, ...] = ()

    def series(self, container: str) -> tuple[Series, ...]:
        """All that is known of the containers of one name, before and after the newest change."""
        return (*self.before.get(container, ()), *self.after.get(container, ()))

    def onset(self, container: str) -> Onset:
        """When the floor of these containers began to climb."""
        return find_onset(self.series(container))

    def worst(self) -> MemberFacts | None:
        """The container that is judged worst; None without any."""
        return min(self.members, key=_badness, default=None)


def _badness(member: MemberFacts) -> tuple[int, float, int]:
    judged = member.judgement
    order = {"leak": 0, "OOM loop": 1, "suspected leak": 2}
    return order.get(judged.certainty, 3), -(judged.rate or 0.0), -member.restarts


def members_of(frame: Frame, ref: ObjectRef) -> WorkloadMembers | None:
    """What a frame knows of a workload's containers; None unless that is what it looked at."""
    found = frame.members
    if found is None:
        return None
    key = found.key
    same = (key.workload.kind, key.namespace, key.workload.name) == (ref.kind, ref.namespace, ref.name)
    return found if same else None


def member_facts(members: WorkloadMembers) -> Iterator[MemberFacts]:
    """The containers of a workload, as a frame has them."""
    rows = members.rows
    for row in members.slots.tolist():
        who = rows.identities[row]
        if isinstance(who, ContainerIdentity):
            yield MemberFacts(
                who.pod,
                who.container,
                who.node,
                rows.states[row],
                _known(rows.working_set[row]),
                _known(rows.limit[row]),
                _known(rows.request[row]),
                int(rows.restarts[row]),
                int(rows.ooms_hour[row]),
                rows.last_terminations[row],
                rows.judgements[row],
            )


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None


async def gather_evidence(
    client: Client,
    frame: Frame,
    ref: ObjectRef,
    options: StabilisationOptions,
    log: AuditLog,
    folders: Iterable[Path] = (),
) -> WorkloadEvidence:
    """Asks for all that is known of a workload. No failure of a part is one of the whole.

    Args:
        client: The connection.
        frame: The newest frame, which looked at the workload or one of its pods.
        ref: The workload.
        options: Where the past is asked for.
        log: What was changed from this machine.
        folders: Where captures may be.
    """
    missing: list[str] = []
    seen = members_of(frame, ref)
    members = tuple(member_facts(seen)) if seen is not None else ()
    if not members:
        missing.append("its present memory: no container of it runs, or none is seen")
    workload, state, logs = await asyncio.gather(
        _or_missing(lambda: read_workload(client, ref), "its template and revisions", missing),
        _or_missing(lambda: _stabilisation(client, ref, options), "what its newest change did", missing),
        _read_logs(client, ref.namespace, members, missing),
    )
    if state is not None:
        missing += [note for note in state.notes if note.startswith("Prometheus:")]
    before = {name: one.before.series for name, one in state.by_container.items()} if state else {}
    after = {name: one.after.series for name, one in state.by_container.items()} if state else {}
    basis = state.by_container[state.container].basis if state else ""
    if not any(after.values()) and frame.detail is not None and seen is not None and len(members) == 1:
        drawn = frame.detail
        after = {members[0].container: (Series(drawn.times, drawn.values, limit=drawn.limit),)}
        basis = drawn.basis or "working set"
    pods = [one.pod for one in members]
    said = labels(workload.object, "metadata", "annotations") if workload is not None else {}
    health, silent = await read_health(client, ref.namespace, pods, said)
    missing += silent
    try:
        plans = await run_in_thread(_plans_of, log, ref, frame.context, pods)
    except AuditError as error:
        plans = ()
        missing.append(f"what was changed from this machine: {error}")
    return WorkloadEvidence(
        ref=ref,
        context=sanitize(frame.context),
        at=frame.time,
        members=members,
        judgement=seen.judgement if seen is not None else None,
        before=before,
        after=after,
        basis=basis,
        stabilisation=state,
        workload=workload,
        logs=logs,
        plans=plans,
        captures=await run_in_thread(_captures_of, tuple(folders), ref.namespace, pods, state),
        missing=tuple(dict.fromkeys(missing)),
        health=health,
    )


async def _or_missing(ask: Callable[[], Awaitable[T]], what: str, missing: list[str]) -> T | None:
    """What is asked for; where it cannot be had, why not is noted."""
    try:
        return await ask()
    except CLUSTER_FAILURES as error:
        missing.append(f"{what}: {sanitize(str(error))}")
        return None


async def _stabilisation(
    client: Client, ref: ObjectRef, options: StabilisationOptions
) -> StabilisationState | None:
    """What became of the newest change, Prometheus asked; None for kinds without revisions."""
    if ref.kind not in ROLLING_KINDS:
        return None
    watch = StabilisationWatch(client, ref, options)
    try:
        found = await watch.read_and_judge()
        return await watch.read_and_judge() if found.without_prometheus else found
    finally:
        await watch.close()


async def _read_logs(
    client: Client, namespace: str, members: Sequence[MemberFacts], missing: list[str]
) -> tuple[LogEvidence, ...]:
    """The last words of the containers that died most, and what the present run says of the heap."""
    ranked = sorted(members, key=lambda one: (-one.restarts, _badness(one)))[:MOST_LOGS]
    wanted = [(one, previous) for one in ranked for previous in ((True, False) if one.restarts else (False,))]
    found = await asyncio.gather(*(_read_log(client, namespace, *one, missing) for one in wanted))
    return tuple(one for one in found if one is not None and (one.count or one.heap is not None))


async def _read_log(
    client: Client, namespace: str, member: MemberFacts, previous: bool, missing: list[str]
) -> LogEvidence | None:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(member.pod, safe='')}/log"
    params = {"container": member.container, "tailLines": str(LOG_LINES), "limitBytes": str(LOG_BYTES)}
    if previous:
        params["previous"] = "true"
    try:
        answer = await client.request("GET", path, params, accept="*/*", timeout=30.0)
    except CLUSTER_FAILURES as error:
        if not (isinstance(error, ApiError) and error.status in {400, 404}):  # it is gone, or has not begun
            which = "log before the last restart" if previous else "log"
            missing.append(f"{which} of {member.pod}/{member.container}: {sanitize(str(error))}")
        return None
    return await run_in_thread(_log_evidence, member, previous, answer.body)


def _log_evidence(member: MemberFacts, previous: bool, body: bytes) -> LogEvidence:
    events, readings, count = GcEvents(), [], 0
    said: dict[str, int] = {}
    for raw in body.splitlines():
        text = parse_line(raw, member.container).text
        reading: HeapReading | None = events.read(text)
        if reading is not None:
            readings.append(reading)
        if _MEMORY_LINE.search(text):
            count += 1
            said[text] = said.pop(text, 0) + 1  # what is said again stands where it was said last
    last = tuple(
        f"{line[:LONGEST_LINE]}{f'  (said {times} times)' if times > 1 else ''}"
        for line, times in list(said.items())[-MOST_FOUND_LINES:]
    )
    return LogEvidence(member.pod, member.container, previous, last, count, summarise_readings(readings))


def _plans_of(log: AuditLog, ref: ObjectRef, context: str, pods: Sequence[str]) -> tuple[AuditEntry, ...]:
    """The plans for the workload or a pod of it, of this context."""
    names = {(ref.kind, ref.name), *(("Pod", pod) for pod in pods)}
    return tuple(
        one
        for one in log.entries()
        if one.namespace == ref.namespace and (one.kind, one.name) in names and one.context == context
    )


def _captures_of(
    folders: Sequence[Path], namespace: str, pods: Sequence[str], state: StabilisationState | None
) -> tuple[CapturedFile, ...]:
    """Files that are named after a pod of the workload, dead ones included, as heap captures are."""
    names = [re.escape(pod) for pod in pods]
    if state is not None:
        names.append(pod_name_pattern(state.change))
    if not names:
        return ()
    fits = re.compile(f"(?:{re.escape(namespace)}_)?(?:{'|'.join(names)})[-_].")
    found: dict[str, CapturedFile] = {}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                for entry in islice(entries, 10_000):
                    if fits.match(entry.name) and entry.is_file(follow_symlinks=False):
                        known = entry.stat(follow_symlinks=False)
                        found[entry.name] = CapturedFile(sanitize(entry.name), known.st_size, known.st_mtime)
        except OSError:
            continue  # no such folder, or not ours: nothing was captured there
    return tuple(sorted(found.values(), key=lambda one: one.at)[-MOST_CAPTURES:])
