"""The rollout screen: its status in kubectl's words, why it is stuck, and its pods, live."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop import wording
from memtop.change.rollout_model import Rollout, RolloutPod, StuckCause
from memtop.change.rollout_watch import follow_rollout
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import StateSeverity
from memtop.observe.slots import ContainerKey
from tui.following_screen import FollowingScreen
from tui.keys import REPORT_BINDINGS, ROLLOUT_HELP
from tui.live_screen import FigureStyle, OpenSubject
from tui.pod.tab import AskCluster, TabSubject
from tui.rollout.words import change_line, count_line, progress_line, reason_lines, status_lines
from widgets.cell_graphs import usage_bar
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import TextBlock
from widgets.styled_text import Symbols
from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn

ROLLOUT_POD_COLUMNS = (
    TableColumn("pod", "POD", 20, flex=3, max_width=64, sortable=False),
    TableColumn("revision", "REVISION", 8, sortable=False),
    TableColumn("state", "STATE", 16, flex=1, max_width=26, sortable=False),
    TableColumn("ready", "READY", 5, justify="right", drop_order=3, sortable=False),
    TableColumn("restarts", "RESTARTS", 8, justify="right", sortable=False),
    TableColumn("bar", "OF LIMIT", 10, flex=1, max_width=24, sortable=False),
    TableColumn("memory", "MEMORY", 8, justify="right", sortable=False),
    TableColumn("limit", "LIMIT", 8, justify="right", drop_order=2, sortable=False),
    TableColumn("age", "AGE", 10, justify="right", drop_order=4, sortable=False),
    TableColumn("node", "NODE", 14, flex=1, max_width=40, drop_order=1, sortable=False),
)
_MOOD_ROLES = {
    StateSeverity.RUNNING: "ok",
    StateSeverity.DONE: "dim",
    StateSeverity.WAITING: "accent",
    StateSeverity.FAILING: "critical",
    StateSeverity.OOM: "critical",
}


class RolloutPodRows:
    """The pods of a rollout.

    Args:
        pods: In order.
        now: The cluster's time, Unix seconds.
        look: How figures are drawn.
    """

    def __init__(self, pods: Sequence[RolloutPod], now: float, look: FigureStyle) -> None:
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

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line; those of an old pod are dim."""
        pod = self._pods[i]
        return [_CELLS[column.key](self, pod, width) for column, width in columns]

    @property
    def look(self) -> FigureStyle:
        """How figures are drawn."""
        return self._look

    def age(self, pod: RolloutPod) -> float | None:
        """Seconds since a pod was created."""
        return None if pod.created is None else self._now - pod.created


def _plain_cell(
    words: Callable[[RolloutPodRows, RolloutPod], str],
) -> Callable[[RolloutPodRows, RolloutPod, int], Cell]:
    def cell(rows: RolloutPodRows, pod: RolloutPod, width: int) -> Cell:
        return Text(words(rows, pod), "" if pod.new else "dim")

    return cell


def _revision_cell(rows: RolloutPodRows, pod: RolloutPod, width: int) -> Cell:
    number = "" if pod.revision is None else f"{pod.revision} "
    return Text(f"{number}new", "strong") if pod.new else Text(f"{number}old", "dim")


def _state_cell(rows: RolloutPodRows, pod: RolloutPod, width: int) -> Cell:
    # An old pod that runs is not what anybody waits for.
    role = (
        "dim"
        if not pod.new and pod.severity in {StateSeverity.RUNNING, StateSeverity.WAITING}
        else _MOOD_ROLES[pod.severity]
    )
    return Text(pod.state, role)


def _restarts_cell(rows: RolloutPodRows, pod: RolloutPod, width: int) -> Cell:
    return Text(str(pod.restarts), "warn" if pod.restarts and pod.new else "dim")


def _bar_cell(rows: RolloutPodRows, pod: RolloutPod, width: int) -> Cell:
    if pod.memory is None and pod.limit is not None:
        return ""
    ratio = pod.memory / pod.limit if pod.memory is not None and pod.limit else None
    return usage_bar(ratio, width, rows.look.warn, rows.look.critical, rows.look.symbols)


_CELLS: dict[str, Callable[[RolloutPodRows, RolloutPod, int], Cell]] = {
    "pod": _plain_cell(lambda rows, pod: pod.name),
    "revision": _revision_cell,
    "state": _state_cell,
    "ready": _plain_cell(lambda rows, pod: f"{pod.ready}/{pod.containers}"),
    "restarts": _restarts_cell,
    "bar": _bar_cell,
    "memory": _plain_cell(lambda rows, pod: wording.bytes_(pod.memory)),
    "limit": _plain_cell(lambda rows, pod: "none" if pod.limit is None else wording.bytes_(pod.limit)),
    "age": _plain_cell(lambda rows, pod: wording.duration(rows.age(pod))),
    "node": _plain_cell(lambda rows, pod: pod.node or wording.UNKNOWN),
}

STATUS_HEIGHT = 5
"""Two for kubectl's sentence, one each for the bar, the figures, and what has changed."""


class RolloutScreen(FollowingScreen):
    """One rollout. Leaving it leaves the rollout running.

    Args:
        ref: The Deployment, StatefulSet or DaemonSet.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters bars are drawn with.
        warnings: What the header must always say.
        thresholds: Shares of the limit from which memory is high, and critical.

    Attributes:
        ref: The workload.
        rollout: What is known of its rollout; None before anything is.
    """

    DEFAULT_CSS = """
    RolloutScreen LiveTable { height: 1fr; min-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *REPORT_BINDINGS,
        Binding("u", "app.change('undo')", "Undo"),
        Binding("P", "app.change('pause')", "Pause or resume"),
        Binding("v", "app.change('canary')", "Old beside new"),
        Binding("b", "app.change('stabilisation')", "Did it help?"),
        Binding("i", "app.change('image')", "Image", show=False),
        Binding("M", "app.change('memory')", "Limit", show=False),
        Binding("R", "app.change('restart')", "Restart", show=False),
        Binding("number_sign", "app.change('scale')", "Scale", show=False),
        Binding("ctrl+d", "app.change('delete')", "Delete the pod", show=False),
        Binding("W", "app.change('workload')", "Workload", show=False),
        Binding("r", "app.retry", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the rollout", ROLLOUT_HELP)

    class LeftRunning(Message):
        """The screen is left and the rollout is not over; sent to the app.

        Attributes:
            ref: The workload.
        """

        def __init__(self, ref: ObjectRef) -> None:
            super().__init__()
            self.ref = ref

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        thresholds: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        super().__init__(ref, ask, now, symbols, warnings, f"Rollout of {ref.name}")
        self.rollout: Rollout | None = None
        self._failed_first = False
        self._look = FigureStyle(*thresholds, symbols)
        self._was_going = False
        self._done_seen: float | None = None
        self.standing = TextBlock(self._standing_lines, STATUS_HEIGHT)
        self.reasons = TextBlock(self._reason_lines, 4)
        self.table = LiveTable(
            ROLLOUT_POD_COLUMNS, empty="Asking for its pods …", ascii_only=symbols == "ascii"
        )

    def compose(self) -> ComposeResult:
        """Header, how it stands, why it does not go on, pods, what could not be learned, keys."""
        yield self.header
        yield self.title_line
        yield self.standing
        yield self.reasons
        yield self.table
        yield self.notes
        yield KeyBar()

    @property
    def row(self) -> TabSubject:
        """The workload, and the pod under the cursor, for the keys that change them."""
        return self._subject(self.table.cursor_key) or TabSubject.of_workload(self.ref)

    def _subject(self, name: object) -> TabSubject | None:
        """A pod, at the container that asks most for attention; None where there is no such pod."""
        pods = self.rollout.pods if self.rollout is not None else ()
        pod = next((pod for pod in pods if pod.name == name), None)
        if pod is None:
            return None
        title = pod.name if pod.containers == 1 else f"{pod.name}/{pod.worst_container}"
        return TabSubject(
            ContainerKey(pod.uid, pod.worst_container),
            self.ref.namespace,
            pod.name,
            pod.worst_container,
            title,
            self.ref,
        )

    def on_mount(self) -> None:
        """Begins to follow."""
        self.set_interval(1.0, self.draw)
        self.table.focus()
        self.follow()

    def on_unmount(self) -> None:
        """The app may go on following what is not over, and what could not be learned so far."""
        if self._failed_first if self.rollout is None else not self.rollout.is_over:
            self.app.post_message(self.LeftRunning(self.ref))

    def on_resize(self) -> None:
        """Gives the reasons as much room as there is; from then on it stays."""
        self.reasons.styles.height = 4 if self.size.height < 30 else 7 if self.size.height < 44 else 9

    async def tell(self, client: Client) -> None:
        """Tells how the rollout stands whenever that changes."""
        async for told in follow_rollout(client, self.ref, self._now):
            self.post_message(self.Told(told))

    @on(FollowingScreen.Told)
    def _told(self, message: FollowingScreen.Told) -> None:
        """Shows how it stands now."""
        message.stop()
        if not isinstance(message.told, Rollout):
            self.notes.show_text(Text(f" {message.told}", "warn"))
            self._failed_first = self.rollout is None
            return
        self.rollout = message.told
        if not self.rollout.status.done:
            self._was_going, self._done_seen = True, None
        elif self._was_going and self._done_seen is None:
            self._done_seen = self._now()
        line = Text()
        for note in self.rollout.notes:
            line.append(f" {note} ", "warn")
        if not line and any(
            reason.cause in {StuckCause.CRASH, StuckCause.OOM} for reason in self.rollout.stuck
        ):
            line.append(" enter opens a pod; there p shows the log of the run before", "dim")
        self.notes.show_text(line)
        self.draw()

    @on(LiveTable.Activated)
    def _activated(self, event: LiveTable.Activated) -> None:
        """Opens a pod, at the container that asks most for attention: its log, its events."""
        event.stop()
        if (subject := self._subject(event.key)) is not None:
            self.post_message(OpenSubject(subject))

    # -- drawing

    @property
    def finished_at(self) -> float | None:
        """When it was done, Unix seconds, as the cluster says or else as it was seen here."""
        return (self.rollout.finished if self.rollout is not None else None) or self._done_seen

    def draw(self) -> None:
        """Draws header, status, reasons and pods."""
        self.tick()
        self.standing.redraw()
        self.reasons.redraw()
        if self.rollout is not None:
            rows = RolloutPodRows(self.rollout.pods, self._now(), self._look)
            self.table.show(rows, empty="It has no pods")

    def _standing_lines(self, width: int, height: int) -> list[Text]:
        rollout = self.rollout
        if rollout is None:
            return [Text(f"   Asking how the rollout of {self.ref.name} stands …", "dim")]
        symbols = self._look.symbols
        return [
            *status_lines(rollout, width, symbols),
            progress_line(rollout, width, self._now(), self.finished_at, symbols),
            count_line(rollout),
            change_line(rollout, width),
        ]

    def _reason_lines(self, width: int, height: int) -> list[Text]:
        if self.rollout is None:
            return []
        return reason_lines(self.rollout, width, height, self._now(), self.finished_at, self._look.symbols)
