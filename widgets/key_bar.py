"""The keys that work here, in one line at the bottom."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen

from widgets.columns import gap
from widgets.lines import Lines
from widgets.text import literal

FIRST = ("escape", "question_mark", "q")
"""The keys that come first where no other order is asked for, so that a narrow screen has them too."""


class KeyBar(Lines):
    """Each key with what it does; one that can't be used now is faint. A click is as good as the key.

    Textual's own footer is a widget for every key, all made anew whenever the focus moves; this is one line
    of text, of which only what differs is repainted.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $footer-background; color: $footer-foreground; }
    """

    def __init__(self, order: Sequence[str] = FIRST) -> None:
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
        wide = gap(width) > 1
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
