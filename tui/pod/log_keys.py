"""The keys of the log tabs in words, for the help screen."""

from __future__ import annotations

from tui.help import Group, Key

GROUP = Group(
    "Logs",
    (
        Key("m", "show what speaks of memory: presets, each with its number of matches"),
        Key("/", "show what matches a regular expression; capital letters make case matter"),
        Key("v  C", "the other lines instead; lines around each match: 0, ±2, ±5, ±10, all"),
        Key("n  N", "next match, match before"),
        Key("f  G", "stop at this place or follow; go to the newest line"),
        Key("T", "time of each line; hidden at first where the log has its own"),
        Key("w  ← →", "wrap long lines; scroll sideways"),
        Key("[  ]", "container; after the last all of them, interleaved"),
        Key("1 2 3 4  0", "the last 5 min, 1 h, 6 h, 24 h; all there is"),
        Key("J", "jump to a time: 14:05, 2026-11-22T14:05, 14:05Z, -10m"),
        Key("ctrl+s", "save what is shown to a file"),
        Key("r  esc", "read it again; clear the filter"),
    ),
)
