"""A change on the embedded cluster, watched from the leak to the verdict, through what may go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from config.settings import PrometheusSettings
from memtop.analysis.stability import StabilityVerdict
from memtop.demo.faults import Harm
from memtop.kube.api_errors import ApiError
from memtop.kube.object_ref import ObjectRef
from memtop.stabilisation.earlier_revisions import leak_of_revision
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    follow_stabilisation,
)
from memtop.stabilisation.verdict_report import report_json, report_markdown
from tests.stabilisation.conftest import USER_SERVICE

MIB = 2**20
WATCHING, HOLDING = StabilityVerdict.WATCHING, StabilityVerdict.HOLDING
ONE_ROUND = 90.0


def decided(seen: StabilisationState) -> bool:
    return seen.stability.verdict.decided


async def test_the_change_that_brought_the_leak_is_called_leaking(world):
    seen = (await world.until(world.watch(), decided, ONE_ROUND, 4))[-1]
    assert seen.stability.verdict in (StabilityVerdict.STILL_LEAKING, StabilityVerdict.WORSE)
    assert seen.change.words("user-service") == "v1.9.3 → v2.0.0"
    assert seen.stability.after.oom_kills > 10


async def test_a_fix_is_watched_and_then_holds(world):
    await world.fix()
    world.pass_(120)
    seen = await world.until(world.watch(), decided, 1200, 20)
    verdicts = list(dict.fromkeys(one.stability.verdict for one in seen))
    assert verdicts == [WATCHING, HOLDING]
    left = [one.stability.remaining_seconds for one in seen[1:-1]]
    assert left == sorted(left, reverse=True), "less and less is left to wait for"
    before, after = seen[-1].stability.before, seen[-1].stability.after
    assert before.pods == 3
    assert before.oom_kills > 10
    assert before.rate == pytest.approx(1660 * MIB / 2.5, rel=0.15)
    assert after.pods == 3
    assert after.oom_kills == after.restarts == 0
    assert abs(after.rate) < before.rate / 4
    assert seen[-1].by_container["user-service"].basis == "RSS from Prometheus"
    assert seen[-1].stability.since == pytest.approx(seen[-1].change.changed_at, abs=120)


async def test_it_can_be_opened_hours_later(world):
    await world.fix()
    world.pass_(4 * 3600)
    seen = (await world.until(world.watch(), decided, ONE_ROUND, 3))[-1]
    assert seen.stability.verdict is HOLDING
    assert seen.time - seen.change.changed_at == pytest.approx(4 * 3600, abs=60)


async def test_a_higher_limit_only_postpones(world):
    await world.patch({"resources": {"limits": {"memory": "6Gi"}}})
    world.pass_(120)
    seen = (await world.until(world.watch(), decided, 1800, 16))[-1]
    assert seen.stability.verdict is StabilityVerdict.ONLY_POSTPONED
    assert seen.change.words("user-service") == "limit 2 GiB → 6 GiB"
    assert seen.stability.bought_seconds == pytest.approx(4096 / 664 * 3600, rel=0.2)


async def test_without_prometheus_and_disk_what_was_before_is_said_to_be_unknown(world):
    await world.fix()
    world.pass_(3600)
    seen = (await world.until(world.watch(prometheus=False), lambda _: True, 0, 1))[-1]
    assert "what was before the change is not known" in seen.stability.sentence
    assert seen.stability.before.rate is None
    assert '"oom_kills": null' in report_json(seen)
    assert "| growth of the floor | – |" in report_markdown(seen)


async def test_what_memtop_saw_before_the_change_is_remembered_on_disk(world):
    earlier = world.watch(prometheus=False, folder=world.folder, record=True)
    for _ in range(50):
        await earlier.read_and_judge()
        world.pass_(150)
    await earlier.close()
    await world.fix()
    world.pass_(300)
    seen = (await world.until(world.watch(prometheus=False, folder=world.folder), lambda _: True, 0, 1))[-1]
    before = seen.stability.before
    assert before.pods == 3
    assert before.rate == pytest.approx(1660 * MIB / 2.5, rel=0.3)
    assert "disk" in seen.by_container["user-service"].basis


async def test_going_back_is_dated_by_the_new_pods_and_not_by_the_old_replica_set(world):
    await world.fix()
    world.pass_(3600)
    await world.patch({"image": "user-service:v2.0.0"})
    world.pass_(600)
    seen = (await world.until(world.watch(), lambda _: True, 0, 2))[-1]
    assert seen.change.revision.created < seen.change.previous.created
    assert seen.time - seen.change.changed_at == pytest.approx(600, abs=90)
    assert seen.change.words("user-service") == "v2.1.0 → v2.0.0"
    assert seen.stability.before.oom_kills == 0


@pytest.mark.parametrize("prometheus", [True, False])
async def test_a_revision_that_never_ran_is_passed_over_and_that_is_said(world, prometheus):
    await world.patch({"image": "user-service:v9-does-not-exist"})
    world.pass_(600)
    watch = world.watch(prometheus=prometheus)
    if not prometheus:
        await watch.read_and_judge()
        world.pass_(60)
    await world.fix()
    world.pass_(600)
    seen = (await world.until(watch, lambda _: True, 0, 2))[-1]
    assert (seen.change.previous.number, seen.change.revision.number) == (2, 4)
    assert seen.change.words("user-service") == "v2.0.0 → v2.1.0"
    before = seen.stability.before
    assert before.pods == 3
    assert before.oom_kills > 0
    assert before.oom_per_hour == pytest.approx(0.4, rel=0.5)
    assert "compared with revision 2: no run is known of revision 3" in seen.notes


async def test_a_second_deploy_offers_the_revision_that_leaked(world):
    await world.fix()
    world.pass_(720)
    await world.patch({"image": "user-service:v2.1.0", "env": [{"name": "LEVEL", "value": "debug"}]})
    world.pass_(900)
    seen = (await world.until(world.watch(), lambda _: True, 0, 2))[-1]
    assert (seen.change.previous.number, seen.suggested_revision) == (3, 2)
    (note,) = [note for note in seen.notes if "ran for" in note]
    assert re.match(
        r"revision 3 ran for 1[2-4] m only, and revision 2 before it leaked \+6\d\d MiB/h, ", note
    )
    assert note.endswith("press v, or use --against 2")
    told = (await world.until(world.watch(against=2), lambda _: True, 0, 2))[-1]
    assert told.change.previous.number == 2
    assert told.stability.before.leaks
    assert told.stability.before.pods == 3
    assert "compared with revision 2, as asked" in told.notes
    with pytest.raises(ApiError, match="no revision 9 before 4 to compare with; known are: 3, 2, 1"):
        await world.until(world.watch(against=9), lambda _: True, 0, 2)


async def test_a_revision_that_leaked_is_known_to_a_plan(world):
    await world.fix()
    world.pass_(1800)
    asked = PrometheusSettings()
    words = await leak_of_revision(world.client, USER_SERVICE, 2, prometheus=asked, folder=None)
    assert re.match(r"leaked \+6\d\d MiB/h, \d+ OOM kills in 1 d", words)
    assert await leak_of_revision(world.client, USER_SERVICE, 2, prometheus=None, folder=None) is None
    assert await leak_of_revision(world.client, USER_SERVICE, 3, prometheus=asked, folder=None) is None
    world.harm(harm=Harm.ANSWER, path="/apis/apps/", status=503)
    assert await leak_of_revision(world.client, USER_SERVICE, 2, prometheus=asked, folder=None) is None


async def test_the_load_is_compared(world):
    await world.fix()
    world.pass_(4 * 3600)
    seen = (await world.until(world.watch(), decided, ONE_ROUND, 3))[-1]
    assert seen.stability.load_share is not None
    assert 0.4 < seen.stability.load_share <= 1.0
    assert "load" in seen.stability.sentence
    assert seen.stability.watched_seconds == pytest.approx(4 * 3600, abs=180)


async def test_another_rollout_is_another_change(world):
    watch = world.watch()
    await world.fix()
    world.pass_(4 * 3600)
    first = (await world.until(watch, decided, ONE_ROUND, 3))[-1]
    await world.patch({"image": "user-service:v2.0.0"})
    world.pass_(300)
    second = await watch.read_and_judge()
    assert second.change.key != first.change.key
    assert second.stability.verdict is WATCHING


async def test_a_stateful_set_is_cut_where_its_pods_were_made_again(world):
    ref = ObjectRef("StatefulSet", "production", "session-cache")
    path = "/apis/apps/v1/namespaces/production/statefulsets/session-cache"
    await world.patch({"name": "cache", "resources": {"limits": {"memory": "2Gi"}}}, path)
    world.pass_(1800)
    seen = (await world.until(world.watch(ref=ref), lambda _: True, 0, 2))[-1]
    sides = seen.by_container["cache"]
    assert (len(sides.before.series), len(sides.after.series)) == (2, 2)
    assert all(one.timestamps[-1] <= seen.change.changed_at + 120 for one in sides.before.series)
    assert all(one.timestamps[0] >= seen.change.changed_at for one in sides.after.series)


async def test_a_prometheus_that_dies_leaves_what_it_said_and_live_samples_go_on(world):
    await world.fix()
    world.pass_(1800)
    watch = world.watch()
    known = (await world.until(watch, lambda seen: seen.stability.before.pods > 0, ONE_ROUND, 3))[-1]
    world.harm(harm=Harm.ANSWER, path="/proxy/", status=503)
    for _ in range(16):
        world.pass_(60)
        seen = await watch.read_and_judge()
    assert any(note.startswith("Prometheus: ") for note in seen.notes), seen.notes
    assert seen.stability.before.oom_kills == known.stability.before.oom_kills
    newest = max(one.timestamps[-1] for one in seen.by_container["user-service"].after.series)
    assert seen.time - newest < 120, "the metrics API goes on"


async def test_an_api_server_that_is_away_changes_nothing_but_says_so(world):
    await world.fix()
    world.pass_(4 * 3600)
    watch = world.watch()
    held = (await world.until(watch, decided, ONE_ROUND, 3))[-1]
    world.harm(harm=Harm.ANSWER, path="/apis/apps/", status=503, times=1)
    with pytest.raises(ApiError) as refusal:
        await watch.read_and_judge()
    failed = watch.failed(refusal.value)
    assert failed.problem
    assert failed.stability is held.stability
    assert not (await watch.read_and_judge()).problem


async def test_what_is_not_there_is_refused(world):
    with pytest.raises(ApiError, match="not found"):
        await world.watch(ref=ObjectRef("Deployment", "production", "nothing")).read_and_judge()
    with pytest.raises(ApiError, match="no revision 99"):
        await world.watch(revision=99).read_and_judge()
    with pytest.raises(ApiError, match="no container 'nginx'; it has user-service"):
        await world.watch(container="nginx").read_and_judge()


async def test_a_cluster_that_goes_away_before_prometheus_was_asked_is_not_asked_without_a_pause(
    world, monkeypatch
):
    monkeypatch.setattr("memtop.retry.random.uniform", lambda _, most: most)  # waits 2 s, then 4 s
    options = StabilisationOptions(interval=1.0, prometheus=PrometheusSettings())
    async with contextlib.aclosing(follow_stabilisation(world.client, USER_SERVICE, options)) as looks:
        told = [await anext(looks)]
        world.harm(harm=Harm.ANSWER, path="/apis/apps/", status=503)
        told.append(await anext(looks))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                async for seen in looks:
                    told.append(seen)
    assert told[0].without_prometheus
    assert told[1].problem
    assert len(told) <= 3, "each attempt waits longer than the one before"


async def test_who_does_not_want_to_wait_is_told_at_once_and_loses_nothing(world):
    again, told = asyncio.Event(), []
    options = StabilisationOptions(interval=3600.0, prometheus=PrometheusSettings())
    async with (
        asyncio.timeout(30),
        contextlib.aclosing(follow_stabilisation(world.client, USER_SERVICE, options, again)) as looks,
    ):
        async for seen in looks:
            told.append(seen)
            if len(told) == 4:
                break
            world.pass_(30)
            again.set()
    assert [seen.without_prometheus for seen in told] == [True, False, False, False]
    assert told[3].time - told[1].time == pytest.approx(60, abs=5)
    assert told[3].stability.after.seconds > told[1].stability.after.seconds


def stumble(*_):
    raise ValueError("no\nshape")


async def test_a_mistake_of_memtops_own_is_said_and_ends_nothing(world, monkeypatch):
    again = asyncio.Event()
    options = StabilisationOptions(interval=3600.0)
    async with (
        asyncio.timeout(30),
        contextlib.aclosing(follow_stabilisation(world.client, USER_SERVICE, options, again)) as looks,
    ):
        before = await anext(looks)
        again.set()
        with monkeypatch.context() as broken:
            broken.setattr("memtop.stabilisation.stabilisation_watch.gather_sides", stumble)
            meanwhile = await anext(looks)
        again.set()
        after = await anext(looks)
    assert not before.problem
    assert re.fullmatch(
        r"a mistake of memtop's own: ValueError in test_\w+\.py, line \d+: no shape", meanwhile.problem
    )
    assert meanwhile.stability is before.stability, "what was seen stays"
    assert not after.problem


async def test_a_mistake_before_anything_was_seen_ends_the_watch(world, monkeypatch):
    monkeypatch.setattr("memtop.stabilisation.stabilisation_watch.gather_sides", stumble)
    with pytest.raises(ValueError, match="shape"):
        await anext(follow_stabilisation(world.client, USER_SERVICE, StabilisationOptions()))


async def test_following_goes_on_through_an_api_server_that_restarts(world):
    await world.fix()
    world.pass_(600)
    world.harm(harm=Harm.ANSWER, path="/deployments/", status=503, times=1)
    stages = []
    async with contextlib.aclosing(
        follow_stabilisation(world.client, USER_SERVICE, StabilisationOptions(interval=1.0))
    ) as looks:
        async for told in looks:
            if isinstance(told, str):
                stages.append("nothing yet")
            elif not told.problem and "seen" not in stages:
                stages.append("seen")
                await asyncio.to_thread(world.demo.run, world.demo.server.stop())
            elif told.problem and "away" not in stages:
                stages.append("away")
                assert told.stability.after.pods == 3, "what was seen stays"
                await asyncio.to_thread(world.demo.run, world.demo.server.start())
            elif not told.problem and "away" in stages:
                break
    assert stages == ["nothing yet", "seen", "away"]


async def test_the_work_done_since_is_counted(world):
    """The demo's Prometheus counts requests of each pod: what was answered since is said with the verdict."""
    await world.fix()
    world.pass_(4 * 3600)
    seen = (await world.until(world.watch(), decided, ONE_ROUND, 3))[-1]
    assert seen.stability.requests_done is not None
    assert seen.stability.requests_done > 1000
    assert "requests answered per pod since" in seen.stability.sentence
