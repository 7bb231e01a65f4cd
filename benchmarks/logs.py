"""How long a filter takes over a full log, and what a log of a gigabyte costs while it is followed.

    python benchmarks/logs.py [--lines 200000] [--megabytes 1000]

Prints figures, asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from config.settings import DEFAULT_PRESETS
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, ClusterTarget
from memtop.logs.buffer import LogBuffer, LogChannel
from memtop.logs.log_lines import LogLine
from memtop.logs.log_request import LogRequest
from memtop.logs.reader import LogReader
from memtop.logs.search import Grep, LogFilter, LogSearch, PatternError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SECOND = 1_000_000_000
WORK = (
    "INFO  c.e.UserController - GET /api/v1/users/{0} 200 {1}ms trace=4bf92f3577b34da6a3ce929d0e0e4736",
    "INFO  c.e.SessionStore - session {0} refreshed in {1}ms from 10.42.3.{1}",
    "DEBUG c.e.Pool - lent connection {0}, {1} idle",
    "WARN  c.e.UserController - slow request {0}: {1}ms",
)
MEMORY = (
    "[{0}.123s][info][gc] GC({1}) Pause Young (Allocation Failure) 124M->24M(232M) 2.955ms",
    "WARN  c.e.Health - Heap usage: 1.{1}GB / 2GB (9{1}%)",
)
EXPRESSIONS = {"a rare number": r"user=1234\d\b", "every line": r"\d+ms", "runs away": r"(\w+\s?)+\."}


def texts(count: int) -> Iterator[str]:
    """Lines of a service, of which two in a hundred speak of memory."""
    dice = random.Random(1)
    for _ in range(count):
        templates = MEMORY if dice.random() < 0.02 else WORK
        yield dice.choice(templates).format(dice.randrange(100_000), dice.randrange(500))


async def filters(count: int) -> None:
    """Each preset and some expressions, over as many lines as are kept."""
    buffer = LogBuffer(most_lines=count + 10_000, most_bytes=1 << 40)
    began = time.perf_counter()
    buffer.append(LogLine(n * SECOND // 100, text, "web") for n, text in enumerate(texts(count)))
    took = time.perf_counter() - began
    print(f"keep {count:,} lines of {buffer.size / count:.0f} bytes: {took:.2f} s (their making included)")
    lines = [buffer.line(n).text for n in range(count)]
    grep = Grep()
    for name, pattern in (DEFAULT_PRESETS | EXPRESSIONS).items():
        search = LogSearch(LogFilter(pattern, name), buffer, grep)
        began, burnt = time.perf_counter(), _cpu(grep)
        longest = [0.0]
        ticker = asyncio.create_task(_gaps(longest))
        try:
            await search.advance()
        except PatternError as error:
            print(f"  {name:14} {time.perf_counter() - began:5.2f} s  {error}")
            continue
        finally:
            ticker.cancel()
        took, cpu = time.perf_counter() - began, _cpu(grep) - burnt
        began = time.perf_counter()
        rows = len(search.rows())
        drawn = time.perf_counter() - began
        plain = _plainly(pattern, lines) if name in {"memory", "gc"} else None
        beside = f", a loop over re.search {plain:.2f} s" if plain is not None else ""
        print(
            f"  {name:14} {took:5.2f} s ({cpu:.2f} s of CPU)  {rows:7,} matches, "
            f"held the loop for {longest[0] * 1000:.0f} ms, rows in {drawn * 1000:.1f} ms{beside}"
        )
    await grep.close()


def _cpu(grep: Grep) -> float:
    """Seconds of CPU that this process and the search's have used, on Linux."""
    searching = grep._process
    stat = Path(f"/proc/{searching.pid}/stat") if searching is not None else None
    ticks = stat.read_text().rpartition(")")[2].split()[11:13] if stat is not None and stat.exists() else ()
    return time.process_time() + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def _gaps(longest: list[float]) -> None:
    """Measures for how long at most the event loop does nothing else."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        longest[0] = max(longest[0], time.perf_counter() - began - 0.001)


def _plainly(pattern: str, lines: list[str]) -> float:
    sought = re.compile(pattern, re.IGNORECASE)
    began = time.perf_counter()
    for line in lines:
        sought.search(line)
    return time.perf_counter() - began


async def gigabyte(megabytes: int) -> None:
    """A log of so many megabytes from a server in a process of its own."""
    port, server = await _server(megabytes)
    target = ClusterTarget(
        "bench", "bench", "bench", server=f"http://127.0.0.1:{port}", namespace="x", source="", auth=Auth()
    )
    news = asyncio.Event()
    channel, buffer = LogChannel(news.set), LogBuffer()
    readings = 0
    before, cpu, began = _resident(), time.process_time(), time.perf_counter()
    async with Client(target) as client:
        task = asyncio.create_task(
            LogReader(LogRequest("x", "web", ("web",), follow=False), channel).run(client)
        )
        over = False
        peak = 0
        while not over:
            await news.wait()
            news.clear()
            delivery = channel.take()
            buffer.append(delivery.lines)
            readings += len(delivery.readings)
            peak = max(peak, _resident())
            over = delivery.status is not None and delivery.status.ended
        await task
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    server.terminate()
    await server.wait()
    print(
        f"read {megabytes:,} MB, {buffer.end:,} lines: {took:.1f} s, {cpu:.1f} s of CPU "
        f"({megabytes / took:.0f} MB/s), {readings:,} readings"
    )
    print(
        f"  kept {len(buffer):,} lines, {buffer.size >> 20} MiB; memory grew by at most "
        f"{(peak - before) >> 20} MiB to {peak >> 20} MiB"
    )


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _server(megabytes: int) -> tuple[int, asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", str(megabytes), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return int(await process.stdout.readline()), process


async def serve(megabytes: int) -> None:
    """Serves a log of so many megabytes on a port that is printed."""
    piece = b"".join(
        b"2026-11-22T16:%02d:%02d.%09dZ %s\n" % (n // 60 % 60, n % 60, n, text.encode())
        for n, text in enumerate(texts(10_000))
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(megabytes * 1_000_000 // len(piece)):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Runs both."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=200_000)
    options.add_argument("--megabytes", type=int, default=1_000)
    options.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.serve))
        return
    print(f"# {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    asyncio.run(filters(chosen.lines))
    asyncio.run(gigabyte(chosen.megabytes))


if __name__ == "__main__":
    main()
