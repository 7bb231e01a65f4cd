"""A log that is read while its tab is open, with its prompts: filter, time to jump to, file to save to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Self, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import Client
from memtop.logs.buffer import LogStatus
from memtop.logs.heap_readings import summarise_readings
from memtop.logs.log_request import MAX_LINES, LogRequest, container_runs
from memtop.logs.log_times import TIME_HINT, zone_name
from memtop.logs.search import LogSearch
from tui.pod.log_display import LogFeed, LogValues, log_row, log_status_line
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.key_and_filter_bars import FilterBar
from widgets.line_widget import OneLine
from widgets.log_view import LogRow, LogView
from widgets.styled_text import Symbols

PromptKind = Literal["filter", "jump", "save"]
TYPING_SECONDS = 0.15  # seconds after a key until what is typed is told


class LogPrompts(Vertical):
    """Takes no room while no prompt is open."""

    DEFAULT_CSS = """
    LogPrompts { height: auto; }
    LogPrompts FilterBar { display: none; }
    LogPrompts FilterBar.-open { display: block; }
    """

    class Typed(Message):
        """A filter is half typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Message):
        """A prompt was answered; it stays open until it is closed."""

        def __init__(self, prompt: PromptKind, text: str) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text

    class Closed(Message):
        """A prompt was left."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: dict[PromptKind, FilterBar] = {
            "filter": FilterBar(hint="regular expression; capital letters make case matter", id="filter"),
            "jump": FilterBar(f"to ({zone_name(time.time())}) ", hint=TIME_HINT, id="jump"),
            "save": FilterBar("save as ", hint="file name", id="save"),
        }
        self._open: PromptKind | None = None
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """One bar a prompt."""
        yield from self._bars.values()

    @property
    def problem(self) -> str:
        """What is wrong with what was typed; empty if nothing is."""
        return self._bars[self._open].problem if self._open is not None else ""

    def complain(self, words: str) -> bool:
        """Says what is wrong beside what was typed; tells whether a prompt is open to say it in."""
        if self._open is None:
            return False
        self._bars[self._open].problem = words
        return True

    def open(self, prompt: PromptKind, text: str = "") -> None:
        """Opens a prompt in place of the one that is open."""
        self.close()
        self._open = prompt
        self._bars[prompt].add_class("-open")
        self._bars[prompt].open(text)

    def close(self) -> None:
        """Closes the prompt that is open."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        if self._open is not None:
            self._bars[self._open].remove_class("-open")
            self._open = None

    @on(FilterBar.Changed)
    def _changed(self, event: FilterBar.Changed) -> None:
        event.stop()
        if isinstance(event, FilterBar.Submitted) or self._open != "filter":
            return
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, lambda: self.post_message(self.Typed(event.text)))

    @on(FilterBar.Submitted)
    def _submitted(self, event: FilterBar.Submitted) -> None:
        event.stop()
        if self._typing is not None:
            self._typing.stop()
        if self._open is not None:
            self.post_message(self.Entered(self._open, event.text))

    @on(FilterBar.Closed)
    def _left(self, event: FilterBar.Closed) -> None:
        event.stop()
        self.close()
        self.post_message(self.Closed())


TAIL_LINES = 20_000
"""Lines to begin with; everything there is comes on demand."""
TAKE_SECONDS = 0.1  # seconds between two updates of the screen
SINCE_RANGES = {
    "1": ("5 minutes", 300),
    "2": ("hour", 3600),
    "3": ("6 hours", 21_600),
    "4": ("24 hours", 86_400),
}


class LinesArrived(Message):
    """There is something to take from the feed."""

    def can_replace(self, message: Message) -> bool:
        """A second message before the first was handled says nothing new."""
        return isinstance(message, LinesArrived)


class LiveLog(PodTab):
    """Figures, log, prompt and status of one request; what is searched for is up to those who build on it.

    Args:
        subject: Whose log.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters are drawn with.
    """

    PREVIOUS: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("w", "wrap", "Wrap", show=False),
        Binding("T", "stamps", "Times", show=False),
        Binding("left_square_bracket", "container(-1)", "Container", show=False),
        Binding("right_square_bracket", "container(1)", "Next container", show=False),
        Binding("r", "reload", "Read again", show=False),
        Binding("0", "since('0')", "All lines", show=False),
        *(Binding(key, f"since('{key}')", words, show=False) for key, (words, _) in SINCE_RANGES.items()),
    ]

    def __init__(
        self, subject: TabSubject, ask: AskCluster, now: Callable[[], float], symbols: Symbols
    ) -> None:
        super().__init__(subject, ask)
        self._now = now
        self.view = LogView(ascii_only=symbols == "ascii")
        self.values = LogValues(symbols)
        self.status = OneLine()
        self.prompts = LogPrompts()
        self._containers: tuple[str, ...] = (subject.container,)
        self._chosen: tuple[str, ...] = (subject.container,)
        self._tail, self._since = TAIL_LINES, 0
        self._stamps: bool | None = None  # as asked for; None leaves it to the log itself
        self._search: LogSearch | None = None
        self.feed = LogFeed(self._request(), self._arrived)
        self._taken = 0.0
        self._taking: Timer | None = None
        self._ticking: Timer | None = None

    def compose(self) -> ComposeResult:
        """Figures, log, prompt, status."""
        yield self.values
        yield self.view
        yield self.prompts
        yield self.status

    def on_mount(self) -> None:
        """Prepares the clock that keeps ages true."""
        self._ticking = self.set_interval(1.0, self._say, pause=True)

    def focus(self, scroll_visible: bool = True) -> Self:
        """Gives the keys to the log."""
        self.view.focus(scroll_visible)
        return self

    # -- reading

    def opened(self) -> None:
        """Begins to read, or goes on where it was."""
        if not self.subject.pod:
            self.view.show((), self._row, empty="Logs are of pods: press esc, then w, and choose one")
            return
        if self._ticking is not None:
            self._ticking.resume()
        self._read()
        self.search_on()

    def closed(self) -> None:
        """Ends the stream; what was read stays."""
        super().closed()
        if self._ticking is not None:
            self._ticking.pause()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        feed = self.feed
        if self._containers == (self.subject.container,):
            self._containers = await self._known_containers()
        await feed.run(self.ask)

    def show_failure(self, sentence: str) -> None:
        """Says why the log is not read any more; what was read stays."""
        self.feed.status = LogStatus(sentence, ended=True, failed=True)
        self._say()

    async def _known_containers(self) -> tuple[str, ...]:
        async def ask(client: Client) -> tuple[str, ...]:
            return tuple(await container_runs(client, self._request()))

        try:
            return await asyncio.wrap_future(self.ask(ask)) or self._containers
        except (ApiError, Unreachable, CredentialError):
            return self._containers  # the log itself will say what is wrong

    def _request(self) -> LogRequest:
        return LogRequest(
            self.subject.namespace,
            self.subject.pod,
            self._chosen,
            previous=self.PREVIOUS,
            follow=not self.PREVIOUS,
            tail=self._tail,
            since_seconds=self._since or None,
        )

    def _arrived(self) -> None:
        """On the engine's thread."""
        self.post_message(LinesArrived())

    @on(LinesArrived)
    def _take_soon(self) -> None:
        """Takes what has come, a few times a second at most."""
        wait = self._taken + TAKE_SECONDS - time.monotonic()
        if wait <= 0:
            self._take()
        elif self._taking is None:
            self._taking = self.set_timer(wait, self._take)

    def _take(self) -> None:
        self._taking = None
        self._taken = time.monotonic()
        if self.feed.take_new():
            self.search_on()
            self.values.show(summarise_readings(self.feed.readings))
        self._draw()

    @property
    def stamps(self) -> bool:
        """Whether to show the time of each line: as asked for, else where the log has no times of its own."""
        return not self.feed.own_times if self._stamps is None else self._stamps

    def _restart(self) -> None:
        """Begins anew with what is wanted now."""
        self.view.follow(True)  # while the lines that it shows are still there
        self.feed = LogFeed(self._request(), self._arrived)
        if self._search is not None:
            self._search = self._search.restarted(self.feed.buffer)
        self.values.show(None)
        self._draw()
        self._read()

    # -- drawing

    def _draw(self) -> None:
        buffer, search = self.feed.buffer, self._search
        numbers: Sequence[int] = range(buffer.first, buffer.end)
        if search is not None:
            numbers = cast("Sequence[int]", search.rows())
        searching = search is not None and search.scanned < buffer.end
        nothing = "Searching" if searching else "No line matches" if len(buffer) else self.feed.status.words
        self.view.show(numbers, self._row, empty=nothing)
        self._say()

    def _say(self) -> None:
        if self.subject.pod:
            zone = Text(f"times in {zone_name(self._now())} ", "dim") if self.stamps else None
            self.status.show_text(log_status_line(self.feed, self._search, self.view, self._now()), zone)

    def _row(self, number: int) -> LogRow:
        line = self.feed.buffer.line(number)
        return log_row(
            line, self._search, number, stamps=self.stamps, owners=len(self.feed.request.containers) > 1
        )

    @on(LogView.Moved)
    def _moved(self) -> None:
        self._say()

    def search_on(self) -> None:
        """Lines have come that were not searched yet."""

    # -- looking

    def action_follow(self) -> None:
        """Stays at the newest line, or stops where it is."""
        self.view.follow(not self.view.following)

    def action_wrap(self) -> None:
        """Wraps long lines, or lets them run out at the right (← and → scroll)."""
        self.view.set_wrap(not self.view.wrap)

    def action_stamps(self) -> None:
        """Shows or hides the time of each line."""
        self._stamps = not self.stamps
        self._draw()

    def action_container(self, step: int) -> None:
        """Shows another container's log; after the last all of them together."""
        choices: list[tuple[str, ...]] = [(name,) for name in self._containers]
        if len(choices) < 2:
            self.notify("The pod has one container only")
            return
        choices.append(self._containers)
        at = choices.index(self._chosen) if self._chosen in choices else 0
        self._chosen = choices[(at + step) % len(choices)]
        everyone = f"all {len(self._chosen)} containers" if len(self._chosen) > 1 else self._chosen[0]
        self.notify(f"Log of {everyone}", markup=False)
        self._restart()

    def action_since(self, key: str) -> None:
        """Begins further back or nearer: with the last minutes or hours, or with all there is."""
        words, self._since = SINCE_RANGES.get(key, ("", 0))
        self._tail = MAX_LINES
        self.notify(f"The last {words}" if words else f"All there is, up to {MAX_LINES:,} lines")
        self._restart()

    def action_reload(self) -> None:
        """Reads it all again."""
        self._restart()
