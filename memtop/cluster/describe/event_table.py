"""The events at the end of a description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop.cluster.describe.moment import Moment
from memtop.cluster.tree import Json, has, number, text


def event_lines(events: Sequence[Json] | None, moment: Moment) -> Iterator[str]:
    """The table of events, oldest first; nothing where they could not be had (None)."""
    if events is None:
        return
    if not events:
        yield "Events:\t<none>"
        return
    yield "Events:"
    yield "  Type\tReason\tAge\tFrom\tMessage"
    yield "  ----\t------\t----\t----\t-------"
    for event in sorted(events, key=lambda event: text(event, "lastTimestamp")):
        source = text(event, "source", "component") or text(event, "reportingComponent")
        message = text(event, "message").strip()
        yield f"  {text(event, 'type')}\t{text(event, 'reason')}\t{_age(event, moment)}\t{source}\t{message}"


def _age(event: Json, moment: Moment) -> str:
    """When it was last seen; and for one that repeats, how often over how long."""
    first = moment.since(text(event, "eventTime") or text(event, "firstTimestamp"))
    count = number(event, "count") or 0
    if has(event, "series"):
        last = moment.since(text(event, "series", "lastObservedTime"))
        return f"{last} (x{number(event, 'series', 'count') or 0} over {first})"
    if count > 1:
        return f"{moment.since(text(event, 'lastTimestamp'))} (x{count} over {first})"
    return first
