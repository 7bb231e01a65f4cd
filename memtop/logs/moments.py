"""Moments as a person types them, to jump to in a log."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_CLOCK = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,6}))?)?(Z)?")
_BACK = re.compile(r"-(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
HINT = "14:05, 14:05:30, 2026-11-22 14:05, or -10m"


class MomentError(ValueError):
    """The text is no moment; one sentence."""


def parse_moment(text: str, *, newest: float, zone: tzinfo | None = None) -> float:
    """Reads a moment.

    Args:
        text: A time of day, with a date or without, or how long before the newest line (``-10m``). Without a
            date it is the last such time that is not after the newest line. A ``Z`` at its end says UTC.
        newest: When the newest line was written, Unix seconds.
        zone: What times are meant in; by default this machine's.

    Returns:
        Unix seconds.

    Raises:
        MomentError: It cannot be read.
    """
    text = text.strip()
    if (back := _BACK.fullmatch(text)) is not None:
        return newest - float(back.group(1)) * _SECONDS[back.group(2)]
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise MomentError(f"{text!r} is no time; write it as {HINT}")
    date, hour, minute, second, fraction, utc = found.groups()
    local = UTC if utc else zone
    end = datetime.fromtimestamp(newest, local).astimezone(local)
    try:
        moment = end.replace(
            hour=int(hour),
            minute=int(minute),
            second=int(second or 0),
            microsecond=int((fraction or "0").ljust(6, "0")),
        )
        if date is not None:
            day = datetime.fromisoformat(date)
            moment = moment.replace(year=day.year, month=day.month, day=day.day)
        elif moment > end:
            moment -= timedelta(days=1)
    except ValueError as error:
        raise MomentError(f"{text!r} is no time: {error}") from error
    return moment.timestamp()
