"""Containers that are gone and were OOM-killed not long before: they still count, for a while."""

from __future__ import annotations

from collections.abc import Collection

from memtop.observe.lives import HOUR, Lives

MOST = 2000
"""Containers remembered at most; the oldest go first."""


class Departed:
    """When containers of pods that are gone were last OOM-killed, within bounds."""

    def __init__(self) -> None:
        self._killed: dict[tuple[str, str], tuple[float, str]] = {}

    def note(self, uid: str, container: str, namespace: str, lives: Lives) -> None:
        """Takes in that a container is gone.

        Args:
            uid: Its pod's.
            container: Its name.
            namespace: Its pod's.
            lives: How its lives ended.
        """
        kills = lives.oom_times()
        if kills:
            self._killed.pop((uid, container), None)
            self._killed[uid, container] = kills[-1], namespace
            while len(self._killed) > MOST:
                del self._killed[next(iter(self._killed))]

    def oom_killed(self, now: float, namespaces: Collection[str]) -> int:
        """How many of them were OOM-killed within the hour before `now`; those that were not are forgotten.

        Args:
            now: The cluster's time, Unix seconds.
            namespaces: Only of these; empty for all.
        """
        for key in [key for key, (at, _) in self._killed.items() if at <= now - HOUR]:
            del self._killed[key]
        return sum(not namespaces or namespace in namespaces for _, namespace in self._killed.values())
