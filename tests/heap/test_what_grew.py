"""What grew between two captures: the plan, the wait, the comparison, and doing no harm."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from memtop.demo.thread import DemoThread
from memtop.heap import capture_watch, growth_run
from memtop.heap.capture_plan import CaptureConstraints, plan_captures, plans_from_probe
from memtop.heap.capture_run import CaptureFailedError, TakenCapture
from memtop.heap.capture_watch import take_watched, unreclaimable_bytes
from memtop.heap.cgroup_memory import CgroupEvents, MemoryBreakdown
from memtop.heap.container_probe import ContainerProbe
from memtop.heap.growth_plan import GrowthPlan, growth_plans, waiting_time
from memtop.heap.growth_run import ProcessMoment, find_what_grew, judge_growth
from memtop.heap.kept_captures import (
    NoSuchCaptureError,
    capture_name,
    captures_folder,
    earlier_captures,
    kept_captures,
    remove_capture,
)
from memtop.heap_files.heap_contents import HeapFileKind, HeapType, summarise_types
from memtop.heap_files.heap_growth import compare_heaps
from memtop.heap_files.text_reports import ARENA
from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.kubeconfig import load_target

MIB = 1024 * 1024
PLACE = ContainerRef("production", "billing-0", "billing")


@pytest.fixture
def found(answered, tmp_path):
    def make(name="jvm-cgroup-v1", changed=None):
        asked = answered(name)
        changed = changed or {}
        probe = ContainerProbe({**asked.sections, **changed}, True)
        return plans_from_probe(PLACE, probe, CaptureConstraints(), tmp_path, 10**12, "20250101-000000")

    return make


def test_a_jvm_is_asked_for_histograms_first_and_never_for_data(found):
    plans = growth_plans(found(), (), floor_rate=None)
    assert plans[0].title == "what grew: two class histograms, 10 m apart"
    assert [plan.capture.capture.suffix for plan in plans] == ["-histogram.txt", "-smaps.txt"]
    facts = dict(plans[0].facts())
    assert facts["captures"] == "2, each as follows"
    assert "memtop heap remove" in facts["kept here"]


@pytest.mark.parametrize(
    ("rate", "seconds", "words"),
    [
        (None, 600, "nothing is known of a rate"),
        (100 * MIB, 600, "at +100 MiB/h it adds about 16.7 MiB"),
        (10 * MIB, 1800, "at +10 MiB/h it adds about 5 MiB"),
        (600 * MIB, 120, "at +600 MiB/h it adds about 20 MiB"),
    ],
)
def test_the_wait_suits_the_rate_and_says_so(found, rate, seconds, words):
    plan = found()[0]
    wait, reason = waiting_time(plan, rate)
    assert wait == seconds
    assert words in reason


def test_the_wait_ends_long_before_the_limit(found):
    plan = found()[0]
    headroom = plan.space.memory.headroom
    wait, reason = waiting_time(plan, headroom * 60.0)  # a minute to the limit
    assert wait == pytest.approx(30, abs=1)
    assert "half of the 1 m" in reason


def test_a_snapshot_of_node_that_may_kill_is_grave_and_comes_after_the_map(found):
    limit = {"v1 memory.limit_in_bytes": str(64 * MIB)}
    plans = growth_plans(found("node-cgroup-v1", limit), (), floor_rate=None)
    assert plans[0].capture.capture.suffix == "-smaps.txt"
    snapshot = next(plan for plan in plans if plan.capture.capture.suffix == ".heapsnapshot")
    assert any(
        risk.is_severe and "may itself cause the OOM kill" in risk.sentence for risk in snapshot.risks()
    )


def test_a_root_that_is_mounted_read_only_is_not_written_to_though_test_says_so(found):
    plans = found(changed={"mounts": "overlay / overlay ro,relatime 0 0\n"})
    dump = next(plan for plan in plans if plan.capture.suffix == ".hprof")
    assert "may write neither to /tmp nor to /var/tmp" in dump.capture.missing


# -- captures that are kept


def test_captures_are_kept_listed_and_removed(tmp_path):
    folder = captures_folder({"XDG_STATE_HOME": str(tmp_path)})
    assert folder.stat().st_mode & 0o077 == 0
    name = capture_name(PLACE, "20250101-000000", ".hprof")
    (folder / name).write_bytes(b"x" * 10)
    (folder / "notes.txt").write_text("not ours")
    [one] = kept_captures(folder)
    assert (one.namespace, one.pod, one.container, one.kind, one.size) == (
        *("production", "billing-0", "billing"),
        "heap dump",
        10,
    )
    with pytest.raises(NoSuchCaptureError, match=r"no capture named 'notes\.txt'"):
        remove_capture(folder, "notes.txt")
    with pytest.raises(NoSuchCaptureError):
        remove_capture(folder, f"/elsewhere/{name}")
    assert remove_capture(folder, name) == one
    assert kept_captures(folder) == ()
    assert (folder / "notes.txt").exists()


def test_a_capture_of_this_pod_or_of_its_sister_can_be_the_first(tmp_path, found):
    for pod in ("shop-7f9-aaaaa", "shop-7f9-bbbbb", "shopper-1"):
        place = ContainerRef("production", pod, "app")
        (tmp_path / capture_name(place, "20250101-000000", "-histogram.txt")).write_text("")
    kept = kept_captures(tmp_path)
    here = ContainerRef("production", "shop-7f9-bbbbb", "app")
    assert [one.pod for one in earlier_captures(kept, here, "-histogram.txt")] == [
        "shop-7f9-bbbbb",
        "shop-7f9-aaaaa",
    ]
    assert earlier_captures(kept, here, ".hprof") == ()


# -- the answer


def heap(sessions):
    return summarise_types(
        HeapFileKind.CLASS_HISTOGRAM,
        [HeapType("com.shop.Session", sessions * 64, sessions), HeapType("byte[]", 10**6, 1000)],
    )


def moment(at, anon, *, cache=0, threads=10, files=20, arenas=0):
    memory = MemoryBreakdown(
        *(2, anon + cache, 10**9, None, anon, cache, 0, 0, 0, 0, 0),
        events=CgroupEvents(),
    )
    mappings = summarise_types(
        HeapFileKind.MEMORY_MAP, [HeapType(ARENA, arenas * 10 * MIB, arenas)] if arenas else []
    )
    return ProcessMoment(at, memory, threads, files, mappings)


def test_the_rise_is_measured_where_no_verdict_knows_it():
    growth = compare_heaps(heap(0), heap(100_000), 600)
    answer = judge_growth(growth, [moment(0, 100 * MIB), moment(600, 110 * MIB)], None)
    assert answer.floor_rate == pytest.approx(60 * MIB)
    assert "com.shop.Session +6.1 MiB (+100,000 objects), 61 % of the +60 MiB/h." in answer.sentences[0]


def test_it_is_not_the_heap_but_arenas_threads_and_connections():
    growth = compare_heaps(heap(10), heap(10), 600)
    before = moment(0, 100 * MIB)
    after = moment(600, 250 * MIB, threads=24, files=320, arenas=14, cache=50 * MIB)
    said = " ".join(judge_growth(growth, [before, after], None).sentences)
    assert "Nothing grew." in said
    assert "so what leaks is not in it" in said
    assert "14 arenas of 64 MiB appeared (+140 MiB of them in use)" in said
    assert "14 more threads: 24 now." in said
    assert "300 more open files and connections: 320 now." in said
    assert "Page cache grew by 50 MiB" in said


# -- on the embedded cluster


@pytest.fixture(scope="module")
def demo():
    with DemoThread(pods=5, seed=7, speed=600) as served:
        yield served


@pytest.fixture
async def client(demo, tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig("admin"))
    target = load_target(kubeconfig=str(path))
    async with Client(target) as made:
        yield made


async def leaking(client):
    import msgspec

    pods = msgspec.json.decode(await client.get("/api/v1/namespaces/production/pods"))["items"]
    running = {
        state["running"]["startedAt"]: pod["metadata"]["name"]
        for pod in pods
        if pod["metadata"]["name"].startswith("user-service")
        and "running" in (state := pod["status"]["containerStatuses"][0]["state"])
    }
    # The youngest: one that is about to be OOM-killed dies between two captures.
    return ContainerRef("production", running[max(running)], "user-service")


async def test_the_demos_leak_is_named(client, tmp_path):
    captures = await plan_captures(client, await leaking(client), tmp_path)
    [plan, *_] = growth_plans(captures, (), floor_rate=None, seconds=1.2)
    steps = []
    answer = await find_what_grew(client, plan, steps.append)
    assert answer.sentences[0].startswith("com.example.users.SessionCache$Session +")
    assert len(answer.files) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in answer.files)
    assert any("capture 2 of 2" in step.words for step in steps)
    since = GrowthPlan(plan.capture, 0.0, "", 2, kept_captures(tmp_path)[-1])
    again = await plan_captures(client, plan.capture.container_ref, tmp_path)
    later = next(one for one in again if one.capture.suffix == "-histogram.txt")
    with_earlier = replace(since, capture=replace(later, target=tmp_path / "later-histogram.txt"))
    assert (await find_what_grew(client, with_earlier, lambda _: None)).growth.bytes >= 0


# -- doing no harm


@pytest.fixture
def watched(found, monkeypatch):
    """``watched(take, usages)``: a capture that is watched, by what it does and what the container uses."""
    monkeypatch.setattr(capture_watch, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(capture_watch, "_DEATH_SECONDS", 0.05)
    runs = [capture_watch.RunIdentity(3, "one", "", "pod")]

    async def container_run(_client, _place):
        return runs[-1]

    monkeypatch.setattr(capture_watch, "container_run", container_run)

    async def go(take, usages=()):
        left = list(usages)

        async def run_command(_client, _place, _command, **_):
            from memtop.kube.container_exec import CommandResult

            used = left.pop(0) if len(left) > 1 else left[0] if left else 1
            return CommandResult(0, f"{used}\ntotal_cache 0\n".encode(), b"")

        monkeypatch.setattr(capture_watch, "run_command", run_command)
        monkeypatch.setattr(capture_watch, "take_capture", take)
        steps = []
        plan = next(one for one in found() if one.capture.suffix == ".hprof")
        return await take_watched(None, plan, steps.append), steps

    go.runs = runs
    return go


async def forever(_client, _plan, tell):
    await asyncio.Event().wait()


async def test_a_capture_is_given_up_before_the_limit(watched):
    with pytest.raises(
        CaptureFailedError, match=r"given up: the container takes 190 MiB of its 192 MiB \(99 %\)"
    ):
        await watched(forever, [100 * MIB, 150 * MIB, 190 * MIB])


async def test_a_death_is_reported_as_one_and_offers_nothing_to_take_up_again(watched):
    async def dies(_client, _plan, _tell):
        watched.runs.append(capture_watch.RunIdentity(4, "two", "OOMKilled, exit code 137", "pod"))
        raise CaptureFailedError("the inspector broke off", remote="/tmp/x.hprof")

    with pytest.raises(
        CaptureFailedError, match=r"billing has died meanwhile \(OOMKilled, exit code 137\)"
    ) as failed:
        await watched(dies)
    assert failed.value.remote == ""


async def test_a_failure_without_a_death_is_what_it_was(watched):
    async def fails(_client, _plan, _tell):
        raise CaptureFailedError("the connection was lost", remote="/tmp/x.hprof")

    with pytest.raises(CaptureFailedError, match=r"^the connection was lost$") as failed:
        await watched(fails)
    assert failed.value.remote == "/tmp/x.hprof"


async def test_progress_says_the_memory_of_the_container(watched, tmp_path):
    from memtop.heap.capture_run import CaptureStep

    async def slow(_client, _plan, tell):
        tell(CaptureStep("running jcmd"))
        await asyncio.sleep(0.1)
        return TakenCapture(tmp_path, 1, "")

    _, steps = await watched(slow, [96 * MIB])
    assert any(step.words == "running jcmd · memory 96 MiB of 192 MiB, 50 %" for step in steps)


def test_page_cache_counts_as_room(found):
    memory = found()[0].space.memory
    assert unreclaimable_bytes("1000\ntotal_cache 400\ntotal_shmem 100\n", memory) == 700
    assert unreclaimable_bytes("", memory) is None


async def test_no_second_capture_where_the_container_came_near_its_limit(found, monkeypatch):
    used = str(185 * MIB)
    stat = f"total_rss {used}\ntotal_cache 0"
    near = found(changed={"v1 memory.usage_in_bytes": used, "v1 memory.stat": stat})

    async def plan_again(*_):
        return near

    monkeypatch.setattr(growth_run, "plan_captures", plan_again)
    plan = growth_plans(found(), (), floor_rate=None)[0]
    with pytest.raises(CaptureFailedError, match="was not taken, to do no harm"):
        await growth_run._planned_again(None, plan)
