"""The keys that look into the container, in words, for the help screen."""

from __future__ import annotations

from tui.help import Group, Key

GROUP = Group(
    "Inside the container",
    (
        Key("B", "memory by kind: heap or page cache? r asks again"),
        Key("x", "a shell; exit or ctrl-d comes back to this screen"),
        Key("X", "one command, as kubectl exec runs it"),
        Key("h", "heap capture: a plan with its risks first, then a yes or a no"),
    ),
)
