"""What the tests of the app share: clusters made by hand, the app on them, and how to read its screen."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config import settings_from
from memtop.demo.thread import DemoThread
from memtop.observe.watchlist import Watchlist, at_speed, make_watchlist
from tests.tui.cluster import FakeCluster, FakeEngine, busy_night
from tests.tui.stage import Stage
from tui.app import Memtop


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keeps the app from the settings, the state and the colours of whoever runs the tests."""
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has clocks show UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def cluster() -> FakeCluster:
    """A cluster without pods."""
    return FakeCluster()


@pytest.fixture
def night() -> FakeCluster:
    """A cluster in which user-service is OOM-killed again and again."""
    return busy_night()


class Engines(list[FakeEngine]):
    """The engines that were started, the last one last; each is put on the cluster that its plan is for."""

    def __init__(self) -> None:
        super().__init__()
        self.clusters: list[FakeCluster] = []

    def make(self, plan: Watchlist, *rest: Any) -> FakeEngine:
        self.append(FakeEngine(next(each for each in self.clusters if each.plan is plan), *rest))
        return self[-1]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Takes the place of the engines that the app would start."""
    started = Engines()
    monkeypatch.setattr("memtop.observe.engine.Engine", started.make)
    return started


@pytest.fixture
def app_on(engines: Engines) -> Callable[..., Memtop]:
    """``app_on(cluster, other, ui={"symbols": "ascii"})``: the app, which could change to other clusters."""

    def make(*clusters: FakeCluster, **sections: dict[str, Any]) -> Memtop:
        engines.clusters += clusters
        plans = {each.target.context: each.plan for each in clusters}
        settings = settings_from(sections)
        return Memtop(settings, clusters[0].plan, lambda other: plans[str(other.cluster.context)])

    return make


@pytest.fixture
def failures() -> list[logging.LogRecord]:
    """What memtop logs as failed; a test that expects any takes it out, what is left fails the test."""
    return []


@pytest.fixture(autouse=True)
def no_silent_failure(failures: list[logging.LogRecord]) -> Iterator[None]:
    """The app lives on after a mistake of its own, so a test would not notice one otherwise."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                failures.append(record)

    handler, logger = Handler(), logging.getLogger("memtop")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    assert not [logging.Formatter().format(record) for record in failures]


Play = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def play(app_on: Callable[..., Memtop], engines: Engines) -> Play:
    """``async with play(cluster, size=(120, 36)) as stage``: the app at work, with its first frame."""

    @asynccontextmanager
    async def open_(
        *clusters: FakeCluster, size: tuple[int, int] = (120, 36), **sections: dict[str, Any]
    ) -> AsyncIterator[Stage]:
        app = app_on(*clusters, **sections)
        async with app.run_test(size=size, notifications=True) as pilot:
            stage = Stage(app, pilot, engines)
            await stage.until(lambda: app.overview.frame is not None, "the first frame")
            await pilot.pause()
            yield stage

    return open_


Serve = Callable[..., AbstractAsyncContextManager[Stage]]
Open = Callable[..., AbstractAsyncContextManager[Stage]]
"""A fixture of one test file: the app on its cluster, with the screen open that the file is about."""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """``async with serve(demo, "readonly", namespaces=("production",))``: the app on an embedded cluster."""

    @asynccontextmanager
    async def open_(
        demo: DemoThread,
        user: str = "admin",
        *,
        namespaces: tuple[str, ...] = (),
        speed: float = 1.0,
        size: tuple[int, int] = (130, 44),
        **sections: dict[str, Any],
    ) -> AsyncIterator[Stage]:
        path = tmp_path / "kubeconfig"
        path.write_text(demo.kubeconfig(user))
        cluster = {"kubeconfig": str(path), "namespaces": namespaces}
        settings = settings_from({"cluster": cluster, **sections})
        watched = at_speed(make_watchlist(settings, os.environ), speed)
        app = Memtop(settings, watched, lambda other: make_watchlist(other, os.environ))
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Stage(app, pilot)

    return open_
