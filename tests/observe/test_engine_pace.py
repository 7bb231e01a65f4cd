"""How fast frames follow each other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from memtop.kube.connection_target import ClusterTarget
from memtop.observe.engine import FRAME_SECONDS, OTHER_ROW_SECONDS, UNSETTLED_FRAME_SECONDS, Engine
from memtop.observe.view import Scope, View
from memtop.observe.watchlist import Watchlist


class EnoughError(Exception):
    """The last frame has been made."""


class Frames:
    """Makes frames that are settled or not, as told; everything changes all the time."""

    def __init__(self, *settled):
        self._left = iter(settled)

    def build(self, view):
        settled = next(self._left, None)
        if settled is None:
            raise EnoughError
        return SimpleNamespace(settled=settled)


async def test_frames_are_fast_until_all_has_come_once_and_not_while_new_samples_are_judged(monkeypatch):
    pauses = []

    async def no_time(waiting, pause):
        waiting.close()
        pauses.append(pause)
        engine._changed.set()
        raise TimeoutError

    target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
    engine = Engine(Watchlist(target, Scope()), lambda frame: None, lambda error: None)
    monkeypatch.setattr(asyncio, "wait_for", no_time)
    with pytest.raises(EnoughError):
        await engine._frames(Frames(False, False, True, False, True).build)
    assert pauses == [UNSETTLED_FRAME_SECONDS] * 2 + [FRAME_SECONDS] * 3


def test_the_cursor_is_painted_before_the_frame_of_another_row_and_another_view_comes_at_once():
    target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
    engine = Engine(Watchlist(target, Scope()), lambda frame: None, lambda error: None)
    later = []
    engine._loop = SimpleNamespace(
        call_soon_threadsafe=lambda action: action(),
        call_later=lambda seconds, action: later.append((seconds, action)),
    )
    engine.show(View(selected="a row"))
    assert not engine._asked.is_set()
    [(seconds, ask)] = later
    assert seconds == OTHER_ROW_SECONDS
    ask()
    assert engine._asked.is_set()
    engine._asked.clear()
    engine.show(View(selected="a row", workloads=True))
    assert engine._asked.is_set()
