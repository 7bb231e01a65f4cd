"""``memtop logs``: the log of a pod or of a workload's pod, searched as on the screen, printed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TextIO

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.cluster.sanitize import sanitize
from memtop.cluster.typed_name import typed_name
from memtop.logs.buffer import LogBuffer
from memtop.logs.channel import Channel, Delivery, Status
from memtop.logs.grep import Grep, PatternError
from memtop.logs.printer import Figures, Lines, Matches, Printer
from memtop.logs.reader import LogReader
from memtop.logs.request import MOST_LINES, LogRequest
from memtop.logs.search import Filter, Search
from memtop.logs.whose import KINDS, NoSuchLog, whose
from memtop.observe.setup import StartError, connection

if TYPE_CHECKING:
    from config import Invocation

FAILED, BAD_INPUT = 1, 2


def run(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints a log.

    Args:
        invocation: The pod or workload among its arguments; the options of the command ``logs``.
        out: Where the lines go.
        err: Where everything else goes.

    Returns:
        0; 1 where the log cannot be had; 2 where what was asked for makes no sense.

    Raises:
        ConfigError: A flag or an argument is wrong.
    """
    sought = _sought(invocation)
    if sought is not None and invocation.options["values"]:
        raise _mistake(invocation, "--values prints figures and no lines: --grep and --preset have no use")
    try:
        with connection(invocation.settings, os.environ, demo=bool(invocation.options.get("demo"))) as plan:
            ref = _named(invocation, plan.target.namespace)
            return asyncio.run(_run(invocation, Client(plan.target), ref, sought, out, err))
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (NoSuchLog, PatternError) as error:
        print(f"memtop: {error}", file=err)
        return BAD_INPUT
    except (StartError, ApiError, Unreachable, CredentialError) as error:
        print(f"memtop: {error}", file=err)
        return FAILED


async def _run(
    invocation: Invocation, client: Client, ref: ObjectRef, sought: Filter | None, out: TextIO, err: TextIO
) -> int:
    options = invocation.options
    grep = Grep()
    try:
        if sought is not None:
            await _use(grep, sought, typed=bool(options["grep"]))  # says what is wrong at once
        found = await whose(client, ref, options["container"])
        if found.note:
            print(f"memtop: {found.note}", file=err)
        request = LogRequest(
            ref.namespace,
            found.pod,
            found.containers,
            previous=options["previous"],
            follow=options["follow"] and not options["previous"],
            tail=min(options["tail"], MOST_LINES),
            since_seconds=round(options["since"]) or None,
        )
        lines = Lines(out, times=options["timestamps"], owners=len(found.containers) > 1)
        printer: Printer = lines
        if options["values"]:
            printer = Figures(out)
        elif sought is not None:
            buffer = LogBuffer()
            printer = Matches(buffer, Search(sought, buffer, grep), lines, out)
        status = await _print(client, request, printer)
    finally:
        await grep.close()
        await client.close()
    if status.wrong:
        print(f"memtop: {status.words}", file=err)
        return FAILED
    if isinstance(printer, Matches) and not printer.count:
        print("memtop: no line matches", file=err)
    if isinstance(printer, Figures) and not printer.count:
        print("memtop: no line tells of the heap or of its collector", file=err)
    return 0


async def _use(grep: Grep, sought: Filter, *, typed: bool) -> None:
    """Has an expression looked for; of a typed one that is wrong it names the flag and the value."""
    try:
        await grep.use(sought.pattern, ignore_case=sought.ignore_case)
    except PatternError as error:
        try:
            re.compile(sought.pattern)
        except re.error:
            if typed:
                shown = sanitize(sought.pattern)
                raise PatternError(f"flag --grep: {shown!r} is not a regular expression: {error}") from error
        raise  # it was no mistake of whoever typed it


async def _print(client: Client, request: LogRequest, printer: Printer) -> Status:
    """Reads and prints until nothing more can come; returns how it ended."""
    status = Status("")
    async with aclosing(_deliveries(client, request)) as deliveries:
        async for delivery in deliveries:
            status = delivery.status or status
            await printer.take(delivery)
    return status


async def _deliveries(client: Client, request: LogRequest) -> AsyncGenerator[Delivery, None]:
    """What is read, as it comes."""
    news = asyncio.Event()
    channel = Channel(news.set)
    reading = asyncio.create_task(LogReader(request, channel).run(client))
    reading.add_done_callback(lambda _: news.set())
    try:
        while not reading.done():
            await news.wait()
            news.clear()
            yield channel.take()
        yield channel.take()
        reading.result()
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([reading])


def _sought(invocation: Invocation) -> Filter | None:
    """What the flags look for."""
    options = invocation.options
    preset, pattern = options["preset"], options["grep"]
    if preset and pattern:
        raise _mistake(invocation, "--preset and --grep exclude each other")
    presets = invocation.settings.logs.presets
    if preset and preset not in presets:
        raise _mistake(invocation, f"--preset: {preset!r} is none of {', '.join(presets)}")
    if not preset and not pattern:
        if options["invert"] or options["around"]:
            raise _mistake(invocation, "--invert and --around need --grep or --preset")
        return None
    invert, context = bool(options["invert"]), int(options["around"])
    if preset:
        return Filter(presets[preset], preset, invert=invert, context=context)
    return Filter.typed(pattern, invert=invert, context=context)


def _named(invocation: Invocation, default: str) -> ObjectRef:
    """The pod or workload that the arguments name."""
    words = invocation.arguments
    namespaces = invocation.settings.cluster.namespaces
    if len(namespaces) > 1:
        raise invocation.mistake("cluster.namespaces", "a log is of one pod, so it needs one namespace")
    namespace = next(iter(namespaces), default)
    if len(words) == 1 and "/" not in words[0]:
        return ObjectRef("Pod", namespace, words[0])
    try:
        return typed_name(words, namespace, KINDS)
    except ValueError as error:
        raise _mistake(invocation, f"{' '.join(words)!r} {error}") from None


def _mistake(invocation: Invocation, words: str) -> Exception:
    from config import ConfigError  # noqa: PLC0415  (only where something is wrong)

    return ConfigError(f"command {invocation.command!r}: {words}")
