"""The keys that change a workload or follow what became of a change, and their words."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

from tui.help import Group, Key

CHANGE_KEYS: Final[list[BindingType]] = [
    Binding("i", "app.change('image')", "Image"),
    Binding("M", "app.change('memory')", "Limit"),
    Binding("R", "app.change('restart')", "Restart"),
    Binding("u", "app.change('undo')", "Undo"),
    Binding("o", "app.change('rollout')", "Rollout"),
    Binding("b", "app.change('stabilisation')", "Did it help?"),
    Binding("number_sign", "app.change('scale')", "Scale", key_display="#", show=False),
    Binding("ctrl+d", "app.change('delete')", "Delete the pod", show=False),
    Binding("P", "app.change('pause')", "Pause or resume", show=False),
    Binding("W", "app.change('workload')", "Workload", show=False),
]
"""For every screen that is about a workload, beside its other bindings."""

TITLES: Final = {
    "image": "Set the image",
    "memory": "Set the memory limit and request",
    "restart": "Restart, pod by pod",
    "undo": "Undo: back to an earlier revision",
    "scale": "Scale: set the number of pods",
    "delete": "Delete the pod",
    "pause": "Pause its rollouts, or resume them",
}
"""Each change in words, for the command palette."""
FOLLOWING: Final = {
    "rollout": "Status of its rollout",
    "stabilisation": "Stabilisation: did the last change help?",
    "workload": "The workload: its pods and revisions",
}
"""What follows a change or shows what it is about, likewise."""

GROUP: Final = Group(
    "Change the workload: a plan first, then a yes or a no",
    (
        Key("i", "set the image of a container; earlier revisions' images are offered"),
        Key("M", "set memory limit and request, and see what that buys"),
        Key("R", "restart it, pod by pod"),
        Key("u", "undo: back to an earlier revision"),
        Key("#", "scale: the number of pods"),
        Key("ctrl+d", "delete the pod"),
        Key("P", "pause its rollouts, or resume them"),
    ),
)
FOLLOW: Final = Group(
    "Follow it",
    (
        Key("W", "the workload: its pods, its revisions, their growth"),
        Key("o", "status of its rollout, live"),
        Key("b", "stabilisation: did the last change help?"),
    ),
)
