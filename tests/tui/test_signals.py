"""The end of a session: whatever ends memtop, the terminal is as it was before and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.pseudo_terminal import PATIENCE, Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """memtop on the embedded cluster, with pods on its screen and one sort order changed."""
    folders = {f"XDG_{name.upper()}_HOME": str(tmp_path / name) for name in ("config", "state", "cache")}
    opened = Session(["--demo", "--demo-pods", "20"], {**folders, "TMPDIR": str(tmp_path)})
    with contextlib.closing(opened):
        opened.read_until(lambda: b"user-service" in opened.written, "pods")
        opened.type(b"S")
        kept = tmp_path / "state/memtop/preferences-demo.json"
        opened.read_until(kept.exists, "the order to be kept")
        yield opened


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_leaves_nothing_behind(
    session: Session, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    helpers = children(session.process.pid) if sys.platform == "linux" else []
    session.process.send_signal(number)
    assert session.end() == code
    session.assert_restored()
    assert b"Traceback" not in session.written
    session.read_until(lambda: not any(map(alive, helpers)), "the embedded cluster to end")
    assert not list(tmp_path.glob("memtop-demo-*")), "its files are gone"
    assert not list(tmp_path.glob("state/memtop/preferences-demo.json?*")), "nothing is half-written"
    assert json.loads((tmp_path / "state/memtop/preferences-demo.json").read_text())["sorts"]


@pytest.mark.parametrize("keys", [b"q", b"\x03"], ids=["q", "ctrl+c"])
def test_a_key_leaves_the_terminal_as_it_was(session: Session, keys: bytes) -> None:
    session.type(keys)
    assert session.end() == 0
    session.assert_restored()


@pytest.mark.parametrize("controls", [True, False], ids=["the kernel says so", "nobody says so"])
def test_a_terminal_that_goes_away_ends_it(tmp_path: Path, controls: bool) -> None:
    """The SSH session drops: the terminal is gone, and the kernel says so to whom it controls."""
    folders = {f"XDG_{name.upper()}_HOME": str(tmp_path / name) for name in ("config", "state", "cache")}
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "tui.cli", "--demo", "--demo-pods", "20"]
    process = subprocess.Popen(
        ["setsid", *(["--ctty"] if controls else []), *argv] if sys.platform == "linux" else argv,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", **folders, "TMPDIR": str(tmp_path)},
    )
    os.close(slave)
    written = b""
    try:
        deadline = time.monotonic() + PATIENCE
        while b"user-service" not in written and time.monotonic() < deadline:
            written += os.read(master, 65536)
        os.close(master)
        assert process.wait(PATIENCE) in {129, -signal.SIGHUP}
        assert not list(tmp_path.glob("memtop-demo-*"))
    finally:
        process.kill()
        process.wait()
