"""One-line bars: the keys that work here, and the line for typing a filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from widgets.line_widget import LineWidget
from widgets.styled_text import literal
from widgets.table_parts import column_gap

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

    def submit_in_order(self) -> None:
        """Submits after all earlier keys have arrived, so that the handler sees the whole text."""
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


FIRST_KEYS = ("escape", "question_mark", "q")
"""The keys that come first where no other order is asked for, so that a narrow screen has them too."""


class KeyBar(LineWidget):
    """Each key with what it does; one that can't be used now is faint. A click is as good as the key.

    Textual's own footer is a widget for every key, all made anew whenever the focus moves; this is one line
    of text, of which only what differs is repainted.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $footer-background; color: $footer-foreground; }
    """

    def __init__(self, order: Sequence[str] = FIRST_KEYS) -> None:
        """Makes a bar of the keys of its screen.

        Args:
            order: Keys in the order to show them; all others come after these, as the screen has them.
        """
        super().__init__()
        self._ranks = {key: rank for rank, key in enumerate(order)}
        self._places: list[tuple[int, str]] = []

    def on_mount(self) -> None:
        """Follows the keys of its screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._keys_changed)

    def _keys_changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the one line, with as many keys as fit; a narrow one has no blank to spare."""
        line = Text()
        self._places = []
        actions: set[str] = set()
        wide = column_gap(width) > 1
        for active in sorted(self.screen.active_bindings.values(), key=self._rank):
            binding = active.binding
            if not binding.show or binding.action in actions:
                continue
            actions.add(binding.action)
            shown, words = literal(self.app.get_key_display(binding)), literal(binding.description)
            before = " " * (wide + bool(line.plain))
            if cell_len(f"{line.plain}{before}{shown} {words}") > width:
                break
            line.append(before)
            line.append(f"{shown} ", "title" if active.enabled else "faint")
            line.append(words, "" if active.enabled else "faint")
            self._places.append((cell_len(line.plain) + 1, binding.key))
        return [line]

    def _rank(self, active: ActiveBinding) -> int:
        return self._ranks.get(active.binding.key, len(self._ranks))

    def on_click(self, event: events.Click) -> None:
        """Presses the key that was clicked on."""
        for end, key in self._places:
            if event.x < end:
                self.app.simulate_key(key)
                return
