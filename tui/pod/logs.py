"""The tabs Logs and Previous: a container's log, followed, filtered before it is shown, and understood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer

from memtop.cluster.client import ApiError, Client, CredentialError, Unreachable
from memtop.logs.export import ExportError, proposed_name, save
from memtop.logs.grep import Grep, PatternError
from memtop.logs.line import NANOSECOND, Line
from memtop.logs.moments import MomentError, parse_moment
from memtop.logs.pod import lives
from memtop.logs.request import MOST_LINES, LogRequest
from memtop.logs.search import EVERYTHING, Filter, Search
from memtop.logs.values.summary import summarise
from tui.pod.log_feed import LogFeed
from tui.pod.log_prompts import LogPrompts, Prompt
from tui.pod.log_values import LogValues
from tui.pod.log_words import log_row, status_line
from tui.pod.tab import Ask, PodTab, Subject
from widgets.log_view import GAP, LogRow, LogView
from widgets.one_line import OneLine
from widgets.palette import Symbols
from widgets.picker import Picker, PickerItem

TAIL = 20_000
"""Lines to begin with; everything there is comes on demand."""
PACE = 0.1  # seconds between two updates of the screen
COUNTING = 1.0  # seconds that counting the presets' matches may take before the choice is offered
CONTEXTS = (0, 2, 5, 10, EVERYTHING)
SINCE = {"1": ("5 minutes", 300), "2": ("hour", 3600), "3": ("6 hours", 21_600), "4": ("24 hours", 86_400)}


class Arrived(Message):
    """There is something to take from the feed."""

    def can_replace(self, message: Message) -> bool:
        """A second message before the first was handled says nothing new."""
        return isinstance(message, Arrived)


class LogTab(PodTab):
    """The log of the present run.

    Args:
        subject: Whose log.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        presets: Regular expressions to search for, by name.
        symbols: Which characters are drawn with.
    """

    NAME = "Logs"
    KEY = "l"
    PREVIOUS: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "memory", "Memory"),
        Binding("slash", "prompt('filter')", "Filter", key_display="/"),
        Binding("escape", "clear", "Clear filter", show=False),
        Binding("v", "invert", "Invert"),
        Binding("C", "context", "Context"),
        Binding("n", "match(1)", "Next", show=False),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("f", "follow", "Follow"),
        Binding("w", "wrap", "Wrap"),
        Binding("T", "stamps", "Times"),
        Binding("left_square_bracket", "container(-1)", "Container", key_display="[ ]"),
        Binding("right_square_bracket", "container(1)", "Next container", show=False),
        Binding("J", "prompt('jump')", "Jump to time", show=False),
        Binding("ctrl+s", "prompt('save')", "Save"),
        Binding("r", "reload", "Read again", show=False),
        Binding("0", "since('0')", "All lines", show=False),
        *(Binding(key, f"since('{key}')", words, show=False) for key, (words, _) in SINCE.items()),
    ]

    def __init__(
        self,
        subject: Subject,
        ask: Ask,
        now: Callable[[], float],
        presets: Mapping[str, str],
        symbols: Symbols,
    ) -> None:
        super().__init__(subject, ask)
        self._now = now
        self._presets = presets
        self.view = LogView(ascii_only=symbols == "ascii")
        self.values = LogValues(symbols)
        self.status = OneLine()
        self.prompts = LogPrompts()
        self._containers: tuple[str, ...] = (subject.container,)
        self._chosen: tuple[str, ...] = (subject.container,)
        self._tail, self._since = TAIL, 0
        self._stamps = True
        self._grep = Grep()
        self._search: Search | None = None
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

    async def on_unmount(self) -> None:
        """Ends the search's process."""
        await self._grep.close()

    def focus(self, scroll_visible: bool = True) -> LogTab:
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
        self._find()

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

    async def _known_containers(self) -> tuple[str, ...]:
        async def ask(client: Client) -> tuple[str, ...]:
            return tuple(await lives(client, self._request()))

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
        self.post_message(Arrived())

    @on(Arrived)
    def _take_soon(self) -> None:
        """Takes what has come, a few times a second at most."""
        wait = self._taken + PACE - time.monotonic()
        if wait <= 0:
            self._take()
        elif self._taking is None:
            self._taking = self.set_timer(wait, self._take)

    def _take(self) -> None:
        self._taking = None
        self._taken = time.monotonic()
        if self.feed.take():
            self._find()
            self.values.show(summarise(self.feed.readings))
        self._draw()

    def _restart(self) -> None:
        """Begins anew with what is wanted now."""
        self.feed = LogFeed(self._request(), self._arrived)
        if self._search is not None:
            self._search = Search(self._search.sought, self.feed.buffer, self._grep)
        self.values.show(None)
        self.view.follow(True)
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
            self.status.say(status_line(self.feed, self._search, self.view, self._now()))

    def _row(self, number: int) -> LogRow:
        line = self.feed.buffer.line(number)
        return log_row(
            line, self._search, number, stamps=self._stamps, owners=len(self.feed.request.containers) > 1
        )

    @on(LogView.Moved)
    def _moved(self) -> None:
        self._say()

    # -- searching

    @work(exclusive=True, group="find")
    async def _find(self) -> None:
        """Searches what has come, as long as there is something to search."""
        search = self._search
        if search is None:
            return
        try:
            while await search.advance():
                self._draw()
        except PatternError as error:
            self._search = None
            if not self.prompts.complain(str(error)):
                self.notify(str(error), title="The filter is off", severity="error", markup=False)
        self._draw()

    def look_for(self, sought: Filter | None) -> None:
        """Shows only what matches from now on, or everything again."""
        self._search = None if sought is None else Search(sought, self.feed.buffer, self._grep)
        if self._search is None:
            self._draw()
        else:
            self._find()  # which draws what it found, and leaves the screen as it is until then

    def action_clear(self) -> None:
        """Shows all lines again."""
        self.look_for(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape leaves the screen where there is no filter to clear."""
        return self._search is not None if action == "clear" else True

    @work(exclusive=True, group="presets")
    async def action_memory(self) -> None:
        """Chooses one of the presets, each with how often it matches."""
        counts = await self._counts()
        items = [
            PickerItem(name, name, _matches(counts[name]) if name in counts else "not counted yet")
            for name in self._presets
        ]
        current = self._search.sought.name if self._search is not None else "memory"
        name = await self.app.push_screen_wait(Picker("Search the log for", items, current=current))
        if name is not None:
            self.look_for(Filter(self._presets[name], name))

    async def _counts(self) -> dict[str, int]:
        """Matches of each preset, of as many presets as can be counted in a moment."""
        counts: dict[str, int] = {}
        grep = Grep()
        try:
            async with asyncio.timeout(COUNTING):
                for name, pattern in self._presets.items():
                    search = Search(Filter(pattern, name), self.feed.buffer, grep)
                    try:
                        await search.advance()
                        counts[name] = search.count
                    except PatternError:
                        continue
        except TimeoutError:
            pass  # the choice is worth more than the last counts
        finally:
            await grep.close()
        return counts

    def _change(self, **changes: object) -> bool:
        if self._search is None:
            self.notify("Nothing is searched for: press m or / first")
            return False
        self._search.sought = replace(self._search.sought, **changes)  # type: ignore[arg-type]
        self._draw()
        return True

    def action_invert(self) -> None:
        """Shows the lines that don't match, or those that do."""
        if self._search is not None:
            self._change(invert=not self._search.sought.invert)
        else:
            self._change()

    def action_context(self) -> None:
        """Shows more lines around each match, and after all of them none again."""
        now = CONTEXTS.index(self._search.sought.context) if self._search is not None else 0
        self._change(context=CONTEXTS[(now + 1) % len(CONTEXTS)])

    def action_match(self, direction: int) -> None:
        """Goes to the next match, or to the one before."""
        if self._search is None:
            self._change()
            return
        at = self.feed.buffer.end if self.view.following else self.view.current
        found = self._search.step(at if at is not None else 0, direction)
        if found is None:
            self.notify("No later match; N goes back" if direction > 0 else "No earlier match; n goes on")
        else:
            self.view.go(found)

    # -- looking

    def action_follow(self) -> None:
        """Stays at the newest line, or stops where it is."""
        self.view.follow(not self.view.following)

    def action_wrap(self) -> None:
        """Wraps long lines, or lets them run out at the right (← and → scroll)."""
        self.view.set_wrap(not self.view.wrap)

    def action_stamps(self) -> None:
        """Shows or hides the time of each line."""
        self._stamps = not self._stamps
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
        words, self._since = SINCE.get(key, ("", 0))
        self._tail = MOST_LINES
        self.notify(f"The last {words}" if words else f"All there is, up to {MOST_LINES:,} lines")
        self._restart()

    def action_reload(self) -> None:
        """Reads it all again."""
        self._restart()

    # -- prompts

    def action_prompt(self, prompt: Prompt) -> None:
        """Opens a prompt."""
        text = ""
        if prompt == "filter" and self._search is not None:
            text = self._search.sought.pattern
        elif prompt == "save":
            text = proposed_name(self.feed.request, self._now())
        self.app.clear_notifications()  # they would cover the prompt
        self.prompts.open(prompt, text)

    @on(LogPrompts.Closed)
    def _prompt_left(self) -> None:
        self.view.focus()

    def _answered(self) -> None:
        self.prompts.close()
        self.view.focus()

    @on(LogPrompts.Typed)
    def _typed(self, event: LogPrompts.Typed) -> None:
        before = self._search.sought if self._search is not None else None
        if before is None or event.text != before.pattern:
            context = before.context if before is not None else 0
            self.look_for(Filter.typed(event.text, context=context) if event.text else None)

    @on(LogPrompts.Entered)
    def _entered(self, event: LogPrompts.Entered) -> None:
        if event.prompt == "filter":
            self._typed(LogPrompts.Typed(event.text))
            if not self.prompts.problem:
                self._answered()
        elif event.prompt == "jump":
            self._jump(event.text)
        else:
            self._save(Path(event.text).expanduser().absolute())

    def _jump(self, text: str) -> None:
        buffer = self.feed.buffer
        if len(buffer):
            try:
                moment = parse_moment(text, newest=buffer.time(buffer.end - 1) * NANOSECOND)
            except MomentError as error:
                self.prompts.complain(str(error))
                return
            self.view.go(buffer.at_or_after(int(moment / NANOSECOND)))
        self._answered()

    @work(exclusive=True, group="save")
    async def _save(self, path: Path) -> None:
        """Writes the lines that are shown to a new file."""
        buffer, numbers = self.feed.buffer.snapshot(), self.view.numbers

        def lines() -> Iterator[Line]:
            return (buffer.line(int(number)) for number in numbers if buffer.first <= number != GAP)

        owners = len(self.feed.request.containers) > 1
        try:
            count = await asyncio.to_thread(save, path, lines(), times=self._stamps, owners=owners)
        except ExportError as error:
            self.prompts.complain(str(error))
            return
        self._answered()
        which = " (those that the filter shows)" if self._search is not None else ""
        self.notify(f"{count:,} lines{which} are in {path}", markup=False, timeout=10)


class PreviousTab(LogTab):
    """The log of the run before: what the container said before it died."""

    NAME = "Previous"
    KEY = "p"
    PREVIOUS = True


def _matches(count: int) -> str:
    return "1 match" if count == 1 else f"{count:,} matches"
