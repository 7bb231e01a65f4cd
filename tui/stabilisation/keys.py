"""The keys of the stabilisation screen, in words."""

from __future__ import annotations

from tui.change.keys import GROUP
from tui.help import Group, Key

WORDS = (
    Group(
        "Did it help?",
        (
            Key("g", "range of the graph: around the change, 1 h, 6 h, 24 h, 7 d"),
            Key("a", "lay containers over one another by their age, or show them by the clock"),
            Key("[  ]", "another container of the pods"),
            Key("ctrl+s", "write a report (Markdown) to a new file in the present folder"),
            Key("esc", "back; memtop watch goes on without a screen"),
        ),
    ),
    Group(
        "The verdicts",
        (
            Key("watching", "too early: it says how much longer, and why"),
            Key("holding", "the old growth would have shown by now, and has not"),
            Key("still leaking", "the new pods grow too, or die of it"),
            Key("only postponed", "as before, but the limit is higher"),
            Key("worse", "grows or dies faster than before"),
        ),
    ),
    GROUP,
)
