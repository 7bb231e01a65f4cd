"""The overview's keys, and their words for the help screen."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

from tui.change.keys import CHANGE_KEYS, FOLLOW, GROUP
from tui.help import Group, Key

BINDINGS: Final[list[BindingType]] = [
    Binding("question_mark", "app.help", "Help", key_display="?"),
    Binding("q", "app.quit", "Quit"),
    *CHANGE_KEYS,
    Binding("tab", "pane(1)", "Pane", priority=True),
    Binding("shift+tab", "pane(-1)", "Previous pane", show=False, priority=True),
    Binding("slash", "filter", "Filter", key_display="/", priority=True),
    Binding("enter", "enter", "Open", priority=True),
    Binding("n", "app.namespace", "Namespace"),
    Binding("w", "workloads", "Workloads"),
    Binding("s", "sort(1)", "Sort"),
    Binding("z", "zoom", "Zoom"),
    Binding("space", "freeze", "Freeze"),
    Binding("c", "app.context", "Context"),
    Binding("S", "reverse", "Reverse the order", key_display="S", show=False),
    Binding("plus,equals_sign", "app.interval(1)", "Ask less often", key_display="+", show=False),
    Binding("minus", "app.interval(-1)", "Ask more often", key_display="-", show=False),
    Binding("r", "app.retry", "Ask again now", show=False),
    Binding("escape", "clear_filter", "Clear filter", show=False),
]
BAR: Final = tuple(binding.key for binding in BINDINGS if isinstance(binding, Binding))
"""The order of the bar at the bottom: a narrow one keeps help, quit and the keys of an incident."""

GROUPS = (
    Group(
        "Look",
        (
            Key("tab  shift+tab", "next pane, previous pane"),
            Key("↑ ↓  j k", "move; pgup pgdn, g and G go further"),
            Key("enter", "open the selected row"),
            Key("w", "one row per workload, or per container"),
            Key("z", "the active pane alone, or all of them"),
            Key("space", "freeze the tables while you read; the clock goes on"),
        ),
    ),
    Group(
        "Find",
        (
            Key("/", "filter: text, !text, label=value, namespace=value; all must hold"),
            Key("esc", "clear the filter, leave the zoom"),
            Key("s  S", "sort by the next column; turn the order round (or click a title)"),
            Key("n", "namespace"),
            Key("c", "context"),
        ),
    ),
    Group(
        "Columns",
        (
            Key("1H  2+", "restarts in the last hour; 2+ where not all of it was watched"),
            Key("WORST", "of a workload: the container nearest to its limit"),
        ),
    ),
    Group(
        "memtop",
        (
            Key("+  -", "ask for the metrics less often, more often"),
            Key("r", "ask again now"),
            Key("ctrl+p", "all commands"),
            Key("q", "quit"),
        ),
    ),
    GROUP,
    FOLLOW,
)
