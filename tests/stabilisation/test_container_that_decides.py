"""Of several containers that changed, the one that is worst off decides what is said of the change."""

from __future__ import annotations

from itertools import combinations

import pytest

from memtop.analysis.stability import Stability, StabilityVerdict
from memtop.analysis.stability_evidence import SideFigures

WATCHING, HOLDING = StabilityVerdict.WATCHING, StabilityVerdict.HOLDING
LEAKING = StabilityVerdict.STILL_LEAKING
WORST_FIRST = [StabilityVerdict.WORSE, LEAKING, StabilityVerdict.ONLY_POSTPONED, WATCHING, HOLDING]


@pytest.fixture
async def both_changed(world):
    """A change of two containers: one that leaked is fixed, the other has no samples."""
    await world.patch({"name": "proxy", "image": "proxy:1"})
    world.pass_(3600)
    body = [{"name": "proxy", "image": "proxy:2"}, {"name": "user-service", "image": "user-service:v2.1.0"}]
    await world.patch_all(body)
    world.pass_(600)
    return world


def judging(monkeypatch, *judged):
    """Has the containers judged in their order, each a verdict and how fast it grew before."""
    waiting = iter(judged)

    def judge(*_):
        verdict, rate = next(waiting)
        return Stability(verdict, "because", before=SideFigures(pods=1, rate=rate), after=SideFigures(pods=1))

    monkeypatch.setattr("memtop.stabilisation.stabilisation_watch.judge_change", judge)


async def test_what_holds_does_not_hide_a_container_that_is_still_watched(both_changed):
    both_changed.pass_(4 * 3600)
    seen = (await both_changed.until(both_changed.watch(), lambda _: True, 0, 2))[-1]
    assert seen.stabilities["user-service"].verdict is HOLDING
    assert seen.stabilities["proxy"].verdict is WATCHING
    assert seen.container == "proxy"
    assert seen.stability.verdict is WATCHING
    assert seen.for_container("user-service").stability.verdict is HOLDING


@pytest.mark.parametrize(("worse", "better"), list(combinations(WORST_FIRST, 2)))
@pytest.mark.parametrize("first", [True, False], ids=["the worse first", "the worse last"])
async def test_the_worst_verdict_is_the_verdict_of_the_change(
    both_changed, monkeypatch, worse, better, first
):
    verdicts = [(worse, None), (better, 1e9)]
    judging(monkeypatch, *(verdicts if first else verdicts[::-1]))
    seen = await both_changed.watch(prometheus=False).read_and_judge()
    assert seen.stability.verdict is worse
    assert seen.container == ("user-service" if first else "proxy")


async def test_of_equal_verdicts_the_one_that_grew_fastest_before_decides(both_changed, monkeypatch):
    judging(monkeypatch, (LEAKING, 2e6), (LEAKING, 3e6))
    assert (await both_changed.watch(prometheus=False).read_and_judge()).container == "proxy"
    judging(monkeypatch, (LEAKING, 2e6), (LEAKING, None))
    assert (await both_changed.watch(prometheus=False).read_and_judge()).container == "user-service"


async def test_a_container_that_did_not_change_does_not_decide(world, monkeypatch):
    await world.patch({"name": "proxy", "image": "proxy:1"})
    world.pass_(600)
    await world.patch({"name": "proxy", "image": "proxy:2"})
    world.pass_(600)
    judging(monkeypatch, (StabilityVerdict.WORSE, 9e9), (HOLDING, None))
    seen = await world.watch(prometheus=False).read_and_judge()
    assert set(seen.stabilities) >= {"proxy"}
    assert seen.container == "proxy"
