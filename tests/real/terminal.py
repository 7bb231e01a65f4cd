"""A real terminal to run a program in: a tmux server of its own, whose screen can be read and typed into."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.real.patience import PATIENCE


class Terminal:
    """A terminal of a given size; a context manager.

    Args:
        columns: Its width.
        lines: Its height.
        environ: Variables for the program beside those of this process.
    """

    def __init__(self, columns: int, lines: int, environ: Mapping[str, str]) -> None:
        self._size = (columns, lines)
        self._environ = environ
        self._folder = tempfile.TemporaryDirectory(prefix="memtop-tmux-")
        self._socket = Path(self._folder.name) / "socket"

    def __enter__(self) -> Self:
        columns, lines = (str(number) for number in self._size)
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", lines, "env", "PS1=$ ", "sh")
        self._tmux("set-option", "-g", "status", "off")
        self._tmux("resize-window", "-x", columns, "-y", lines)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")
        self._folder.cleanup()

    def run(self, argv: Sequence[str]) -> None:
        """Types a command into the terminal's shell; afterwards the shell says ``exit code N``."""
        self._tmux("send-keys", "-l", f'{shlex.join(argv)}; echo "exit code $?"')
        self.keys("Enter")

    def keys(self, *names: str) -> None:
        """Presses keys, by tmux's names for them."""
        self._tmux("send-keys", *names)

    def screen(self) -> str:
        """What is on the screen now, as text."""
        return self._tmux("capture-pane", "-p")

    def wait(self, until: Callable[[str], object], what: str) -> str:
        """Waits until the screen is as it should be, and returns it."""
        deadline = time.monotonic() + PATIENCE
        while not until(screen := self.screen()):
            assert time.monotonic() < deadline, (
                f"waited {PATIENCE:.0f} s for {what}; the screen was\n{screen}"
            )
            time.sleep(0.1)
        return screen

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **self._environ},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout
