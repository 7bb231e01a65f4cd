"""Old and new pods over the same minutes: which minutes, which figures, which words, and on a cluster."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from config.settings import PrometheusSettings
from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import ChangeEvidence, LoadSeries
from memtop.commands.rollout_compare import look_once
from memtop.stabilisation.before_and_after import BeforeAndAfter
from memtop.stabilisation.canary import (
    CANARY_FACTS,
    canary_facts,
    canary_json,
    canary_lines,
    compare_canary,
    evidence_since,
)
from memtop.stabilisation.stabilisation_watch import StabilisationOptions
from tests.stabilisation.conftest import USER_SERVICE
from tests.stabilisation.made import AT, seen

MIB = 2**20
HOUR = 3600.0


def climb(start, end, rate, first=200.0, kills=()):
    """A sample a minute that climbs by ``rate`` MiB an hour, with a little noise."""
    times = np.arange(start, end, 60.0)
    noise = np.sin(times / 97.0) * 0.5
    values = (first + rate * (times - start) / HOUR + noise) * MIB
    ends = np.array(kills, float)
    return Series(times, values, ends + 5, ends, 1024.0 * MIB)


def load(signal, start, end, value):
    times = np.arange(start, end, 60.0)
    return LoadSeries(signal, times, np.full(len(times), value))


def side_by_side(minutes=40, verdict="watching", **more):
    """Two old pods that have run for hours, one new pod since ``AT``."""
    end = AT + minutes * 60
    old = ChangeEvidence(
        (climb(AT - 3 * HOUR, end, 120, kills=(AT - HOUR, AT + 600)), climb(AT - 5 * HOUR, end, 120)),
        ((AT - 3 * HOUR, end), (AT - 5 * HOUR, end)),
        None,
        (load("received", AT - HOUR, AT, 9e6), load("received", AT, end, 1e6)),
    )
    new = ChangeEvidence(
        (climb(AT, end, 0),), ((AT, end),), None, (load("received", AT, end, 5e5), load("cpu", AT, end, 0.2))
    )
    found = replace(
        seen(verdict, end, **more),
        by_container={"app": BeforeAndAfter(old, new, "working set from Prometheus")},
    )
    return compare_canary(found)


def facts(side):
    return dict(zip(CANARY_FACTS, canary_facts(side), strict=True))


class TestMinutes:
    def test_both_sides_count_from_the_first_new_pod_on(self):
        found = side_by_side(40)
        assert (found.since, found.until) == (AT, AT + 2400)
        assert found.old.figures.watched == 2 * 2400
        assert found.new.figures.watched == 2400
        assert found.old.figures.oom_kills == 1, "the kill an hour before is of other minutes"
        assert found.old.figures.restarts == 1

    def test_restarts_are_per_pod_and_hour(self):
        assert side_by_side(40).old.figures.restarts_per_hour == 1 / (2 * 2400 / HOUR)
        assert facts(side_by_side(40).old)["restarts"] == "1 (0.8 per pod and hour)"

    def test_traffic_is_that_of_the_same_minutes(self):
        found = side_by_side(40)
        assert found.old.figures.received == 1e6
        assert facts(found.new)["traffic per pod"] == "488 KiB/s received"
        assert facts(found.old)["CPU per pod"] == "–", "unknown is no nought"

    def test_requests_are_the_traffic_where_they_are_counted(self):
        new = ChangeEvidence(
            (climb(AT, AT + HOUR, 0),),
            (),
            None,
            (load("requests", AT, AT + HOUR, 12.5), load("received", AT, AT + HOUR, 5e5)),
        )
        sides = BeforeAndAfter(ChangeEvidence(), new, "working set")
        found = compare_canary(replace(seen("watching", AT + HOUR), by_container={"app": sides}))
        assert facts(found.new)["traffic per pod"] == "12.5 requests/s"

    def test_pods_that_ended_before_are_of_no_side(self):
        gone = ChangeEvidence((climb(AT - HOUR, AT - 60, 50),), ((AT - HOUR, AT - 60),))
        assert evidence_since(gone, AT).series == ()


class TestFigures:
    def test_slopes_have_their_intervals(self):
        found = side_by_side(90)
        assert found.old.figures.rate_low <= 120 * MIB <= found.old.figures.rate_high
        assert found.new.figures.rate_high < 20 * MIB
        assert "MiB/h" in facts(found.old)["growth of the floor"]
        assert "\N{PLUS-MINUS SIGN}" in facts(found.old)["growth of the floor"]

    def test_a_pod_that_starts_has_no_slope_yet(self):
        assert facts(side_by_side(4).new)["growth of the floor"] == "still starting"
        assert facts(side_by_side(4).old)["growth of the floor"] != "still starting"

    def test_level_and_age_are_of_the_median_pod(self):
        found = side_by_side(60)
        assert 195 * MIB < found.new.level < 205 * MIB
        assert found.old.age == 5 * HOUR
        assert found.new.age == HOUR
        assert facts(found.old)["age"].startswith("at least "), "no more of it is known than its samples"
        assert not facts(found.new)["age"].startswith("at least ")
        assert facts(found.new)["memory now"].endswith("(20 % of the limit)")
        assert facts(found.old)["pods"] == "2 now, 2 in these minutes"

    def test_nothing_known_of_the_old_is_said_and_no_nought(self):
        sides = BeforeAndAfter(ChangeEvidence(), ChangeEvidence((climb(AT, AT + HOUR, 0),)), "working set")
        found = compare_canary(replace(seen("watching", AT + HOUR), by_container={"app": sides}))
        assert set(facts(found.old).values()) == {"–", "none in these minutes"}
        assert "no old pod is known to have run in the same minutes" in found.sentence


class TestWords:
    def test_too_early_says_how_much_longer(self):
        found = side_by_side(
            sentence="at the old rate of 120 MiB/h it would have shown after 1 h: 25 m to go"
        )
        assert found.sentence.startswith("too early: at the old rate of 120 MiB/h")
        assert found.sentence.endswith("25 m to go")

    def test_a_verdict_is_said_as_it_is(self):
        assert side_by_side(verdict="holding", sentence="flat").sentence == "holding: flat"

    def test_lines_and_json_say_the_same(self):
        found = side_by_side(40)
        lines = canary_lines(found)
        assert lines[0].startswith("app: 1 → 2; the same 40 m")
        assert any(line.startswith("restarts") and "0.8 per pod and hour" in line for line in lines)
        document = json.loads(canary_json(found))
        assert document["old"]["restarts"] == 1
        assert document["new"]["received_bytes_per_second"] == 5e5
        assert document["old"]["cpu_cores"] is None
        assert document["verdict"] == "watching"


async def test_a_rollout_that_is_paused_half_way(world):
    """The old pods still run after more than half an hour, and count to the end."""
    await world.fix()
    world.demo.advance(15)
    path = "/apis/apps/v1/namespaces/production/deployments/user-service"
    await world.client.request(
        "PATCH", path, body=b'{"spec": {"paused": true}}', content_type="application/merge-patch+json"
    )
    world.demo.advance(3 * 3600)
    found = await look_once(world.client, USER_SERVICE, StabilisationOptions(prometheus=PrometheusSettings()))
    assert found.old.running >= 1
    assert found.new.running >= 1
    assert found.until - found.since > 2.9 * HOUR
    assert found.old.figures.seconds > 2.5 * HOUR, "and not only to half an hour after the change"
    assert found.old.figures.rate > 300 * MIB
    assert found.new.figures.rate_high < 200 * MIB, "without its warm-up"
    assert found.new.figures.cpu is not None
