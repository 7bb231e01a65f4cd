"""The keys of the tabs Describe and Events, in words."""

from __future__ import annotations

from tui.help import Group, Key

DESCRIBE = Group(
    "Describe",
    (
        Key("y", "YAML, with the managed fields folded away; the description again"),
        Key("O", "the workload that owns the pod, its node, the pod again"),
        Key("/  n N  esc", "search; next and previous match; end of the search"),
        Key("w  ← →", "wrap long lines; scroll sideways"),
    ),
)
EVENTS = Group(
    "Events",
    (
        Key("m", "only what was said of memory, or everything"),
        Key("enter", "on the line of other pods' OOM kills: each of them, or one line again"),
        Key("g  1 2 3 4", "range of the time axis: 1 h, 6 h, 24 h, 7 d"),
    ),
)
