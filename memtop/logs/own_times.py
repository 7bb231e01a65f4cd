"""Whether a program writes the time at the start of its lines by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

ENOUGH = 0.5
"""Share of the lines; stack traces and the like go without."""
_OWN = re.compile(
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
    judged = [bool(_OWN.match(text)) for text in texts if text.strip()]
    return bool(judged) and sum(judged) >= len(judged) * ENOUGH
