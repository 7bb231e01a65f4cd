"""The canary screen: old and new pods of a rollout side by side, by its key, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import ChangeEvidence
from memtop.demo.thread import DemoThread
from memtop.kube.object_ref import ObjectRef
from memtop.stabilisation.before_and_after import BeforeAndAfter
from memtop.stabilisation.canary import compare_canary
from tests.api import Api
from tests.stabilisation.made import AT, seen
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Serve
from tests.tui.stage import Stage
from tests.tui.test_pictures import SIZES, AppOn, Compare
from tui.app import Memtop
from tui.rollout.canary_screen import CanaryScreen, comparison_lines, side_by_side_lines

DEPLOYMENT = "/apis/apps/v1/namespaces/production/deployments/user-service"
MIB = 2.0**20


@pytest.fixture
def paused() -> Iterator[DemoThread]:
    """A rollout of user-service that was paused half-way, half an hour ago."""
    with DemoThread(pods=20, speed=0) as demo:
        container = {"name": "user-service", "image": "user-service:v2.1.0"}
        Api(demo).change(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [container]}}}})
        demo.advance(15)
        Api(demo).change(DEPLOYMENT, {"spec": {"paused": True}})
        demo.advance(1800)
        yield demo


def climb(rate: float, end: float, first: float, kills: tuple[float, ...] = ()) -> Series:
    times = np.arange(AT, end, 60.0)
    values = first * MIB + rate * MIB * (times - AT) / 3600 + np.sin(times / 97) * MIB
    return Series(times, values, np.array(kills) + 5, np.array(kills), 1024 * MIB)


def known() -> Any:
    end = AT + 2400
    old = ChangeEvidence(
        (climb(300, end, 500), climb(310, end, 380, (AT + 900,))), ((AT - 7200, end), (AT - 7200, end))
    )
    new = ChangeEvidence((climb(2, end, 240),), ((AT, end),))
    words = "at the old rate of 300 MiB/h it would have shown after 1 h 5 m: 25 m to go"
    sides = {"app": BeforeAndAfter(old, new, "RSS from Prometheus")}
    return replace(seen("watching", end, words), by_container=sides)


async def test_v_on_the_rollout_opens_it_and_esc_goes_back(serve: Serve, paused: DemoThread) -> None:
    async with serve(paused, namespaces=("production",), size=(120, 36)) as stage:
        await stage.select("user-service")
        await stage.press("o")
        await stage.shows("Rollout of user-service", "v Old beside new")
        await stage.press("v")
        await stage.until(lambda: isinstance(stage.app.screen, CanaryScreen), "the canary")
        await stage.shows("both over the same 30 m", "old: revision 2", "new: revision 3", "CPU per pod")
        await stage.shows("Too early: ", "to go")
        await stage.press("question_mark")
        await stage.shows("Keys of the canary")
        await stage.press("escape", "escape")
        await stage.shows("Rollout of user-service")


def test_what_matters_most_is_left_on_few_lines() -> None:
    found = compare_canary(known())
    lines = [line.plain for line in side_by_side_lines(found, 60, 6)]
    assert [line[:21].strip() for line in lines] == [
        "", "growth of the floor", "memory now", "restarts", "OOM kills", "traffic per pod",
    ]  # fmt: skip
    assert all(len(line) <= 60 for line in lines)
    words = [line.plain for line in comparison_lines(found, 60, "ascii")]
    assert words[0].startswith(" ~ app: 1 → 2; both over the same 40 m")
    assert "25 m to go" in " ".join(words[1:])


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_a_canary(snap_compare: Compare, app_on: AppOn, night: FakeCluster, size: str) -> None:
    async def prepare(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Memtop)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.overview.frame is not None, "the first frame")
        screen = CanaryScreen(
            ObjectRef("Deployment", "shop", "web"), lambda work: Future(), lambda: AT + 2400, "braille"
        )
        app.open_screen(screen)
        await stage.shows("Asking for the old and new pods of web")
        screen.post_message(CanaryScreen.Told(known()))
        await stage.shows("Too early", "25 m to go", "old: revision 1")
        await pilot.pause()

    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=prepare)
