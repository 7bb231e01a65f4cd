"""A program in a terminal of its own: what it has on screen, when it came there, and what it cost."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_TOKEN = re.compile(
    rb"\x1b\[(?P<private>[?<>=]?)(?P<args>[0-9;:]*)(?P<middle>[ !$]*)(?P<final>[@-~])"
    rb"|\x1b[\]P_^](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\)"
    rb"|\x1b[()#].|\x1b[78=>MDEHc]"
    rb"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
    rb"|(?P<text>[^\x00-\x1f\x7f]+)"
)
Cell = tuple[str, str]
"""A character and the background it stands on."""


class Screen:
    """As much of a terminal as it takes to know what is on it: text and backgrounds.

    Args:
        width: Columns.
        height: Lines.

    Attributes:
        updates: The bytes of each synchronized update (what is between two beginnings of one).
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.updates: list[int] = [0]
        self._cells: list[list[Cell]] = [[(" ", "")] * width for _ in range(height)]
        self._x = self._y = 0
        self._background = ""
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Takes in output; returns what a terminal would answer to the questions in it."""
        data, answers = self._rest + data, b""
        at = 0
        while at < len(data):
            token = _TOKEN.match(data, at)
            if token is None or (token.end() == len(data) and token["text"] and data[-1] >= 0x80):
                if len(data) - at < 4096:
                    break  # the rest of a sequence or of a character is on its way
                at += 1
                continue
            self.updates[-1] += token.end() - at
            at = token.end()
            if token["text"]:
                self._write(token["text"].decode(errors="replace"))
            elif token["control"]:
                self._control(token["control"])
            elif token["final"]:
                answers += self._command(token)
        self._rest = data[at:]
        if self._rest and self._rest[0] != 0x1B:  # text that ended in a whole character after all
            try:
                self._write(self._rest.decode())
                self._rest = b""
            except UnicodeDecodeError:
                pass
        return answers

    def _write(self, text: str) -> None:
        for character in text:
            if self._y < self.height and self._x < self.width:
                self._cells[self._y][self._x] = (character, self._background)
            self._x += 1

    def _control(self, control: bytes) -> None:
        if control == b"\r":
            self._x = 0
        elif control == b"\n":
            self._y = min(self._y + 1, self.height - 1)

    def _command(self, token: re.Match[bytes]) -> bytes:
        arguments = [int(part or 0) for part in re.split(rb"[;:]", token["args"])]
        match token["private"] + token["middle"] + token["final"]:
            case b"H" | b"f":
                row, column = (*arguments, 1)[:2]
                self._y, self._x = max(1, row) - 1, max(1, column) - 1
            case b"m":
                self._colour(arguments)
            case b"J":
                self._cells = [[(" ", "")] * self.width for _ in range(self.height)]
            case b"?h" if arguments[0] == 2026:
                self.updates.append(0)
            case b"n" if arguments[0] == 5:  # as any terminal, once it has come to the question
                return b"\x1b[0n"
            case b"?$p":  # synchronized output (2026) is there, as in most terminals; other modes are not
                state = 2 if arguments[0] == 2026 else 0
                return b"\x1b[?%d;%d$y" % (arguments[0], state)
            case _:
                pass
        return b""

    def _colour(self, arguments: list[int]) -> None:
        rest = list(arguments)
        while rest:
            code = rest.pop(0)
            if code in {0, 49}:
                self._background = ""
            elif code == 38:
                del rest[: 4 if rest[:1] == [2] else 2]
            elif code == 48:
                count = 4 if rest[:1] == [2] else 2
                self._background = "/".join(map(str, rest[:count]))
                del rest[:count]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self._background = str(code)

    def lines(self) -> list[str]:
        """The text on screen."""
        return ["".join(character for character, _ in line).rstrip() for line in self._cells]

    def text(self) -> str:
        """The text on screen, its lines joined."""
        return "\n".join(self.lines())

    def background(self, x: int, y: int) -> str:
        """What colour a cell stands on; only equality means something."""
        return self._cells[y][x][1]


@dataclass(frozen=True)
class Usage:
    """What a process has cost so far.

    Attributes:
        cpu: Seconds of CPU, user and system.
        rss: Bytes in memory now.
        peak: The most bytes it ever had in memory.
    """

    cpu: float
    rss: int
    peak: int


def usage(pid: int) -> Usage:
    """What a running process has cost so far, its threads included and its children not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    sizes = dict(re.findall(r"^(VmHWM|VmRSS):\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M))
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        ticks / os.sysconf("SC_CLK_TCK"), int(sizes.get("VmRSS", 0)) << 10, int(sizes.get("VmHWM", 0)) << 10
    )


class Terminal:
    """Runs a program in a pseudo-terminal; use it as a context manager.

    Its settings and state folders are empty ones of its own, so that nothing of the user's counts.

    Args:
        command: The program and its words.
        width: Columns.
        height: Lines.
        environ: Variables beside the usual ones.

    Attributes:
        started: When it was started, `time.perf_counter` seconds.
        received: How many bytes it has written.
        chunks: When it wrote how many of them.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        width: int = 180,
        height: int = 50,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = Screen(width, height)
        self.received = 0
        self.chunks: list[tuple[float, int]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="memtop-bench-")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMTOP_")}
        home = {f"XDG_{name}_HOME": self._folder.name for name in ("CONFIG", "STATE", "CACHE")}
        self._environ = {
            **kept,
            **home,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            **(environ or {}),
        }
        self._command = [*command]
        self._size = struct.pack("HHHH", height, width, 0, 0)

    def __enter__(self) -> Self:
        """Starts the program."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, self._size)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            self._command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environ,
            start_new_session=True,
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, if it has not ended yet."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            deadline = time.perf_counter() + 10
            while self.process.poll() is None and time.perf_counter() < deadline:
                self.read(0.05)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        os.close(self._master)
        self._folder.cleanup()

    def read(self, timeout: float) -> int:
        """Takes in what is written within so many seconds, at most one piece; returns its bytes."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, timeout))
        if not ready:
            return 0
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # it has closed the terminal
            time.sleep(min(timeout, 0.01))
            return 0
        self.received += len(data)
        self.chunks.append((time.perf_counter(), len(data)))
        answers = self.screen.feed(data)
        if answers:
            os.write(self._master, answers)
        return len(data)

    def run(self, seconds: float) -> None:
        """Lets it go on for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def until(self, condition: Callable[[Screen], bool], timeout: float = 60.0) -> float:
        """Waits for something to be on screen.

        Returns:
            When the last piece of it came, `time.perf_counter` seconds.

        Raises:
            TimeoutError: It did not come; says what is on screen instead.
        """
        end = time.perf_counter() + timeout
        while not condition(self.screen):
            if time.perf_counter() > end or (self.process.poll() is not None and not self.read(0)):
                shown = self.screen.text()
                raise TimeoutError(f"not on screen after {timeout:.0f} s; there is:\n{shown}")
            self.read(0.5)
        return self.chunks[-1][0]

    def send(self, keys: str) -> float:
        """Presses keys; returns when."""
        os.write(self._master, keys.encode())
        return time.perf_counter()

    def resize(self, width: int, height: int) -> None:
        """Changes the size of the terminal."""
        self.screen = Screen(width, height)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def usage(self) -> Usage:
        """What the program has cost so far."""
        return usage(self.process.pid)
