"""Reads logs on the engine's event loop: through restarts, broken connections and kills, until cancelled."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.logs import gc_log_parsers as values
from memtop.logs import log_request
from memtop.logs.buffer import LogChannel, LogStatus
from memtop.logs.heap_readings import HeapReading
from memtop.logs.log_lines import NO_TIME, LineSplitter, LogLine, LogMark, LogPosition, parse_line
from memtop.logs.log_request import ContainerEnding, ContainerRun, LogRequest, container_runs
from memtop.retry import Backoff

LINES_PER_PORTION = 2_000
"""Lines that are read at a stretch before the loop may do something else."""
IDLE_SECONDS = 30.0
"""Seconds without a byte after which an answer that should end is given up; a followed log may be quiet."""
ROTATION_TRIES = 6
"""How often a log that the kubelet is just putting away is asked for."""
ROTATION_WAIT = 1.0  # seconds before the second time
FIRST_WAIT, MAX_WAIT = 0.5, 10.0  # seconds before connecting again, if the server does not ask for more
POLL_SECONDS = 1.0  # seconds between looks at a pod whose container is down
_RECONNECTING = "; reading on as soon as it answers"


class _LogRotating(Exception):  # noqa: N818  (not a failure yet)
    """The kubelet cannot find the log just now."""


class _NothingMore(Exception):  # noqa: N818
    """Nothing more will come; says why."""

    def __init__(self, words: str, *, failed: bool = True) -> None:
        super().__init__(words)
        self.status = LogStatus(words, ended=True, failed=failed)


class LogReader:
    """Reads what a request asks for. It can be cancelled and run again, and goes on where it was.

    Args:
        request: What is wanted.
        channel: Where the lines go.
    """

    def __init__(self, request: LogRequest, channel: LogChannel) -> None:
        self._looking = Backoff(POLL_SECONDS, MAX_WAIT)
        self.request = request
        self._channel = channel
        self._places = {name: LogPosition() for name in request.containers}
        self._events: defaultdict[str, values.GcEvents] = defaultdict(values.GcEvents)
        self._statuses: dict[str, LogStatus] = {}
        self._endings: dict[str, ContainerEnding] = {}  # that came while reading
        self._finished = False

    async def run(self, client: Client) -> None:
        """Reads until nothing more can come; failures are told through the channel."""
        if self._finished:
            return
        try:
            if not self.request.follow or self.request.previous:
                await self._once(client)
                self._finished = True
                return
            if len(self.request.containers) > 1 and not any(
                place.last is not None for place in self._places.values()
            ):
                await self._begin_together(client)
            async with asyncio.TaskGroup() as group:
                for name in self.request.containers:
                    group.create_task(self._follow(client, name))
        except* (CredentialError, KubeconfigError) as errors:
            self._channel.set_status(LogStatus(str(errors.exceptions[0]), ended=True, failed=True))

    # -- reading to the end

    async def _once(self, client: Client) -> None:
        """Reads each container's log to its end, in the order of time where there are several."""
        together: list[LogLine] = []
        missing: list[str] = []
        for name in self.request.containers:
            try:
                if len(self.request.containers) == 1:
                    await self._patiently(client, name, None)
                else:
                    await self._patiently(client, name, together)
            except _NothingMore as nothing_more:
                missing.append(nothing_more.status.words)
            except asyncio.CancelledError:
                if len(self.request.containers) > 1:
                    self._forget()
                raise
        if together:
            together.sort(key=lambda line: line.time)
            await self._deliver(together)
        if missing and len(missing) == len(self.request.containers):
            self._channel.set_status(LogStatus("; ".join(missing), ended=True, failed=True))
        else:
            which = "previous log" if self.request.previous else "log"
            self._channel.set_status(LogStatus(f"the {which} ends here", ended=True))

    async def _patiently(self, client: Client, name: str, into: list[LogLine] | None) -> None:
        """Reads one log to its end, as often as it takes until the kubelet finds it."""
        backoff = Backoff(ROTATION_WAIT, MAX_WAIT)
        for _ in range(ROTATION_TRIES):
            failure: ApiError | None = None
            try:
                await self._read(client, name, follow=False, into=into)
            except _LogRotating:
                self._channel.set_status(LogStatus(f"the kubelet is putting {name}'s log away; asking again"))
            except ApiError as error:
                if error.retry_after is None or not log_request.may_come_later(error):
                    raise _NothingMore(log_request.refusal_words(error)) from error
                failure = error
                self._channel.set_status(
                    LogStatus(f"{log_request.refusal_words(error)}; asking again", failed=True)
                )
            except Unreachable as error:
                raise _NothingMore(str(error)) from error
            else:
                return
            await backoff.wait(failure)
        raise _NothingMore(
            f"the kubelet does not find {name}'s log: it may have been removed with its container"
        )

    async def _begin_together(self, client: Client) -> None:
        """Reads what there is of several containers, in the order of time, before following them."""
        share = replace(self.request, tail=max(1, self.request.tail // len(self.request.containers)))
        whole, self.request = self.request, share
        together: list[LogLine] = []
        try:
            for name in share.containers:
                with suppress(ApiError, Unreachable, _LogRotating):  # following it will say what is wrong
                    await self._read(client, name, follow=False, into=together)
        except asyncio.CancelledError:
            self._forget()
            raise
        finally:
            self.request = whole
        together.sort(key=lambda line: line.time)
        await self._deliver(together)

    # -- following

    async def _follow(self, client: Client, name: str) -> None:
        """Follows one container's log for as long as its pod lives."""
        backoff = Backoff(FIRST_WAIT, MAX_WAIT)
        life: ContainerRun | None = None
        try:
            life = await self._life(client, name)
            # What has ended before and runs again, or has ended for good, is no news.
            told = life.ending if life is not None and (life.ended or life.started_at is not None) else None
            while True:
                before = self._places[name].last
                failure, error = await self._connect(client, name)
                if self._places[name].last != before:
                    backoff.reset()
                run, life = life, await self._life(client, name)
                if life is not None:
                    told = await self._tell_ending(life, told)
                    _raise_if_over(life)
                    if life.started_at is None:
                        life = await self._await_start(client, name, life)
                        told = await self._tell_ending(life, told)
                    if run is None or run.started_at != life.started_at:
                        await self._tell_start(life, again=run is not None)
                        continue
                if failure:
                    self._say(name, LogStatus(f"{failure}{_RECONNECTING}", failed=True))
                await backoff.wait(error)
        except _NothingMore as nothing_more:
            self._say(name, replace(nothing_more.status, ending=life.ending if life is not None else None))

    async def _connect(self, client: Client, name: str) -> tuple[str, Exception | None]:
        """Follows until the stream ends; says why if that was a failure, and who said it.

        Raises:
            _NothingMore: There is no use in connecting again.
        """
        try:
            await self._read(client, name, follow=True)
        except _LogRotating:
            return f"the kubelet is putting {name}'s log away", None
        except ApiError as error:
            if not log_request.may_come_later(error):
                raise _NothingMore(log_request.refusal_words(error)) from error
            return log_request.refusal_words(error), error
        except Unreachable as error:
            return str(error), error
        return "", None

    async def _life(self, client: Client, name: str) -> ContainerRun | None:
        """The container now; None where the pod cannot be asked for, after a while.

        Raises:
            _NothingMore: The pod is gone, or has no such container.
        """
        try:
            known = await container_runs(client, self.request)
        except ApiError as error:
            if error.status == 404:
                raise _NothingMore("the pod is gone; what was read stays", failed=False) from error
            await self._looking.wait(error)
            return None
        except Unreachable as error:
            await self._looking.wait(error)
            return None
        self._looking.reset()
        if name not in known:
            return None  # an ephemeral container; its log says whether it is there
        return known[name]

    async def _await_start(self, client: Client, name: str, life: ContainerRun) -> ContainerRun:
        """Waits until the container runs."""
        while life.started_at is None:
            words = f"{name} waits to be started: {life.state}"
            self._say(name, LogStatus(words, ending=life.ending))
            await asyncio.sleep(POLL_SECONDS)
            life = await self._life(client, name) or life
            _raise_if_over(life)
        return life

    async def _tell_ending(self, life: ContainerRun, told: ContainerEnding | None) -> ContainerEnding | None:
        """Writes into the log that the container ended, once."""
        if life.ending is None or life.ending == told:
            return told
        end = life.ending.termination
        code = f", exit code {end.exit_code}"
        await self._note(life.name, f"{life.ending.words()}{code}", end.finished_at)
        self._endings[life.name] = life.ending
        self._say(life.name, LogStatus(life.ending.words(), ending=life.ending))
        return life.ending

    async def _tell_start(self, life: ContainerRun, *, again: bool) -> None:
        if again and life.restarts:
            await self._note(
                life.name, f"{life.name} started again (restart {life.restarts})", life.started_at
            )

    async def _note(self, name: str, words: str, at: float | None) -> None:
        last = self._places[name].last or NO_TIME
        moment = last if at is None else max(last, int(at * 1e9))
        await self._channel.put([LogLine(moment, words, name, LogMark.NOTE)], [])

    # -- one connection

    async def _read(
        self, client: Client, name: str, *, follow: bool, into: list[LogLine] | None = None
    ) -> None:
        place = self._places[name]
        place.reconnect()
        query = self.request.params(name, follow=follow, after=place.last)
        idle = None if follow else IDLE_SECONDS
        async with client.chunks(self.request.path, query, idle_timeout=idle) as chunks:
            if follow:
                self._say(name, LogStatus("following", live=True, ending=self._endings.get(name)))
            async for lines in self._portions(chunks, name):
                if into is None:
                    await self._deliver(lines)
                else:
                    into += lines

    async def _portions(self, chunks: AsyncIterator[bytes], name: str) -> AsyncIterator[list[LogLine]]:
        splitter = LineSplitter()
        place = self._places[name]
        first = True
        lines: list[LogLine] = []
        async for chunk in chunks:
            for raw, cut in splitter.feed(chunk):
                if first and log_request.is_kubelet_error(raw):
                    raise _LogRotating
                first = False
                line = parse_line(raw, name, cut=cut)
                if place.is_new(line.time):
                    lines.append(line)
                if len(lines) >= LINES_PER_PORTION:
                    yield lines
                    lines = []
                    await asyncio.sleep(0)
            if lines:
                yield lines
                lines = []
        for raw, cut in splitter.rest():
            if first and log_request.is_kubelet_error(raw):
                raise _LogRotating
            line = parse_line(raw, name, cut=cut)
            if place.is_new(line.time):
                yield [line]

    async def _deliver(self, lines: list[LogLine]) -> None:
        readings: list[HeapReading] = []
        for line in lines:
            reading = self._events[line.container].read(line.text)
            if reading is not None:
                readings.append(replace(reading, time=line.seconds))
        await self._channel.put(lines, readings)

    def _say(self, name: str, status: LogStatus) -> None:
        """Tells how all containers are: the worst of them, or that all are followed."""
        self._statuses[name] = status
        if len(self.request.containers) == 1:
            self._channel.set_status(status)
            return
        going_on = [one for one in self._statuses.values() if not one.ended]
        if not going_on:
            self._channel.set_status(status)
            return
        for told in (
            [one for one in going_on if one.failed],
            [one for one in going_on if one.ending is not None],
            [one for one in going_on if not one.live],
        ):
            if told:
                self._channel.set_status(replace(told[-1], live=any(one.live for one in going_on)))
                return
        self._channel.set_status(LogStatus(f"following {len(going_on)} containers", live=True))

    def _forget(self) -> None:
        """What was read has not been handed over: it has to be read again."""
        self._places = {name: LogPosition() for name in self.request.containers}


def _raise_if_over(life: ContainerRun) -> None:
    """Raises if the container has ended for good."""
    if life.ended:
        raise _NothingMore(
            life.ending.words() if life.ending is not None else f"{life.name} has ended", failed=False
        )
