"""The overview's keys in words, for the help screen."""

from __future__ import annotations

from tui.change.keys import FOLLOW, GROUP
from tui.help import Group, Key

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
            Key("/", "filter: text, !text, label=value; several words must all hold"),
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
