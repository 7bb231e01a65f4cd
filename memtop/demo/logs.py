"""Container logs: generated when they are read, the same each time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memtop.demo.api.status import ApiStatusError
from memtop.demo.clock import parse_rfc3339, rfc3339_nano
from memtop.demo.curves import fraction_of, levels_of
from memtop.demo.life import Life, Phase, Run
from memtop.demo.pod import Container, Pod
from memtop.demo.voices import LAST_WORDS, PERIODS, VOICES, Moment

KEPT_LINES = 20_000  # the kubelet rotates logs; older lines are gone
FIRST_LINE = 0.3  # seconds after the start


@dataclass(frozen=True, slots=True)
class Line:
    """One log line and when it was written, seconds since 1970."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What part of a log is wanted; the fields are the API's parameters."""

    container: str = ""
    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    most_bytes: int | None = None


def wish_of(query: Mapping[str, str], now: float) -> Wish:
    """Read the parameters of a log request.

    Raises:
        ApiStatusError: 400 for a parameter that cannot be read.
    """
    flag = {"true": True, "1": True}
    try:
        since = None
        if query.get("sinceSeconds"):
            since = now - int(query["sinceSeconds"])
        elif query.get("sinceTime"):
            since = parse_rfc3339(query["sinceTime"])
        return Wish(
            container=query.get("container", ""),
            previous=flag.get(query.get("previous", ""), False),
            follow=flag.get(query.get("follow", ""), False),
            timestamps=flag.get(query.get("timestamps", ""), False),
            tail=int(query["tailLines"]) if query.get("tailLines") else None,
            since=since,
            most_bytes=int(query["limitBytes"]) if query.get("limitBytes") else None,
        )
    except ValueError as error:
        raise ApiStatusError(400, f"unable to decode query parameters: {error}") from None


class RunLog:
    """The log of one run of a container."""

    def __init__(self, container: Container, run: Run) -> None:
        behaviour = container.life.behaviour
        assert behaviour is not None
        self._container = container
        self._run = run
        self._voice = VOICES[behaviour.voice]
        self._period = PERIODS[behaviour.voice]
        self._last_words = () if math.isinf(run.end) else LAST_WORDS.get(behaviour.voice, ())

    def _time(self, index: int) -> float:
        jitter = 0.6 * self._period * fraction_of(self._run.seed, "line", index) if index else 0.0
        return self._run.start + FIRST_LINE + index * self._period + jitter

    def _count(self, until: float) -> int:
        """Return how many regular lines were written by `until`."""
        until = min(until, self._run.end - 0.5 if self._last_words else self._run.end)
        guess = max(0, int((until - self._run.start - FIRST_LINE) / self._period) + 2)
        while guess > 0 and self._time(guess - 1) > until:
            guess -= 1
        return guess

    def next_time(self, after: float) -> float:
        """Return when the first line after `after` is written; infinity if the run has ended by then."""
        index = self._count(after)
        moment = self._time(index)
        if moment < self._run.end:
            return moment
        return self._run.end if after < self._run.end else math.inf

    def lines(self, since: float, until: float, tail: int | None = None) -> list[Line]:
        """Return the lines written in (since, until], only the last `tail` of them."""
        last = self._count(until)
        first = max(0, last - KEPT_LINES if tail is None else last - tail)
        indexes = range(first, last)
        begin = bisect_right(indexes, since, key=self._time)
        chosen = [(index, self._time(index)) for index in indexes[begin:]]
        found: list[Line] = []
        if chosen:
            run, life = self._run, self._container.life
            times = np.array([at for _, at in chosen])
            used = levels_of(run.curve, run.start, times, run.seed)
            for (index, at), amount in zip(chosen, used.tolist(), strict=True):
                moment = Moment(self._container.name, index, run.seed, amount, life.limit, at - run.start)
                found.append(Line(at, self._voice(moment)))
        if until >= self._run.end:
            words = [
                Line(self._run.end - 0.2 / (place + 1), text) for place, text in enumerate(self._last_words)
            ]
            found += [line for line in words if line.at > since]
        return found if tail is None else found[max(0, len(found) - tail) :]


def container_of(pod: Pod, name: str) -> Container:
    """Return the container a log is wanted of.

    Raises:
        ApiStatusError: 400, worded as the API server does.
    """
    if not name:
        if len(pod.mains) == 1 and len(pod.containers) == 1:
            return pod.mains[0]
        inits = [container.name for container in pod.containers if container.init]
        mains = [container.name for container in pod.mains]
        if len(mains) == 1:
            return pod.mains[0]
        choice = f"choose one of: [{' '.join(mains)}]"
        if inits:
            choice += f" or one of the init containers: [{' '.join(inits)}]"
        raise ApiStatusError(400, f"a container name must be specified for pod {pod.name}, {choice}")
    for container in pod.containers:
        if container.name == name:
            return container
    raise ApiStatusError(400, f"container {name} is not valid for pod {pod.name}")


def run_of(pod: Pod, container: Container, previous: bool, at: float) -> Run:
    """Return the run a log is wanted of.

    Raises:
        ApiStatusError: 400 while there is none.
    """
    life: Life = container.life
    state = life.state(at)
    if previous:
        # While a container waits to be restarted, its last run is the previous one.
        run = state.run if state.phase is Phase.BACKING_OFF else state.previous
        if run is None:
            raise ApiStatusError(
                400, f'previous terminated container "{container.name}" in pod "{pod.name}" not found'
            )
        return run
    if state.run is None or pod.evicted is not None:
        reason = (
            "PodInitializing"
            if pod.containers[0].init and state.phase is Phase.CREATING
            else state.phase.value
        )
        raise ApiStatusError(
            400, f'container "{container.name}" in pod "{pod.name}" is waiting to start: {reason}'
        )
    return state.run


def chosen_lines(log: RunLog, wish: Wish, until: float) -> list[Line]:
    """Return the lines a wish asks for, as of `until`."""
    return log.lines(-math.inf if wish.since is None else wish.since, until, wish.tail)


def encode(lines: list[Line], timestamps: bool) -> bytes:
    """Return lines as they go over the wire."""
    if timestamps:
        return b"".join(f"{rfc3339_nano(line.at)} {line.text}\n".encode() for line in lines)
    return b"".join(f"{line.text}\n".encode() for line in lines)
