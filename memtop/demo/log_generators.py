"""Log lines of simulated programs: each generator is a pure function of a moment in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memtop.demo.memory_curves import GIB, MIB, fraction_of


@dataclass(frozen=True, slots=True)
class LogMoment:
    """One moment of a run, as the program sees it.

    Attributes:
        name: the container's name.
        index: how many lines came before.
        seed: the seed of the run.
        used: working set in bytes.
        limit: memory limit in bytes; infinite without one.
        age: seconds since the run began.
    """

    name: str
    index: int
    seed: int
    used: float
    limit: float
    age: float

    @property
    def share(self) -> float:
        """Used memory as a share of the limit."""
        return self.used / self.limit

    def draw(self, *what: object) -> float:
        """Return a number in [0, 1) drawn for this moment."""
        return fraction_of(self.seed, self.index, *what)


LogGenerator = Callable[[LogMoment], str]

_WORK = (
    "GET /api/v1/users/{0} 200 {1}ms",
    "GET /api/v1/users/{0}/sessions 200 {1}ms",
    "POST /api/v1/login 200 {1}ms user={0}",
    "GET /healthz 200 1ms",
    "PUT /api/v1/users/{0}/profile 204 {1}ms",
    "session {0} refreshed in {1}ms",
)


def _gigabytes(amount: float) -> str:
    text = f"{amount / GIB:.1f}"
    return f"{text.removesuffix('.0')}GB"


def _work(moment: LogMoment) -> str:
    template = _WORK[int(moment.draw("work") * len(_WORK))]
    return "[INFO] " + template.format(
        int(moment.draw("id") * 90000) + 10000, int(moment.draw("ms") ** 3 * 400) + 2
    )


def service(moment: LogMoment) -> str:
    """An ordinary service."""
    if moment.index == 0:
        return f"[INFO] {moment.name} starting, pid 1"
    if moment.draw("slow") > 0.985:
        return f"[WARN] slow request: {int(800 + 1500 * moment.draw('slowness'))}ms"
    return _work(moment)


def leaking(moment: LogMoment) -> str:
    """A leaking service: more warnings and longer collections the fuller its heap."""
    if moment.index == 0:
        return f"[INFO] {moment.name} starting, pid 1, memory limit {_gigabytes(moment.limit)}"
    chance = moment.draw("kind")
    if moment.share > 0.97 and chance < 0.4:
        return "[ERROR] Cannot allocate memory for large dataset"
    if moment.share > 0.7 and chance < 0.35:
        used, limit = _gigabytes(moment.used), _gigabytes(moment.limit)
        return f"[WARN] Heap usage: {used} / {limit} ({moment.share:.0%})"
    if chance < 0.12 + 0.25 * moment.share**2:
        if moment.share > 0.55:
            return f"[GC] Full GC took {0.4 + 6.5 * moment.share**4 * (0.8 + 0.4 * moment.draw('gc')):.1f}s"
        return f"[GC] Young GC took {0.02 + 0.08 * moment.draw('gc'):.2f}s"
    if moment.share > 0.6 and chance > 0.96:
        return f"[WARN] session cache holds {int(moment.used / MIB * 61)} entries, eviction is disabled"
    return _work(moment)


def jvm(moment: LogMoment) -> str:
    """A healthy JVM with garbage collection."""
    if moment.index == 0:
        return f"[INFO] {moment.name} starting, pid 1"
    if moment.draw("kind") < 0.08:
        before, pause = moment.used / MIB, 8 + 30 * moment.draw("gc")
        heap = f"{before:.0f}M->{before * 0.55:.0f}M({moment.used / MIB * 1.4:.0f}M)"
        kind = "Pause Young (Normal) (G1 Evacuation Pause)"
        return f"[{moment.age:.3f}s][info][gc] GC({moment.index}) {kind} {heap} {pause:.3f}ms"
    return _work(moment)


def batch(moment: LogMoment) -> str:
    """A batch job that reads a dataset."""
    if moment.index == 0:
        return "[INFO] job started"
    if moment.index % 4 == 0:
        return f"[INFO] dataset in memory: {_gigabytes(moment.used)}"
    return f"[INFO] chunk {moment.index} of 312 written, {int(moment.draw('rows') * 9000) + 1000} rows"


def cache(moment: LogMoment) -> str:
    """A cache that fills."""
    if moment.index == 0:
        return "* Ready to accept connections tcp"
    return (
        f"* {int(moment.used / MIB * 410)} keys, used_memory_human:{moment.used / MIB:.1f}M, evicted_keys:0"
    )


def crashing(moment: LogMoment) -> str:
    """A program that cannot reach a service it needs."""
    lines = (
        "[INFO] webhooks starting, pid 1",
        "[INFO] connecting to queue amqp://queue.platform:5672",
        "[WARN] connection refused, retrying in 5s",
        "[WARN] connection refused, retrying in 10s",
        "[WARN] connection refused, retrying in 15s",
    )
    return lines[min(moment.index, len(lines) - 1)]


def misconfigured(moment: LogMoment) -> str:
    """A program that rejects its configuration."""
    if moment.index == 0:
        return f"[INFO] {moment.name} starting, pid 1"
    return "[ERROR] config /etc/user-service/sessions.yaml: unknown field evictionPolicyV2"


def agent(moment: LogMoment) -> str:
    """A log shipper."""
    if moment.index == 0:
        return 'level=info msg="starting" version=2'
    lines, buffered = int(moment.draw("n") * 5000), int(moment.used / MIB * 90)
    return f'level=info msg="shipped" lines={lines} buffered={buffered}'


def migrate(moment: LogMoment) -> str:
    """An init container."""
    return "no migrations to apply" if moment.index else "checking schema version"


def node(moment: LogMoment) -> str:
    """A Node.js program on its way to its own heap limit."""
    if moment.index == 0:
        return "> session-api@18.2.0 start"
    if moment.share > 0.6 and moment.draw("kind") < 0.3:
        used = moment.used / MIB
        before = f"{used:.1f} ({used * 1.04:.1f})"
        return f"[1:0x5f] {int(moment.age * 1000)} ms: Mark-sweep {before} -> {used * 0.99:.1f} MB"
    return _work(moment)


def database(moment: LogMoment) -> str:
    """A database."""
    if moment.index == 0:
        return "LOG:  database system is ready to accept connections"
    written, synced = int(moment.draw("n") * 900), moment.draw("s")
    return f"LOG:  checkpoint complete: wrote {written} buffers; sync={synced:.3f} s"


LOG_GENERATORS: dict[str, LogGenerator] = {
    "service": service,
    "leaking": leaking,
    "jvm": jvm,
    "batch": batch,
    "cache": cache,
    "crashing": crashing,
    "misconfigured": misconfigured,
    "agent": agent,
    "migrate": migrate,
    "node": node,
    "database": database,
}

FINAL_LINES: dict[str, tuple[str, ...]] = {
    "leaking": ("[GC] Full GC took 5.2s", "[ERROR] Cannot allocate memory for large dataset"),
    "node": ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",),
    "batch": ("[INFO] job finished",),
    "misconfigured": ("[FATAL] configuration is not valid, exiting",),
    "crashing": ("[FATAL] giving up: no connection to the queue after 4 attempts",),
}
"""The last lines of each program before its run ends."""

LINE_INTERVALS: dict[str, float] = {
    "service": 7.0,
    "leaking": 6.0,
    "jvm": 8.0,
    "batch": 5.0,
    "cache": 60.0,
    "crashing": 7.0,
    "misconfigured": 1.0,
    "agent": 30.0,
    "migrate": 1.5,
    "node": 9.0,
    "database": 300.0,
}
"""Seconds between the lines of each program."""
