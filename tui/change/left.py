"""Rollouts that were left running: followed until they are over, said in the header and told once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from textual.app import App

    from memtop.cluster.refs import ObjectRef
    from memtop.rollout.running import Left
    from tui.pod.tab import Ask


class RolloutTold(Message):
    """A rollout that was left running has come further."""

    def __init__(self, left: Left) -> None:
        super().__init__()
        self.left = left


class LeftRunning:
    """What is followed besides the screens.

    Args:
        app: Who is told.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
    """

    def __init__(self, app: App[int], ask: Ask, now: Callable[[], float]) -> None:
        self._app = app
        self._ask = ask
        self._now = now
        self._followed: dict[ObjectRef, Future[None]] = {}
        self._told: dict[ObjectRef, Left] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """One short line each."""
        return tuple(left.words for left in self._told.values())

    def follow(self, ref: ObjectRef) -> None:
        """Begins to follow a rollout."""
        from memtop.rollout.running import follow_left  # noqa: PLC0415  (not before a rollout is left)

        def tell(left: Left) -> None:
            self._app.post_message(RolloutTold(left))  # on the engine's thread

        if ref not in self._followed:
            self._followed[ref] = self._ask(lambda client: follow_left(client, ref, tell, self._now))

    def forget(self, ref: ObjectRef) -> None:
        """Follows a rollout no more: somebody looks at it again."""
        if (followed := self._followed.pop(ref, None)) is not None:
            followed.cancel()
        self._told.pop(ref, None)

    def told(self, left: Left) -> None:
        """Keeps what is told for the header; says aloud that a rollout is over or stuck."""
        if left.ref not in self._followed:
            return
        before = self._told.get(left.ref)
        self._told[left.ref] = left
        if left.over:
            self.forget(left.ref)
            self._app.notify("o shows its pods, b whether it has helped", title=left.words, markup=False)
        elif left.why and (before is None or before.state is not left.state):
            self._app.notify(left.why, title=left.words, severity="warning", timeout=10, markup=False)
