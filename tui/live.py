"""What every screen has that shows frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message
from textual.screen import Screen

from widgets.error_boundary import GuardedHandlers

if TYPE_CHECKING:
    from memtop.observe.frame import Frame
    from tui.help import Group
    from tui.pod.tab import Subject


class OpenSubject(Message):
    """Asks the app to open a pod or a workload."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject


class OpenScreen(Message):
    """Asks the app to open a screen, unless one about the same is in front."""

    def __init__(self, screen: LiveScreen) -> None:
        super().__init__()
        self.screen = screen


class LiveScreen(GuardedHandlers, Screen[None]):
    """A screen that is told of every frame.

    Attributes:
        WORDS: Its keys in words: a title and groups.
    """

    WORDS: ClassVar[tuple[str, Sequence[Group]]] = ("Keys", ())

    def show(self, frame: Frame) -> None:
        """Shows a new frame."""
        raise NotImplementedError

    def is_about_the_same(self, other: Screen[Any]) -> bool:
        """Whether another screen shows the same."""
        return self is other

    @property
    def row(self) -> Subject | None:
        """What the keys act on that change a workload; None where there is nothing to act on."""
        return None
