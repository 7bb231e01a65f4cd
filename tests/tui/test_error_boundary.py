"""Whatever a worker, a message handler, a timer or a parser raises: the app says so and goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from textual.message import Message

from tests.tui.cluster import FakeCluster, FakeEngine
from tests.tui.conftest import Engines, Play
from tests.tui.stage import Stage
from tui.app import Memtop
from tui.pod.screen import PodScreen
from widgets.error_boundary import ErrorBoundary

Failures = list[logging.LogRecord]
SECRET = "hunter2"


def taken(failures: Failures) -> str:
    """The tracebacks that were logged; they were expected."""
    texts = "\n".join(logging.Formatter().format(record) for record in failures)
    failures.clear()
    return texts


async def fail(*_: Any, **__: Any) -> None:
    password = {"password": SECRET}
    raise KeyError(password["no such key"])


async def goes_on(stage: Stage) -> None:
    """Keys work, and frames are shown."""
    await stage.press("question_mark")
    await stage.shows("Keys of")
    await stage.press("escape")
    stage.engine.cluster.wait(60)
    await stage.push()
    frame = stage.app.overview.frame
    assert frame is not None
    assert frame.time == stage.engine.cluster.clock.now()


@pytest.mark.parametrize("node", ["app", "screen", "widget"])
async def test_a_worker_may_raise_anything(
    play: Play, night: FakeCluster, failures: Failures, node: str
) -> None:
    async with play(night) as stage:
        owner = {"app": stage.app, "screen": stage.app.screen, "widget": stage.app.overview.header}[node]
        owner.run_worker(fail())
        await stage.shows("Something went wrong", "a mistake in memtop: KeyError")
        assert SECRET not in stage.text
        assert "in fail" in taken(failures)
        await goes_on(stage)
    assert not stage.app.return_code


async def test_a_folder_that_cannot_be_written_is_named(
    play: Play, night: FakeCluster, failures: Failures
) -> None:
    async def write() -> None:
        raise PermissionError(13, "Permission denied", "/srv/dumps")

    async with play(night) as stage:
        stage.app.screen.run_worker(write())
        await stage.shows("/srv/dumps: Permission denied")
        assert "PermissionError" in taken(failures)


async def test_a_handler_may_raise_and_its_screen_lives_on(
    play: Play, night: FakeCluster, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Message):
        pass

    async with play(night) as stage:
        monkeypatch.setattr(type(stage.app.screen), "on_odd", fail, raising=False)
        monkeypatch.setattr(type(stage.app), "action_retry", fail)
        for _ in range(3):
            stage.app.screen.post_message(Odd())
        await stage.shows("a mistake in memtop: KeyError")
        await goes_on(stage)
        assert taken(failures).count("Traceback") == 1, "what fails again at once is logged once"
        await stage.press("r")
        await goes_on(stage)
        assert not stage.engine.retries
        assert "in fail" in taken(failures)  # of another handler, so it is logged too


async def test_any_widget_hears_on_after_a_handler_of_it_raised(
    play: Play, night: FakeCluster, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    from widgets.key_and_filter_bars import FilterBar

    async with play(night) as stage:
        await stage.press("slash")
        hears = FilterBar._changed
        monkeypatch.setattr(FilterBar, "on_input_changed", fail, raising=False)
        await stage.type("b")
        await stage.shows("a mistake in memtop: KeyError")
        assert "in fail" in taken(failures)
        monkeypatch.undo()
        assert FilterBar._changed is hears
        await stage.type("illing")
        await stage.until(lambda: stage.rows() == ["billing-5d9c7f-kk2p9"], "the filter works")


async def test_frames_that_fail_are_said_on_the_screen(
    play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with play(night) as stage:
        with monkeypatch.context() as patch:
            patch.setattr(FakeEngine, "push", lambda engine: None)
            stage.engine.on_trouble("a mistake in memtop: KeyError in x")
            await stage.shows("nothing newer is shown: a mistake in memtop: KeyError in x")
        await stage.push()
        await stage.until(lambda: "nothing newer" not in stage.text, "it works again")


async def test_without_a_first_frame_it_is_said_in_place_of_the_panes(
    app_on: Callable[..., Memtop], engines: Engines, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "a mistake in memtop: KeyError in x"
    monkeypatch.setattr(FakeEngine, "start", lambda engine: engine.on_trouble(said))
    app = app_on(night)
    async with app.run_test(size=(120, 36)) as pilot:
        stage = Stage(app, pilot, engines)
        await stage.shows("Nothing can be shown", said)
        await stage.push()
        await stage.until(lambda: "Nothing can be shown" not in stage.text, "it works now")


async def test_a_timer_and_a_drawing_may_raise(
    play: Play, night: FakeCluster, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: Any) -> None:
        raise ZeroDivisionError

    async with play(night) as stage:
        stage.app.screen.set_timer(0.001, draw)
        await stage.shows("a mistake in memtop: ZeroDivisionError")
        monkeypatch.setattr(stage.app.overview.header, "draw", draw)
        await stage.push()
        monkeypatch.undo()
        taken(failures)
        await goes_on(stage)


async def test_a_tab_shows_what_its_worker_raised_in_its_own_place(
    play: Play, night: FakeCluster, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with play(night, size=(150, 40)) as stage:
        monkeypatch.setattr(
            stage.engine, "submit", lambda work: asyncio.run_coroutine_threadsafe(fail(), loop)
        )
        loop = asyncio.get_running_loop()
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen")
        for key in "dlpeB":
            await stage.press(key)
            await stage.shows("a mistake in memtop: KeyError")
            assert SECRET not in stage.text
            await stage.press("t")
        assert "in fail" in taken(failures)
        await goes_on(stage)


async def test_a_crash_shows_no_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    class Starting(ErrorBoundary[int]):
        async def on_mount(self) -> None:
            await fail()

    app = Starting()
    with pytest.raises(KeyError):
        async with app.run_test():
            pass
    app._print_error_renderables()
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
