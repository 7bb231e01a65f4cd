"""The words of the three panes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtop.observe.status import State
from memtop.observe.view import Pane

if TYPE_CHECKING:
    from memtop.observe.frame import Frame

TITLES = {Pane.TOP: "Top memory", Pane.RESTARTS: "Restarts", Pane.GROWTH: "Growth"}
EMPTY = {
    Pane.TOP: "No container in sight",
    Pane.RESTARTS: "Nothing has restarted",
    Pane.GROWTH: "Nothing is growing, as far as can be told yet",
}


def empty(frame: Frame, pane: Pane) -> str:
    """What a pane without rows says."""
    if frame.view.filter:
        return f"Nothing matches /{frame.view.filter.text}"
    if any(source.name == "pods" and source.state is State.CONNECTING for source in frame.sources):
        return "Connecting …"
    return EMPTY[pane]


def subtitle(frame: Frame, count: int) -> str:
    """What stands at the right of a pane's title: how many rows it has, and of which filter."""
    what = "workload" if frame.view.workloads else "container"
    words = f"{count:,} {what}{'' if count == 1 else 's'}"
    return f"{words}  /{frame.view.filter.text}" if frame.view.filter else words
