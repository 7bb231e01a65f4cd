"""The rollout screen: how far it is in kubectl's words, why it does not go on, and its pods, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.observe.identity import Key
from memtop.rollout.model import Cause, Rollout
from memtop.rollout.watch import follow
from tui.following import FollowingScreen
from tui.live import OpenSubject
from tui.overview.look import Look
from tui.pod.tab import Ask, Subject
from tui.rollout.keys import WORDS
from tui.rollout.pod_rows import COLUMNS, PodRows
from tui.rollout.words import change_line, count_line, progress_line, reason_lines, status_lines
from widgets.key_bar import KeyBar
from widgets.palette import Symbols
from widgets.said import Said
from widgets.table import LiveTable

STANDING_LINES = 5
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
        Binding("u", "app.change('undo')", "Undo"),
        Binding("P", "app.change('pause')", "Pause or resume"),
        Binding("b", "app.change('stabilisation')", "Did it help?"),
        Binding("i", "app.change('image')", "Image", show=False),
        Binding("M", "app.change('memory')", "Limit", show=False),
        Binding("R", "app.change('restart')", "Restart", show=False),
        Binding("number_sign", "app.change('scale')", "Scale", show=False),
        Binding("ctrl+d", "app.change('delete')", "Delete the pod", show=False),
        Binding("W", "app.change('workload')", "Workload", show=False),
        Binding("r", "app.retry", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the rollout", WORDS)

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
        super().__init__(ref, ask, now, symbols, warnings, f"Rollout of {ref.name}")
        self.rollout: Rollout | None = None
        self._look = Look(*thresholds, symbols)
        self._was_going = False
        self._done_seen: float | None = None
        self.standing = Said(self._standing_lines, STANDING_LINES)
        self.reasons = Said(self._reason_lines, 4)
        self.table = LiveTable(COLUMNS, empty="Asking for its pods …", ascii_only=symbols == "ascii")

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
        """The app may go on following what is not over."""
        if self.rollout is not None and not self.rollout.over:
            self.app.post_message(self.LeftRunning(self.ref))

    def on_resize(self) -> None:
        """Gives the reasons as much room as there is; from then on it stays."""
        self.reasons.styles.height = 4 if self.size.height < 30 else 7 if self.size.height < 44 else 9

    @work(exclusive=True, group="rollout")
    async def _follow(self) -> None:
        async def tell(client: Client) -> None:
            async for told in follow(client, self.ref, self._now):
                self.post_message(self.Told(told))

        try:
            await self._keep_following(tell)
        except (Unreachable, ApiError, CredentialError, KubeconfigError) as error:
            self.post_message(self.Told(str(error)))

    @on(FollowingScreen.Told)
    def _told(self, message: FollowingScreen.Told) -> None:
        """Shows how it stands now."""
        message.stop()
        if not isinstance(message.told, Rollout):
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
            self.post_message(OpenSubject(subject))

    # -- drawing

    @property
    def ended(self) -> float | None:
        """When it was done, Unix seconds, as the cluster says or else as it was seen here."""
        return (self.rollout.finished if self.rollout is not None else None) or self._done_seen

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
