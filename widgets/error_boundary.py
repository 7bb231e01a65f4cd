"""The error boundary: what a worker, a message handler or a timer raises ends neither app nor screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable

from textual._context import active_message_pump
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widget import Widget
from textual.worker import WorkerFailed, get_current_worker

from memtop.wording import failure_place, failure_sentence

R = TypeVar("R")

LOGGER = logging.getLogger("memtop.screen")
SAME_SECONDS = 30.0
"""What fails again at the same place within this time, such as a drawing that is tried every second, is not
told and not logged again."""


@runtime_checkable
class ShowsFailure(Protocol):
    """A part of the screen that has a place of its own for what went wrong in its workers."""

    def show_failure(self, sentence: str) -> None:
        """Shows a sentence."""


def guard_handlers(part: MessagePump, report: Callable[[Exception], None]) -> None:
    """Has a part of the screen live on when one of its message handlers or actions raises.

    Textual ends the message loop of a widget whose handler raised (``MessagePump._process_messages_loop``):
    it would stand there and hear nothing any more.

    Args:
        part: A widget or a screen; also one of Textual's own.
        report: Is told what was raised.
    """
    dispatch = part._dispatch_message

    async def guarded(message: Message) -> None:
        try:
            await dispatch(message)
        except Exception as error:  # noqa: BLE001  (the boundary: whatever it is, the screen lives on)
            report(error)

    part._dispatch_message = guarded  # type: ignore[method-assign]


class ErrorBoundary(App[R], Generic[R]):
    """An app that says what went wrong and goes on."""

    _guarding = False
    """Whether the app is up; what is raised before that ends it, since there is no screen to tell it on."""

    def guard(self) -> None:
        """The app is up: from now on nothing that is raised ends it."""
        self._guarding = True
        guard_handlers(self, self._handle_exception)
        self._failed_at: dict[tuple[type[BaseException], str], float] = {}

    def _register_child(self, parent: DOMNode, child: Widget, before: int | None, after: int | None) -> None:
        if child not in self._registry:
            guard_handlers(child, self._handle_exception)
        super()._register_child(parent, child, before, after)

    def _start_widget(self, parent: Widget, widget: Widget) -> None:  # of scroll bars
        guard_handlers(widget, self._handle_exception)
        super()._start_widget(parent, widget)

    def _handle_exception(self, error: Exception) -> None:
        if not self._guarding:
            super()._handle_exception(error)
        elif isinstance(error, WorkerFailed):  # which Textual reports from the worker itself
            self.report_failure(error.error, get_current_worker().node, in_worker=True)
        else:
            self.report_failure(error, active_message_pump.get(None))

    def _fatal_error(self) -> None:
        """As Textual does it, but without the values of variables: they may be passwords."""
        from rich.segment import Segments  # noqa: PLC0415  (only for a crash)
        from rich.traceback import Traceback  # noqa: PLC0415  (only for a crash)

        shown = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(shown, self.console.options)))
        self._close_messages_no_wait()

    def report_failure(
        self, error: BaseException, where: MessagePump | None = None, *, in_worker: bool = False
    ) -> None:
        """Says that something failed where it belongs, and writes the traceback to the log.

        Args:
            error: What was raised.
            where: The part of the screen it belongs to.
            in_worker: Whether a worker raised it, so that what that part waits for will not come.
        """
        place, now = failure_place(error.__traceback__), time.monotonic()
        sentence = failure_sentence(error)
        again = now - self._failed_at.get((type(error), place), -SAME_SECONDS) < SAME_SECONDS
        self._failed_at[type(error), place] = now
        if not again:
            LOGGER.error("%s failed", type(where or self).__name__, exc_info=error)
        if not self.is_running:
            return
        if in_worker and _shown_by(where, sentence):
            return
        if not again:
            self.notify(sentence, title="Something went wrong", severity="error", timeout=10, markup=False)


def report_failure(where: DOMNode, error: BaseException) -> None:
    """Says that what a part of the screen waits for has failed, where the app has a boundary.

    Args:
        where: The part of the screen.
        error: What was raised.
    """
    if isinstance(where.app, ErrorBoundary):
        where.app.report_failure(error, where, in_worker=True)


def _shown_by(where: MessagePump | None, sentence: str) -> bool:
    """Has the nearest part of the screen show a sentence; false if none has a place for it."""
    for part in _upwards(where):
        if isinstance(part, ShowsFailure) and part.is_attached:
            try:
                part.show_failure(sentence)
            except Exception:
                LOGGER.exception("%s cannot show a failure", type(part).__name__)
                return False
            return True
    return False


def _upwards(where: MessagePump | None) -> Iterator[DOMNode]:
    if isinstance(where, DOMNode):
        yield from where.ancestors_with_self
