"""How far one container's log has been read, so that nothing comes twice after a broken connection."""

from __future__ import annotations

from memtop.logs.line import NO_TIME


class Place:
    """The place in one container's log.

    The kubelet can be asked to begin at a second and not at a nanosecond: after connecting again the lines of
    the last second come once more, and are to be dropped.

    Attributes:
        last: The latest time of a line so far, nanoseconds since 1970; None before the first.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self._same = 0  # lines seen with that very time
        self._again = 0  # how many of those may still come once more
        self._replaying = False

    def reconnect(self) -> None:
        """What comes now begins at the start of the last second."""
        self._again = self._same
        self._replaying = self.last is not None

    def passes(self, at: int) -> bool:
        """Whether a line of that time is new; to be asked once for each line, in order."""
        if at == NO_TIME:
            return True
        if self.last is None or at > self.last:
            self.last, self._same = at, 1
            self._replaying = False
            return True
        if at < self.last:
            return not self._replaying  # two writers need not be in order
        if self._replaying and self._again:
            self._again -= 1
            return False
        self._same += 1
        return True
