"""What the overview says instead of its panes while no pod has been seen and something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtop.observe.status import State
from widgets.message_panel import Message

if TYPE_CHECKING:
    from memtop.observe.frame import Frame

_TROUBLED = {State.FAILING, State.FORBIDDEN, State.ABSENT}


def trouble(frame: Frame) -> Message | None:
    """The message to show, or None while the panes have something to show or may soon have."""
    pods = next((source for source in frame.sources if source.name == "pods"), None)
    if pods is None or frame.counts.pods or pods.data_at is not None or pods.state not in _TROUBLED:
        return None
    if pods.state is State.FORBIDDEN:
        return Message(
            title="Listing pods is forbidden",
            sentence=pods.words,
            steps=(
                "press n and choose a namespace that you may see",
                "or ask for the rights that the README lists under Permissions",
            ),
            keys=(("n", "namespace"), ("c", "context"), ("r", "try again"), ("q", "quit")),
        )
    return Message(
        title=f"No connection to {frame.context}",
        sentence=pods.words,
        details=pods.output,
        details_title="The credential plugin said",
        steps=("memtop keeps trying, and goes on by itself when the server answers",),
        keys=(("r", "try now"), ("c", "context"), ("q", "quit")),
    )
