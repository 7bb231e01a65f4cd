"""What dialogs share: a box that scrolls, and a dialog for as long as the content is being loaded."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from widgets.styled_text import literal

_UNSEEN_SECONDS = 0.4
"""A wait that is shorter than this needs no words: a box that flashes up disturbs more than it says."""


R = TypeVar("R")


class ScrollingDialog(ModalScreen[R]):
    """A dialog with one box that scrolls, whatever has the focus. Its bindings name the action ``scroll``."""

    def action_scroll(self, lines: int) -> None:
        """Scrolls the box by so many lines; a key may come before there is one on the screen."""
        for box in self.query(VerticalScroll):
            box.scroll_relative(y=lines, animate=False)


class WaitingDialog(ModalScreen[bool]):
    """Takes every key until the dialog comes that they were typed for; returns whether somebody left it.

    Attributes:
        typed: What has been typed so far.
    """

    DEFAULT_CSS = """
    WaitingDialog { align: center middle; background: transparent; }
    WaitingDialog > Vertical { display: none; }
    WaitingDialog.-seen { background: $background 60%; }
    WaitingDialog.-seen > Vertical {
        display: block; width: 90%; max-width: 80; height: auto;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 1;
    }
    WaitingDialog Static { width: 100%; height: auto; }
    WaitingDialog #typed { color: $text-accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]

    def __init__(self, title: str, words: str) -> None:
        """Makes a dialog.

        Args:
            title: What will be asked.
            words: What is waited for.
        """
        super().__init__()
        self._title = title
        self._words = words
        self.typed = ""
        self._over = False

    def compose(self) -> ComposeResult:
        """What is waited for above what was typed."""
        with Vertical() as box:
            box.border_title = Text(literal(self._title)).markup
            box.border_subtitle = "esc stops"
            yield Static(literal(self._words), markup=False)
            yield Static(id="typed", markup=False)

    def on_mount(self) -> None:
        """Shows itself where the wait is long."""
        self.set_timer(_UNSEEN_SECONDS, lambda: self.add_class("-seen"))

    def on_key(self, event: events.Key) -> None:
        """Keeps what is typed; nothing reaches the page beneath."""
        if event.key == "escape":
            return
        event.stop()
        event.prevent_default()
        if event.key == "backspace":
            self._type(self.typed[:-1])
        elif event.is_printable and event.character is not None:
            self._type(self.typed + event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Keeps what is pasted."""
        event.stop()
        self._type(self.typed + "".join(event.text.splitlines()[:1]))

    def _type(self, text: str) -> None:
        self.typed = text
        self.query_one("#typed", Static).update(literal(f"typed: {text}") if text else "")

    def action_leave(self) -> None:
        """Stops the wait."""
        self.dismiss(True)

    def finish(self) -> str:
        """Closes the dialog: what was waited for is there.

        Returns:
            What was typed meanwhile; empty after a second call.
        """
        typed, self.typed = self.typed, ""
        self._over = True
        self.on_screen_resume()
        return typed

    def on_screen_resume(self) -> None:
        """Goes, where what was waited for came while something else lay on it."""
        if self._over and self.is_current:
            self.dismiss(False)
