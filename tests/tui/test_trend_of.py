"""The selected row as a drawing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from memtop.analysis.judgement import floor_line
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.kube.pod_facts import Workload
from memtop.observe.frame import RowDetail, WorkloadKey
from memtop.observe.slots import ContainerKey
from tui.overview.row_details import HOUR, readable_range, readable_trend, selected_trend

START, STEP, MIB = 1.7e9, 30.0, 2.0**20


def frame(*, judged=True):
    values = (200 + 0.4 * np.arange(720)) * MIB
    series = Series(START + STEP * np.arange(720), values)
    judgement = judge_series(series)
    detail = RowDetail(
        key=ContainerKey("uid", "app"),
        row=0,
        title="app",
        times=series.timestamps,
        values=series.values,
        limit=None,
        request=None,
        restarts=(),
        oom_kills=(),
        judgement=judgement,
        floor=floor_line(series, judgement) if judged else None,
    )
    return SimpleNamespace(detail=detail)


def test_the_fitted_floor_is_drawn_under_the_whole_trend():
    times, values = selected_trend(frame()).floor
    assert times == pytest.approx([START, START + 719 * STEP], abs=10 * STEP)
    assert [value / MIB for value in values] == pytest.approx([200, 200 + 0.4 * 719], abs=6)


def test_a_shorter_range_shows_its_part_of_the_floor():
    since = START + 360 * STEP
    times, values = selected_trend(frame(), since).floor
    assert times[0] == since
    assert values[0] / MIB == pytest.approx(200 + 0.4 * 360, abs=6)


def test_no_floor_is_drawn_where_none_was_fitted_or_none_is_in_range():
    assert selected_trend(frame(judged=False)).floor is None
    assert selected_trend(frame(), START + 1000 * STEP).floor is None


def test_neither_a_container_nor_a_workload_is_drawn_across_deaths():
    shown = frame()
    died = replace(shown.detail, restarts=(START + 500.0,), oom_kills=(START + 480.0,))
    assert list(selected_trend(SimpleNamespace(detail=died)).breaks) == [START + 481.0, START + 500.0]
    workload = replace(died, key=WorkloadKey("shop", Workload("Deployment", "web")))
    assert list(selected_trend(SimpleNamespace(detail=workload)).breaks) == [START + 481.0, START + 500.0]


@pytest.mark.parametrize(
    ("life", "shown"), [(90.0, "1 h"), (300.0, "1 h"), (900.0, "6 h"), (3600.0, "24 h"), (None, "24 h")]
)
def test_the_range_is_one_in_which_lives_can_be_told_apart(life, shown):
    now = START + 720 * STEP
    deaths = () if life is None else tuple(np.arange(now - 12 * HOUR, now, life).tolist())
    died = replace(frame().detail, oom_kills=deaths)
    assert readable_range(died, now) == shown
    drawn = readable_trend(SimpleNamespace(detail=died, time=now))
    hours = {"1 h": 1, "6 h": 6, "24 h": 24}[shown]
    assert drawn.times[0] == max(START, now - hours * HOUR)
    assert drawn.note == ("" if shown == "24 h" else shown)
