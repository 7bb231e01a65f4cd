"""How often a container restarted within the last hour: exactly, or at least."""

import math

import numpy as np
import pytest

from memtop.kube.pod_facts import ContainerFacts, ContainerKind, StateSeverity, Termination
from memtop.observe.slots import HOUR, MAX_DEPARTED, ContainerLives, DepartedContainers

NOW = 1_800_000_000.0
DAY = 24 * HOUR


def end(at, reason="OOMKilled", code=137):
    return Termination(reason, code, NOW + at, NOW + at - 60)


def facts(restarts, *ends, started=None):
    start = None if started is None else NOW + started
    return ContainerFacts(
        "c", ContainerKind.CONTAINER, None, None, restarts, "", StateSeverity.RUNNING, start, ends
    )


def lives(created=-DAY, seen=0.0):
    return ContainerLives(NOW + created, NOW + seen)


def recall(one, times, counts, oom_kills=()):
    one.take_past(*(np.array(column, float) for column in (times, counts, oom_kills)))


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


class TestRecalled:
    """What Prometheus counted makes exact what one look at the pod leaves open."""

    def test_a_count_from_before_makes_the_last_hour_exact(self):
        one = lives()
        one.observe(facts(40, end(-100)), NOW)
        recall(one, [NOW - 2 * HOUR, NOW - 0.9 * HOUR, NOW - 100], [34, 36, 40])
        assert one.restarts_within(NOW) == (6, True)
        assert one.restarts_within(NOW + 0.5 * HOUR) == (4, True)
        one.observe(facts(41, end(500)), NOW + 510)
        assert one.restarts_within(NOW + HOUR) == (1, True)

    def test_a_count_that_does_not_reach_back_an_hour_leaves_it_a_lower_bound(self):
        one = lives()
        one.observe(facts(40, end(-100)), NOW)
        recall(one, [NOW - 600, NOW - 100], [38, 40])
        assert one.restarts_within(NOW) == (2, False)
        assert one.restarts_within(NOW + HOUR - 500) == (2, True)

    def test_what_an_earlier_pod_of_that_name_counted_does_not_count(self):
        one = lives(created=-3 * HOUR)
        one.observe(facts(3, end(-100)), NOW)
        recall(one, [NOW - 9 * HOUR, NOW - 2 * HOUR, NOW - 1.5 * HOUR, NOW - 100], [2, 90, 1, 3])
        assert one.restarts_within(NOW) == (2, True)

    def test_telling_it_again_changes_nothing(self):
        one = lives()
        one.observe(facts(40, end(-100)), NOW)
        for _ in range(3):
            recall(one, [NOW - 2 * HOUR, NOW - 100], [38, 40], [NOW - 1900, NOW - 110])
        assert one.restarts_within(NOW) == (2, True)
        assert one.oom_kills_within(NOW) == 2
        assert one.oom_kills_within(NOW + HOUR - 200) == 1

    def test_figures_are_looked_at_again_when_what_was_told_grows_old(self):
        one = lives()
        one.observe(facts(40, end(-2 * HOUR, "Error", 1)), NOW)
        recall(one, [NOW - 3 * HOUR], [39], [NOW - 1900])
        assert one.next_change(NOW) <= NOW - 1900 + HOUR


class TestDeparted:
    """Pods go; that they were OOM-killed within the hour is still worth knowing."""

    def test_they_count_for_an_hour(self):
        gone = DepartedContainers()
        one = lives()
        one.observe(facts(4, end(-600)), NOW)
        gone.add("uid", "app", "shop", one)
        gone.add("uid", "app", "shop", one)
        assert gone.oom_killed(NOW, ()) == 1
        assert gone.oom_killed(NOW, ("shop",)) == 1
        assert gone.oom_killed(NOW, ("other",)) == 0
        assert gone.oom_killed(NOW + HOUR, ()) == 0

    def test_who_was_never_oom_killed_does_not_count(self):
        gone = DepartedContainers()
        one = lives()
        one.observe(facts(4, end(-600, "Error", 1)), NOW)
        gone.add("uid", "app", "shop", one)
        assert gone.oom_killed(NOW, ()) == 0

    def test_they_are_bounded(self):
        gone = DepartedContainers()
        one = lives()
        one.observe(facts(4, end(-600)), NOW)
        for number in range(MAX_DEPARTED + 50):
            gone.add(f"uid-{number}", "app", "shop", one)
        assert gone.oom_killed(NOW, ()) == MAX_DEPARTED
