"""The base of the screens that follow one workload: rollout, stabilisation, timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from memtop.files import NewFileError
from memtop.kube.api_errors import CLUSTER_FAILURES
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.observe.frame import Frame
from tui.live_screen import LiveScreen
from tui.pod.tab import AskCluster, TabSubject
from widgets.error_boundary import report_failure
from widgets.line_widget import OneLine
from widgets.panes import PaneTitle
from widgets.styled_text import Symbols

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before what failed by a mistake of memtop's own is followed again; each time twice as long."""


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """A report that can be written.

    Attributes:
        subject: What it tells of, a word of its file's name.
        time: When what it tells was known, Unix seconds.
        write: Writes the file; raises `NewFileError`.
    """

    subject: str
    time: float
    write: Callable[[Path], None]


class FollowingScreen(LiveScreen):
    """A screen that is told of one workload, over and over. Leaving it ends every request.

    Args:
        ref: The Deployment, StatefulSet or DaemonSet.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters are drawn with.
        warnings: What the header must always say.
        title: What the screen is called.
        folder: Where reports go; None for the folder that memtop was started in.

    Attributes:
        RANGES: The stretches of time that its graph can show, seconds by name; empty without a graph.
        ref: The workload.
        range: The name of the stretch that is shown.
    """

    RANGES: ClassVar[Mapping[str, float]] = {}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "dismiss", "Back"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
    ]

    class Told(Message):
        """How it stands, or why that is not known.

        Attributes:
            told: All that is known, as data; or a sentence.
        """

        def __init__(self, told: object) -> None:
            super().__init__()
            self.told = told

        def can_replace(self, message: Message) -> bool:
            """All that is known is told each time, so only the last telling counts."""
            return isinstance(message, FollowingScreen.Told)

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...],
        title: str,
        folder: Path | None = None,
    ) -> None:
        super().__init__(now, symbols, warnings)
        self.ref = ref
        self._folder = folder
        self._ask = ask
        self._wake: Callable[[], object] | None = None
        self.range = next(iter(self.RANGES), "")
        self.title_line = PaneTitle(title, ascii_only=symbols == "ascii")
        self.title_line.subtitle = f"{ref.kind} in {ref.namespace}"
        self.title_line.lit = True
        self.notes = OneLine()

    @property
    def row(self) -> TabSubject:
        """The workload, for the keys that change it."""
        return TabSubject.of_workload(self.ref)

    def on_unmount(self) -> None:
        """Ends every request."""
        self.workers.cancel_node(self)

    def is_about_the_same(self, other: Screen[Any]) -> bool:
        """Whether another screen tells the same of the same workload."""
        return isinstance(other, FollowingScreen) and type(self) is type(other) and self.ref == other.ref

    @work(exclusive=True, group="follow")
    async def follow(self) -> None:
        """Follows until there is no more to tell; says why where the cluster ends it."""
        try:
            await self._keep_following(self.tell)
        except CLUSTER_FAILURES as error:
            self._wake = None
            self.post_message(self.Told(str(error)))

    async def tell(self, client: Client) -> None:
        """Asks, and posts a `Told` for each answer; runs on the engine's loop."""
        raise NotImplementedError

    def make_wake_event(self) -> asyncio.Event:
        """Returns an event for `tell` to wait for: it is set when somebody asks again."""
        again = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, again.set)
        return again

    def action_again(self) -> None:
        """Asks again now; what was seen so far is kept, unless following has ended."""
        if self._wake is None:
            self.follow()
        else:
            with suppress(RuntimeError):  # the loop is closed: memtop ends
                self._wake()
        self.notify("Asking again now")

    async def _keep_following(self, tell: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        """Follows on the engine's loop until that ends; after a mistake of memtop's own it goes on.

        Raises:
            Unreachable: The engine does not run, or no answer came.
            ApiError: The cluster refuses.
            CredentialError: No credential could be had.
            KubeconfigError: The kubeconfig is wrong.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                await asyncio.wrap_future(self._ask(tell))
            except CLUSTER_FAILURES:
                raise
            except Exception as error:  # noqa: BLE001  (it is reported; what is watched must not be lost)
                report_failure(self, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    def show_failure(self, sentence: str) -> None:
        """Says why nothing more is told."""
        self.post_message(self.Told(sentence))

    def show(self, frame: Frame) -> None:
        """Brings the header up to date."""
        self.newest = frame
        self.tick()

    def draw(self) -> None:
        """Draws all that is known."""
        raise NotImplementedError

    def action_next_range(self) -> None:
        """Draws another stretch of time."""
        names = list(self.RANGES)
        self.range = names[(names.index(self.range) + 1) % len(names)]
        self.draw()

    def report(self) -> WorkloadReport | None:
        """What can be written to a file; None as long as nothing is known."""
        return None

    @work(exclusive=True, group="report")
    async def action_report(self) -> None:
        """Writes the report to a new file, and says where it is or why it is not."""
        report = self.report()
        if report is None:
            self.notify("There is nothing to report yet")
            return
        moment = datetime.fromtimestamp(report.time, UTC).strftime("%Y%m%dT%H%M%SZ")
        path = (self._folder or Path.cwd()) / f"{self.ref.name}_{report.subject}_{moment}.md"
        try:
            await asyncio.to_thread(report.write, path)
        except NewFileError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify(f"Written to {path}", markup=False)
