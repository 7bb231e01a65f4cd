"""Whether the floor follows the traffic: made series of known leaks per request and per hour."""

from __future__ import annotations

import numpy as np
import pytest

from memtop.analysis.memory_series import Floats, Series
from memtop.analysis.traffic import TrafficFit, TrafficVerdict, WorkSeries, fit_traffic

MIB, KIB, HOUR, DAY = 2.0**20, 1024.0, 3600.0, 86400.0
TIMES: Floats = np.asarray(1.7e9 + np.arange(0.0, 2 * DAY, 120.0))
DAILY: Floats = np.asarray(5 * (1 + 0.9 * np.sin(2 * np.pi * TIMES / DAY)))
EVEN: Floats = np.full(len(TIMES), 5.0)
BURSTS: Floats = np.asarray(10.0 * (np.floor((TIMES - TIMES[0]) / 7200) % 2))


def _fit(per_request: float, per_hour: float, traffic: Floats, *, seed: int = 0) -> TrafficFit:
    rng = np.random.default_rng(seed)
    done = np.append(0.0, np.cumsum(np.diff(TIMES) * (traffic[1:] + traffic[:-1]) / 2))
    memory = 200 * MIB + per_request * done + per_hour / HOUR * (TIMES - TIMES[0])
    memory += MIB * rng.normal(size=len(TIMES))
    work = WorkSeries("request", TIMES, traffic, "http_requests_total")
    return fit_traffic([Series(TIMES, memory)], [work])


@pytest.mark.parametrize("traffic", [DAILY, BURSTS], ids=["by the day", "in bursts"])
def test_a_leak_per_request_is_told_with_its_size(traffic: Floats) -> None:
    """What each request leaves behind, and that idle hours add nothing."""
    fit = _fit(1.5 * KIB, 0.0, traffic)
    assert fit.verdict is TrafficVerdict.TRAFFIC
    assert fit.per_unit is not None
    assert fit.per_unit_margin is not None
    assert abs(fit.per_unit - 1.5 * KIB) < 2 * fit.per_unit_margin < 0.1 * KIB
    assert fit.words().startswith("1.5 KiB per request (±")
    assert "none while there is no traffic, by http_requests_total" in fit.words()


def test_the_interval_holds_the_true_size_in_nineteen_of_twenty() -> None:
    """Of 40 at least 35 do: 38 are promised, and fewer than 35 are seldom chance."""
    held = 0
    for seed in range(40):
        fit = _fit(800.0, 0.0, DAILY, seed=seed)
        assert fit.per_unit is not None
        assert fit.per_unit_margin is not None
        held += abs(fit.per_unit - 800.0) <= fit.per_unit_margin
    assert held >= 35


def test_a_leak_with_time_is_not_blamed_on_requests() -> None:
    """A timer that keeps things leaks at night as well."""
    fit = _fit(0.0, 10 * MIB, DAILY)
    assert fit.verdict is TrafficVerdict.TIME
    assert fit.without == pytest.approx(10 * MIB, rel=0.05)
    assert fit.words().startswith("grows with time, not with traffic: +10 MiB/h")


def test_both_at_once_are_told_apart() -> None:
    """A leak per request beside one per hour."""
    fit = _fit(1.5 * KIB, 10 * MIB, DAILY)
    assert fit.verdict is TrafficVerdict.BOTH
    assert fit.per_unit == pytest.approx(1.5 * KIB, rel=0.1)
    assert fit.without == pytest.approx(10 * MIB, rel=0.15)


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    """Traffic that never changes is the same as the clock."""
    fit = _fit(1.5 * KIB, 0.0, EVEN)
    assert fit.verdict is TrafficVerdict.EVEN
    assert fit.words().startswith("the traffic was too even to tell it from time")
    assert fit.per_unit == pytest.approx(1.5 * KIB, rel=0.05)


def test_growth_while_nothing_was_asked_is_growth_with_time() -> None:
    """No traffic at all, and it climbs."""
    fit = _fit(0.0, 10 * MIB, np.zeros(len(TIMES)))
    assert fit.verdict is TrafficVerdict.TIME
    assert fit.without == pytest.approx(10 * MIB, rel=0.05)


@pytest.mark.parametrize("traffic", [DAILY, EVEN, np.zeros(len(TIMES))], ids=["daily", "even", "none"])
def test_a_flat_floor_rises_with_nothing(traffic: Floats) -> None:
    """No leak, no sentence."""
    fit = _fit(0.0, 0.0, traffic)
    assert fit.verdict is TrafficVerdict.NEITHER
    assert not fit.words()


def test_without_figures_of_work_nothing_is_said() -> None:
    """Unknown stays unknown."""
    assert fit_traffic([Series(TIMES, 1.0 * TIMES)], [None]).verdict is TrafficVerdict.UNKNOWN
    assert fit_traffic([], []).verdict is TrafficVerdict.UNKNOWN
    few = WorkSeries("request", TIMES[:3], EVEN[:3])
    assert fit_traffic([Series(TIMES, 1.0 * TIMES)], [few]).verdict is TrafficVerdict.UNKNOWN
