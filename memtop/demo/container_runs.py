"""The runs of one container: when each starts, how it ends, and when the next one starts.

The runs are computed on demand and are the same each time. State, restart count, logs, metrics and events are
derived from them, so the past needs no simulation.
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_right
from dataclasses import dataclass

from memtop.demo.memory_curves import Curve, fraction_of, limit_reached, seed_of

FIRST_BACKOFF = 10.0  # seconds, as the kubelet's
LAST_BACKOFF = 300.0
BACKOFF_RESET = 600.0
SETTLE = 1.5  # seconds a container is seen as terminated before the kubelet says CrashLoopBackOff
PULL_RETRY = 20.0  # seconds between ErrImagePull and ImagePullBackOff


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the program in an image does.

    Attributes:
        curve: its memory.
        log_style: the key of its log generator (see `log_generators`).
        exits_after: seconds after which it ends by itself; None for never.
        exit_code: what it ends with then.
        ready_after: seconds until it answers its readiness probe.
        spread: how much replicas differ in memory, as a share.
        cpu: CPU it uses, in cores.
    """

    curve: Curve
    log_style: str = "service"
    exits_after: float | None = None
    exit_code: int = 0
    ready_after: float = 4.0
    spread: float = 0.1
    cpu: float = 0.02


class RestartPolicy(enum.Enum):
    """The pod's `restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container, in seconds since 1970; `end` is infinite if it does not end."""

    index: int
    start: float
    end: float
    exit_code: int
    reason: str
    seed: int
    curve: Curve


class Phase(enum.Enum):
    """What a container is doing at one moment."""

    CREATING = "ContainerCreating"
    RUNNING = "Running"
    TERMINATED = "Terminated"
    BACKING_OFF = "CrashLoopBackOff"
    PULL_FAILED = "ErrImagePull"
    PULL_BACKING_OFF = "ImagePullBackOff"


@dataclass(frozen=True, slots=True)
class State:
    """The state of a container at one time: its current or last run, the run before, and the back-off.

    Attributes:
        phase: what it is doing.
        run: the current or latest run; None before the first.
        previous: the run before that.
        backoff: the present delay before the restart, in seconds.
    """

    phase: Phase
    run: Run | None = None
    previous: Run | None = None
    backoff: float = 0.0


class ContainerTimeline:
    """The runs of one container, computed on demand.

    Args:
        behaviour: what the image does; None when there is no such image.
        limit: memory limit in bytes, infinite without one.
        begins: when the container is first started, seconds since 1970.
        policy: whether it is restarted.
        seed: makes it differ from other replicas.
    """

    def __init__(
        self, behaviour: Behaviour | None, limit: float, begins: float, policy: RestartPolicy, seed: int
    ) -> None:
        self.behaviour = behaviour
        self.limit = limit
        self.begins = begins
        self.policy = policy
        self.seed = seed
        self.ends = math.inf
        self._runs: list[Run] = []
        self._backoffs: list[float] = []
        if behaviour is not None:
            factor = 1.0 + behaviour.spread * (2.0 * fraction_of(seed, "spread") - 1.0)
            self._curve = behaviour.curve.scaled(factor)
            self._runs.append(self._run(0, begins))
            self._backoffs.append(0.0)

    def resize(self, at: float, limit: float, *, restart: bool) -> None:
        """Give the container another limit at `at`.

        Args:
            at: when, seconds since 1970.
            limit: bytes, infinite without one.
            restart: whether the container is restarted for it; the kubelet does so without a back-off.
        """
        begun = len(self.runs(at))
        del self._runs[begun:], self._backoffs[begun:]
        self.limit = limit
        if not self._runs or at >= self._runs[-1].end:
            return
        run = self._runs[-1]
        if restart:
            self._runs[-1] = Run(run.index, run.start, at, 137, "Error", run.seed, run.curve)
            self._backoffs.append(0.0)
            self._runs.append(self._run(begun, at + SETTLE))
        else:
            self._runs[-1] = self._run(run.index, run.start)

    def stop(self, at: float) -> None:
        """End the last run at `at`: the pod is deleted."""
        self.ends = min(self.ends, at)

    def runs(self, until: float) -> list[Run]:
        """Return the runs started by `until`, oldest first, the last one cut at the end of the life."""
        until = min(until, self.ends)
        while self._runs and self._runs[-1].end < until < math.inf:
            following = self._following(self._runs[-1])
            if following > until:
                break
            self._append(following)
        count = bisect_right(self._runs, until, key=lambda run: run.start)
        runs = self._runs[:count]
        if runs and runs[-1].end > self.ends:
            last = runs[-1]
            runs[-1] = Run(last.index, last.start, self.ends, 0, "Completed", last.seed, last.curve)
        return runs

    def state(self, at: float) -> State:
        """Return what the container is doing at `at`."""
        if self.behaviour is None:
            into = (at - self.begins) % (2 * PULL_RETRY)
            if at < self.begins:
                return State(Phase.CREATING)
            return State(Phase.PULL_FAILED if into < PULL_RETRY else Phase.PULL_BACKING_OFF)
        runs = self.runs(at)
        if not runs:
            return State(Phase.CREATING)
        run = runs[-1]
        previous = runs[-2] if len(runs) > 1 else None
        if at < run.end:
            return State(Phase.RUNNING, run, previous)
        if not self._restarts(run) or at < run.end + SETTLE or at >= self.ends:
            return State(Phase.TERMINATED, run, previous)
        return State(Phase.BACKING_OFF, run, previous, self._backoff_after(run))

    def ready(self, at: float) -> bool:
        """Return whether the container answers its readiness probe at `at`."""
        runs = self.runs(at)
        return bool(
            runs
            and self.behaviour is not None
            and runs[-1].start + self.behaviour.ready_after <= at < runs[-1].end
        )

    def next_change(self, at: float) -> float:
        """Return when the container's state next changes after `at`; infinity if it will not."""
        if at < self.begins:
            return self.begins
        if self.behaviour is None:
            return self.begins + (math.floor((at - self.begins) / PULL_RETRY) + 1) * PULL_RETRY
        runs = self.runs(at)
        if not runs:
            return self.begins
        run = runs[-1]
        moments = [run.start + self.behaviour.ready_after, run.end]
        if self._restarts(run):
            moments += [run.end + SETTLE, self._following(run)]
        return min((moment for moment in moments if at < moment <= self.ends), default=math.inf)

    def span(self, restarts: int) -> float:
        """Return the seconds from the first start to the start of the run after `restarts` restarts."""
        while len(self._runs) <= restarts:
            following = self._following(self._runs[-1])
            if math.isinf(following):
                return 0.0
            self._append(following)
        return self._runs[restarts].start - self.begins

    def _append(self, start: float) -> None:
        self._backoffs.append(self._backoff_after(self._runs[-1]))
        self._runs.append(self._run(len(self._runs), start))

    def _run(self, index: int, start: float) -> Run:
        behaviour = self.behaviour
        assert behaviour is not None
        seed = seed_of(self.seed, index)
        oom = limit_reached(self._curve, start, self.limit, seed)
        exits = math.inf if behaviour.exits_after is None else behaviour.exits_after
        if oom <= exits:
            return Run(index, start, start + oom, 137, "OOMKilled", seed, self._curve)
        reason = "Completed" if behaviour.exit_code == 0 else "Error"
        return Run(index, start, start + exits, behaviour.exit_code, reason, seed, self._curve)

    def _restarts(self, run: Run) -> bool:
        if self.policy is RestartPolicy.ALWAYS:
            return True
        return self.policy is RestartPolicy.ON_FAILURE and run.exit_code != 0

    # Both use the given run, not the newest: later runs may already have been computed.

    def _backoff_after(self, run: Run) -> float:
        served = self._backoffs[run.index]
        if served == 0.0 or run.end - run.start >= BACKOFF_RESET:
            return FIRST_BACKOFF
        return min(served * 2, LAST_BACKOFF)

    def _following(self, run: Run) -> float:
        return run.end + SETTLE + self._backoff_after(run) if self._restarts(run) else math.inf
