"""memtop as a command on a pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR, MOUSE_OFF, PASTE_OFF = b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"


class Session:
    """memtop on a pseudo terminal of 100 × 30."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", **environ},
            start_new_session=True,
        )

    def read_until(self, holds: Callable[[], bool], what: str) -> None:
        """Takes in what is written until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"waited for {what}; written was {self.written[-2000:]!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.written += os.read(self.master, 65536)

    def resize(self, columns: int) -> None:
        """Gives it another width, after which memtop writes the whole screen and not only what differs."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def type_all(self, data: bytes) -> None:
        """Types more than the terminal's buffer holds, and takes in what is written meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while data:
            assert time.monotonic() < deadline, f"nobody reads the last {len(data)} bytes"
            ready, free, _ = select.select([self.master], [self.master], [], 0.1)
            if ready:
                self.written += os.read(self.master, 65536)
            if free:
                data = data[os.write(self.master, data[:1024]) :]

    def close_terminal(self) -> None:
        """The terminal goes away."""
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = -1

    def end(self) -> int:
        """Waits for the end and returns the exit code."""
        self.read_until(lambda: self.process.poll() is not None, "the end")
        while select.select([self.master], [], [], 0)[0]:
            self.written += os.read(self.master, 65536)
        return self.process.returncode

    def assert_restored(self) -> None:
        """The terminal is as it was."""
        assert termios.tcgetattr(self.slave) == self.before
        assert self.written.rindex(LEAVE_SCREEN) > self.written.rindex(ENTER_SCREEN)
        for sequence in (SHOW_CURSOR, MOUSE_OFF, PASTE_OFF):
            assert sequence in self.written[self.written.rindex(ENTER_SCREEN) :]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master >= 0:
            self.close_terminal()
