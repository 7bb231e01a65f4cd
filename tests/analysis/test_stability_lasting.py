"""The verdict on a change is stable, claims only time that was watched, and asks for load."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis import stability
from memtop.analysis.stability import Stability, StabilityVerdict, checkpoints, judge_change, last_verdict
from memtop.analysis.stability_evidence import ChangeEvidence, LoadSeries, SideFigures
from tests.analysis.test_stability import AT, HOUR, MIB, old, ramp, since

WATCHING, HOLDING = StabilityVerdict.WATCHING, StabilityVerdict.HOLDING
WORSE, LEAKING = StabilityVerdict.WORSE, StabilityVerdict.STILL_LEAKING


def found(*verdicts, kills=0):
    """What single moments said, one after the other."""
    return [Stability(one, f"it is {one}", after=SideFigures(1, oom_kills=kills)) for one in verdicts]


# -- what it takes to leave a verdict


def test_a_verdict_that_comes_and_goes_changes_nothing():
    kept = last_verdict(found(WATCHING, LEAKING, LEAKING, *[WORSE, LEAKING] * 8, WORSE))
    assert kept.verdict is LEAKING
    assert kept.sentence == "it is still leaking; the newest samples alone would say worse"


def test_a_verdict_that_lasts_takes_its_place():
    assert last_verdict(found(LEAKING, WORSE, WORSE)).verdict is LEAKING
    assert last_verdict(found(LEAKING, WORSE, WORSE, WORSE)).verdict is WORSE
    assert last_verdict(found(HOLDING, WATCHING, WATCHING)).verdict is HOLDING
    assert last_verdict(found(HOLDING, WATCHING, WATCHING, WATCHING)).verdict is WATCHING


def test_watching_gives_way_to_what_is_found_twice():
    assert last_verdict(found(WATCHING, HOLDING)).verdict is WATCHING
    assert last_verdict(found(WATCHING, HOLDING, WATCHING, HOLDING)).verdict is WATCHING
    assert last_verdict(found(WATCHING, HOLDING, HOLDING)).verdict is HOLDING
    assert last_verdict(found(HOLDING)).verdict is HOLDING


@pytest.mark.parametrize("hopeful", [WATCHING, HOLDING])
def test_what_dies_again_is_told_at_once(hopeful):
    died = found(LEAKING, kills=1)
    assert last_verdict([*found(hopeful), *died]).verdict is LEAKING
    assert last_verdict(found(hopeful, LEAKING)).verdict is hopeful
    assert last_verdict([*found(WORSE), *died]).verdict is WORSE


def test_the_moments_of_judgement_are_always_the_same():
    short, long = list(checkpoints(AT, AT + HOUR)), list(checkpoints(AT, AT + 48 * HOUR))
    assert short == long[: len(short)]
    assert long[0] == AT + 120
    steps = np.diff(long)
    assert (steps.min(), steps.max()) == (60, 1800)
    assert len(long) < 150
    assert not list(checkpoints(AT, AT + 120))


@pytest.mark.parametrize("seed", range(8))
def test_only_as_much_is_judged_again_as_it_takes(monkeypatch, seed):
    """Whoever has looked at every moment says the same as who looks once, and looks at few."""
    random = np.random.default_rng(seed)
    moments = [*checkpoints(AT, AT + 3 * HOUR), AT + 3 * HOUR]
    kinds = [WATCHING, HOLDING, LEAKING, WORSE]
    said = dict(
        zip(moments, found(*(kinds[n] for n in random.integers(0, 2 + seed % 3, len(moments)))), strict=True)
    )
    asked = []

    def judged(before, after, changed_at, now):
        asked.append(now)
        return said[now]

    monkeypatch.setattr(stability, "judge_moment", judged)
    seen = judge_change(ChangeEvidence(), ChangeEvidence(), AT, AT + 3 * HOUR)
    assert seen == last_verdict(list(said.values()))
    assert asked == moments[::-1][: len(asked)]


def test_a_verdict_that_lasts_costs_three_judgements(monkeypatch):
    asked = []
    held = found(HOLDING)[0]
    monkeypatch.setattr(stability, "judge_moment", lambda *given: asked.append(given) or held)
    assert judge_change(ChangeEvidence(), ChangeEvidence(), AT, AT + 48 * HOUR) is held
    assert len(asked) == 3


def test_earlier_moments_are_judged_by_what_was_known_then(monkeypatch):
    asked = []
    monkeypatch.setattr(
        stability,
        "judge_moment",
        lambda before, after, at, now: asked.append((after, now)) or found(WATCHING)[0],
    )
    whole = replace(
        since(2, 0), loads=(LoadSeries("cpu", AT + np.array([0.0, 7199.0]), np.array([1.0, 2.0])),)
    )
    judge_change(old(48), whole, AT, AT + 2 * HOUR)
    for after, now in asked[1:]:
        assert now < AT + 2 * HOUR
        assert max(one.timestamps[-1] for one in after.series) <= now
        assert max(end for _, end in after.spans) <= now
        assert [len(one.times) for one in after.loads] == [1]


# -- load


def loaded(evidence, cores, signal="cpu"):
    """The same with a load."""
    begin, end = min(one for one, _ in evidence.spans), max(one for _, one in evidence.spans)
    times = np.arange(begin, end, 60.0)
    series = LoadSeries(signal, times, np.full(len(times), cores))
    return replace(evidence, loads=(*evidence.loads, series))


def verdict(before, after, hours):
    return judge_change(before, after, AT, AT + hours * HOUR)


def test_without_load_it_does_not_hold_however_long_it_is_flat():
    seen = verdict(loaded(old(48), 0.2), loaded(since(6, 0), 0.004), 6)
    assert seen.verdict is WATCHING
    assert "at 2 % of the old load (CPU 4.0m, was 200m)" in seen.sentence
    assert "until the load is back" in seen.sentence
    assert seen.remaining_seconds is None
    assert seen.load_share == pytest.approx(0.02)


def test_requests_count_more_than_signs_of_load_and_what_is_missing_is_said():
    """Half of the old requests: the CPU says nothing, and it takes longer, by as many requests as it says."""
    before = loaded(loaded(old(48), 0.2), 40.0, "requests")
    seen = verdict(before, loaded(loaded(since(0.5, 0), 0.2), 20.0, "requests"), 0.5)
    assert seen.verdict is WATCHING
    assert seen.load_share == pytest.approx(0.5)
    assert seen.requests_done == pytest.approx(20 * 1800, rel=0.1)
    assert seen.requests_missing == pytest.approx(20 * seen.remaining_seconds)
    assert "requests answered per pod since, about" in seen.sentence
    assert "more until the old growth would have shown" in seen.sentence


def test_few_requests_take_longer_and_none_are_waited_for():
    before = loaded(old(48), 40.0, "requests")
    held = verdict(before, loaded(since(30, 0), 3.0, "requests"), 30)
    assert held.verdict is HOLDING  # where signs of load alone would wait for ever
    assert "of old, at" in held.sentence
    assert held.requests_missing == 0
    idle = verdict(before, loaded(since(24, 0), 0.0, "requests"), 24)
    assert idle.verdict is WATCHING
    assert (idle.requests_done, idle.requests_missing) == (0, None)


def test_with_the_old_load_it_holds_and_says_so():
    seen = verdict(loaded(old(48), 0.2), loaded(since(6, 0), 0.2), 6)
    assert seen.verdict is HOLDING
    assert "under as much load as before (CPU 200m, was 200m)" in seen.sentence


def test_little_load_is_waited_for_no_longer_than_a_day():
    before = loaded(old(48), 0.2)
    assert verdict(before, loaded(since(6, 0), 0.05), 6).verdict is WATCHING
    held = verdict(before, loaded(since(26, 0), 0.05), 26)
    assert held.verdict is HOLDING
    assert "at 25 % of the old load" in held.sentence


def test_under_less_load_less_growth_is_looked_for():
    before = loaded(old(48, noise=6), 0.2)
    whole = verdict(before, loaded(since(0.5, 0, noise=6), 0.2), 0.5)
    less = verdict(before, loaded(since(0.5, 0, noise=6), 0.12), 0.5)
    assert less.needed_seconds > 1.2 * whole.needed_seconds


def test_a_fix_that_saves_processor_time_is_not_without_load():
    before = loaded(loaded(old(48), 0.2), 1e6, "received")
    after = loaded(loaded(since(6, 0), 0.02), 1e6, "received")
    assert verdict(before, after, 6).verdict is HOLDING


def test_a_start_is_not_the_load():
    times = AT + np.arange(0, 6 * HOUR, 60.0)
    cores = np.where(times < AT + 1200, 2.0, 0.001)
    after = replace(since(6, 0), loads=(LoadSeries("cpu", times, cores),))
    assert verdict(loaded(old(48), 0.2), after, 6).verdict is WATCHING


def test_a_load_of_two_samples_is_not_known():
    few = replace(since(1, 0), loads=(LoadSeries("cpu", np.array([AT, AT + 60]), np.array([1.0, 1.0])),))
    assert few.load("cpu") is None
    assert few.load("received") is None


# -- time that was watched


def test_time_without_samples_is_not_claimed():
    late = ramp(AT + 63 * 60, 0.1, 0)
    after = ChangeEvidence((late, late), ((AT, AT + 69 * 60),) * 2)
    seen = judge_change(old(600), after, AT, AT + 69 * 60)
    assert seen.watched_seconds == pytest.approx(330, abs=30)
    assert "for 1 h" not in seen.sentence
    assert seen.since >= AT + 63 * 60 or seen.verdict is not HOLDING


def test_a_gap_in_the_samples_is_not_watched():
    whole = ramp(AT, 6, 0)
    kept = (whole.timestamps < AT + HOUR) | (whole.timestamps >= AT + 5 * HOUR)
    series = replace(whole, timestamps=whole.timestamps[kept], values=whole.values[kept])
    seen = judge_change(old(96), ChangeEvidence((series,), ((AT, AT + 6 * HOUR),)), AT, AT + 6 * HOUR)
    assert seen.watched_seconds == pytest.approx(2 * HOUR, abs=120)
    if seen.verdict is HOLDING:
        assert "for 2 h" in seen.sentence


# -- what the slope alone shows


def test_half_a_fix_is_found_by_its_slope_before_anything_dies():
    seen = verdict(old(300), since(1.5, 150), 1.5)
    assert seen.verdict is LEAKING
    assert seen.after.oom_kills == 0
    assert seen.after.leaks


def test_a_raised_limit_is_seen_through_as_soon_as_the_slope_is_known():
    before, after = old(300, limit=1024), since(0.6, 300, limit=4096)
    seen = verdict(before, after, 0.6)
    assert seen.verdict is StabilityVerdict.ONLY_POSTPONED
    assert seen.bought_seconds == pytest.approx(3072 / 300 * HOUR, rel=0.1)


def test_a_warm_up_is_not_half_a_fix():
    times = AT + np.arange(0, 1 * HOUR, 30.0)
    noise = np.random.default_rng(3).normal(0, 1, len(times))
    series = replace(ramp(AT, 1, 0), values=(200 + 100 * (1 - np.exp(-(times - AT) / 1200)) + noise) * MIB)
    seen = verdict(old(120), ChangeEvidence((series,), ((AT, AT + HOUR),)), 1)
    assert not seen.after.leaks
    assert seen.verdict in {WATCHING, HOLDING}


def test_what_was_only_suspected_before_is_compared_by_its_slope_too():
    """A leak that was deployed a quarter of an hour ago is only suspected; its rate is known all the same."""
    before, after = old(600, hours=0.25), since(1.5, 300)
    seen = verdict(before, after, 1.5)
    assert not seen.before.leaks
    assert seen.verdict is LEAKING
    raised = verdict(old(600, hours=0.25, limit=512), since(0.35, 600, limit=1024), 0.35)
    assert raised.verdict is StabilityVerdict.ONLY_POSTPONED


def test_what_an_idle_pod_receives_is_no_sign_of_load():
    before = loaded(loaded(old(48), 0.2), 2.0, "received")
    after = loaded(loaded(since(6, 0), 0.0001), 4.0, "received")
    assert verdict(before, after, 6).verdict is WATCHING
    assert verdict(loaded(old(48), 0.0003), loaded(since(6, 0), 0.0001), 6).load_share is None
