"""What went wrong, in a whole screenful: what happened, what was said, and what to do now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from widgets.text import literal


@dataclass(frozen=True, slots=True)
class Message:
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
    """Shows one `Message`, as long as it may be."""

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

    def __init__(self, message: Message | None = None, *, id: str | None = None) -> None:
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

    def show(self, message: Message) -> None:
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
            for i, step in _numbered(message)
        ]
        keys = [
            Content.assemble((f" {literal(key)} ", "reverse"), (f" {literal(does)}   ", "$foreground-muted"))
            for key, does in message.keys
        ]
        if keys:
            lines += [Content(""), Content("").join(keys)]
        self._next.update(Content("\n").join(lines))
        self._next.set_class(not lines, "-empty")


def _numbered(message: Message) -> Sequence[tuple[int, str]]:
    return list(enumerate(message.steps, 1))
