"""The command palette's entries for the keys of a screen."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import App, SystemCommand
from textual.screen import Screen


def key_commands(app: App[int], screen: Screen[object]) -> Iterator[SystemCommand]:
    """What the keys of a screen do, as far as it can be done now; changes have words of their own."""
    for binding in screen.active_bindings.values():
        described = binding.binding
        change = described.action.startswith("app.change")
        if binding.node is screen and binding.enabled and described.description and not change:
            yield SystemCommand(
                described.description,
                f"Key {described.key_display or described.key}",
                lambda action=described.action: app.call_later(app.run_action, action, screen),
            )
