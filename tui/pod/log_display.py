"""What a log tab has read, and what it says of it: rows, the status line, figures of heap and pauses."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from rich.text import Text

from memtop import wording
from memtop.logs.buffer import LogBuffer, LogChannel, LogStatus
from memtop.logs.heap_readings import HeapReading, HeapSummary
from memtop.logs.log_lines import NANOSECOND, LogLine, LogMark
from memtop.logs.log_request import LogRequest
from memtop.logs.log_times import writes_own_times, zone_name
from memtop.logs.reader import LogReader
from memtop.logs.search import ALL_CONTEXT, LogSearch
from tui.pod.tab import AskCluster
from widgets.cell_graphs import sparkline
from widgets.line_widget import LineWidget
from widgets.log_view import LogRow, LogView
from widgets.styled_text import Symbols

MOST_READINGS = 5_000
SHOWN_CHARACTERS = 16 * 1024
"""Characters of one line that are drawn."""
BEFORE_MATCH = 200
"""Characters in front of a match that is further back in its line than that."""
JUDGED_LINES = 200
"""Lines at the start by which it is seen whether they have times of their own."""


class LogFeed:
    """The lines of one request, as far as they have come.

    Args:
        request: What is wanted.
        notify: Called on the engine's thread when there is something to take.

    Attributes:
        buffer: The lines kept.
        readings: What they tell of memory, oldest first.
        status: How the reading goes.
        own_times: Whether the program writes the time of each line by itself, as its first lines show.
    """

    def __init__(self, request: LogRequest, notify: Callable[[], None]) -> None:
        self.request = request
        self.buffer = LogBuffer()
        self.readings: deque[HeapReading] = deque(maxlen=MOST_READINGS)
        self.status = LogStatus("asking for the log")
        self.own_times = False
        self._judged: list[str] = []
        self._channel = LogChannel(notify)
        self._reader = LogReader(request, self._channel)

    async def run(self, ask: AskCluster) -> None:
        """Reads until nothing more can come; can be cancelled and run again."""
        await asyncio.wrap_future(ask(self._reader.run))

    def take_new(self) -> bool:
        """Takes over what has come since; tells whether there were lines."""
        delivery = self._channel.take()
        if delivery.lines and self.buffer.end < JUDGED_LINES:
            self._judged += [line.text for line in delivery.lines[: JUDGED_LINES - len(self._judged)]]
            self.own_times = writes_own_times(self._judged)
        self.buffer.append(delivery.lines)
        self.readings.extend(delivery.readings)
        if delivery.status is not None:
            self.status = delivery.status
        return bool(delivery.lines)


_WIDEST_SPARKLINE, _NARROWEST_SPARKLINE = 48, 12  # cells of a sparkline


class LogValues(LineWidget):
    """Nothing while the log tells nothing; else a line each for the heap and for pauses."""

    DEFAULT_CSS = """
    LogValues { height: 0; background: $panel; }
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._summary: HeapSummary | None = None

    def show(self, summary: HeapSummary | None) -> None:
        """Shows other figures."""
        if summary == self._summary:
            return
        self._summary = summary
        self.styles.height = 0 if summary is None else bool(summary.heap) + bool(summary.pauses)
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns up to two lines."""
        return [] if self._summary is None else value_lines(self._summary, width, self._symbols)


def value_lines(summary: HeapSummary, width: int, symbols: Symbols) -> list[Text]:
    """The figures in words.

    Args:
        summary: The figures.
        width: Cells to fill.
        symbols: What sparklines are drawn with.
    """
    cells = max(_NARROWEST_SPARKLINE, min(_WIDEST_SPARKLINE, width // 3 if width >= 100 else width // 5))
    lines = []
    if summary.heap:
        line = Text(" heap after GC " if summary.after_gc else " heap          ", "dim", end="")
        line.append_text(sparkline(summary.heap, cells, summary.total, symbols))
        lines.append(
            line.append(f" {_heap_words(summary)}", "strong").append(_collection_words(summary), "dim")
        )
    if summary.pauses:
        line = Text(" GC pauses     ", "dim", end="")
        line.append_text(sparkline(summary.pauses, cells, summary.longest_pause, symbols))
        line.append(f" last {pause_words(summary.pauses[-1])}", "strong")
        line.append(
            f", longest {pause_words(max(summary.pauses))}, {pause_words(sum(summary.pauses))} in all", "dim"
        )
        lines.append(line if summary.heap else line.append(_collection_words(summary), "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _heap_words(summary: HeapSummary) -> str:
    if summary.heap_is_share:
        return wording.share(summary.heap[-1])
    words = wording.bytes_(summary.heap[-1])
    if summary.total is not None:
        words += f" of {wording.bytes_(summary.total)} ({wording.share(summary.share)})"
    return words


def _collection_words(summary: HeapSummary) -> str:
    if not summary.collections:
        return ""
    full = f", {summary.full:,} full" if summary.full else ""
    return f"  {summary.collections:,} collection{'s' if summary.collections > 1 else ''}{full}"


def pause_words(length: float) -> str:
    """The length of a pause: ``0.03 ms``, ``12 ms``, ``5.2 s``."""
    if length >= 60:
        return wording.duration(length)
    if length >= 1:
        return f"{length:.1f} s"
    milliseconds = length * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


RECENT_SECONDS = 600.0
"""Seconds for which the end of a container that runs again is worth saying."""


def log_status_line(feed: LogFeed, search: LogSearch | None, view: LogView, now: float) -> Text:
    """Says all that in one line, the most pressing first.

    Args:
        feed: The log.
        search: What is looked for in it, if anything.
        view: What of it is on the screen.
        now: The cluster's time, Unix seconds.
    """
    line = Text(" ", no_wrap=True, end="")
    line.append_text(_reading_state(feed.status, now, previous=feed.request.previous))
    line.append(f" · {_count_words(len(feed.buffer), 'line')}", "dim")
    if feed.buffer.first:
        line.append(f", {feed.buffer.first:,} older ones dropped", "dim")
    if search is not None:
        line.append(" · ").append_text(_search_state(search, feed.buffer.end))
    if not view.following and view.below:
        line.append(f" · {view.below:,} below", "accent").append(" (f follows)", "dim")
    return line


def _reading_state(status: LogStatus, now: float, *, previous: bool) -> Text:
    state = Text(status.words, "warn" if status.failed else "ok" if status.live else "dim", end="")
    if status.ending is None or status.ending.termination.exit_code == 0:
        return state
    ended = status.ending.termination.finished_at
    if ended is not None and status.live and now - ended > RECENT_SECONDS:
        return state
    words = status.ending.words() + (f" {wording.ago(now - ended)}" if ended is not None else "")
    news = Text(words + ("" if previous else ": press p for its log"), "critical", end="")
    return news if status.words == status.ending.words() else news.append(" · ").append_text(state)


def _search_state(search: LogSearch, end: int) -> Text:
    sought = search.log_filter
    text = Text(f"{'not ' if sought.invert else ''}{sought.name}: ", "accent", end="")
    text.append(_count_words(search.count, "match", "matches"), "strong")
    rate = search.rate()
    if rate is not None:
        text.append(f", {rate:.1f}/min", "dim")
    if sought.context == ALL_CONTEXT:
        text.append(", among all lines", "dim")
    elif sought.context:
        text.append(f", ±{sought.context} lines", "dim")
    if search.scanned < end:
        text.append(f", {end - search.scanned:,} lines to search", "dim")
    return text


def log_row(line: LogLine, search: LogSearch | None, number: int, *, stamps: bool, owners: bool) -> LogRow:
    """One line of the log as the view draws it."""
    chosen = search is None or search.is_chosen(number)
    spans = search.spans(number) if search is not None else []
    text, tail = line.text, "… (cut: the line is longer)" if line.mark is LogMark.CUT else ""
    if len(text) > SHOWN_CHARACTERS:
        text, spans, tail = _shown_part(text, spans)
    return LogRow(
        text=text,
        stamp=line_time(line) if stamps or line.mark is LogMark.NOTE else "",
        owner=line.container if owners else "",
        spans=spans,
        faint=not chosen and search is not None and search.log_filter.context != ALL_CONTEXT,
        note=line.mark is LogMark.NOTE,
        tail=tail,
    )


def _shown_part(text: str, spans: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]], str]:
    """The start of a very long line, or what is around its first match where that lies further back."""
    begin = spans[0][0] - BEFORE_MATCH if spans and spans[0][0] >= SHOWN_CHARACTERS else 0
    lead = "… " if begin else ""
    shift = begin - len(lead)
    part = lead + text[begin : begin + SHOWN_CHARACTERS]
    within = [
        (start - shift, min(end - shift, len(part))) for start, end in spans if start - shift < len(part)
    ]
    return part, within, f"… ({len(text):,} characters in all; a search sees them)"


def line_time(line: LogLine) -> str:
    """A line's time in this machine's zone: the time of day, with the date unless it is today's."""
    if line.seconds is None:
        return ""
    moment = datetime.fromtimestamp(line.seconds).astimezone()
    day = "" if moment.date() == datetime.now().astimezone().date() else f"{moment:%m-%d} "
    return f"{day}{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def moment_words(at: float) -> str:
    """A moment (Unix seconds) with its zone: ``14:03:05 CET``, with the date unless it is today's."""
    return f"{line_time(LogLine(int(at / NANOSECOND), '', '')).partition('.')[0]} {zone_name(at)}"


def _count_words(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
