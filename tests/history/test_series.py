"""From streams to the one series of a container: echoes of the dead, duplicates, restarts, OOM kills."""

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.history import prometheus_answers
from memtop.history.past_series import (
    ContainerName,
    PastSeries,
    drop_short_lives,
    merge_past_and_live,
    merge_samples,
    merge_times,
    with_live_limit,
)
from memtop.history.prometheus_answers import MetricStream
from memtop.history.prometheus_past import (
    counter_steps,
    group_by_container,
    join_streams,
    merge_ends,
    rise_times,
)
from memtop.history.prometheus_queries import QueryGrid

GRID = QueryGrid(0.0, 3600.0, 60.0)


def stream(first, values, step=60.0, **labels):
    times = first + step * np.arange(len(values))
    return MetricStream(labels, times, np.array(values, float))


def test_a_recorded_crash_loop_has_no_echo(recording):
    streams = prometheus_answers.read_query_answer(
        recording("prom-query-range-usage-user-service.json")
    ).streams
    ((name, lives),) = group_by_container(streams, ("namespace", "pod", "container")).items()
    assert (name.namespace, name.container) == ("production", "user-service")
    start, end = min(one.times[0] for one in lives), max(one.times[-1] for one in lives)
    times, values, restarts = join_streams(lives, QueryGrid(start, end, 10.0))
    assert np.all(np.diff(times) > 0)
    assert len(restarts) == 5
    for restart in restarts:
        before, after = values[times < restart][-1], values[times >= restart][0]
        assert after < 4 * 2**20 < 100 * 2**20 < before
    # Each life climbs by 4 MiB in 5 s; what is flat for longer would be an echo.
    flat = np.flatnonzero(np.diff(values) == 0)
    assert not np.any(np.diff(flat) == 1)


def test_the_successor_begins_where_it_is_seen():
    old = stream(0, [10, 20, 30, 30, 30, 30, 30], id="a")
    new = stream(240, [1, 2, 3], id="b")
    times, values, restarts = join_streams([new, old], QueryGrid(0, 360, 60))
    assert times.tolist() == [0, 60, 120, 240, 300, 360]
    assert values.tolist() == [10, 20, 30, 1, 2, 3]
    assert restarts.tolist() == [240]


def test_an_echo_of_the_last_life_is_cut_off_too():
    gone = stream(0, [10, 20, 30, 30, 30, 30])
    times, _, restarts = join_streams([gone], GRID)
    assert times.tolist() == [0, 60, 120]
    assert not len(restarts)


def test_a_constant_container_that_lives_keeps_all_its_samples():
    times, _, _ = join_streams([stream(0, [7] * 61)], GRID)
    assert len(times) == 61


def test_an_echo_at_the_first_moment_is_no_life():
    echo = stream(0, [50, 50])
    life = stream(0, [5, 6, 7, 8])
    times, values, restarts = join_streams([life, echo], QueryGrid(0, 180, 60))
    assert values.tolist() == [5, 6, 7, 8]
    assert len(times) == 4
    assert not len(restarts)


def test_two_scrapes_of_one_container_are_no_restart():
    one = stream(0, np.arange(60.0), job="kubelet", id="/kubepods/x")
    two = stream(60, np.arange(1.0, 60.0), job="cadvisor", id="/docker/x")
    times, values, restarts = join_streams([two, one], QueryGrid(0, 3540, 60))
    assert values.tolist() == list(range(60))
    assert len(times) == 60
    assert not len(restarts)


def test_nothing_is_nothing():
    times, values, restarts = join_streams([], GRID)
    assert not len(times)
    assert not len(values)
    assert not len(restarts)


def test_counters_rise_and_start_over():
    assert rise_times(stream(0, [3, 3, 5, 5, 0, 1])).tolist() == [120, 120, 300]


def test_ends_are_counted_once_and_known_by_kind():
    seen = np.array([300.0, 1200.0])
    counter = stream(0, [0] * 6 + [1] * 15 + [2] * 20 + [4] * 20)
    oom = stream(360, [1] * 15)  # after the first restart, not after the second
    times = np.array([0.0, 180.0, 300.0, 1200.0])
    restarts, kills = merge_ends(times, seen, counter, oom, [], GRID)
    # Two lives too short to be scraped are known to the counter only.
    assert restarts.tolist() == [300, 1200, 41 * 60, 41 * 60]
    assert kills.tolist() == [180]  # when the life before was last seen, not after the back-off


def test_a_flag_of_zero_says_nothing():
    """kube-state-metrics 1 has the series for every reason, with 0 for those that are not."""
    _, kills = merge_ends(
        np.array([0.0]), np.array([300.0]), stream(0, [0] * 5 + [1] * 5), stream(300, [0] * 5), [], GRID
    )
    assert not len(kills)


def test_the_kernels_count_where_there_is_no_flag():
    restarts, kills = merge_ends(
        np.arange(0, 700, 60.0),
        np.array([600.0]),
        None,
        None,
        [stream(0, [0, 0, 1, 1]), stream(600, [0, 0])],
        GRID,
    )
    assert restarts.tolist() == [600]
    assert kills.tolist() == [120]  # too far from the restart: a process in it was killed, and it went on


def test_merged_times_take_the_exact_one():
    merged = merge_times(np.array([100.0, 5000.0]), np.array([160.0, 170.0, 9000.0]), 120.0)
    assert merged.tolist() == [100, 170, 5000, 9000]
    assert merge_times(np.array([]), np.array([2.0, 1.0]), 9.0).tolist() == [1, 2]


def past(times, values, metric="working_set", **more):
    return PastSeries(metric, "Prometheus", np.array(times, float), np.array(values, float), **more)


def test_past_and_live_join_without_a_seam():
    live = Series(
        np.array([1000.0, 1015.0]), np.array([50.0, 51.0]), np.array([700.0]), np.array([690.0]), limit=100.0
    )
    before = past([0, 500, 990, 1005], [1, 2, 3, 4], restarts=np.array([200.0, 800.0]), limit=90.0)
    whole = merge_past_and_live(before, live)
    assert whole.timestamps.tolist() == [0, 500, 990, 1005, 1015]  # 1000 is between two that are known
    assert whole.values.tolist() == [1, 2, 3, 4, 51]
    assert whole.restarts.tolist() == [200, 700]  # 800 is when the one at 700 was noticed
    assert whole.oom_kills.tolist() == [690]
    assert whole.limit == 100.0


def test_who_has_watched_for_two_hours_knows_no_less_than_who_asks_now():
    """Live samples of two hours are one in five minutes but for the last twenty; the past is dense."""
    dense = np.arange(0.0, 7200.0, 15.0)
    seen = np.concatenate([np.arange(7.0, 6000.0, 300.0), np.arange(6007.0, 7260.0, 15.0)])
    whole = merge_past_and_live(past(dense, dense), Series(seen, seen))
    fresh = merge_past_and_live(past(dense, dense), Series(seen[-1:], seen[-1:]))
    for series in (whole, fresh):
        assert np.isin(dense[dense < 6000], series.timestamps).all()
        assert np.all(np.diff(series.timestamps) > 0)
        assert series.timestamps[-1] == seen[-1]
    assert abs(len(whole.timestamps) - len(fresh.timestamps)) <= 7  # the newest that only one has seen


@pytest.mark.parametrize("gap", [(600.0, 1800.0), (0.0, 900.0), (3000.0, 3600.0)])
def test_what_one_observer_missed_is_taken_from_the_other(gap):
    dense = np.arange(0.0, 3600.0, 15.0)
    missed = dense[(dense < gap[0]) | (dense >= gap[1])]
    for one, other in ((missed, dense + 7), (dense, missed + 7)):
        times, values = merge_samples(one, one, other, other)
        assert np.diff(times).max() <= 75
        assert values.tolist() == times.tolist()
        assert len(times) <= len(dense) + 1  # nothing counts twice


def test_the_denser_of_two_is_believed_where_a_past_further_back_is_coarse():
    coarse, dense = np.arange(0.0, 86400.0, 840.0), np.arange(80000.0, 86400.0, 15.0)
    times, values = merge_samples(coarse, coarse * 0, dense, dense * 0 + 1)
    assert values[times < 79500].tolist() == [0] * int(np.sum(coarse < 79500))
    assert values[times > 80400].tolist() == [1] * int(np.sum(dense > 80400))


def test_the_restart_that_is_known_exactly_is_the_one_nearest_to_it():
    """Of five restarts within minutes a fresh start knows only the last exactly."""
    noticed = np.array([1000.0, 1060.0, 1120.0, 1200.0, 1320.0])
    assert merge_times(np.array([1311.0]), noticed, 330.0).tolist() == [1000, 1060, 1120, 1200, 1311]
    exact = noticed - 9
    assert merge_times(exact, noticed, 330.0).tolist() == exact.tolist()


def test_without_live_samples_the_past_is_all():
    nothing = Series(np.empty(0), np.empty(0))
    assert merge_past_and_live(past([1, 2], [3, 4], limit=9.0), nothing).values.tolist() == [3, 4]
    assert merge_past_and_live(past([1], [3], limit=9.0), nothing).limit == 9.0
    assert merge_past_and_live(None, nothing) is nothing


def test_another_metric_keeps_the_room_to_the_limit():
    seen = Series(np.array([0.0, 10.0]), np.array([70.0, 80.0]), limit=100.0)
    rss = with_live_limit(past([0, 10], [40, 50], metric="rss"), seen)
    assert rss.values.tolist() == [40, 50]
    assert rss.limit == pytest.approx(70.0)  # 20 are left, as for the working set


def test_the_two_metrics_are_compared_at_one_moment():
    """A fast leak whose other metric lags two minutes behind has not come nearer to its limit by that."""
    seen = Series(np.arange(0.0, 300.0, 15.0), np.arange(0.0, 300.0, 15.0) + 20.0, limit=400.0)
    rss = with_live_limit(past(np.arange(0.0, 180.0, 15.0), np.arange(0.0, 180.0, 15.0), metric="rss"), seen)
    assert rss.limit == pytest.approx(380.0)


def test_containers_are_told_apart_by_the_labels_given():
    streams = [stream(0, [1], pod_name="p", container_name="c", namespace="n")]
    assert list(group_by_container(streams, ("namespace", "pod_name", "container_name"))) == [
        ContainerName("n", "p", "c")
    ]


def test_lives_too_short_for_the_grid_show_no_growth():
    times = np.array([0.0, 120, 240, 360, 480, 600, 615, 630, 645, 660, 900, 915])
    series = Series(times, times, np.array([100.0, 350.0, 590.0, 890.0]), np.array([90.0, 800.0]), limit=9.0)
    rest = drop_short_lives(series)
    assert rest.timestamps.tolist() == [600, 615, 630, 645, 660, 900, 915]
    assert rest.restarts.tolist() == series.restarts.tolist()  # they ended all the same
    assert rest.oom_kills.tolist() == [90, 800]
    assert rest.limit == 9.0


def test_a_series_without_restarts_is_left_alone():
    series = Series(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert drop_short_lives(series) is series


def test_a_counter_is_told_by_its_steps():
    counter = MetricStream({}, np.arange(0.0, 360.0, 60.0), np.array([3.0, 3.0, 4.0, 4.0, 6.0, 6.0]))
    times, counts = counter_steps(counter)
    assert times.tolist() == [0.0, 120.0, 240.0]
    assert counts.tolist() == [3.0, 4.0, 6.0]
    assert counter_steps(None) is None
