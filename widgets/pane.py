"""A titled part of the screen; where there is room for one only, its title line holds the tabs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from widgets.lines import Lines
from widgets.text import literal, shorten


class PaneTitle(Lines):
    """A rule with a title at its left and a subtitle at its right."""

    DEFAULT_CSS = """
    PaneTitle { height: 1; }
    """

    class TabClicked(Message):
        """Someone clicked on one of the tabs."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, title: str, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.title = title
        self.subtitle = ""
        self.tabs: Sequence[str] = ()
        self.lit = False
        self._ascii = ascii_only

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the one line."""
        mark, rule, bar = (">", "-", "|") if self._ascii else ("▌", "─", "│")
        line = Text().append(mark if self.lit else " ", "primary")
        for i, name in enumerate(self.tabs or (self.title,)):
            active = name == self.title
            line.append(f" {bar} " if i else "", "faint")
            role = ("title" if self.lit else "strong") if active else "dim"
            line.append(literal(name), role)
        room = width - cell_len(line.plain) - 4
        subtitle = shorten(literal(self.subtitle), max(0, room))
        dashes = width - cell_len(line.plain) - 1 - (cell_len(subtitle) + 2 if subtitle else 0)
        line.append(" ").append(rule * max(0, dashes), "rule")
        if subtitle:
            line.append(f" {subtitle} ", "dim")
        return [line]

    def on_click(self, event: events.Click) -> None:
        """Tells which tab was clicked on."""
        start = 1
        for i, name in enumerate(self.tabs):
            if start <= event.x < start + cell_len(literal(name)):
                self.post_message(self.TabClicked(i))
            start += cell_len(literal(name)) + 3


class Pane(Vertical):
    """Holds one widget under a title, and marks the title while that widget has the focus."""

    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; }
    """

    def __init__(
        self,
        title: str,
        *content: Widget,
        ascii_only: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Makes a pane.

        Args:
            title: Its name.
            content: What it holds, from top to bottom.
            ascii_only: Whether its rule must do with ASCII.
            id: As for any widget.
            classes: As for any widget.
        """
        super().__init__(id=id, classes=classes)
        self._title = PaneTitle(title, ascii_only=ascii_only)
        self._content = content

    def compose(self) -> ComposeResult:
        """Puts the title above the content."""
        yield self._title
        yield from self._content

    @property
    def title(self) -> str:
        """The pane's name."""
        return self._title.title

    def describe(
        self, *, title: str | None = None, subtitle: str | None = None, tabs: Sequence[str] | None = None
    ) -> None:
        """Changes the title line; what is ``None`` stays.

        Args:
            title: The pane's name; with ``tabs`` it must be one of them.
            subtitle: What is said at the right: count, sort order, filter.
            tabs: The names of all panes where only one fits on the screen; empty where all do.
        """
        self._title.title = self._title.title if title is None else title
        self._title.subtitle = self._title.subtitle if subtitle is None else subtitle
        self._title.tabs = self._title.tabs if tabs is None else tuple(tabs)
        self._title.redraw()

    def on_descendant_focus(self) -> None:
        """Marks the title."""
        self._title.lit = True
        self._title.redraw()

    def on_descendant_blur(self) -> None:
        """Takes the mark away."""
        self._title.lit = False
        self._title.redraw()
