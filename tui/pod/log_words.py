"""The line below a log: how the reading goes, how much there is, and what the filter finds."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from memtop import wording
from memtop.logs.channel import Status
from memtop.logs.line import NANOSECOND, Line, Mark
from memtop.logs.moments import zone_name
from memtop.logs.search import EVERYTHING, Search
from tui.pod.log_feed import LogFeed
from widgets.log_view import LogRow, LogView

NEWS = 600.0
"""Seconds for which the end of a container that runs again is worth saying."""


def status_line(feed: LogFeed, search: Search | None, view: LogView, now: float) -> Text:
    """Says all that in one line, the most pressing first.

    Args:
        feed: The log.
        search: What is looked for in it, if anything.
        view: What of it is on the screen.
        now: The cluster's time, Unix seconds.
    """
    line = Text(" ", no_wrap=True, end="")
    line.append_text(_state(feed.status, now, previous=feed.request.previous))
    line.append(f" · {_count(len(feed.buffer), 'line')}", "dim")
    if feed.buffer.first:
        line.append(f", {feed.buffer.first:,} older ones dropped", "dim")
    if search is not None:
        line.append(" · ").append_text(_search(search, feed.buffer.end))
    if not view.following and view.below:
        line.append(f" · {view.below:,} below", "accent").append(" (f follows)", "dim")
    return line


def _state(status: Status, now: float, *, previous: bool) -> Text:
    state = Text(status.words, "warn" if status.wrong else "ok" if status.live else "dim", end="")
    if status.ending is None or status.ending.termination.exit_code == 0:
        return state
    ended = status.ending.termination.finished_at
    if ended is not None and status.live and now - ended > NEWS:
        return state
    words = status.ending.words() + (f" {wording.ago(now - ended)}" if ended is not None else "")
    news = Text(words + ("" if previous else ": press p for its log"), "critical", end="")
    return news if status.words == status.ending.words() else news.append(" · ").append_text(state)


def _search(search: Search, end: int) -> Text:
    sought = search.sought
    text = Text(f"{'not ' if sought.invert else ''}{sought.name}: ", "accent", end="")
    text.append(_count(search.count, "match", "matches"), "strong")
    rate = search.rate()
    if rate is not None:
        text.append(f", {rate:.1f}/min", "dim")
    if sought.context == EVERYTHING:
        text.append(", among all lines", "dim")
    elif sought.context:
        text.append(f", ±{sought.context} lines", "dim")
    if search.scanned < end:
        text.append(f", {end - search.scanned:,} lines to search", "dim")
    return text


def log_row(line: Line, search: Search | None, number: int, *, stamps: bool, owners: bool) -> LogRow:
    """One line of the log as the view draws it."""
    chosen = search is None or search.chosen(number)
    return LogRow(
        text=line.text,
        stamp=stamp(line) if stamps or line.mark is Mark.NOTE else "",
        owner=line.container if owners else "",
        spans=search.spans(number) if search is not None else (),
        faint=not chosen and search is not None and search.sought.context != EVERYTHING,
        note=line.mark is Mark.NOTE,
        tail="… (cut: the line is longer)" if line.mark is Mark.CUT else "",
    )


def stamp(line: Line) -> str:
    """A line's time in this machine's zone: the time of day, with the date unless it is today's."""
    if line.seconds is None:
        return ""
    moment = datetime.fromtimestamp(line.seconds).astimezone()
    day = "" if moment.date() == datetime.now().astimezone().date() else f"{moment:%m-%d} "
    return f"{day}{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def moment_words(at: float) -> str:
    """A moment (Unix seconds) with its zone: ``14:03:05 CET``, with the date unless it is today's."""
    return f"{stamp(Line(int(at / NANOSECOND), '', '')).partition('.')[0]} {zone_name(at)}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
