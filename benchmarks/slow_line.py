"""memtop on a slow line: what a person sees through 256 kbit/s with 200 ms of delay each way.

    python benchmarks/slow_line.py [--pods 1000] [--keys 60] [--buffer 262144]

memtop runs in a pseudo-terminal whose output passes a paced line: so many bytes a second, each of them late
by the delay; keys and changes of size are late as well. The line takes in up to ``--buffer`` bytes before
the program has to wait, as the buffers of an SSH connection do; so a program that writes all it can is
seconds ahead of what is on screen.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import os
import random
import re
import select
import signal
import socket
import struct
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from figures import kib, machine, milliseconds, percentile
from first_frame import containers
from installed import installed_memtop
from steady_state import cursor_row, key_presses
from terminal import Screen, Terminal

from memtop.demo.log_generators import LINE_INTERVALS, LOG_GENERATORS, LogMoment
from memtop.demo.thread import DemoThread

MEMTOP = installed_memtop()
BYTES_PER_SECOND = 32_000.0
DELAY = 0.2
PIECE = 256
"""Bytes that travel together: 8 ms of the line."""
WIDTH, HEIGHT = 180, 50
LINE_TIME = re.compile(r"written=(\d+\.\d+)")


class PacedLine(threading.Thread):
    """Carries bytes between a pseudo-terminal and a socket, slowly.

    Args:
        pty: The program's side.
        far: The person's side.
        rate: Bytes a second towards the person.
        delay: Seconds each way.
        buffer: Bytes taken in before the program has to wait.
    """

    def __init__(self, pty: int, far: socket.socket, rate: float, delay: float, buffer: int) -> None:
        super().__init__(daemon=True)
        self._pty, self._far = pty, far
        self._rate, self._delay, self._buffer = rate, delay, buffer
        self._out: collections.deque[tuple[float, bytes]] = collections.deque()
        self._in: collections.deque[tuple[float, Callable[[], object]]] = collections.deque()
        self._free_at = 0.0
        self.ended = False

    def later(self, action: Callable[[], object]) -> None:
        """Does something at the program's side once the delay is over."""
        self._in.append((time.perf_counter() + self._delay, action))

    def run(self) -> None:
        """Carries until it is ended."""
        while not self.ended:
            now = time.perf_counter()
            while self._in and self._in[0][0] <= now:
                self._in.popleft()[1]()
            while self._out and self._out[0][0] <= now:
                self._far.sendall(self._out.popleft()[1])
            room = (self._free_at - now) * self._rate < self._buffer
            due = min((queue[0][0] for queue in (self._out, self._in) if queue), default=now + 0.02)
            sources = [self._far, *([self._pty] if room else [])]
            ready, _, _ = select.select(sources, [], [], max(0.0, min(0.02, due - now)))
            if self._far in ready:
                keys = self._far.recv(4096)
                self.later(lambda keys=keys: os.write(self._pty, keys))  # type: ignore[misc]
            if self._pty in ready:
                try:
                    self._take(os.read(self._pty, 4096))
                except OSError:  # the program has closed its terminal
                    time.sleep(0.02)

    def _take(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._free_at = max(self._free_at, time.perf_counter()) + len(piece) / self._rate
            self._out.append((self._free_at + self._delay, piece))


class SlowTerminal(Terminal):
    """A terminal at the far end of a slow line; ``buffer`` as for `PacedLine`."""

    def __init__(self, command: Sequence[str], buffer: int) -> None:
        super().__init__(command, width=WIDTH, height=HEIGHT)
        self._line_buffer = buffer

    def __enter__(self) -> Self:
        """Starts the program and puts the line between."""
        super().__enter__()
        near, far = socket.socketpair()
        self._near, self._far, self._pty = near, far, self._master
        self._master = near.fileno()
        self.line = PacedLine(self._pty, far, BYTES_PER_SECOND, DELAY, self._line_buffer)
        self.line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the program, then the line."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            self.until(lambda _: self.process.poll() is not None, timeout=10)
        self.line.ended = True
        self.line.join()
        self._far.close()
        os.close(self._pty)
        self._near.detach()
        super().__exit__(kind, error, trace)

    def resize(self, width: int, height: int) -> None:
        """Changes the size, which the program is told of after the delay."""
        self.screen = Screen(width, height)

        def change() -> None:
            fcntl.ioctl(self._pty, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            self.process.send_signal(signal.SIGWINCH)

        self.line.later(change)


def words_of(delays: list[float]) -> str:
    """Delays beyond those of the line, as milliseconds."""
    own = [max(0.0, delay - 2 * DELAY) for delay in delays]
    p50, p95 = (milliseconds(percentile(own, share)) for share in (0.5, 0.95))
    return f"p50 {p50}, p95 {p95}, most {milliseconds(max(own))} (n={len(own)})"


def press_keys(terminal: SlowTerminal, count: int) -> list[float]:
    """Keys in the overview at uneven intervals; how long each took to be seen, seconds."""
    pause, waits = random.Random(2), []
    terminal.send("g")
    terminal.run(2)
    for key, done in key_presses(terminal):
        terminal.run(pause.uniform(0.3, 0.8))
        sent = terminal.send(key)
        waits.append(terminal.until(done, timeout=60) - sent)
        if len(waits) == count:
            break
    return waits


def hold_key(terminal: SlowTerminal) -> float:
    """Seconds until the cursor stands still after a key was held for three seconds, 30 a second."""
    for _ in range(90):
        terminal.send("j")
        terminal.run(1 / 30)
    began = moved = time.perf_counter()
    line = ""
    while time.perf_counter() - moved < 1.2:
        terminal.run(0.05)
        row = cursor_row(terminal.screen)
        words = terminal.screen.lines()[row][:40]  # the pod: what is measured of it changes by itself
        if words != line:
            moved, line = time.perf_counter(), words
    terminal.send("g")
    terminal.run(1)
    return moved - began


def settle(terminal: SlowTerminal) -> float:
    """Seconds until the line is not full any more."""
    began = last = time.perf_counter()
    while time.perf_counter() - last < 0.6 and time.perf_counter() - began < 60:
        before = terminal.received
        terminal.run(0.05)
        if terminal.received - before > 0.05 * BYTES_PER_SECOND / 2:
            last = time.perf_counter()
    return last - began


def repaints(terminal: SlowTerminal) -> Iterator[tuple[float, int]]:
    """Changes of size: seconds until all of the screen is drawn, and the bytes it took."""
    for width, height in ((120, 36), (180, 50), (100, 30), (180, 50), (80, 24), (180, 50)):
        before = terminal.received
        terminal.resize(width, height)
        terminal.run(2 * DELAY)
        took = 2 * DELAY + settle(terminal)
        yield took, terminal.received - before


def chatty(moment: LogMoment) -> str:
    """One of 1,000 lines a second; says when it was written."""
    return (
        f"2026-11-29T12:00:00Z INFO  handler request={moment.index} path=/api/v1/orders/{moment.index % 9973}"
        f" status=200 bytes={moment.index * 37 % 8191} took={moment.index % 251}ms written={time.time():.3f}"
    )


def newest_line_age(screen: Screen) -> float | None:
    """Seconds since the newest line on screen was written; None without one."""
    found = [float(written) for written in LINE_TIME.findall(screen.text())]
    return time.time() - max(found) if found else None


def follow_log(terminal: SlowTerminal, seconds: float, count: int) -> None:
    """Opens a log that grows by 1,000 lines a second and prints how far behind it is, and its keys."""
    terminal.send("/")
    terminal.run(1)
    terminal.send("order-service\r")  # its pods live on, unlike those of what leaks
    terminal.run(1.5)
    terminal.send("\r")
    terminal.run(1.5)
    sent = terminal.send("l")
    opened = terminal.until(lambda screen: newest_line_age(screen) is not None, timeout=60) - sent
    terminal.run(6)
    ages: list[float] = []
    began, received = time.perf_counter(), terminal.received
    while time.perf_counter() - began < seconds:
        terminal.run(0.1)
        age = newest_line_age(terminal.screen)
        if age is not None:
            ages.append(age)
    rate = (terminal.received - received) / (time.perf_counter() - began)
    p50, p95 = (f"{percentile(ages, share):.2f} s" for share in (0.5, 0.95))
    print(f"log, 1,000 lines/s    opened after {opened:.2f} s; newest line is {p50} old, p95 {p95}")
    print(f"                      {kib(rate)}/s of {kib(BYTES_PER_SECOND)}/s")
    waits, pause = [], random.Random(3)
    for index in range(count):
        terminal.run(pause.uniform(0.6, 1.2))
        stopped = index % 2 == 0
        sent = terminal.send("f")
        seen = terminal.until(
            lambda screen, stopped=stopped: ("f follows" in screen.text()) == stopped,  # type: ignore[misc]
            timeout=60,
        )
        waits.append(seen - sent)
    print(f"keys in that log      {words_of(waits)} beyond the line's delay")
    sent = terminal.send("\x1b")
    print(f"back to the overview  {terminal.until(_overview, timeout=60) - sent:.2f} s")


def _overview(screen: Screen) -> bool:
    return containers(screen) > 0 and "Restarts" in screen.text()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1_000)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the log is followed")
    parser.add_argument("--buffer", type=int, default=256 << 10, help="bytes that the line takes in")
    arguments = parser.parse_args()
    for style in LINE_INTERVALS:
        LINE_INTERVALS[style], LOG_GENERATORS[style] = 0.001, chatty
    print(machine())
    options = {"pods": arguments.pods, "containers": 2, "churn": 50.0}
    with DemoThread(**options) as demo, tempfile.NamedTemporaryFile("w") as file:
        file.write(demo.kubeconfig())
        file.flush()
        command = [MEMTOP, "-A", "--kubeconfig", file.name, "--no-prometheus"]
        with SlowTerminal(command, arguments.buffer) as terminal:
            shown = terminal.until(lambda screen: containers(screen) >= arguments.pods) - terminal.started
            print(f"all containers        after {shown:.2f} s")
            terminal.run(20)
            received = terminal.received
            terminal.run(20)
            print(f"nothing pressed       {kib((terminal.received - received) / 20)}/s")
            print(f"keys in the overview  {words_of(press_keys(terminal, arguments.keys))} beyond the delay")
            print(f"a key held for 3 s    screen stands still {hold_key(terminal):.2f} s after the last")
            took = list(repaints(terminal))
            print(
                "a change of size      "
                + ", ".join(f"{seconds:.2f} s ({size / 1024:.0f} KiB)" for seconds, size in took)
            )
            follow_log(terminal, arguments.seconds, arguments.keys // 2)


if __name__ == "__main__":
    main()
