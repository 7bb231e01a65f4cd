"""What stands between Textual and the terminal: bytes that are no keys, floods, a terminal that is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import select
import selectors
import signal
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from memtop.sanitize import sanitize_bytes

LOGGER = logging.getLogger("memtop.screen")

READ_BYTES = 4096
"""Taken from the terminal at once, as Textual does; a kernel's buffer for a terminal holds as much."""
MOST_PASTED = 64 << 10
"""Bytes of one paste that are kept. The longest thing to paste here is an image's name or an expression."""
PASTE_SECONDS = 2.0
"""A paste without an end, from a terminal that went away or lost it, ends after this time of silence."""
MOST_UNSEEN = 512
"""Events that wait for the app; while there are more, nothing is read: the kernel makes the sender wait."""
MOST_CELLS = 1 << 20
"""Cells of the largest screen that a terminal may say it has: 2,000 columns of 500 lines."""

CHECK_SECONDS = 0.5
"""Between two looks whether the terminal is there."""
GRACE_SECONDS = 3.0
"""For an orderly end. Together with the look before it, this is less than five seconds."""

_PASTE_START, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_BEGINS = re.compile(rb"\x1b\[(?:200~|M)")
_X10_LENGTH = len(b"\x1b[M") + 3
_LEAVE = "\x1b[<u\x1b[?2004;1000;1003;1015;1006;1004l\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"
"""What Textual writes to leave the screen, for where it cannot."""


@dataclass(frozen=True, slots=True)
class PastedText:
    """A whole paste: no escapes, no control characters but tabs and newlines."""

    text: str


class TerminalInput:
    """Takes the terminal's bytes apart before Textual reads them as keys.

    Mouse reports in the X10 form (three bytes of any value) are left out, since they are no UTF-8 and Textual
    knows none of them. A paste becomes one piece; Textual's parser would look for keys in its escape bytes
    (64 KiB of them cost 110 s of CPU). Bytes that are not UTF-8 are left out.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._paste: bytearray | None = None
        self._pasted_at = 0.0
        self._torn = b""

    def take(self, data: bytes) -> Iterator[str | PastedText]:
        """The pieces in some bytes.

        Args:
            data: What came; a sequence may begin in one call and end in a later one.

        Yields:
            Text for the parser of keys, and pastes.
        """
        whole = len(data) < READ_BYTES
        data = self._kept + data
        self._kept = b""
        while data:
            if self._paste is not None:
                data, paste = self._continue_paste(data)
                if paste is not None:
                    yield paste
                continue
            begin = _BEGINS.search(data)
            if begin is None:
                held = _unfinished(data, whole=whole)
                self._kept = data[len(data) - held :]
                yield from self._text(data[: len(data) - held])
                return
            yield from self._text(data[: begin.start()])
            data = data[begin.start() :]
            if data.startswith(_PASTE_START):
                self._paste, data = bytearray(), data[len(_PASTE_START) :]
                self._pasted_at = time.monotonic()
            elif len(data) < _X10_LENGTH:
                self._kept, data = data, b""
            else:
                data = data[_X10_LENGTH:]

    def _continue_paste(self, data: bytes) -> tuple[bytes, PastedText | None]:
        assert self._paste is not None
        self._pasted_at = time.monotonic()
        end = data.find(_PASTE_END)
        # The last bytes may be the first ones of the end.
        length = end if end >= 0 else max(0, len(data) - len(_PASTE_END) + 1)
        self._paste += data[: min(length, MOST_PASTED - len(self._paste))]
        if end >= 0:
            return data[end + len(_PASTE_END) :], self._pasted()
        self._kept = data[length:]
        return b"", None

    def _pasted(self) -> PastedText:
        paste, self._paste = self._paste or b"", None
        return PastedText(sanitize_bytes(bytes(paste)).replace("\ufffd", ""))

    def rest(self) -> Iterator[str | PastedText]:
        """What was kept for bytes that do not come: nothing has come for a while."""
        if self._paste is not None:
            if time.monotonic() - self._pasted_at >= PASTE_SECONDS:
                self._paste += self._kept[: MOST_PASTED - len(self._paste)]
                self._kept = b""
                yield self._pasted()
        elif self._kept:
            kept, self._kept = self._kept, b""
            if not kept.startswith(b"\x1b[M"):
                yield from self._text(kept)

    def _text(self, data: bytes) -> Iterator[str]:
        data = self._torn + data
        self._torn = b""
        # A letter may be torn: up to three of its bytes stay for the next time.
        for length in range(1, min(4, len(data) + 1)):
            first = data[-length]
            if first >= 0xC0:
                if length < (2 if first < 0xE0 else 3 if first < 0xF0 else 4):
                    data, self._torn = data[:-length], data[-length:]
                break
            if first < 0x80:
                break
        if text := data.decode("utf-8", "ignore"):
            yield text


def _unfinished(data: bytes, *, whole: bool) -> int:
    """How many bytes at the end may be the beginning of a paste or a mouse report.

    A lone escape is a key, so it counts only where more bytes are known to be there.
    """
    most = min(len(data), len(_PASTE_START) - 1)
    least = 3 if whole else 1
    return next((size for size in range(most, least - 1, -1) if data.endswith(_PASTE_START[:size])), 0)


class TerminalDriver(LinuxDriver):
    """Textual's driver, which lives on whatever a terminal sends.

    Textual's own thread ends, and the app with it, at the first byte that is not UTF-8 and at a key code
    beyond Unicode; at the end of input it goes round and round, and it queues events without end.
    """

    _unseen = threading.BoundedSemaphore(MOST_UNSEEN)

    def run_input_thread(self) -> None:
        """Reads what the terminal sends until the app ends."""
        self._unseen = threading.BoundedSemaphore(MOST_UNSEEN)
        self._parser = XTermParser(self._debug)
        apart = TerminalInput()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if not selector.select(0.1):
                    self._handle(apart.rest())
                elif data := _read(self.fileno):
                    self._handle(apart.take(data))
                else:  # the end of input: the watchdog sees whether the terminal is gone
                    self.exit_event.wait(CHECK_SECONDS)
                self._guarded(self._parser.tick)

    def _handle(self, pieces: Iterator[str | PastedText]) -> None:
        for piece in pieces:
            if isinstance(piece, PastedText):
                self.process_message(events.Paste(piece.text))
            else:
                self._guarded(lambda text=piece: self._parser.feed(text))  # type: ignore[misc]

    def _guarded(self, parse: Callable[[], object]) -> None:
        """Hands on the events of a parser, which is replaced where it fails (``chr`` of 99,999,999)."""
        try:
            for event in parse():  # type: ignore[attr-defined]
                if not isinstance(event, events.Resize) or 0 < event.size.area <= MOST_CELLS:
                    self.process_message(event)
        except Exception:
            LOGGER.exception("the terminal sent what cannot be read as keys")
            self._parser = XTermParser(self._debug)

    def send_message(self, message: Message) -> None:
        """Hands an event to the app; the thread that reads waits while the app has enough of them."""
        if threading.current_thread() is not self._key_thread:
            super().send_message(message)
            return
        while not self.exit_event.is_set():
            if self._app.message_queue_size > MOST_UNSEEN:
                self.exit_event.wait(0.01)
            elif self._unseen.acquire(timeout=0.1):
                sent = asyncio.run_coroutine_threadsafe(self._app._post_message(message), self._loop)
                sent.add_done_callback(lambda _: self._unseen.release())
                return


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:  # EIO: the other end is closed
        return b""


def terminal_is_gone(descriptor: int) -> bool:
    """Whether a terminal has gone: nobody is at its other end."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up is told whatever one asks for
    return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))


class TerminalWatchdog(threading.Thread):
    """Ends the process where its terminal is gone, or where it was asked to end and does not.

    The screen's thread may stand still: Textual's ``Driver.write`` waits without end for a terminal that
    stops reading, and nothing that is asked of the event loop happens then. So this is a thread of its own,
    which ends the process by ``os._exit`` if an orderly end takes more than `GRACE_SECONDS`.

    Args:
        descriptor: The terminal.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="memtop-watchdog", daemon=True)
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)
        try:
            self._name = os.ttyname(descriptor)
        except OSError:  # in a container without its own /dev/pts
            self._name = "/dev/tty"
        self._asked: tuple[int, float] | None = None

    def asked_to_end(self, number: int, _frame: FrameType | None = None) -> None:
        """A signal asks memtop to end; also a handler of signals."""
        self._asked = self._asked or (number, time.monotonic())

    def run(self) -> None:
        """Looks at the terminal until the process ends."""
        while True:
            time.sleep(CHECK_SECONDS)
            if self._asked is None and terminal_is_gone(self._descriptor):
                self.asked_to_end(signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGHUP)
            elif self._asked is not None and time.monotonic() - self._asked[1] > GRACE_SECONDS:
                self._restore()
                os._exit(128 + self._asked[0])

    def _restore(self) -> None:
        """Leaves the terminal as it was, as far as that can be done without waiting for it."""
        try:
            termios.tcflush(self._descriptor, termios.TCOFLUSH)
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
            # Opened anew: O_NONBLOCK on the descriptor itself would hold for the shell as well.
            again = os.open(self._name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            os.write(again, _LEAVE.encode())
        except (OSError, termios.error):
            return  # it is gone
