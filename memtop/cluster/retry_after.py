"""How long a server asks to be left alone: the header ``Retry-After`` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

LONGEST = 300.0
"""Seconds that are believed; a wrong clock must not silence memtop for a day."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next try; None where the server does not say.

    A date is compared with the server's own clock, the header ``Date``, where there is one.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said), LONGEST)
    until = _date(said)
    if until is None:
        return None
    now = _date(headers.get("Date", ""))
    return min(max(0.0, until - (time.time() if now is None else now)), LONGEST)


def _date(said: str) -> float | None:
    """Unix seconds of an HTTP date, in any of its three formats; all of them are in UTC."""
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(said.strip(), form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
