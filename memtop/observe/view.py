"""What a screen asks for and what is observed, in plain values: view, scope, and the state of each source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Scope:
    """What is observed.

    Attributes:
        namespaces: These namespaces; empty for all.
        selector: A label selector, or None.
    """

    namespaces: tuple[str, ...] = ()
    selector: str | None = None

    def words(self) -> str:
        """For the header."""
        return ", ".join(self.namespaces) if self.namespaces else "all namespaces"


class SourceCondition(StrEnum):
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
    state: SourceCondition = SourceCondition.CONNECTING
    words: str = ""
    data_at: float | None = None
    output: str = ""
    code: int | None = None


_SEVERITY = (
    SourceCondition.LIVE,
    SourceCondition.OFF,
    SourceCondition.CONNECTING,
    SourceCondition.ABSENT,
    SourceCondition.FORBIDDEN,
    SourceCondition.STALE,
    SourceCondition.FAILING,
)


def merge_statuses(statuses: list[SourceStatus]) -> SourceStatus:
    """Several sources of one name as one: the worst state, and the oldest data."""
    worst = max(statuses, key=lambda status: _SEVERITY.index(status.state))
    ages = [status.data_at for status in statuses if status.data_at is not None]
    return replace(worst, data_at=min(ages) if ages else None)


class OverviewPane(StrEnum):
    """The three live panes of the overview."""

    TOP = "top"
    RESTARTS = "restarts"
    GROWTH = "growth"


class SortColumn(StrEnum):
    """What rows can be ordered by."""

    NAMESPACE = "namespace"
    NAME = "name"
    WORKLOAD = "workload"
    NODE = "node"
    STATE = "state"
    MEMORY = "memory"
    LIMIT = "limit"
    SHARE = "share"
    RATE = "rate"
    TIME_TO_LIMIT = "time to limit"
    VERDICT = "verdict"
    RESTARTS = "restarts"
    LAST_HOUR = "last hour"
    LAST_END = "last end"
    PODS = "pods"
    PRESSURE = "pressure"


@dataclass(frozen=True, slots=True)
class RowSort:
    """An order; rows without a value come last either way."""

    column: SortColumn
    descending: bool = True


DEFAULT_SORTS: dict[OverviewPane, RowSort] = {
    OverviewPane.TOP: RowSort(SortColumn.MEMORY),
    OverviewPane.RESTARTS: RowSort(SortColumn.LAST_HOUR),
    OverviewPane.GROWTH: RowSort(SortColumn.VERDICT),
}


class Searchable(Protocol):
    """Anything a filter can look at."""

    @property
    def namespace(self) -> str: ...  # noqa: D102

    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102

    def haystack(self) -> str: ...  # noqa: D102


class RowCondition(StrEnum):
    """What ``is=`` in a filter asks for: what the header counts."""

    LEAKING = "leaking"
    SUSPECTED = "suspected"
    NEAR_LIMIT = "near-limit"
    OOM_KILLED = "oom-killed"
    EVICTED = "evicted"


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A filter as it is typed: words that must all hold.

    A word is looked for, without regard to case, in namespace, pod, container, workload, node and state;
    ``!word`` must not be there; ``label=value`` (or ``!label=value``) looks at that label alone,
    ``namespace=value`` or ``ns=value`` at the namespace, and ``is=leaking`` at what memtop says of the row
    (see `RowCondition`; `memtop.observe.row_order` looks at those).
    """

    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.text.strip())

    @property
    def conditions(self) -> list[tuple[RowCondition, bool]]:
        """What ``is=`` asks for, and whether it must hold or must not."""
        known = set(RowCondition)
        return [(RowCondition(value), wanted) for value, wanted in self._asked_conditions() if value in known]

    @property
    def problem(self) -> str:
        """What is wrong with it, in one sentence; empty if nothing is."""
        known = set(RowCondition)
        unknown = [value for value, _ in self._asked_conditions() if value not in known]
        return f"is={unknown[0]} is not known; there is {', '.join(RowCondition)}" if unknown else ""

    def _asked_conditions(self) -> Iterator[tuple[str, bool]]:
        for word in self.text.split():
            bare = word.removeprefix("!")
            if bare.startswith("is="):
                yield bare.removeprefix("is="), bare == word

    def matches(self, row: Searchable, state: str = "") -> bool:
        """Whether every word holds for the row."""
        return self.matcher()(row, state)

    def matcher(self) -> Callable[[Searchable, str], bool]:
        """`matches` for many rows: the words are taken apart only once; ``is=`` is not looked at."""
        texts: list[tuple[str, bool]] = []
        labels: list[tuple[str, str, bool]] = []
        namespaces: list[tuple[str, bool]] = []
        for word in self.text.split():
            wanted, bare = not word.startswith("!"), word.removeprefix("!")
            label, equals, value = bare.partition("=")
            if equals and label == "is":
                continue
            if equals and label in {"namespace", "ns"}:
                namespaces.append((value, wanted))
            elif equals:
                labels.append((label, value, wanted))
            elif bare:
                texts.append((bare.lower(), wanted))

        def matches(row: Searchable, state: str) -> bool:
            for text, wanted in texts:
                if (text in row.haystack() or text in state.lower()) is not wanted:
                    return False
            if any((row.namespace == name) is not wanted for name, wanted in namespaces):
                return False
            return all((row.labels.get(label) == value) is wanted for label, value, wanted in labels)

        return matches


@dataclass(frozen=True)
class View:
    """What a screen wants.

    Attributes:
        namespaces: Only these; empty for all in sight.
        filter: Only rows that match.
        workloads: One row per workload instead of one per container.
        sorts: The order of each pane.
        selected: The row to be drawn large, as its key; None for none.
        look_back_seconds: Length of the time that is drawn. Samples older than those in memory are
            asked of Prometheus.
    """

    namespaces: frozenset[str] = frozenset()
    filter: RowFilter = RowFilter()
    workloads: bool = False
    sorts: Mapping[OverviewPane, RowSort] = field(default_factory=lambda: dict(DEFAULT_SORTS))
    selected: object = None
    look_back_seconds: float = 0.0
