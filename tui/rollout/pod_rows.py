"""The pods of a rollout as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from rich.text import Text

from memtop import wording
from memtop.cluster.containers import Mood
from memtop.rollout.model import PodLine
from tui.overview.look import Look
from widgets.bar import usage_bar
from widgets.columns import Column, Placed
from widgets.rows import Cell

COLUMNS = (
    Column("pod", "POD", 20, flex=3, max_width=64, sortable=False),
    Column("revision", "REVISION", 8, sortable=False),
    Column("state", "STATE", 16, flex=1, max_width=26, sortable=False),
    Column("ready", "READY", 5, justify="right", drop=3, sortable=False),
    Column("restarts", "RESTARTS", 8, justify="right", sortable=False),
    Column("bar", "OF LIMIT", 10, flex=1, max_width=24, sortable=False),
    Column("memory", "MEMORY", 8, justify="right", sortable=False),
    Column("limit", "LIMIT", 8, justify="right", drop=2, sortable=False),
    Column("age", "AGE", 10, justify="right", drop=4, sortable=False),
    Column("node", "NODE", 14, flex=1, max_width=40, drop=1, sortable=False),
)
_MOODS = {
    Mood.RUNNING: "ok",
    Mood.DONE: "dim",
    Mood.WAITING: "accent",
    Mood.FAILING: "critical",
    Mood.OOM: "critical",
}


class PodRows:
    """The pods of a rollout.

    Args:
        pods: In order.
        now: The cluster's time, Unix seconds.
        look: How figures are drawn.
    """

    def __init__(self, pods: Sequence[PodLine], now: float, look: Look) -> None:
        self._pods = pods
        self._now = now
        self._look = look
        self._index = {pod.name: at for at, pod in enumerate(pods)}

    def __len__(self) -> int:
        return len(self._pods)

    def key(self, i: int) -> Hashable:
        """The pod's name."""
        return self._pods[i].name

    def index(self, key: Hashable) -> int | None:
        """Finds a pod by its name."""
        return self._index.get(key) if isinstance(key, str) else None

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """The cells of one line; those of an old pod are dim."""
        pod = self._pods[i]
        return [_CELLS[column.key](self, pod, width) for column, width in columns]

    @property
    def look(self) -> Look:
        """How figures are drawn."""
        return self._look

    def age(self, pod: PodLine) -> float | None:
        """Seconds since a pod was created."""
        return None if pod.created is None else self._now - pod.created


def _plain(words: Callable[[PodRows, PodLine], str]) -> Callable[[PodRows, PodLine, int], Cell]:
    def cell(rows: PodRows, pod: PodLine, width: int) -> Cell:
        return Text(words(rows, pod), "" if pod.new else "dim")

    return cell


def _revision(rows: PodRows, pod: PodLine, width: int) -> Cell:
    number = "" if pod.revision is None else f"{pod.revision} "
    return Text(f"{number}new", "strong") if pod.new else Text(f"{number}old", "dim")


def _state(rows: PodRows, pod: PodLine, width: int) -> Cell:
    # An old pod that runs is not what anybody waits for.
    role = "dim" if not pod.new and pod.mood in {Mood.RUNNING, Mood.WAITING} else _MOODS[pod.mood]
    return Text(pod.state, role)


def _restarts(rows: PodRows, pod: PodLine, width: int) -> Cell:
    return Text(str(pod.restarts), "warn" if pod.restarts and pod.new else "dim")


def _bar(rows: PodRows, pod: PodLine, width: int) -> Cell:
    if pod.memory is None and pod.limit is not None:
        return ""
    ratio = pod.memory / pod.limit if pod.memory is not None and pod.limit else None
    return usage_bar(ratio, width, rows.look.warn, rows.look.critical, rows.look.symbols)


_CELLS: dict[str, Callable[[PodRows, PodLine, int], Cell]] = {
    "pod": _plain(lambda rows, pod: pod.name),
    "revision": _revision,
    "state": _state,
    "ready": _plain(lambda rows, pod: f"{pod.ready}/{pod.containers}"),
    "restarts": _restarts,
    "bar": _bar,
    "memory": _plain(lambda rows, pod: wording.bytes_(pod.memory)),
    "limit": _plain(lambda rows, pod: "none" if pod.limit is None else wording.bytes_(pod.limit)),
    "age": _plain(lambda rows, pod: wording.duration(rows.age(pod))),
    "node": _plain(lambda rows, pod: pod.node or wording.UNKNOWN),
}
