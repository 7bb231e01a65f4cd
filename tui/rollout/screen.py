"""The rollout screen: how far it is in kubectl's words, why it does not go on, and its pods, live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop.cluster.client import Client
from memtop.cluster.errors import Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.observe.frame import Frame
from memtop.observe.identity import Key
from memtop.rollout.model import Cause, Rollout
from memtop.rollout.watch import follow
from tui.live import LiveScreen
from tui.overview.look import Look
from tui.overview.status import header_data
from tui.pod.tab import Ask, Subject
from tui.rollout.keys import WORDS
from tui.rollout.pod_rows import COLUMNS, PodRows
from tui.rollout.words import change_line, count_line, progress_line, reason_lines, status_lines
from widgets.header import StatusHeader
from widgets.key_bar import KeyBar
from widgets.lines import Lines
from widgets.one_line import OneLine
from widgets.palette import Symbols
from widgets.pane import PaneTitle
from widgets.table import LiveTable

if TYPE_CHECKING:
    from tui.app import Memtop

STANDING_LINES = 5
"""Two for kubectl's sentence, one each for the bar, the figures, and what has changed."""


class RolloutScreen(LiveScreen):
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
        Binding("escape,backspace", "dismiss", "Back"),
        Binding("u", "app.change('undo')", "Undo"),
        Binding("P", "app.change('pause')", "Pause or resume"),
        Binding("b", "app.change('stabilisation')", "Did it help?"),
        Binding("i", "app.change('image')", "Image", show=False),
        Binding("M", "app.change('memory')", "Limit", show=False),
        Binding("R", "app.change('restart')", "Restart", show=False),
        Binding("number_sign", "app.change('scale')", "Scale", show=False),
        Binding("ctrl+d", "app.change('delete')", "Delete the pod", show=False),
        Binding("W", "app.change('workload')", "Workload", show=False),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("r", "app.retry", "Ask again now", show=False),
        Binding("q", "app.quit", "Quit"),
    ]
    WORDS = ("Keys of the rollout", WORDS)

    class Told(Message):
        """The cluster has told how the rollout stands, or why it cannot."""

        def __init__(self, told: Rollout | str) -> None:
            super().__init__()
            self.told = told

        def can_replace(self, message: Message) -> bool:
            """All that is known is told each time, so only the last telling counts."""
            return isinstance(message, RolloutScreen.Told)

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
        ask: Ask,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        thresholds: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        super().__init__()
        self.ref = ref
        self.rollout: Rollout | None = None
        self._ask = ask
        self._now = now
        self._warnings = warnings
        self._frame: Frame | None = None
        self._look = Look(*thresholds, symbols)
        self._was_going = False
        self._done_seen: float | None = None
        ascii_only = symbols == "ascii"
        self.header = StatusHeader(ascii_only=ascii_only)
        self.title_line = PaneTitle(f"Rollout of {ref.name}", ascii_only=ascii_only)
        self.title_line.subtitle = f"{ref.kind} in {ref.namespace}"
        self.title_line.lit = True
        self.standing = _Standing(self._standing_lines, STANDING_LINES)
        self.reasons = _Standing(self._reason_lines, 4)
        self.table = LiveTable(COLUMNS, empty="Asking for its pods …", ascii_only=ascii_only)
        self.notes = OneLine()

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
    def row(self) -> Subject:
        """The workload, and the pod under the cursor, for the keys that change them."""
        return self._subject(self.table.cursor_key) or Subject.of_workload(self.ref)

    def _subject(self, name: object) -> Subject | None:
        """A pod, at the container that asks most for attention; None where there is no such pod."""
        pods = self.rollout.pods if self.rollout is not None else ()
        pod = next((pod for pod in pods if pod.name == name), None)
        if pod is None:
            return None
        title = pod.name if pod.containers == 1 else f"{pod.name}/{pod.speaker}"
        return Subject(Key(pod.uid, pod.speaker), self.ref.namespace, pod.name, pod.speaker, title, self.ref)

    def on_mount(self) -> None:
        """Begins to follow."""
        self.set_interval(1.0, self._draw)
        self.table.focus()
        self._follow()

    def on_unmount(self) -> None:
        """Ends every request; the app may go on following what is not over."""
        self.workers.cancel_node(self)
        if self.rollout is not None and not self.rollout.over:
            self.app.post_message(self.LeftRunning(self.ref))

    def on_resize(self) -> None:
        """Gives the reasons as much room as there is; from then on it stays."""
        self.reasons.styles.height = 4 if self.size.height < 30 else 7 if self.size.height < 44 else 9

    def show(self, frame: Frame) -> None:
        """Brings the header up to date."""
        self._frame = frame
        self._tick()

    @work(exclusive=True, group="rollout")
    async def _follow(self) -> None:
        async def tell(client: Client) -> None:
            async for told in follow(client, self.ref, self._now):
                self.post_message(self.Told(told))

        try:
            await asyncio.wrap_future(self._ask(tell))
        except (Unreachable, RuntimeError) as error:
            self.post_message(self.Told(str(error)))

    def on_rollout_screen_told(self, message: Told) -> None:
        """Shows how it stands now."""
        message.stop()
        if isinstance(message.told, str):
            self.notes.say(Text(f" {message.told}", "warn"))
            return
        self.rollout = message.told
        if not self.rollout.status.done:
            self._was_going, self._done_seen = True, None
        elif self._was_going and self._done_seen is None:
            self._done_seen = self._now()
        line = Text()
        for note in self.rollout.notes:
            line.append(f" {note} ", "warn")
        if not line and any(reason.cause in {Cause.CRASH, Cause.OOM} for reason in self.rollout.stuck):
            line.append(" enter opens a pod; there p shows the log of the run before", "dim")
        self.notes.say(line)
        self._draw()

    @on(LiveTable.Activated)
    def _activated(self, event: LiveTable.Activated) -> None:
        """Opens a pod, at the container that asks most for attention: its log, its events."""
        event.stop()
        if (subject := self._subject(event.key)) is not None:
            cast("Memtop", self.app).open(subject)

    # -- drawing

    @property
    def ended(self) -> float | None:
        """When it was done, Unix seconds, as the cluster says or else as it was seen here."""
        return (self.rollout.finished if self.rollout is not None else None) or self._done_seen

    def _tick(self) -> None:
        self.header.show(header_data(self._frame, self._now(), frozen=False, warnings=self._warnings))

    def _draw(self) -> None:
        self._tick()
        self.standing.redraw()
        self.reasons.redraw()
        if self.rollout is not None:
            rows = PodRows(self.rollout.pods, self._now(), self._look)
            self.table.show(rows, empty="It has no pods")

    def _standing_lines(self, width: int, height: int) -> list[Text]:
        rollout = self.rollout
        if rollout is None:
            return [Text(f"   Asking how the rollout of {self.ref.name} stands …", "dim")]
        symbols = self._look.symbols
        return [
            *status_lines(rollout, width, symbols),
            progress_line(rollout, width, self._now(), self.ended, symbols),
            count_line(rollout),
            change_line(rollout, width),
        ]

    def _reason_lines(self, width: int, height: int) -> list[Text]:
        if self.rollout is None:
            return []
        return reason_lines(self.rollout, width, height, self._now(), self.ended, self._look.symbols)


class _Standing(Lines):
    """Lines that somebody else says, in a fixed height, so that nothing below them moves."""

    def __init__(self, say: Callable[[int, int], list[Text]], height: int) -> None:
        super().__init__()
        self._say = say
        self.styles.height = height

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the lines."""
        return self._say(width, height)
