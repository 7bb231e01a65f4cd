"""Which change is watched, how that is known, and what the watch takes from the engine's settings."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_struct

from config.settings import PrometheusSettings
from memtop.kube.api_errors import ApiError, KubeconfigError, Unreachable
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.object_ref import ObjectRef
from memtop.observe.watchlist import HistorySettings, Scope, Watchlist
from memtop.stabilisation.earlier_revisions import earlier_leak
from memtop.stabilisation.live_samples import LiveSamples
from memtop.stabilisation.past_samples import PastSamples
from memtop.stabilisation.revision_change import RevisionChange, change_time_from_pods, find_change
from memtop.stabilisation.stabilisation_watch import StabilisationOptions, _is_temporary
from memtop.stabilisation.verdict_report import run_command, utc_stamp
from tests.stabilisation.conftest import EPOCH, USER_SERVICE
from tests.stabilisation.made import AT, revision, seen
from tests.stabilisation.test_stabilisation_sides import MIB, change, metrics, named, past, pod, sides


async def test_a_deployments_newest_change_is_found(world):
    found = await find_change(world.client, USER_SERVICE)
    assert (found.revision.number, found.previous.number) == (2, 1)
    assert (found.selector, found.desired_pods) == ("app=user-service", 3)
    assert found.changed_at == found.revision.created
    assert found.how_known == "the creation of its revision"
    assert [one.number for one in found.earlier] == [1]
    assert found.key == (2, found.revision.name)


async def test_a_workload_that_was_never_changed_has_nothing_before(world):
    found = await find_change(world.client, ObjectRef("StatefulSet", "production", "session-cache"))
    assert (found.revision.number, found.previous, found.earlier) == (1, None, ())
    assert (found.selector, found.desired_pods) == ("app=session-cache", 2)
    assert found.previous_number is None
    assert found.revisions == (found.revision,)
    nothing = sides(replace(found, previous=None))
    assert (nothing.before.series, nothing.before.limit) == ((), None)
    assert nothing.basis == "working set from nowhere yet"


async def test_an_earlier_change_can_be_asked_for(world):
    await world.fix()
    world.pass_(60)
    assert (await find_change(world.client, USER_SERVICE)).revision.number == 3
    found = await find_change(world.client, USER_SERVICE, 2)
    assert (found.revision.number, found.previous.number) == (2, 1)
    with pytest.raises(ApiError, match=r"has no revision 7") as refusal:
        await find_change(world.client, USER_SERVICE, 7)
    assert (refusal.value.status, refusal.value.reason) == (404, "NotFound")


async def test_going_back_is_dated_by_the_rollout_at_first(world):
    await world.fix()
    world.pass_(3600)
    await world.patch({"image": "user-service:v2.0.0"})
    world.pass_(600)
    found = await find_change(world.client, USER_SERVICE)
    assert (found.revision.number, found.previous.number) == (4, 3)
    assert found.how_known == "the end of its rollout"
    assert EPOCH + 3600 <= found.changed_at <= EPOCH + 3700
    assert [one.number for one in found.earlier] == [3], "what was there before it is not what it replaced"
    at, how = change_time_from_pods(found, [found.previous.created - 10, EPOCH + 3605.0, EPOCH + 3610.0])
    assert (at, how) == (EPOCH + 3605.0, "the creation of the oldest new pod")


def earlier(*numbers):
    """A change to revision 5 whose earlier ones were made an hour apart."""
    older = tuple(replace(revision(one, f"web:{one}"), created=AT - 3600.0 * (5 - one)) for one in numbers)
    ref = ObjectRef("Deployment", "shop", "web")
    return RevisionChange(ref, revision(5, "web:5"), older[0], AT, "", "app=web", 1, older)


def test_the_revision_that_is_compared_with_can_be_chosen():
    found = earlier(4, 3, 2)
    assert (found.previous_number, found.previous_until) == (4, AT)
    chosen = found.compared_with(2)
    assert (chosen.previous_number, chosen.previous_until) == (2, AT - 2 * 3600.0)
    with pytest.raises(ApiError, match=r"no revision 1 before 5 to compare with; known are: 4, 3, 2") as no:
        found.compared_with(1)
    assert (no.value.status, no.value.reason) == (404, "NotFound")


def test_what_the_engine_observes_is_watched_alike(tmp_path: Path):
    asked = PrometheusSettings()
    target = ClusterTarget("c", "c", "u", "http://127.0.0.1:1", "n", "s")
    plan = Watchlist(target, Scope(()), 30.0, speed=4.0, history=HistorySettings(asked, tmp_path))
    options = StabilisationOptions.of(plan)
    assert options == StabilisationOptions(30.0, 4.0, asked, tmp_path)
    assert (options.revision, options.container, options.against, options.record) == (None, None, None, False)
    assert StabilisationOptions.of(plan, 5.0).interval == 5.0


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (ApiError(500, "InternalError", "x"), True),
        (ApiError(503, "ServiceUnavailable", "x"), True),
        (ApiError(429, "TooManyRequests", "x"), True),
        (ApiError(403, "Forbidden", "x"), False),
        (ApiError(404, "NotFound", "x"), False),
        (KubeconfigError("x"), False),
        (Unreachable("x"), False),
    ],
)
def test_a_server_in_trouble_is_asked_again_and_a_refusal_is_not(error, temporary):
    assert _is_temporary(error) is temporary


@pytest.mark.parametrize(("age", "basis"), [(899.0, "RSS"), (900.0, "working set")])
def test_what_prometheus_remembers_counts_while_it_is_recent(age, basis):
    def both(name, start, end):
        return {named(name): past(start, end), named(name, "rss"): past(start, end, "rss", 80.0)}

    memory = PastSamples(
        both("web-aaa-11111", AT - 3600, AT), both("web-bbb-22222", AT, AT + 3600), "rss", "", AT + 3600 - age
    )
    assert sides(change(), memory).basis == f"{basis} from Prometheus"


def test_times_are_utc_wherever_one_is(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert utc_stamp(AT) == "2026-11-22T16:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


# -- the user's command


async def command(*words, patience=20.0):
    return await run_command((sys.executable, "-c", *words), seen("holding"), "watching", patience)


async def test_a_command_reads_nothing_and_says_nothing():
    assert await command("import sys; assert not sys.stdin.read(); print('quiet')") == ""


async def test_a_command_that_fails_is_said_with_its_complaint():
    words = await command("import sys; sys.stderr.write('x' * 500 + 'no\\x1b[31m route\\n'); sys.exit(3)")
    assert words.startswith(f"{sys.executable} ended with 3: xxx")
    assert words.endswith("route")
    assert "\x1b" not in words
    assert len(words) < 400
    assert await command("raise SystemExit(4)") == f"{sys.executable} ended with 4"


async def test_a_command_that_does_not_end_is_killed():
    words = await command("import time; time.sleep(600)", patience=0.2)
    assert words == f"{sys.executable} did not end within 0.2 s and was killed"


async def test_a_command_that_is_not_there_is_said():
    assert await run_command(("/no/such",), seen("holding"), "") == (
        "/no/such cannot be run: No such file or directory"
    )
    assert (await run_command(("a\0b",), seen("holding"), "")).endswith("cannot be run: embedded null byte")


async def test_a_command_is_told_the_verdict(tmp_path):
    path = tmp_path / "told"
    text = f"import os; open({str(path)!r}, 'w').write(os.environ['MEMTOP_VERDICT'] + os.environ['PATH'][:0])"
    assert await command(text) == ""
    assert await asyncio.to_thread(path.read_text) == "holding"


@pytest.mark.parametrize(("ran", "offered"), [(720.0, 1), (10_799.0, 1), (10_800.0, None), (10_801.0, None)])
def test_what_ran_for_three_hours_is_compared_with(ran, offered):
    old = replace(revision(1, "w:1"), created=AT - 50_000.0)
    fixed = replace(revision(2, "w:2"), created=AT - ran)
    ref = ObjectRef("Deployment", "shop", "web")
    found = RevisionChange(ref, revision(3, "w:3"), fixed, AT, "", "app=web", 1, (fixed, old))
    kills = [AT - 14_000.0 - 600 * number for number in range(5)]
    memory = PastSamples(before={named("shop-1-11111"): past(AT - 40_000, AT - 12_000, kills=kills)})
    leak = earlier_leak(found, "app", {}, memory, {}, AT + 60)
    assert (leak and leak[0].number) == offered
    if leak:
        assert "5 OOM kills in 7 h 46 m" in leak[1]


def test_without_prometheus_the_load_is_what_the_metrics_api_says():
    live = LiveSamples("pod-template-hash")
    for minute in range(6):
        live.take_pods([pod("web-bbb-22222")], AT + 60.0 * minute)
        sample = metrics("web-bbb-22222", AT + 60.0 * minute, 90)
        usage = replace_struct(sample.containers[0].usage, cpu=f"{100 + minute}m" if minute else "")
        container = replace_struct(sample.containers[0], usage=usage)
        live.take_metrics([replace_struct(sample, containers=(container,))])
    told = sides(change(), None, live)
    assert told.after.load("cpu") == pytest.approx(0.103)
    assert told.after.load("received") is None
    assert told.before.limit == 512 * MIB
    assert told.after.limit == 512 * MIB
