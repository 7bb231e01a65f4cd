"""What a log tab knows of the lines that have come."""

from __future__ import annotations

from memtop.logs.log_lines import LogLine
from memtop.logs.log_request import LogRequest
from tui.pod.log_display import JUDGED_LINES, LogFeed


async def came(feed: LogFeed, *texts: str) -> None:
    await feed._channel.put([LogLine(n, text, "web") for n, text in enumerate(texts)], [])
    assert feed.take_new()


async def test_the_first_lines_tell_whether_the_program_writes_times() -> None:
    feed = LogFeed(LogRequest("shop", "web", ("web",)), lambda: None)
    await came(feed, "Picked up JAVA_TOOL_OPTIONS")
    assert not feed.own_times
    await came(feed, "2026-11-22 14:03:05 INFO up", "2026-11-22 14:03:06 INFO ready")
    assert feed.own_times
    await came(feed, *["no time"] * JUDGED_LINES)
    assert not feed.own_times, "of the first lines most have none"
    await came(feed, *["2026-11-22 14:03:05 again"] * JUDGED_LINES * 2)
    assert not feed.own_times, "later ones change nothing under the reader's eyes"
