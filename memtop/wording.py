"""How memtop says numbers and failures: one wording for screens, tables, reports and evidence sentences.

Unknown is always shown as `UNKNOWN`, never as 0. The sentence of a failure never shows the values of
variables.
"""

from __future__ import annotations

import math
from types import TracebackType

_OWN_PACKAGES = ("memtop", "tui", "widgets", "config")


def failure_sentence(error: BaseException) -> str:
    """An exception in one sentence.

    memtop's own exceptions are sentences already, and the operating system's say which file and why. All
    others are mistakes in memtop; their text may hold values, so only their kind and their place are told.

    Args:
        error: What was raised; a group with one exception stands for that one.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if type(error).__module__.partition(".")[0] in _OWN_PACKAGES and str(error):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"a mistake in memtop: {type(error).__name__} in {failure_place(error.__traceback__)}"


def failure_place(trace: TracebackType | None) -> str:
    """Module and line of memtop where an exception was raised or passed through last."""
    place = "an unknown place"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OWN_PACKAGES:
            place = f"{module}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


UNKNOWN = "–"
YEAR_DAYS = 365
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_(value: float | None, unit_gap: str = " ") -> str:
    """Bytes in binary units with three significant digits: ``1.79 GiB``, ``48.3 MiB``, ``512 MiB``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    sign = "−" if value < 0 else ""
    size = abs(value)
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    if unit == 0 or size >= 99.95:
        number = f"{size:.0f}"
    else:
        number = f"{size:.2f}".rstrip("0").rstrip(".") if size < 9.995 else f"{size:.1f}".removesuffix(".0")
    return f"{sign}{number}{unit_gap}{_UNITS[unit]}"


def rate(bytes_per_hour: float | None) -> str:
    """A growth rate with its sign: ``+48 MiB/h``, ``−1.2 MiB/h``, ``0 B/h``."""
    if bytes_per_hour is None or not math.isfinite(bytes_per_hour):
        return UNKNOWN
    plus = "+" if bytes_per_hour >= 0.5 else ""
    return f"{plus}{bytes_(bytes_per_hour)}/h"


def share(ratio: float | None) -> str:
    """A ratio as whole per cent: ``91 %``."""
    if ratio is None or not math.isfinite(ratio):
        return UNKNOWN
    return f"{ratio * 100:.0f} %"


def duration(seconds: float | None) -> str:
    """A length of time in at most two units: ``45 s``, ``12 m``, ``1 h 50 m``, ``6 d 4 h``, ``3 y``."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} m" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    if days < 100:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if days < 2 * YEAR_DAYS:
        return f"{days} d"
    years = round(days / YEAR_DAYS)
    return f"{years} y" if years < 100 else "> 99 y"


def ago(seconds: float | None) -> str:
    """How long ago: ``just now``, ``40 s ago``, ``3 min ago``, ``2 h 10 m ago``.

    Under a minute it moves in steps of ten seconds, so that a column of ages does not repaint every second.
    """
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{int(seconds) // 10 * 10} s ago"
    if seconds < 3600:
        return f"{int(seconds) // 60} min ago"
    return f"{duration(seconds)} ago"


def at_least(number: int, exact: bool) -> str:
    """A count that may be only a lower bound: ``3``, ``3+``; nothing is known of a bound of 0."""
    if exact:
        return str(number)
    return f"{number}+" if number else UNKNOWN


def counted(number: int, word: str) -> str:
    """A number of things: ``1 restart``, ``3 restarts``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
