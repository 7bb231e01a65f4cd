"""The app on the embedded cluster over real HTTP: the whole river, from the API to the screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config import settings_from
from memtop.demo.thread import DemoThread
from memtop.observe.watchlist import DemoStartError, Watchlist, make_watchlist
from tests.tui.conftest import Open, Serve
from tests.tui.stage import Stage
from tui.app import Memtop


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """The embedded cluster."""
    with DemoThread(pods=30, seed=7) as served:
        yield served


@pytest.fixture
def open_on(demo: DemoThread, serve: Serve) -> Open:
    """``async with open_on("readonly", namespaces=("production",)) as stage``: the app on the demo."""
    return partial(serve, demo, size=(180, 50))


async def test_who_is_oom_killed_is_seen_at_once(open_on: Open) -> None:
    async with open_on() as stage:
        await stage.shows("user-service", "OOMKilled", "● pods live")
        frame = stage.app.overview.frame
        assert frame is not None
        assert frame.context == "memtop-demo"
        assert len(stage.rows()) > 20
        await stage.press("slash")
        await stage.type("user-service")
        await stage.until(lambda: all("user-service" in name for name in stage.rows()), "the filter")
        assert stage.rows()


async def test_workloads_and_a_namespace(open_on: Open) -> None:
    async with open_on() as stage:
        await stage.shows("user-service")
        await stage.press("w")
        await stage.until(lambda: "deployment/user-service" in stage.rows(), "workloads")
        await stage.press("n")
        await stage.type("production")
        await stage.press("enter")
        await stage.until(lambda: "deployment/fraud-model" not in stage.rows(), "the namespace")
        assert "deployment/user-service" in stage.rows()


async def test_an_api_server_that_dies_and_comes_back(open_on: Open, demo: DemoThread) -> None:
    async with open_on() as stage:
        await stage.shows("user-service", "● pods live")
        seen = set(stage.rows())
        demo.run(demo.server.stop())
        try:
            await stage.until(lambda: "pods live" not in stage.header, "the loss to be noticed")
            assert set(stage.rows()) == seen, "what was seen stays"
        finally:
            demo.run(demo.server.start())
        await stage.press("r")
        await stage.until(lambda: "pods live" in stage.header, "the return to be noticed")
        assert stage.app.is_running


async def test_one_namespace_is_enough(open_on: Open) -> None:
    async with open_on("one-namespace", namespaces=("production",)) as stage:
        await stage.shows("user-service", "● pods live")
        assert "nodes" in stage.header, "what is forbidden is named"


async def test_without_any_right_the_screen_says_so(open_on: Open) -> None:
    async with open_on("nobody") as stage:
        await stage.shows("forbidden")
        assert not stage.rows()


async def test_a_pod_that_dies_while_one_looks(open_on: Open, demo: DemoThread) -> None:
    """Two hours pass in the cluster, in which user-service is OOM-killed again."""

    def restarts() -> int:
        frame = stage.app.overview.frame
        return 0 if frame is None else int(frame.rows.restarts.sum())

    async with open_on() as stage:
        await stage.shows("user-service", "OOMKilled")
        before = restarts()
        demo.advance(2 * 3600)
        await stage.until(lambda: restarts() > before, "another restart")


async def test_ctrl_s_writes_the_incident_down(open_on: Open, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_on() as stage:
        await stage.press("slash")
        await stage.type("user-service")
        await stage.press("enter")
        await stage.until(lambda: stage.app.overview.frame.members is not None, "the workload")
        await stage.press("ctrl+s")
        await stage.until(lambda: list(tmp_path.glob("*.html")), "the report")
        await stage.shows("Written to")
    _check_report(tmp_path)


def _check_report(folder: Path) -> None:
    (text,) = folder.glob("user-service_incident_*.md")
    assert "# Memory of deployment/user-service in production" in text.read_text()
    assert "Did it help?" in text.read_text()


async def test_the_screen_is_there_before_the_cluster(demo: DemoThread, tmp_path: Path) -> None:
    """A demo takes seconds to start, and the screen does not wait for it."""
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig("admin"))
    settings = settings_from({"cluster": {"kubeconfig": str(path)}})
    started = threading.Event()

    def wait_for_it() -> Watchlist:
        assert started.wait(60)
        return make_watchlist(settings, {})

    app = Memtop(settings, wait_for_it, lambda other: make_watchlist(other, {}), demo=True)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        stage = Stage(app, pilot)
        await stage.shows("Top memory")
        await stage.press("question_mark")
        await stage.shows("Keys of the overview")
        await stage.press("escape", "c", "enter", "i", "w", "plus")
        assert "user-service" not in stage.text
        started.set()
        await stage.shows("user-service")


async def test_a_demo_that_does_not_start_ends_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    def refuse() -> Watchlist:
        raise DemoStartError("the demo cluster did not start: [red]no room")

    app = Memtop(settings_from({}), refuse, lambda other: make_watchlist(other, {}), demo=True)
    async with app.run_test() as pilot:
        await Stage(app, pilot).until(lambda: not app.is_running or app._exit, "the end")
    assert app.return_code == 1
    assert "memtop: the demo cluster did not start: [red]no room" in capfd.readouterr().err
