"""The few roles a piece of text can have, and what each looks like in the current theme.

Widgets and those who feed them name roles (``"warn"``), never colours. Each role that matters also differs in
weight or in a sign beside it, so that it still reads without colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from rich.style import Style as RichStyle
from textual.style import Style
from textual.widget import Widget

Symbols = Literal["braille", "block", "ascii"]
"""Which characters graphs are drawn with."""

Level = Literal["ok", "warn", "critical", "unknown"]
"""How a figure stands against its thresholds."""

ROLES: Final[Mapping[str, str]] = {
    "ok": "$text-success",
    "warn": "$text-warning bold",
    "critical": "$text-error bold",
    "unknown": "$foreground-muted",
    "calm": "$foreground 45%",
    "dim": "$foreground-muted",
    "faint": "$foreground 30%",
    "strong": "bold",
    "changed": "underline",
    "accent": "$text-accent",
    "primary": "$text-primary",
    "graph": "$text-primary 75%",
    "title": "$text-primary bold",
    "brand": "$text-primary bold",
    "match": "$text-accent bold underline",
    "rule": "$foreground 20%",
    "alert": "$text-warning reverse",
}
"""Role to a Textual style; ``$`` names are the theme's variables."""


def inks(widget: Widget) -> dict[str, RichStyle]:
    """Resolves every role against the theme and the background of ``widget``.

    Returns:
        Role to a Rich style without a background, to be added to that of the line.
    """
    variables = widget.app.theme_variables
    _, background = widget.background_colors
    behind = Style(background=background)
    native = widget.app.native_ansi_color
    resolved = {}
    for role, markup in ROLES.items():
        style = (behind + Style.parse(markup, variables)).rich_style
        resolved[role] = RichStyle(
            color=style.color if "$" in markup else None,
            bold=style.bold,
            underline=style.underline,
            reverse=style.reverse,
            dim=(native and ("muted" in markup or "%" in markup)) or None,  # named colours can't be blended
        )
    return resolved


def without_colour(widget: Widget) -> bool:
    """Tells whether backgrounds can't be relied on: ``NO_COLOR``, or 16 colours for want or by choice."""
    app = widget.app
    return app.no_color or app.native_ansi_color or app.console.color_system in {"standard", "windows"}
