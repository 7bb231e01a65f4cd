"""The tabs Logs and Previous: the log of a container, filtered before it is shown, searched, saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType

from memtop.files import NewFileError
from memtop.logs.log_lines import NANOSECOND, LogLine
from memtop.logs.log_output import proposed_log_name, save_log
from memtop.logs.log_times import TimeFormatError, parse_typed_time
from memtop.logs.search import ALL_CONTEXT, Grep, LogFilter, LogSearch, PatternError
from tui.pod.live_log import LiveLog, LogPrompts, PromptKind
from tui.pod.log_display import moment_words
from tui.pod.tab import AskCluster, TabSubject
from widgets.log_view import GAP_LINE
from widgets.picker import Picker, PickerItem
from widgets.styled_text import Symbols

COUNT_SECONDS = 1.0  # seconds that counting the presets' matches may take before the choice is offered
CONTEXT_LINES = (0, 2, 5, 10, ALL_CONTEXT)


class LogTab(LiveLog):
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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "memory", "Memory"),
        Binding("slash", "prompt('filter')", "Filter", key_display="/"),
        Binding("escape", "clear", "Clear filter", show=False),
        Binding("v", "invert", "Invert"),
        Binding("C", "context", "Context"),
        Binding("n", "match(1)", "Next", show=False),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("J", "prompt('jump')", "Jump to time", show=False),
        Binding("ctrl+s", "prompt('save')", "Save"),
    ]

    def __init__(
        self,
        subject: TabSubject,
        ask: AskCluster,
        now: Callable[[], float],
        presets: Mapping[str, str],
        symbols: Symbols,
    ) -> None:
        super().__init__(subject, ask, now, symbols)
        self._presets = presets
        self._grep = Grep()

    async def on_unmount(self) -> None:
        """Ends the search's process."""
        await self._grep.close()

    # -- searching

    def search_on(self) -> None:
        """Searches what has come."""
        self._find()

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

    def look_for(self, sought: LogFilter | None) -> None:
        """Shows only what matches from now on, or everything again."""
        self._search = None if sought is None else LogSearch(sought, self.feed.buffer, self._grep)
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
            PickerItem(name, name, _match_count(counts[name]) if name in counts else "not counted yet")
            for name in self._presets
        ]
        current = self._search.log_filter.name if self._search is not None else "memory"
        name = await self.app.push_screen_wait(Picker("Search the log for", items, current=current))
        if name is not None:
            self.look_for(LogFilter(self._presets[name], name))

    async def _counts(self) -> dict[str, int]:
        """Matches of each preset, of as many presets as can be counted in a moment."""
        counts: dict[str, int] = {}
        grep = Grep()
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                for name, pattern in self._presets.items():
                    search = LogSearch(LogFilter(pattern, name), self.feed.buffer, grep)
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
        self._search.log_filter = replace(self._search.log_filter, **changes)  # type: ignore[arg-type]
        self._draw()
        return True

    def action_invert(self) -> None:
        """Shows the lines that don't match, or those that do."""
        if self._search is not None:
            self._change(invert=not self._search.log_filter.invert)
        else:
            self._change()

    def action_context(self) -> None:
        """Shows more lines around each match, and after all of them none again."""
        now = CONTEXT_LINES.index(self._search.log_filter.context) if self._search is not None else 0
        self._change(context=CONTEXT_LINES[(now + 1) % len(CONTEXT_LINES)])

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

    # -- prompts

    def action_prompt(self, prompt: PromptKind) -> None:
        """Opens a prompt."""
        text = ""
        if prompt == "filter" and self._search is not None:
            text = self._search.log_filter.pattern
        elif prompt == "save":
            text = proposed_log_name(self.feed.request, self._now())
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
        before = self._search.log_filter if self._search is not None else None
        if before is None or event.text != before.pattern:
            context = before.context if before is not None else 0
            self.look_for(LogFilter.typed(event.text, context=context) if event.text else None)

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
                moment = parse_typed_time(text, newest=buffer.time(buffer.end - 1) * NANOSECOND)
            except TimeFormatError as error:
                self.prompts.complain(str(error))
                return
            self.view.go(buffer.at_or_after(int(moment / NANOSECOND)))
            first, last = buffer.time(buffer.first) * NANOSECOND, buffer.time(buffer.end - 1) * NANOSECOND
            if not first <= moment <= last:
                which, edge = ("begins", first) if moment < first else ("ends", last)
                self.notify(f"What is read of the log {which} at {moment_words(edge)}")
        self._answered()

    @work(exclusive=True, group="save")
    async def _save(self, path: Path) -> None:
        """Writes the lines that are shown to a new file."""
        buffer, numbers = self.feed.buffer.snapshot(), self.view.numbers

        def lines() -> Iterator[LogLine]:
            return (buffer.line(int(number)) for number in numbers if buffer.first <= number != GAP_LINE)

        owners = len(self.feed.request.containers) > 1
        try:
            count = await asyncio.to_thread(save_log, path, lines(), times=self.stamps, owners=owners)
        except NewFileError as error:
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


def _match_count(count: int) -> str:
    return "1 match" if count == 1 else f"{count:,} matches"
