"""The cluster's time, as this machine can know it."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

DATE_RESOLUTION = 1.0
"""HTTP dates are whole seconds."""


class ServerClock:
    """Follows the API server's ``Date`` header, so that ages are right on a machine whose clock is not.

    Args:
        speed: Seconds of cluster time per second here; 1 but for a simulated cluster.
        monotonic: This machine's steady clock.
        wall: This machine's wall clock, used until the server has answered once.
    """

    def __init__(
        self,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._wall = wall
        self._anchor: tuple[float, float] | None = None

    def observe(self, date_header: str | None) -> None:
        """Takes in the ``Date`` of an answer that has just arrived; anything unreadable is ignored."""
        if not date_header:
            return
        try:
            served = parsedate_to_datetime(date_header).timestamp()
        except (ValueError, TypeError):
            return
        # The header is cut to whole seconds, so the truth lies up to one second later; a correction within
        # that is noise, and following it would make the clock jitter.
        if self._anchor is None or not served - 0.5 <= self.now() <= served + 1.5 * max(1.0, self.speed):
            self._anchor = (self._monotonic(), served + DATE_RESOLUTION / 2)

    def now(self) -> float:
        """The cluster's time in Unix seconds."""
        if self._anchor is None:
            return self._wall()
        seen_at, served = self._anchor
        return served + (self._monotonic() - seen_at) * self.speed

    def skew(self) -> float | None:
        """Seconds by which the cluster's clock is ahead of this machine's; None before the first answer."""
        return None if self._anchor is None else self.now() - self._wall()
