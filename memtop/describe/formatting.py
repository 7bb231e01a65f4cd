"""What all descriptions share: aligned columns, labels and selectors, kubectl's times, the events table.

Columns are aligned as Go's ``text/tabwriter`` does with a padding of two spaces. A cell ends with a tab.
Cells above one another in consecutive lines make a column, which is as wide as its widest cell; the text
after a line's last tab belongs to no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo

from memtop.kube.json_object import (
    Json,
    has,
    mapping,
    number,
    parse_timestamp,
    selector_words,
    text,
)

PADDING = 2


def align_columns(lines: Iterable[str]) -> list[str]:
    """Replaces the tabs of lines by spaces. A line may hold newlines, which make more lines."""
    rows = [row.split("\t") for line in lines for row in line.split("\n")]
    out = ["" for _ in rows]
    _align_column(rows, out, 0, len(rows), 0)
    for index, row in enumerate(rows):
        out[index] += row[-1]
    return out


def _align_column(rows: list[list[str]], out: list[str], start: int, end: int, column: int) -> None:
    """Writes one column of the lines ``start`` to ``end``, block by block, and those to its right."""
    at = start
    while at < end:
        if column >= len(rows[at]) - 1:
            at += 1
            continue
        last = at
        while last < end and column < len(rows[last]) - 1:
            last += 1
        width = max(len(rows[index][column]) for index in range(at, last)) + PADDING
        for index in range(at, last):
            out[index] += rows[index][column].ljust(width)
        _align_column(rows, out, at, last, column + 1)
        at = last


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZERO_TIME = "Mon, 01 Jan 0001 00:00:00 +0000"
"""How Go prints a time that was never set."""
UNKNOWN_AGE = "<unknown>"


USUAL_MINOR = 33
MODERN_MINOR = 36
"""Compared with kubectl 1.30 to 1.33, which have the same words, and 1.36 and 1.37; those between are not
known to differ from the older ones."""


@dataclass(frozen=True, slots=True)
class ZonedNow:
    """When something is described, and for whom.

    Attributes:
        now: The cluster's time, Unix seconds.
        zone: The reader's time zone; None for that of this machine.
        minor: The minor version of the kubectl whose words are used: the server's.
    """

    now: float
    zone: tzinfo | None = None
    minor: int = USUAL_MINOR

    @property
    def modern(self) -> bool:
        """Whether kubectl names ports, the containers of events and the time zone of a CronJob."""
        return self.minor >= MODERN_MINOR

    def stamp(self, text: str) -> str:
        """An API time stamp in the reader's zone: ``Mon, 18 Dec 2023 10:00:00 +0000``."""
        time = parse_timestamp(text)
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

    def age_of(self, text: str) -> str:
        """How long ago an API time stamp was: ``5m``, ``3h20m``; ``<unknown>`` where there is none."""
        time = parse_timestamp(text)
        return UNKNOWN_AGE if time is None else human_duration(self.now - time.timestamp())


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from one time stamp to another; None where either is missing."""
    first, last = parse_timestamp(start), parse_timestamp(end)
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
        return _two_units(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two_units(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two_units(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two_units(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two_units(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def event_lines(events: Sequence[Json] | None, moment: ZonedNow) -> Iterator[str]:
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
        if moment.modern and text(event, "involvedObject", "fieldPath"):
            message = f"{text(event, 'involvedObject', 'fieldPath')}: {message}"
        age = _event_age(event, moment)
        yield f"  {text(event, 'type')}\t{text(event, 'reason')}\t{age}\t{source}\t{message}"


def _event_age(event: Json, moment: ZonedNow) -> str:
    """When it was last seen; and for one that repeats, how often over how long."""
    first = moment.age_of(text(event, "eventTime") or text(event, "firstTimestamp"))
    count = number(event, "count") or 0
    if has(event, "series"):
        last = moment.age_of(text(event, "series", "lastObservedTime"))
        return f"{last} (x{number(event, 'series', 'count') or 0} over {first})"
    if count > 1:
        return f"{moment.age_of(text(event, 'lastTimestamp'))} (x{count} over {first})"
    return first


NONE = "<none>"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ANNOTATION = 140


def or_none(words: str) -> str:
    """The words, or ``<none>``."""
    return words or NONE


def list_lines(title: str, values: Sequence[str], indent: str = "") -> Iterator[str]:
    """A title with values below one another behind it, or ``<none>``.

    Args:
        title: The title with the spaces before it.
        values: What to list.
        indent: What stands before the tab of the second and later lines.
    """
    first, *rest = values or [NONE]
    yield f"{title}:\t{first}"
    for value in rest:
        yield f"{indent}\t{value}"


def label_lines(title: str, pairs: dict[str, str], indent: str = "") -> Iterator[str]:
    """Labels, sorted by key."""
    yield from list_lines(title, [f"{key}={value}" for key, value in sorted(pairs.items())], indent)


def annotation_lines(title: str, pairs: dict[str, str]) -> Iterator[str]:
    """Annotations, sorted by key; long ones are cut and stand below their key."""
    lines: list[str] = []
    for key, raw in sorted(pairs.items()):
        if key == LAST_APPLIED:
            continue
        value = raw.removesuffix("\n")
        if len(value.encode()) + len(key.encode()) + 2 > MAX_ANNOTATION or "\n" in value:
            lines.append(f"{key}:")
            lines += [f"  {cut_bytes(part, MAX_ANNOTATION - 2)}" for part in value.split("\n")]
        else:
            lines.append(f"{key}: {value}")
    yield from list_lines(title, lines)


def cut_bytes(words: str, size: int) -> str:
    """At most ``size`` bytes of the words, with dots where something was left out."""
    raw = words.encode()
    return words if len(raw) <= size else raw[:size].decode(errors="ignore") + "..."


def taint_lines(taints: Sequence[Json]) -> Iterator[str]:
    """A node's taints, sorted by effect and key."""
    words = []
    for taint in sorted(taints, key=lambda taint: f"{text(taint, 'effect')},{text(taint, 'key')}"):
        key, value, effect = text(taint, "key"), text(taint, "value"), text(taint, "effect")
        named = f"{key}={value}" if value else key
        words.append(f"{named}:{effect}" if effect or value else named)
    yield from list_lines("Taints", words)


def toleration_lines(title: str, tolerations: Sequence[Json]) -> Iterator[str]:
    """A pod's tolerations, sorted by key."""
    words = []
    for toleration in sorted(tolerations, key=lambda toleration: text(toleration, "key")):
        key, value, effect = text(toleration, "key"), text(toleration, "value"), text(toleration, "effect")
        line = key + (f"={value}" if value else "") + (f":{effect}" if effect else "")
        if text(toleration, "operator") == "Exists" and not value:
            line += " op=Exists" if key or effect else "op=Exists"
        seconds = number(toleration, "tolerationSeconds")
        words.append(line if seconds is None else f"{line} for {seconds}s")
    yield from list_lines(title, words)


def spread_lines(constraints: Sequence[Json], space: str = "") -> Iterator[str]:
    """Topology spread constraints, sorted by key; nothing where there are none."""
    words = []
    for constraint in sorted(constraints, key=lambda constraint: text(constraint, "topologyKey")):
        line = (
            f"{text(constraint, 'topologyKey')}:{text(constraint, 'whenUnsatisfiable')} when max skew "
            f"{number(constraint, 'maxSkew') or 0} is exceeded"
        )
        if "labelSelector" in constraint:
            selector = or_none(selector_words(mapping(constraint, "labelSelector")))
            line += f" for selector {selector}"
        words.append(line)
    if words:
        yield from list_lines(f"{space}Topology Spread Constraints", words, space)
