"""Times and ages in kubectl's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZERO_TIME = "Mon, 01 Jan 0001 00:00:00 +0000"
"""How Go prints a time that was never set."""
UNKNOWN = "<unknown>"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is described, and for whom.

    Attributes:
        now: The cluster's time, Unix seconds.
        zone: The reader's time zone; None for that of this machine.
    """

    now: float
    zone: tzinfo | None = None

    def stamp(self, text: str) -> str:
        """An API time stamp in the reader's zone: ``Mon, 18 Dec 2023 10:00:00 +0000``."""
        time = parse(text)
        if time is None:
            return ZERO_TIME
        local = time.astimezone(self.zone)
        offset = local.utcoffset() or timedelta()
        minutes = abs(offset) // timedelta(minutes=1)
        sign = "-" if offset < timedelta() else "+"
        return (
            f"{_DAYS[local.weekday()]}, {local.day:02} {_MONTHS[local.month - 1]} {local.year:04} "
            f"{local:%H:%M:%S} {sign}{minutes // 60:02}{minutes % 60:02}"
        )

    def since(self, text: str) -> str:
        """How long ago an API time stamp was: ``5m``, ``3h20m``; ``<unknown>`` where there is none."""
        time = parse(text)
        return UNKNOWN if time is None else human_duration(self.now - time.timestamp())


def parse(text: str) -> datetime | None:
    """An API time stamp (RFC 3339, with or without fractions); None for none, zero time and nonsense."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time if time.year > 1 else None


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from one time stamp to another; None where either is missing."""
    first, last = parse(start), parse(end)
    return None if first is None or last is None else (last - first).total_seconds()


def human_duration(seconds: float) -> str:
    """A length of time in two or three significant figures, as Kubernetes prints ages.

    The steps are those of k8s.io/apimachinery, pkg/util/duration ``HumanDuration``: ``119s``, ``9m59s``,
    ``179m``, ``7h59m``, ``47h``, ``7d23h``, ``729d``, ``7y364d``, ``9y``. Less than two seconds into the
    future count as now, more as ``<invalid>``.

    Args:
        seconds: The length in seconds.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    minutes, hours = whole // 60, whole // 3600
    days = hours // 24
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"
