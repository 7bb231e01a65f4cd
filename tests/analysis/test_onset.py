"""When the floor began to climb: made series whose onset is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.analysis.onset import Onset, OnsetKind, find_onset

MIB, HOUR, DAY = 2.0**20, 3600.0, 86400.0
START = 1.7e9


@dataclass(frozen=True)
class World:
    """A week of one container: lives, teeth, a rhythm, noise whose neighbours go together, and a leak."""

    restarts: str = "random"
    teeth: float = 0.0
    daily: float = 0.0
    before: float = 0.0
    noise: float = 2 * MIB
    alike: float = 0.6

    def series(self, rng: np.random.Generator, onset: float, rate: float) -> Series:
        """Samples of it.

        Args:
            rng: What chance is made of.
            onset: Seconds after the begin.
            rate: Bytes per hour from then on.
        """
        times = START + np.arange(0.0, 7 * DAY, 420.0)
        cuts = {"random": np.cumsum(rng.exponential(1.5 * DAY, 12)), "rollout": np.array([onset])}
        later = cuts.get(self.restarts, np.empty(0))
        starts = START + np.concatenate([[0.0], later[later < 7 * DAY]])
        begin = starts[np.searchsorted(starts, times, "right") - 1]
        age = times - begin
        grown = self.before * age + (rate - self.before) * np.maximum(
            times - np.maximum(START + onset, begin), 0
        )
        shaken = rng.normal(size=len(times)) * np.sqrt(1 - self.alike**2)
        for place in range(1, len(times)):
            shaken[place] += self.alike * shaken[place - 1]
        memory = 200 * MIB + grown / HOUR + self.noise * shaken + 20 * MIB * (1 - np.exp(-age / 400))
        memory += self.teeth * (age % 1800) / 1800 + self.daily * np.sin(2 * np.pi * times / DAY)
        return Series(times, memory, restarts=starts[1:])


def _found(world: World, seed: int, *, leaks: bool = True) -> tuple[Onset, float, float]:
    rng = np.random.default_rng(seed)
    onset = float(rng.uniform(1.5, 6.0) * DAY)
    rate = float(10 ** rng.uniform(np.log10(4), np.log10(60))) * MIB if leaks else 0.0
    return find_onset([world.series(rng, onset, rate)]), START + onset, rate


LEAKING = {
    "across restarts": World(),
    "with a rollout": World("rollout"),
    "in one life": World("none"),
    "under teeth": World(teeth=40 * MIB),
    "through days and nights": World(daily=30 * MIB),
    "slow growth before": World(before=0.3 * MIB),
}


@pytest.mark.parametrize("name", LEAKING)
def test_the_interval_holds_the_true_onset_in_nineteen_of_twenty(name: str) -> None:
    """Of 12 worlds of each kind at least 10 intervals hold it: fewer are 1 in 50 by chance."""
    held, margins = 0, []
    for seed in range(12):
        onset, truth, rate = _found(LEAKING[name], seed)
        assert onset.kind is OnsetKind.BEGAN, (name, seed, onset)
        assert onset.low is not None
        assert onset.high is not None
        assert onset.at is not None
        assert onset.low <= onset.at <= onset.high
        assert onset.rate_after == pytest.approx(rate, rel=0.25)
        held += onset.low <= truth <= onset.high
        margins.append(onset.margin or 0.0)
    assert held >= 10, name
    assert float(np.median(margins)) < 1.5 * HOUR, "of a week, this is close enough to name a deploy"


@pytest.mark.parametrize(
    "world",
    [World(), World("none"), World(daily=30 * MIB), World(teeth=60 * MIB)],
    ids=["restarts", "one life", "rhythm", "teeth"],
)
def test_what_does_not_climb_has_no_onset(world: World) -> None:
    """At most one of 12 flat floors seems to climb, the warm-up after each start notwithstanding."""
    kinds = [_found(world, seed, leaks=False)[0].kind for seed in range(12)]
    assert kinds.count(OnsetKind.NO_CLIMB) >= 11, kinds
    assert OnsetKind.BEGAN not in kinds


@pytest.mark.parametrize("restarts", ["random", "none"])
def test_what_always_climbed_has_climbed_since_before_the_window(restarts: str) -> None:
    """No moment is invented where the climb is older than what is known."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        onset = find_onset([World(restarts, before=10 * MIB).series(rng, 3 * DAY, 10 * MIB)])
        assert onset.kind is OnsetKind.BEFORE_WINDOW
        assert onset.at is None
        assert onset.since is not None
        assert onset.since < START + HOUR
        assert onset.rate_after == pytest.approx(10 * MIB, rel=0.1)


def test_a_climb_that_slows_a_little_is_the_same_climb() -> None:
    """A bend from 220 to 180 MiB an hour neither begins nor ends anything."""
    rng = np.random.default_rng(5)
    times = START + np.arange(0.0, DAY, 120.0)
    climbed = 220 * MIB * np.minimum(times - START, 2 * HOUR) / HOUR
    climbed += 180 * MIB * np.maximum(times - START - 2 * HOUR, 0.0) / HOUR
    onset = find_onset([Series(times, 100 * MIB + climbed + MIB * rng.normal(size=len(times)))])
    assert onset.kind is OnsetKind.BEFORE_WINDOW
    assert onset.rate_after == pytest.approx(180 * MIB, rel=0.05)


def test_a_leak_that_was_mended_has_no_onset() -> None:
    """A climb that has ended is none; the floor since is what counts."""
    rng = np.random.default_rng(1)
    times = START + np.arange(0.0, 7 * DAY, 420.0)
    climbed = 20 * MIB * np.clip((times - START - 2 * DAY) / HOUR, 0, 48)
    onset = find_onset([Series(times, 200 * MIB + climbed + MIB * rng.normal(size=len(times)))])
    assert onset.kind is OnsetKind.NO_CLIMB


def test_of_two_climbs_the_one_that_goes_on_counts() -> None:
    """A leak, a fix, and a leak again: the second onset is told."""
    rng = np.random.default_rng(2)
    times = START + np.arange(0.0, 7 * DAY, 420.0)
    fixed, again = START + 3 * DAY, START + 5.5 * DAY
    first = 20 * MIB * np.clip((times - START - 1 * DAY) / HOUR, 0, 48)
    first[times >= fixed] = 0.0
    second = 15 * MIB * np.maximum(times - again, 0) / HOUR
    memory = 200 * MIB + first + second + MIB * rng.normal(size=len(times))
    onset = find_onset([Series(times, memory, restarts=np.array([fixed]))])
    assert onset.kind is OnsetKind.BEGAN
    assert onset.low is not None
    assert onset.high is not None
    assert onset.low - HOUR <= again <= onset.high + HOUR


def test_lives_of_minutes_are_dated_by_their_kills() -> None:
    """Where each life is too short to show a slope, the first kill of the run tells."""
    kills = np.asarray(START + 20 * HOUR + np.arange(60) * 150.0)
    times = np.arange(START, kills[0], 420.0)
    quiet = Series(times, np.full(len(times), 50 * MIB), restarts=kills + 10.0, oom_kills=kills)
    onset = find_onset([quiet])
    assert onset.kind is OnsetKind.BEGAN
    assert onset.by_deaths
    assert onset.low is not None
    assert onset.low <= kills[0] - 150.0 <= kills[0] == onset.high


def test_hours_of_every_scrape_after_a_week_of_few_show_a_leak_of_minutes() -> None:
    """What leaks up to its limit every ten minutes is seen by the slopes of its lives."""
    rng = np.random.default_rng(3)
    coarse, fine = np.arange(0.0, DAY - HOUR, 420.0), np.arange(DAY - HOUR, DAY, 15.0)
    times = START + np.concatenate([coarse, fine])
    onset_at = START + DAY - 0.75 * HOUR
    starts = np.arange(onset_at, START + DAY, 600.0)
    begin = np.concatenate([[START], starts])[np.searchsorted(starts, times, "right")]
    leak = np.where(times >= onset_at, 6 * MIB * (times - begin) / 60.0, 0.0)
    memory = 60 * MIB + leak + 0.3 * MIB * rng.normal(size=len(times))
    onset = find_onset([Series(times, memory, restarts=starts, oom_kills=starts[1:] - 5)])
    assert onset.kind is OnsetKind.BEGAN
    assert onset.low is not None
    assert onset.high is not None
    assert onset.low - 300 <= onset_at <= onset.high + 300


def test_what_began_an_hour_ago_is_found_after_a_week_of_quiet() -> None:
    """The last hour and a half is known by every scrape, and is looked at alone."""
    rng = np.random.default_rng(4)
    times = START + np.concatenate(
        [np.arange(0.0, 7 * DAY - 1.5 * HOUR, 420.0), np.arange(7 * DAY - 1.5 * HOUR, 7 * DAY, 30.0)]
    )
    began = START + 7 * DAY - HOUR
    memory = 200 * MIB + 60 * MIB * np.maximum(times - began, 0) / HOUR + MIB * rng.normal(size=len(times))
    onset = find_onset([Series(times, memory)])
    assert onset.kind is OnsetKind.BEGAN
    assert onset.low is not None
    assert onset.high is not None
    assert onset.low <= began <= onset.high
    assert onset.since == pytest.approx(START, abs=2 * HOUR)


@pytest.mark.parametrize("count", [0, 1, 3, 11])
def test_too_little_is_unknown(count: int) -> None:
    """A few samples tell of no beginning, and none are invented."""
    times = START + 60.0 * np.arange(float(count))
    onset = find_onset([Series(times, 100 * MIB * (1 + np.arange(float(count))))])
    assert onset.kind is OnsetKind.UNKNOWN
    assert onset.at is None
    assert onset.margin is None
    assert find_onset([]).kind is OnsetKind.UNKNOWN


def test_scripts_read_what_is_known_of_an_onset_by_these_words():
    """They stand in the JSON of ``memtop timeline``."""
    assert [kind.value for kind in OnsetKind] == ["began", "before the window", "no climb", "unknown"]
