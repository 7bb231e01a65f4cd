"""What every screen has that shows frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from widgets.error_boundary import GuardedHandlers

if TYPE_CHECKING:
    from memtop.observe.frame import Frame
    from tui.help import Group
    from tui.pod.tab import Subject


class LiveScreen(GuardedHandlers, Screen[None]):
    """A screen that is told of every frame.

    Attributes:
        WORDS: Its keys in words: a title and groups.
    """

    WORDS: ClassVar[tuple[str, Sequence[Group]]] = ("Keys", ())

    def show(self, frame: Frame) -> None:
        """Shows a new frame."""
        raise NotImplementedError

    @property
    def row(self) -> Subject | None:
        """What the keys act on that change a workload; None where there is nothing to act on."""
        return None
