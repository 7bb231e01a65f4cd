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
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
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

ASKED_BYTES = 256
"""Bytes written after which the terminal is asked whether they are there; fewer are nothing on any line."""
MEASURED_BYTES = 1024
"""Bytes of a repaint, at least, from which the speed of the line is taken."""
DELAYS_KEPT = 32
QUEUE_SECONDS = 0.05
"""What may be on its way in front of a repaint that somebody waits for, and what counts as slow."""
PRESSED_SECONDS = 0.5
"""After a key repaints are what somebody waits for."""
LATE_SECONDS = 0.25
"""An answer that is later than this makes the next repaint wait for it: the line is slower than believed."""
ANSWER_SECONDS = 10.0
"""After this time without an answer one more repaint is written: answers may have been lost."""
FIRST_ANSWER_SECONDS = 1.0
"""A terminal that has not answered its first question by then is not waited for at the end."""
LAST_ANSWER_SECONDS = 1.0
"""Most time that the end waits for answers; the watchdog would give up after three seconds."""

CHECK_SECONDS = 0.5
"""Between two looks whether the terminal is there."""
GRACE_SECONDS = 3.0
"""For an orderly end. Together with the look before it, this is less than five seconds."""

_PASTE_START, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_ASK, _ANSWER = "\x1b[5n", b"\x1b[0n"
"""A terminal answers that it is well (DSR) once it has taken in what was written before the question."""
_BEGINS = re.compile(rb"\x1b\[(?:200~|M|0n)")
_X10_LENGTH = len(b"\x1b[M") + 3
_LEAVE = "\x1b[<u\x1b[?2004;1000;1003;1015;1006;1004l\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"
"""What Textual writes to leave the screen, for where it cannot."""


@dataclass(frozen=True, slots=True)
class PastedText:
    """A whole paste: no escapes, no control characters but tabs and newlines."""

    text: str


class OutputArrived(Message):
    """The terminal has taken in what was written some time ago."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest matters."""
        return isinstance(message, OutputArrived)


class Answer:
    """In the bytes of a terminal: its answer to the oldest question that is open."""


class OutputPace:
    """How fast the line to the terminal is, and when the next repaint may be written.

    Behind an SSH connection are buffers of megabytes: whatever is written is taken at once, and is seen when
    all that was written before has passed the line. So after each repaint the terminal is asked for an
    answer; the times tell how long a byte is on its way (the least seen) and how many pass in a second. A
    terminal that never answers is never waited for.

    All times are of `time.monotonic`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: deque[tuple[float, int]] = deque()
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._byte_seconds: float | None = None
        self._answers = 0
        self._answered_at = self._free_at = self._pressed_at = float("-inf")
        self._cost = 0.0

    def asked(self, size: int, now: float) -> None:
        """So many bytes were written since the last question, and now it is asked whether they are there."""
        with self._lock:
            self._cost = size * (self._byte_seconds or 0.0)
            self._free_at = max(now, self._free_at) + self._cost
            self._open.append((now, size))

    def answered(self, now: float) -> None:
        """The terminal has answered the oldest question."""
        with self._lock:
            if not self._open:
                return
            asked_at, size = self._open.popleft()
            self._delays.append(now - asked_at)
            # The line was free for these bytes once those before had arrived.
            took = now - max(self._answered_at, asked_at + min(self._delays))
            if size >= MEASURED_BYTES:
                # Times are averaged and not speeds, so that a line that turns slow is believed at once.
                each, before = max(took, 0.0) / size, self._byte_seconds
                self._byte_seconds = each if before is None else (before + each) / 2
            self._answered_at = now
            self._answers += 1

    def pressed(self, now: float) -> None:
        """Somebody has pressed a key and waits to see what it does."""
        self._pressed_at = now

    def forget_open(self) -> None:
        """No question is answered any more."""
        with self._lock:
            self._open.clear()
            self._free_at = float("-inf")

    def is_awaiting(self, now: float) -> bool:
        """Whether an answer is still to come."""
        with self._lock:
            if not self._answers:
                return bool(self._open) and now - self._open[0][0] < FIRST_ANSWER_SECONDS
            return bool(self._open) and now - self._open[0][0] < ANSWER_SECONDS

    def wait(self, now: float) -> float:
        """Seconds until the next repaint may be written; 0 if it may be now."""
        with self._lock:
            if not self._answers or not self._open:
                overdue = False
            elif now - self._open[0][0] > ANSWER_SECONDS:  # answers were lost, or it stands still
                self._open.clear()
                overdue = False
            else:
                overdue = self._byte_seconds is None or now > self._free_at + min(self._delays) + LATE_SECONDS
            if overdue:
                return LATE_SECONDS
            busy = self._free_at - now
            if now - self._pressed_at < PRESSED_SECONDS:
                return max(0.0, busy - QUEUE_SECONDS)
            # What nobody waits for leaves half of a slow line free for what somebody may ask for.
            return max(0.0, busy + (self._cost if self._cost > QUEUE_SECONDS else 0.0))


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

    def take(self, data: bytes) -> Iterator[str | PastedText | Answer]:
        """The pieces in some bytes.

        Args:
            data: What came; a sequence may begin in one call and end in a later one.

        Yields:
            Text for the parser of keys, pastes, and answers.
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
            elif data.startswith(_ANSWER):
                data = data[len(_ANSWER) :]
                yield Answer()
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
    ends = (_PASTE_START, _ANSWER)
    return next(
        (size for size in range(most, least - 1, -1) if data.endswith(tuple(end[:size] for end in ends))), 0
    )


class TerminalDriver(LinuxDriver):
    """Textual's driver, which lives on whatever a terminal sends.

    Textual's own thread ends, and the app with it, at the first byte that is not UTF-8 and at a key code
    beyond Unicode; at the end of input it goes round and round, and it queues events without end.
    """

    _unseen = threading.BoundedSemaphore(MOST_UNSEEN)
    mode = 0
    """Counts up whenever the application takes over the screen."""
    tell_arrivals = False
    """Whether the app waits for answers."""
    _unasked = 0

    @cached_property
    def pace(self) -> OutputPace:
        """How fast the line to the terminal is."""
        return OutputPace()

    def start_application_mode(self) -> None:
        """Takes over the screen, at first or again."""
        self.mode += 1
        self.pace.forget_open()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._ask()

    def write(self, data: str) -> None:
        """Writes, but not into the queue of a thread that has ended with its terminal: a full one blocks."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().write(data)

    def wrote(self, size: int) -> None:
        """So many bytes of a repaint were written."""
        self._unasked += size
        if self._unasked >= ASKED_BYTES:
            self._ask()

    def _ask(self) -> None:
        if self.input_tty:
            self.write(_ASK)
            self.pace.asked(self._unasked, time.monotonic())
            self._unasked = 0

    def disable_input(self) -> None:
        """Ends reading, but not before the answers have come: the shell would take them for keys."""
        end = time.monotonic() + LAST_ANSWER_SECONDS
        while self._key_thread is not None and self.pace.is_awaiting(time.monotonic()):
            if time.monotonic() > end or terminal_is_gone(self.fileno):
                break
            time.sleep(0.005)
        super().disable_input()

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

    def _handle(self, pieces: Iterator[str | PastedText | Answer]) -> None:
        for piece in pieces:
            if isinstance(piece, Answer):
                self.pace.answered(time.monotonic())
                if self.tell_arrivals:
                    self._app.post_message(OutputArrived())
            elif isinstance(piece, PastedText):
                self.process_message(events.Paste(piece.text))
            else:
                self._guarded(lambda text=piece: self._parser.feed(text))  # type: ignore[misc]

    def _guarded(self, parse: Callable[[], object]) -> None:
        """Hands on the events of a parser, which is replaced where it fails (``chr`` of 99,999,999)."""
        try:
            for event in parse():  # type: ignore[attr-defined]
                if isinstance(event, events.InputEvent):
                    self.pace.pressed(time.monotonic())
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
