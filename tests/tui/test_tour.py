"""The tour: each step waits for its key, keeps no key from its effect, and ends with esc."""

from __future__ import annotations

import os

import pytest

from config.errors import ConfigError
from config.invocation import parse
from tests.tui.cluster import FakeCluster
from tests.tui.stage import Stage
from tui.start import run_app
from tui.tour import TOUR, GuidedTour


def test_ten_steps_each_with_its_key() -> None:
    tour = GuidedTour()
    assert len(TOUR) == 10
    for number, step in enumerate(TOUR, 1):
        assert f"{number}/10" in tour.line.plain
        assert tour.line.plain.endswith(step.shown)
        tour.pressed("j")
        assert tour.place == number - 1
        tour.pressed(step.key)
    assert "That was the tour" in tour.line.plain


def test_esc_ends_it() -> None:
    tour = GuidedTour()
    tour.pressed("escape")
    assert tour.ended


async def test_the_strip_follows_the_screens_and_the_keys_work(app_on, night: FakeCluster) -> None:
    app = app_on(night)
    app.begin_tour()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        stage = Stage(app, pilot)
        await stage.shows("1/10", "The next pane is tab")
        await stage.press("tab", "w")
        await stage.until(lambda: "deployment/user-service" in stage.rows(), "workloads")
        await stage.shows("3/10")
        await stage.press("enter")
        await stage.shows("4/10", "Workload")
        await stage.press("escape")
        await stage.until(lambda: not any("/10" in line for line in stage.lines), "the end of the tour")


def test_the_tour_needs_the_demo() -> None:
    with pytest.raises(ConfigError, match="add --demo"):
        run_app(parse(["--tour"], os.environ))
