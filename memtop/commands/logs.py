"""``memtop logs``: the log of a pod or of a workload's pod, searched as on the screen, printed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TextIO

from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef, parse_object_name
from memtop.logs.buffer import LogBuffer, LogChannel, LogDelivery, LogStatus
from memtop.logs.log_output import FigurePrinter, LinePrinter, LogPrinter, MatchPrinter
from memtop.logs.log_request import LOGGED_KINDS, MAX_LINES, LogRequest, NoSuchLog, find_log_target
from memtop.logs.reader import LogReader
from memtop.logs.search import Grep, LogFilter, LogSearch, PatternError
from memtop.observe.watchlist import DemoStartError, open_watchlist
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.invocation import Invocation

FAILED, BAD_INPUT = 1, 2


def run_logs(invocation: Invocation, out: TextIO, err: TextIO) -> int:
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
    sought = _filter_from_flags(invocation)
    if sought is not None and invocation.options["values"]:
        raise _usage_error(
            invocation, "--values prints figures and no lines: --grep and --preset have no use"
        )
    try:
        with open_watchlist(
            invocation.settings, os.environ, demo=bool(invocation.options.get("demo"))
        ) as plan:
            ref = _object_from_arguments(invocation, plan.target.namespace)
            return asyncio.run(_print_log(invocation, Client(plan.target), ref, sought, out, err))
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (NoSuchLog, PatternError) as error:
        print(f"memtop: {error}", file=err)
        return BAD_INPUT
    except (DemoStartError, ApiError, Unreachable, CredentialError) as error:
        print(f"memtop: {error}", file=err)
        return FAILED


async def _print_log(
    invocation: Invocation, client: Client, ref: ObjectRef, sought: LogFilter | None, out: TextIO, err: TextIO
) -> int:
    options = invocation.options
    grep = Grep()
    try:
        if sought is not None:
            await set_expression(grep, sought, typed=bool(options["grep"]))  # says what is wrong at once
        found = await find_log_target(client, ref, options["container"])
        if found.how_chosen:
            print(f"memtop: {found.how_chosen}", file=err)
        request = LogRequest(
            ref.namespace,
            found.pod,
            found.containers,
            previous=options["previous"],
            follow=options["follow"] and not options["previous"],
            tail=min(options["tail"], MAX_LINES),
            since_seconds=round(options["since"]) or None,
        )
        lines = LinePrinter(out, times=options["timestamps"], owners=len(found.containers) > 1)
        printer: LogPrinter = lines
        if options["values"]:
            printer = FigurePrinter(out)
        elif sought is not None:
            buffer = LogBuffer()
            printer = MatchPrinter(buffer, LogSearch(sought, buffer, grep), lines, out)
        status = await read_and_print(client, request, printer)
    finally:
        await grep.close()
        await client.close()
    if status.failed:
        print(f"memtop: {status.words}", file=err)
        return FAILED
    if isinstance(printer, MatchPrinter) and not printer.count:
        print("memtop: no line matches", file=err)
    if isinstance(printer, FigurePrinter) and not printer.count:
        print("memtop: no line tells of the heap or of its collector", file=err)
    return 0


async def set_expression(grep: Grep, sought: LogFilter, *, typed: bool) -> None:
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
        raise  # the expression is one of ours, not one that was typed


async def read_and_print(client: Client, request: LogRequest, printer: LogPrinter) -> LogStatus:
    """Reads and prints until nothing more can come; returns how it ended."""
    status = LogStatus("")
    async with aclosing(_read_deliveries(client, request)) as deliveries:
        async for delivery in deliveries:
            status = delivery.status or status
            await printer.take(delivery)
    return status


async def _read_deliveries(client: Client, request: LogRequest) -> AsyncGenerator[LogDelivery, None]:
    """What is read, as it comes."""
    news = asyncio.Event()
    channel = LogChannel(news.set)
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


def _filter_from_flags(invocation: Invocation) -> LogFilter | None:
    """What the flags look for."""
    options = invocation.options
    preset, pattern = options["preset"], options["grep"]
    if preset and pattern:
        raise _usage_error(invocation, "--preset and --grep exclude each other")
    presets = invocation.settings.logs.presets
    if preset and preset not in presets:
        raise _usage_error(invocation, f"--preset: {preset!r} is none of {', '.join(presets)}")
    if not preset and not pattern:
        if options["invert"] or options["around"]:
            raise _usage_error(invocation, "--invert and --around need --grep or --preset")
        return None
    invert, context = bool(options["invert"]), int(options["around"])
    if preset:
        return LogFilter(presets[preset], preset, invert=invert, context=context)
    return LogFilter.typed(pattern, invert=invert, context=context)


def _object_from_arguments(invocation: Invocation, default: str) -> ObjectRef:
    """The pod or workload that the arguments name."""
    words = invocation.arguments
    namespaces = invocation.settings.cluster.namespaces
    if len(namespaces) > 1:
        raise invocation.mistake("cluster.namespaces", "a log is of one pod, so it needs one namespace")
    namespace = next(iter(namespaces), default)
    if len(words) == 1 and "/" not in words[0]:
        return ObjectRef("Pod", namespace, words[0])
    try:
        return parse_object_name(words, namespace, LOGGED_KINDS)
    except ValueError as error:
        raise _usage_error(invocation, f"{' '.join(words)!r} {error}") from None


def _usage_error(invocation: Invocation, words: str) -> Exception:
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    return ConfigError(f"command {invocation.command!r}: {words}")
