"""How a source of observations is, as a value for the header."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """How a source is."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"
    FAILING = "failing"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What the header says of a source.

    Attributes:
        name: Which source, such as ``pods`` or ``metrics``.
        state: How it is.
        words: Why, in one sentence; empty while all is well.
        data_at: Cluster time (Unix seconds) of its newest data, or None before the first.
        output: What a credential plugin wrote, where it was the one that failed.
        code: HTTP status of the API's refusal, where that is why.
    """

    name: str
    state: State = State.CONNECTING
    words: str = ""
    data_at: float | None = None
    output: str = ""
    code: int | None = None


_SEVERITY = (
    State.LIVE,
    State.OFF,
    State.CONNECTING,
    State.ABSENT,
    State.FORBIDDEN,
    State.STALE,
    State.FAILING,
)


def merged(statuses: list[SourceStatus]) -> SourceStatus:
    """Several sources of one name as one: the worst state, and the oldest data."""
    worst = max(statuses, key=lambda status: _SEVERITY.index(status.state))
    ages = [status.data_at for status in statuses if status.data_at is not None]
    return replace(worst, data_at=min(ages) if ages else None)
