"""The line one types a filter into: it works while one types."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

_HISTORY = 50


class FilterBar(Horizontal):
    """A prompt, an input and a place for what is wrong with it.

    Enter keeps the filter and closes the bar; escape clears the filter, and closes the bar when there is
    nothing to clear; up and down go through what was kept before.
    """

    DEFAULT_CSS = """
    FilterBar { height: 1; background: $panel; }
    FilterBar > #prompt { width: auto; padding: 0 0 0 1; color: $text-primary; text-style: bold; }
    FilterBar > Input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    FilterBar > #problem { width: auto; max-width: 60%; padding: 0 1; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "escape", "Clear", show=False),
        Binding("up", "history(-1)", "Earlier", show=False),
        Binding("down", "history(1)", "Later", show=False),
    ]

    class Changed(Message):
        """The filter is another one now; it may be half-typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Submitted(Changed):
        """The filter is to be kept and the bar to be closed."""

    class Closed(Message):
        """The bar is to be closed; there is no filter."""

    def __init__(self, prompt: str = "/", *, hint: str = "", id: str | None = None) -> None:
        """Makes an empty bar.

        Args:
            prompt: What stands before the input.
            hint: What to show while nothing is typed, such as ``text, !text or label=value``.
            id: As for any widget.
        """
        super().__init__(id=id)
        self._prompt = Static(Content(prompt), id="prompt")
        self._input = Input(placeholder=hint, compact=True, select_on_focus=False)
        self._problem = Static("", id="problem", markup=False)
        self._history: list[str] = []
        self._at = 0

    def compose(self) -> ComposeResult:
        """Puts the three beside each other."""
        yield self._prompt
        yield self._input
        yield self._problem

    @property
    def text(self) -> str:
        """What is typed now."""
        return self._input.value

    def open(self, text: str = "") -> None:
        """Starts anew with ``text`` and takes the focus."""
        self._at = len(self._history)
        self.problem = ""
        with self._input.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self.screen.set_focus(self._input)  # at once: `focus` would wait for keys that are on their way

    @property
    def problem(self) -> str:
        """What is wrong with the filter, in one sentence; empty if nothing is."""
        return str(self._problem.content)

    @problem.setter
    def problem(self, words: str) -> None:
        if words != self.problem:
            self._problem.update(words)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.problem = ""
        self.post_message(self.Changed(event.value))

    def keep(self) -> None:
        """Does what enter does once all that was typed before has arrived, for whoever handles enter."""
        self._input.call_later(self._input.action_submit)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value:
            self._history = [*(text for text in self._history if text != event.value), event.value][
                -_HISTORY:
            ]
        self.post_message(self.Submitted(event.value))

    def action_escape(self) -> None:
        """Clears the filter, or closes the bar."""
        if self.text:
            self._input.value = ""
        else:
            self.post_message(self.Closed())

    def action_history(self, step: int) -> None:
        """Brings back an earlier filter, or a later one; after the last there is an empty one."""
        self._at = min(max(self._at + step, 0), len(self._history))
        self._input.value = self._history[self._at] if self._at < len(self._history) else ""
        self._input.cursor_position = len(self.text)
