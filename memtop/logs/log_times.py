"""Times in logs: those a person types to jump to, and those a program itself writes before its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

_DATE_AND_TIME = re.compile(
    r"(?:(?:(?P<year>\d{4})-)?(?P<month>\d\d?)-(?P<day>\d\d?)(?:[T ]\s*|$))?"
    r"(?:(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_PART = r"(\d+(?:\.\d+)?)\s*(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)"
_TIME_AGO = re.compile(rf"-?\s*{_PART}(?:\s*{_PART})*(?:\s+ago)?", re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
TIME_HINT = "14:05, 14:05:30, 2026-11-22 14:05, or -10m"


class TimeFormatError(ValueError):
    """The text is no moment; one sentence."""


def parse_typed_time(text: str, *, newest: float, zone: tzinfo | None = None) -> float:
    """Reads a moment.

    Args:
        text: A time of day, with a date or without, or how long before the newest line (``-10m``,
            ``1h30m ago``). Without a date it is the last such time that is not after the newest line, and
            likewise without a year. A zone at its end (``Z``, ``UTC``, ``+01:00``) counts instead of
            ``zone``.
        newest: When the newest line was written, Unix seconds.
        zone: What times are meant in; by default this machine's.

    Returns:
        Unix seconds.

    Raises:
        MomentError: It cannot be read.
    """
    text = text.strip()
    if text.lower() == "now":
        return newest
    if _TIME_AGO.fullmatch(text) is not None:
        parts = re.findall(_PART, text, re.IGNORECASE)
        return newest - sum(float(number) * _SECONDS[unit[0].lower()] for number, unit in parts)
    found = _DATE_AND_TIME.fullmatch(text)
    if found is None or (found["hour"] is None and found["year"] is None):
        raise TimeFormatError(f"{text!r} is no time; write it as {TIME_HINT}")
    try:
        return _resolve_clock(found, newest, _parse_zone(found["zone"]) or zone)
    except ValueError as error:
        raise TimeFormatError(f"{text!r} is no time: {error}") from error


def zone_name(time: float) -> str:
    """What this machine's time zone is called at a moment (Unix seconds): ``UTC``, ``CET``."""
    return datetime.fromtimestamp(time).astimezone().tzname() or "local time"


def _parse_zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text.upper() in {"Z", "UTC"}:
        return UTC
    return datetime.strptime(text, "%z").tzinfo


def _resolve_clock(found: re.Match[str], newest: float, zone: tzinfo | None) -> float:
    """The moment of a date and a time of day, each of which may be missing."""
    end = datetime.fromtimestamp(newest, zone).replace(tzinfo=None)
    moment = datetime(  # noqa: DTZ001  (gets its zone below)
        int(found["year"] or end.year),
        int(found["month"] or end.month),
        int(found["day"] or end.day),
        int(found["hour"] or 0),
        int(found["minute"] or 0),
        int(found["second"] or 0),
        int((found["fraction"] or "0").ljust(6, "0")[:6]),
    )
    if moment > end and found["year"] is None:
        year_before = moment.replace(year=moment.year - 1) if found["month"] is not None else None
        moment = year_before or moment - timedelta(days=1)
    return moment.replace(tzinfo=zone).timestamp()  # without a zone: by this machine's rules of that day


OWN_TIMES_SHARE = 0.5
"""Share of the lines; stack traces and the like go without."""
_OWN_TIME = re.compile(
    r"[\s\[({\"'<]*"
    r"(?:[A-Z]{4,8}[\])]?[\s:|-]+[\s\[(\"']*)?"  # INFO, [WARN]
    r"(?:\"?@?(?:time|ts|timestamp|t)\"?[=:]\s?\"?)?"  # time="…", {"ts":"…"
    r"(?:"
    r"\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d"  # 2026-11-22T14:03
    r"|\d\d[-/.]\d\d[-/.]\d{2,4} \d\d:\d\d"  # 22/11/2026 14:03
    r"|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d"  # 22/Nov/2026:14:03
    r"|(?:[A-Z][a-z]{2},? )?(?:[A-Z][a-z]{2} [ \d]\d|\d\d [A-Z][a-z]{2})(?: \d{4})? \d\d:\d\d"  # Nov 22 14:03
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d"  # I1122 14:03:05, of Go programs
    r"|\d\d:\d\d:\d\d"
    r")"
)


def writes_own_times(texts: Iterable[str]) -> bool:
    """Whether most of some lines begin with a date and time or a time of day."""
    judged = [bool(_OWN_TIME.match(text)) for text in texts if text.strip()]
    return bool(judged) and sum(judged) >= len(judged) * OWN_TIMES_SHARE
