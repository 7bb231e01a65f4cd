"""How often a container restarted within the last hour: exactly, or at least."""

import math

import pytest

from memtop.cluster.containers import ContainerFacts, Kind, Mood, Termination
from memtop.observe.lives import HOUR, Lives

NOW = 1_800_000_000.0
DAY = 24 * HOUR


def end(at, reason="OOMKilled", code=137):
    return Termination(reason, code, NOW + at, NOW + at - 60)


def facts(restarts, *ends, started=None):
    start = None if started is None else NOW + started
    return ContainerFacts("c", Kind.CONTAINER, None, None, restarts, "", Mood.RUNNING, start, ends)


def lives(created=-DAY, seen=0.0):
    return Lives(NOW + created, NOW + seen)


def test_a_young_pod_is_known_exactly():
    one = lives(created=-600)
    one.observe(facts(3, end(-10)), NOW)
    assert one.restarts_within(NOW) == (3, True)


def test_what_was_seen_only_now_is_a_lower_bound():
    one = lives()
    one.observe(facts(40, end(-100)), NOW)
    assert one.restarts_within(NOW) == (1, False)


def test_an_end_older_than_an_hour_means_none():
    one = lives()
    one.observe(facts(40, end(-2 * HOUR)), NOW)
    assert one.restarts_within(NOW) == (0, True)


def test_observing_for_a_whole_hour_makes_it_exact():
    one = lives(seen=-2 * HOUR)
    one.observe(facts(5), NOW - 2 * HOUR)
    one.observe(facts(6), NOW - 0.5 * HOUR)
    one.observe(facts(8), NOW - 60)
    assert one.restarts_within(NOW) == (3, True)


def test_restarts_seen_count_where_ends_were_missed():
    one = lives(seen=-1800)
    one.observe(facts(5, end(-1900)), NOW - 1800)
    one.observe(facts(9, end(-60)), NOW)
    assert one.restarts_within(NOW) == (4, False)


def test_the_same_end_told_twice_counts_once():
    one = lives()
    for _ in range(3):
        one.observe(facts(1, end(-100)), NOW)
    assert len(one.ends) == 1
    assert one.oom_kills_within(NOW) == 1


def test_the_three_phases_of_one_kill_are_one_kill():
    one = lives()
    older, newer = end(-4000), end(-30)
    one.observe(facts(4, older, newer), NOW - 29)  # terminated
    one.observe(facts(4, newer), NOW - 20)  # waiting
    one.observe(facts(5, newer, started=-5), NOW)  # running
    assert one.ends == [older, newer]
    assert one.starts == [NOW - 5]
    assert one.oom_kills_within(NOW) == 1


def test_only_oom_kills_count_as_such():
    one = lives()
    one.observe(facts(2, end(-50, "Error", 137), end(-10)), NOW)
    assert one.oom_kills_within(NOW) == 1
    assert one.oom_times() == [NOW - 10]


def test_an_oom_kill_leaves_the_hour():
    one = lives()
    one.observe(facts(1, end(-10)), NOW)
    assert one.oom_kills_within(NOW + HOUR - 11) == 1
    assert one.oom_kills_within(NOW + HOUR) == 0


@pytest.mark.parametrize("after", [60.0, 600.0, 1800.0, HOUR - 10, HOUR, 2 * HOUR])
def test_nothing_changes_before_it_is_said_to(after):
    one = lives(seen=-1200)
    one.observe(facts(3, end(-1500)), NOW - 1200)
    one.observe(facts(4, end(-300)), NOW - 290)

    def figures(now):
        return one.restarts_within(now), one.oom_kills_within(now)

    now = NOW + after
    change = one.next_change(now)
    if math.isfinite(change):
        assert figures(now) == figures(max(now, change - 0.001))
    else:
        assert figures(now) == figures(now + 100 * DAY)


def test_what_is_remembered_is_bounded():
    one = lives()
    for number in range(1000):
        one.observe(facts(number, end(number), started=number + 1), NOW + number)
    assert max(len(one.ends), len(one.starts), len(one._counts)) <= 200
