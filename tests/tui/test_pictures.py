"""What the screens look like, cell by cell, compared with pictures that somebody has looked at.

After a change that is meant: ``pytest tests/tui/test_pictures.py --snapshot-update``, and look at them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot

from memtop.heap.capture_plan import CaptureConstraints, plans_from_probe
from memtop.heap.container_probe import ContainerProbe
from memtop.heap.growth_plan import growth_plans
from memtop.heap.growth_run import WhatGrew
from memtop.kube.container_exec import ContainerRef
from memtop.observe.view import SourceCondition
from tests.tui.cluster import FakeCluster
from tests.tui.heap_growth import some_growth
from tests.tui.stage import Stage
from tui.app import Memtop
from tui.pod.growth_screen import GrowthScreen

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "180x50": (180, 50)}
Compare = Callable[..., bool]
AppOn = Callable[..., Memtop]


def after(
    *keys: str, words: tuple[str, ...] = (), drawn: bool = False
) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Brings the app to where its picture is taken: the first frame is there, then keys, then words.

    With ``drawn``, the selected row is drawn large before the first key.
    """

    async def prepare(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Memtop)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.overview.frame is not None, "the first frame")
        if drawn:
            await stage.until(lambda: app.overview.plot.trend is not None, "the first drawing")
        await pilot.pause()
        await stage.press(*keys)
        await stage.shows(*words)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES)
def test_the_overview(snap_compare: Compare, app_on: AppOn, night: FakeCluster, size: str) -> None:
    words = ("-bx2kq", "18 m") if size == "80x24" else ("user-service", "across 3 OOM kills")
    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=after("down", words=words))


def test_growth_alone(snap_compare: Compare, app_on: AppOn, night: FakeCluster) -> None:
    prepare = after("tab", "tab", words=("across 3 OOM kills",))
    assert snap_compare(app_on(night), terminal_size=SIZES["80x24"], run_before=prepare)


def test_trouble(snap_compare: Compare, app_on: AppOn, cluster: FakeCluster) -> None:
    cluster.source(
        "pods",
        state=SourceCondition.FAILING,
        words="the credential plugin aws ended with exit code 255",
        output="Error: your session has expired\nrun: aws sso login",
        data_at=None,
    )
    prepare = after(words=("your session has expired",))
    assert snap_compare(app_on(cluster), terminal_size=SIZES["80x24"], run_before=prepare)


def test_help(snap_compare: Compare, app_on: AppOn, night: FakeCluster) -> None:
    prepare = after("question_mark", words=("Keys of the overview",), drawn=True)
    assert snap_compare(app_on(night), terminal_size=SIZES["120x36"], run_before=prepare)


@pytest.mark.parametrize("size", ["80x24", "120x36"])
def test_what_grew(
    snap_compare: Compare,
    app_on: AppOn,
    night: FakeCluster,
    size: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    async def found(*_: Any) -> WhatGrew:
        return some_growth()

    monkeypatch.setattr("tui.pod.growth_screen.find_what_grew", found)
    place = ContainerRef("production", "user-service-7d9f-bx2kq", "user-service")
    answered = ContainerProbe(
        {
            "status": "Name:\tjava\nPid:\t1\nRssAnon:\t500000 kB\nVmRSS:\t500000 kB\n",
            "command": "==> /proc/1/cmdline <==\njava\n-jar\napp.jar",
            "program": "/proc/1/exe -> /usr/bin/java",
            "tools": "/usr/bin/jcmd",
        }
    )
    captures = plans_from_probe(place, answered, CaptureConstraints(), Path("/captures"), 10**12, "s")
    [plan, *_] = growth_plans(captures, (), floor_rate=None)

    async def prepare(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Memtop)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.overview.frame is not None, "the first frame")
        loop = asyncio.get_running_loop()
        app.push_screen(
            GrowthScreen(
                plan, lambda work: asyncio.run_coroutine_threadsafe(work(cast("Any", None)), loop), "braille"
            )
        )
        await stage.shows("com.example.Session +6.1 MiB", "esc closes")
        await pilot.pause()

    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=prepare)
