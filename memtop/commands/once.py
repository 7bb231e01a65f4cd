"""``memtop --once``: the frame a screen would show, printed; headless and for scripts."""

from __future__ import annotations

import os
import queue
import time
from typing import TYPE_CHECKING, TextIO

import numpy as np

from memtop.analysis.judgement import UNJUDGED_CODE
from memtop.commands.frame_output import as_json, as_markdown, as_table
from memtop.kube.api_errors import KubeconfigError
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.view import SourceCondition, SourceStatus, View
from memtop.observe.watchlist import DemoStartError, Watchlist, open_watchlist
from memtop.wording import ago

if TYPE_CHECKING:
    from config.invocation import Invocation

SETTLE_SECONDS = 20.0
"""How long answers are waited for before what is known is printed."""
BAD_INPUT = 2
NOTHING_OBSERVED = 1
NAMESPACE_HINT = "name a namespace that you may see with -n; `memtop doctor` says what else is missing"
UNJUDGED_HINT = "without it a verdict takes some minutes of watching (--watch-for 10m)"
_MISSING_STATES = {
    SourceCondition.FORBIDDEN,
    SourceCondition.ABSENT,
    SourceCondition.FAILING,
    SourceCondition.STALE,
}
_ESSENTIAL_SOURCES = ("pods", "metrics")
"""The sources whose absence leaves holes in what is printed."""


def run_once(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Observes, prints one frame, and says on `err` what is missing from it.

    Args:
        invocation: What was asked for: ``output`` and ``watch_for`` (seconds) among its options.
        out: Where the frame goes.
        err: Where sentences go.

    Returns:
        0; 1 when nothing could be observed; 2 when what was asked for does not exist.
    """
    demo = bool(invocation.options.get("demo"))
    try:
        with open_watchlist(invocation.settings, os.environ, demo=demo) as plan:
            frame = observe_once(plan, invocation.options.get("watch_for") or 0.0)
    except KubeconfigError as error:
        print(f"memtop: {invocation.blame(error, error.setting)}", file=err)
        return BAD_INPUT
    except (DemoStartError, NoFrameError) as error:
        print(f"memtop: {error}", file=err)
        return NOTHING_OBSERVED
    carriers = [source for name in _ESSENTIAL_SOURCES for source in frame.sources if source.name == name]
    pods = carriers[0]
    if (key := _wrong_setting(pods)) is not None:
        print(f"memtop: {invocation.mistake(key, pods.words)}", file=err)
        return BAD_INPUT
    for source in carriers:
        if source.state is not SourceCondition.LIVE or source.words:
            print(f"memtop: {_source_sentence(source, frame.time)}", file=err)
    if pods.data_at is None:
        if pods.state is SourceCondition.FORBIDDEN:
            print(f"memtop: {NAMESPACE_HINT}", file=err)
        return NOTHING_OBSERVED
    for source in frame.sources:
        if source.name == "prometheus" and (sentence := _past_sentence(source, frame)):
            print(f"memtop: {sentence}", file=err)
    for note in frame.notes:
        print(f"memtop: {note}", file=err)
    print(_format_frame(frame, invocation.options.get("output") or "table"), file=out)
    return 0


class NoFrameError(Exception):
    """There is nothing to print; one sentence."""


def observe_once(plan: Watchlist, seconds: float, view: View | None = None) -> Frame:
    """The frame after `seconds` of observing, and not before the first answers have come or are overdue.

    Args:
        plan: What to observe.
        seconds: How long.
        view: What the frame shows; by default everything.

    Raises:
        BaseException: What ended the engine, which is a mistake of memtop's own.
        NoFrameError: Nothing can be shown, by such a mistake.
    """
    troubles: list[str] = []
    frames: queue.SimpleQueue[Frame | BaseException] = queue.SimpleQueue()
    engine = Engine(plan, frames.put, frames.put, view, troubles.append)
    started = time.monotonic()
    enough, overdue = started + seconds, started + max(seconds, SETTLE_SECONDS)
    engine.start()
    try:
        frame: Frame | None = None
        while True:
            wait_until = enough if frame is not None and _is_complete(frame) else overdue
            try:
                news = frames.get(timeout=max(0.0, wait_until - time.monotonic()))
            except queue.Empty:
                if frame is not None:
                    return frame
                if troubles:
                    raise NoFrameError(troubles[-1]) from None
                overdue = time.monotonic() + 1.0
                continue
            if isinstance(news, BaseException):
                raise news
            if _is_complete(news) or frame is None or not _is_complete(frame):
                frame = news
            if _is_complete(frame) and time.monotonic() >= enough:
                return frame
    finally:
        engine.stop()


def _is_complete(frame: Frame) -> bool:
    """Whether all that can be known now is in it."""
    return frame.settled and frame.past_known


def _wrong_setting(pods: SourceStatus) -> str | None:
    """The setting that the API server's answer shows to be wrong, if it does."""
    return {404: "cluster.namespaces", 400: "cluster.selector"}.get(pods.code or 0)


def _has_unjudged(frame: Frame) -> bool:
    """Whether there is a container with a sample on which there is no verdict yet."""
    rows = frame.rows
    known = np.isfinite(rows.working_set) & (rows.namespace >= 0)
    return bool((rows.verdict[known] == UNJUDGED_CODE).any())


def _source_sentence(source: SourceStatus, now: float) -> str:
    if source.state is SourceCondition.CONNECTING:
        return f"{source.name}: no answer within {SETTLE_SECONDS:.0f} s"
    words = f"{source.name}: {source.words or source.state.value}"
    if source.state is SourceCondition.STALE and source.data_at is not None:
        return f"{words}; its newest data is from {ago(now - source.data_at)}"
    return words


def _past_sentence(source: SourceStatus, frame: Frame) -> str:
    """Why Prometheus cannot serve; nothing where it serves, or is missing and nobody misses it."""
    unjudged = _has_unjudged(frame)
    knows_nothing = source.state is SourceCondition.LIVE and source.data_at is None
    missed = unjudged and (knows_nothing or source.state in _MISSING_STATES)
    if not missed and source.state not in {SourceCondition.FAILING, SourceCondition.STALE}:
        return ""
    sentence = _source_sentence(source, frame.time)
    return f"{sentence}; {UNJUDGED_HINT}" if unjudged else sentence


def _format_frame(frame: Frame, form: str) -> str:
    match form:
        case "json":
            return as_json(frame)
        case "markdown":
            return as_markdown(frame)
        case _:
            return as_table(frame, wide=form == "wide")
