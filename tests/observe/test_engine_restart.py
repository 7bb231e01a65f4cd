"""An engine that fails by a mistake of memtop's own observes afresh; what screens have asked for goes on."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from memtop.commands import once
from memtop.kube.connection_target import ClusterTarget
from memtop.observe import engine
from memtop.observe.engine import Engine
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.view import Scope
from memtop.observe.watchlist import Watchlist

PATIENCE = 30.0  # seconds


def test_it_observes_afresh_and_what_was_asked_goes_on(monkeypatch, caplog):
    frames, crashes, troubles, await_asked = queue.Queue(), [], [], threading.Event()
    mistakes = [KeyError("hunter2"), ZeroDivisionError("hunter2")]

    class Faulty(FrameBuilder):
        def build(self, view):
            await_asked.wait(PATIENCE)
            if mistakes:
                raise mistakes.pop()
            return super().build(view)

    monkeypatch.setattr(engine, "FrameBuilder", Faulty)
    monkeypatch.setattr(engine, "FIRST_RESTART_SECONDS", 0.0)
    target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
    running = Engine(Watchlist(target, Scope()), frames.put, crashes.append, None, troubles.append)
    running.start()
    try:
        release = asyncio.Event()

        async def follow(_client):
            await release.wait()
            return "still here"

        asked = running.submit(follow)
        await_asked.set()
        frame = frames.get(timeout=PATIENCE)
        running._loop.call_soon_threadsafe(release.set)
        assert asked.result(PATIENCE) == "still here"
    finally:
        running.stop()
    assert not crashes
    assert any("observed afresh after a mistake in memtop: KeyError" in note for note in frame.notes)
    assert caplog.text.count("observing failed") == 2
    assert "hunter2" not in " ".join(frame.notes)
    assert [sentence.split(" in ", 2)[1] for sentence in troubles] == [
        "memtop: ZeroDivisionError",
        "memtop: KeyError",
    ]


def test_once_says_that_nothing_can_be_shown(monkeypatch):
    class Failing(FrameBuilder):
        def build(self, view):
            raise KeyError("hunter2")

    monkeypatch.setattr(engine, "FrameBuilder", Failing)
    monkeypatch.setattr(once, "SETTLE_SECONDS", 0.2)
    target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
    with pytest.raises(once.NoFrameError, match="a mistake in memtop: KeyError"):
        once.observe_once(Watchlist(target, Scope()), 0.0)
