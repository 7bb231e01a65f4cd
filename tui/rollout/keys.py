"""The keys of the rollout screen, in words."""

from __future__ import annotations

from tui.help import Group, Key

WORDS = (
    Group(
        "Rollout",
        (
            Key("u", "undo: back to the revision before, after a plan and a yes"),
            Key("P", "pause it, or resume it"),
            Key("b", "stabilisation: has the change helped, and does it last?"),
            Key("i M R #", "another image, another limit, a restart, another number of pods"),
            Key("ctrl+d", "delete the pod under the cursor"),
            Key("W", "the workload: its pods, its revisions, their growth"),
            Key("enter", "open a pod: its log, the log before it crashed, its events"),
            Key("esc", "back; the rollout goes on, and the header says how far it is"),
        ),
    ),
    Group(
        "What it says",
        (
            Key("the sentence", "is that of kubectl rollout status"),
            Key("the bar", "full: new pods that are ready; half: made, not ready yet"),
            Key("updated", "pods of the new revision, ready or not"),
            Key("available", "pods of any revision that have been ready for long enough"),
            Key("✖", "takes somebody to do something"),
            Key("!", "may pass by itself"),
        ),
    ),
)
