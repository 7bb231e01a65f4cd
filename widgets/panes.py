"""Titled parts of the screen, and the panel that explains in a whole screen what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from widgets.line_widget import LineWidget
from widgets.styled_text import literal, shorten


@dataclass(frozen=True, slots=True)
class PanelMessage:
    """The words of a panel; all of them are shown as they are.

    Attributes:
        title: What failed, in a few words.
        sentence: What happened, naming the value and where it came from.
        details: What others said about it, such as a plugin's standard error; may have many lines.
        details_title: Whose words the details are.
        steps: What to do next, the most likely remedy first.
        keys: Key and what it does.
    """

    title: str
    sentence: str
    details: str = ""
    details_title: str = "It said"
    steps: Sequence[str] = ()
    keys: Sequence[tuple[str, str]] = ()


class MessagePanel(VerticalScroll):
    """Shows one `PanelMessage`, as long as it may be."""

    DEFAULT_CSS = """
    MessagePanel { align: center middle; padding: 1 2; }
    MessagePanel > Static { width: 100%; max-width: 96; height: auto; }
    MessagePanel > #what { border-left: thick $error; padding: 0 2; }
    MessagePanel > #details {
        border: round $foreground 20%; border-title-color: $foreground-muted;
        padding: 0 1; margin: 1 0 0 0;
    }
    MessagePanel > #next { padding: 0 3; margin: 1 0 0 0; }
    MessagePanel > .-empty { display: none; }
    """

    def __init__(self, message: PanelMessage | None = None, *, id: str | None = None) -> None:
        """Makes a panel.

        Args:
            message: What to show at first.
            id: As for any widget.
        """
        self._what = Static(id="what")
        self._details = Static(id="details")
        self._next = Static(id="next")
        super().__init__(self._what, self._details, self._next, id=id)
        if message:
            self.show(message)

    def show(self, message: PanelMessage) -> None:
        """Replaces the words."""
        self._what.update(
            Content.assemble((literal(message.title), "bold $text-error"), "\n", literal(message.sentence))
        )
        details = "\n".join(literal(line) for line in message.details.expandtabs(4).splitlines())
        self._details.update(Content(details))
        self._details.set_class(not details.strip(), "-empty")
        self._details.border_title = Content(literal(message.details_title))
        lines = [
            Content.assemble((f"{i}  ", "$text-primary bold"), literal(step))
            for i, step in _numbered_steps(message)
        ]
        keys = [
            Content.assemble((f" {literal(key)} ", "reverse"), (f" {literal(does)}   ", "$foreground-muted"))
            for key, does in message.keys
        ]
        if keys:
            lines += [Content(""), Content("").join(keys)]
        self._next.update(Content("\n").join(lines))
        self._next.set_class(not lines, "-empty")


def _numbered_steps(message: PanelMessage) -> Sequence[tuple[int, str]]:
    return list(enumerate(message.steps, 1))


class PaneTitle(LineWidget):
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


class TitledPane(Vertical):
    """Holds one widget under a title, and marks the title while that widget has the focus."""

    DEFAULT_CSS = """
    TitledPane { height: 1fr; width: 1fr; }
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
