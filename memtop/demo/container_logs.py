"""Container logs, the `log` subresource of pods: generated when they are read, the same each time."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from aiohttp import web

from memtop.demo.api.router import ResourceRequest
from memtop.demo.api.status_errors import ApiStatusError, not_found
from memtop.demo.api_resources import PODS
from memtop.demo.container_runs import ContainerTimeline, Phase, Run
from memtop.demo.log_generators import FINAL_LINES, LINE_INTERVALS, LOG_GENERATORS, LogMoment
from memtop.demo.memory_curves import fraction_of, levels_of
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_pod import Container, SimulatedPod
from memtop.demo.simulated_time import parse_rfc3339, rfc3339_nano

KEPT_LINES = 20_000  # the kubelet rotates logs; older lines are gone
FIRST_LINE = 0.3  # seconds after the start


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """One log line and when it was written, seconds since 1970."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log is requested; the fields are the API's parameters."""

    container: str = ""
    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    most_bytes: int | None = None


def parse_log_options(query: Mapping[str, str], now: float) -> LogOptions:
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
        return LogOptions(
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
        behaviour = container.timeline.behaviour
        assert behaviour is not None
        self._container = container
        self._run = run
        self._generator = LOG_GENERATORS[behaviour.log_style]
        self._interval = LINE_INTERVALS[behaviour.log_style]
        self._final_lines = () if math.isinf(run.end) else FINAL_LINES.get(behaviour.log_style, ())

    def _time(self, index: int) -> float:
        jitter = 0.6 * self._interval * fraction_of(self._run.seed, "line", index) if index else 0.0
        return self._run.start + FIRST_LINE + index * self._interval + jitter

    def _count(self, until: float) -> int:
        """Return how many regular lines were written by `until`."""
        until = min(until, self._run.end - 0.5 if self._final_lines else self._run.end)
        guess = max(0, int((until - self._run.start - FIRST_LINE) / self._interval) + 2)
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

    def lines(self, since: float, until: float, tail: int | None = None) -> list[LoggedLine]:
        """Return the lines written in (since, until], only the last `tail` of them."""
        last = self._count(until)
        first = max(0, last - KEPT_LINES if tail is None else last - tail)
        indexes = range(first, last)
        begin = bisect_right(indexes, since, key=self._time)
        chosen = [(index, self._time(index)) for index in indexes[begin:]]
        found: list[LoggedLine] = []
        if chosen:
            run, timeline = self._run, self._container.timeline
            times = np.array([at for _, at in chosen])
            used = levels_of(run.curve, run.start, times, run.seed)
            for (index, at), amount in zip(chosen, used.tolist(), strict=True):
                moment = LogMoment(
                    self._container.name, index, run.seed, amount, timeline.limit, at - run.start
                )
                found.append(LoggedLine(at, self._generator(moment)))
        if until >= self._run.end:
            words = [
                LoggedLine(self._run.end - 0.2 / (place + 1), text)
                for place, text in enumerate(self._final_lines)
            ]
            found += [line for line in words if line.at > since]
        return found if tail is None else found[max(0, len(found) - tail) :]


def container_of(pod: SimulatedPod, name: str) -> Container:
    """Return the container whose log is requested.

    Raises:
        ApiStatusError: 400, with the API server's message.
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


def run_of(pod: SimulatedPod, container: Container, previous: bool, at: float) -> Run:
    """Return the run whose log is requested.

    Raises:
        ApiStatusError: 400 while there is none.
    """
    timeline: ContainerTimeline = container.timeline
    state = timeline.state(at)
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


def select_lines(log: RunLog, options: LogOptions, until: float) -> list[LoggedLine]:
    """Return the requested lines that were written by `until`."""
    return log.lines(-math.inf if options.since is None else options.since, until, options.tail)


def encode(lines: list[LoggedLine], timestamps: bool) -> bytes:
    """Return lines encoded for the response."""
    if timestamps:
        return b"".join(f"{rfc3339_nano(line.at)} {line.text}\n".encode() for line in lines)
    return b"".join(f"{line.text}\n".encode() for line in lines)


LONGEST_NAP = 0.5  # real seconds a follower sleeps before it looks at the clock again


class LogHandler:
    """Serves container logs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def __call__(self, resource_request: ResourceRequest) -> web.StreamResponse:
        """Answer a log request.

        Raises:
            ApiStatusError: 404 without such a pod, 400 for containers that have no such log.
        """
        now = self._cluster.clock.now()
        pod = self._cluster.pods.get((resource_request.target.namespace or "", resource_request.target.name))
        if pod is None:
            raise not_found(PODS, resource_request.target.name)
        options = parse_log_options(resource_request.request.query, now)
        container = container_of(pod, options.container)
        run = run_of(pod, container, options.previous, now)
        log = RunLog(container, run)
        if options.previous and container.timeline.state(now).phase is Phase.TERMINATED:
            # The runtime has already removed the run before the one that has just ended.
            identity = pod.run_id(container, run.index)
            return web.Response(text=f"unable to retrieve container logs for containerd://{identity}")
        if not options.follow or now >= run.end:
            body = encode(select_lines(log, options, now), options.timestamps)
            return web.Response(body=body[: options.most_bytes], content_type="text/plain")
        return await self._follow(
            resource_request.request, log, options, lambda: min(run.end, container.timeline.ends)
        )

    async def _follow(
        self, request: web.Request, log: RunLog, options: LogOptions, ends: Callable[[], float]
    ) -> web.StreamResponse:
        clock = self._cluster.clock
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        seen = clock.now()
        await response.write(encode(select_lines(log, options, seen), options.timestamps))
        while seen < ends():
            await asyncio.sleep(min(LONGEST_NAP, clock.real(max(0.05, log.next_time(seen) - clock.now()))))
            now = min(clock.now(), ends())
            lines = log.lines(seen, now)
            if lines:
                await response.write(encode(lines, options.timestamps))
            seen = now
        return response
