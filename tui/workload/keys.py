"""The keys of the Workload tab, in words."""

from __future__ import annotations

from tui.help import Group, Key

GROUP = Group(
    "Workload",
    (
        Key("W", "its pods and revisions; from a pod, the workload that it belongs to"),
        Key("enter", "open the pod"),
        Key("tab", "pods, revisions"),
    ),
)
