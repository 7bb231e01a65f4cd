"""What a terminal may do: bytes that are no keys, a flood, silence, and its end in the middle of all that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.pseudo_terminal import PATIENCE, Session

ESCAPES = b"\x1b[A\x1bOP\x1b]0;title\x07\x1b[200~\x1b[M\x1b\x1b[31m" * 1600
"""More than 64 KiB."""
HOSTILE = (
    b"\x1b[M\x20\xf0\x8f",  # a mouse report in the X10 form, far to the right
    b"\xff\xfe\x80\xc3\xe2\x82",
    b"\x1b[99999999u",  # a key beyond Unicode
    b"\x1b[48;99999;99999;1;1t",  # a screen of ten thousand million cells
    b"\x1b[48;0;0;0;0t",
    b"\x1b[200~" + ESCAPES + b"\xff\x1b[201~",
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """memtop on the embedded cluster, with pods on its screen."""
    folders = {f"XDG_{name.upper()}_HOME": str(tmp_path / name) for name in ("config", "state", "cache")}
    opened = Session(["--demo", "--demo-pods", "20"], {**folders, "TMPDIR": str(tmp_path)})
    with contextlib.closing(opened):
        opened.read_until(lambda: b"user-service" in opened.written, "pods")
        yield opened


def test_bytes_that_are_no_keys_change_nothing(session: Session) -> None:
    for number, data in enumerate(HOSTILE):
        session.type_all(data)
        begun = len(session.written)
        session.type(b"?")
        session.resize(101 + number)  # else nothing is written where it was open a moment ago
        session.read_until(lambda: b"Keys of" in session.written[begun:], f"the help after {data[:20]!r}")  # noqa: B023
        session.type(b"\x1b[27u")  # the escape key, unlike the byte that may begin a sequence
    session.type(b"\x03")
    assert session.end() == 0
    session.assert_restored()
    assert b"Traceback" not in session.written


def test_a_terminal_that_stops_reading_is_left_when_asked(session: Session) -> None:
    """The screen's thread waits for it, and cannot hear the signal."""
    for columns in range(100, 160):  # each has the whole screen painted
        size = struct.pack("HHHH", 40, columns, 0, 0)
        fcntl.ioctl(session.slave, termios.TIOCSWINSZ, size)
        session.process.send_signal(signal.SIGWINCH)
        time.sleep(0.02)
    session.process.send_signal(signal.SIGTERM)
    assert session.process.wait(PATIENCE) == 143
    assert termios.tcgetattr(session.slave) == session.before


def test_a_terminal_that_goes_away_in_a_paste_ends_it(session: Session) -> None:
    os.set_blocking(session.master, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(64):
            os.write(session.master, b"\x1b[200~" + ESCAPES)
    session.close_terminal()
    try:
        assert session.process.wait(PATIENCE) in {129, -signal.SIGHUP}
    except subprocess.TimeoutExpired:
        pytest.fail("memtop lives on without a terminal")
