"""What a screen asks to be shown: scope, filter, grouping and order. Plain values, sent to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Pane(StrEnum):
    """The three live panes of the overview."""

    TOP = "top"
    RESTARTS = "restarts"
    GROWTH = "growth"


class Column(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Sort:
    """An order; rows without a value come last either way."""

    column: Column
    descending: bool = True


DEFAULT_SORTS: dict[Pane, Sort] = {
    Pane.TOP: Sort(Column.MEMORY),
    Pane.RESTARTS: Sort(Column.LAST_HOUR),
    Pane.GROWTH: Sort(Column.VERDICT),
}


class Searchable(Protocol):
    """Anything a filter can look at."""

    @property
    def namespace(self) -> str: ...  # noqa: D102

    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102

    def haystack(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as it is typed: words that must all hold.

    A word is looked for, without regard to case, in namespace, pod, container, workload, node and state;
    ``!word`` must not be there; ``label=value`` (or ``!label=value``) looks at that label alone,
    and ``namespace=value`` or ``ns=value`` at the namespace.
    """

    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.text.strip())

    def matches(self, row: Searchable, state: str = "") -> bool:
        """Whether every word holds for the row."""
        return self.matcher()(row, state)

    def matcher(self) -> Callable[[Searchable, str], bool]:
        """`matches` for many rows: the words are taken apart only once."""
        texts: list[tuple[str, bool]] = []
        labels: list[tuple[str, str, bool]] = []
        namespaces: list[tuple[str, bool]] = []
        for word in self.text.split():
            wanted, bare = not word.startswith("!"), word.removeprefix("!")
            label, equals, value = bare.partition("=")
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
        reach: Seconds back that it is drawn for; what lies further back than samples are kept is asked of
            Prometheus.
    """

    namespaces: frozenset[str] = frozenset()
    filter: Filter = Filter()
    workloads: bool = False
    sorts: Mapping[Pane, Sort] = field(default_factory=lambda: dict(DEFAULT_SORTS))
    selected: object = None
    reach: float = 0.0
