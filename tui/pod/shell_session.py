"""Hands the terminal over to a shell in a container, and takes it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from types import FrameType

from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef, Execution, execute, exit_code_of
from memtop.sanitize import sanitize
from tui.pod.tab import AskCluster

SHELL_COMMAND = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")
READ_BYTES = 4096
RESET_TERMINAL = (
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m\x1b(B\r\n"
)
"""Undoes what a program that was cut off may have left on: its own screen, the mouse, colours."""


def run_in_terminal(
    ask: AskCluster, container_ref: ContainerRef, command: Sequence[str] = SHELL_COMMAND
) -> int:
    """Runs a command in a container on this process's own terminal; returns its exit code.

    To be called on the main thread while the app is suspended.

    Raises:
        NoSuchProgram: The image has no shell.
        NotRunning: The container does not run.
        ApiError: It is forbidden.
        Unreachable: The connection could not be made, or was lost.
        CredentialError: No credential could be had.
    """
    keyboard, screen = sys.__stdin__, sys.__stdout__
    assert keyboard is not None
    assert screen is not None
    session = _ShellSession(keyboard.fileno(), screen.fileno())
    title = sanitize(f"{container_ref.container} of {container_ref.namespace}/{container_ref.pod}")
    screen.write(f"memtop: a shell in {title}\r\nexit or control-d comes back\r\n")
    screen.flush()
    with _raw_keyboard(keyboard.fileno()):
        future = ask(lambda client: session.run(client, container_ref, command))
        with _forward_signals(session.resized, future.cancel):
            try:
                return future.result()
            except CancelledError:
                return 0  # the app is told to end
            finally:
                os.write(screen.fileno(), RESET_TERMINAL)


class _ShellSession:
    """Carries bytes between the terminal and a command, on the engine's loop."""

    def __init__(self, keyboard: int, screen: int) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._loop: asyncio.AbstractEventLoop | None = None
        self._size = asyncio.Event()

    def resized(self) -> None:
        """The terminal has another size; may be called on any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._size.set)

    async def run(self, client: Client, container_ref: ContainerRef, command: Sequence[str]) -> int:
        """Runs the command to its end."""
        self._loop = asyncio.get_running_loop()
        async with execute(client, container_ref, command, terminal=True, typing=True) as execution:
            tasks = [asyncio.create_task(work) for work in (self._type(execution), self._resize(execution))]
            heard = False
            try:
                async for _, data in execution:
                    if not heard:
                        heard = True  # a size that is sent before the first output may go unheard
                        self._size.set()
                    await asyncio.to_thread(_write_screen, self._screen, data)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return exit_code_of(execution, command)

    async def _type(self, execution: Execution) -> None:
        """Sends what is typed; the keyboard is read only as fast as the container takes it."""
        while True:
            await self._key()
            try:
                data = os.read(self._keyboard, READ_BYTES)
            except OSError:
                return  # the terminal has gone; a signal says so as well
            if not data:
                return
            await execution.write(data)

    async def _key(self) -> None:
        """Waits for a key; nobody looks in between, for what is not read yet would wake the loop for ever."""
        loop = asyncio.get_running_loop()
        pressed = asyncio.Event()
        loop.add_reader(self._keyboard, pressed.set)
        try:
            await pressed.wait()
        finally:
            loop.remove_reader(self._keyboard)

    async def _resize(self, execution: Execution) -> None:
        while True:
            await self._size.wait()
            self._size.clear()
            size = os.get_terminal_size(self._screen)
            await execution.resize(size.columns, size.lines)


def _write_screen(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]


@contextlib.contextmanager
def _raw_keyboard(keyboard: int) -> Iterator[None]:
    """Every key as it is pressed."""
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _forward_signals(resized: Callable[[], None], end: Callable[[], object]) -> Iterator[None]:
    """Passes the terminal's new size on; the end of this process ends the shell first.

    The app's own handlers for the latter are told as well, once its loop goes on: they hear of signals by the
    descriptor that wakes the loop, whatever the handler.
    """

    def resize(_number: int, _frame: FrameType | None) -> None:
        resized()

    def leave(_number: int, _frame: FrameType | None) -> None:
        end()

    handlers = {signal.SIGWINCH: resize, signal.SIGTERM: leave, signal.SIGHUP: leave, signal.SIGINT: leave}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
