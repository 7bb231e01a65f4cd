"""How fast frames follow each other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from memtop.kube.connection_target import ClusterTarget
from memtop.observe.engine import FRAME_SECONDS, UNSETTLED_FRAME_SECONDS, Engine
from memtop.observe.view import Scope
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
