"""Which samples are before a change and which are after it, for every kind of workload."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from memtop.analysis.stability_evidence import SideFigures
from memtop.history.past_series import ORIGIN_PROMETHEUS, ContainerName, PastSeries
from memtop.kube.api_objects import (
    ContainerMetrics,
    ContainerSpec,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodMetrics,
    PodName,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    ResourceUsage,
)
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision
from memtop.stabilisation.before_and_after import compare_with_last_run, gather_sides
from memtop.stabilisation.live_samples import MOST_SAMPLES, LiveSamples, SampleRecorder
from memtop.stabilisation.past_samples import PastSamples, pod_name_pattern, samples_on_disk
from memtop.stabilisation.revision_change import RevisionChange, change_time_from_pods
from memtop.stabilisation.verdict_report import side_facts

AT = 1_795_363_200.0
MIB = 2**20


def revision(number, name, created=AT, limit=512 * MIB, image="a:1"):
    return Revision(
        number, name, created, f"hash{number}", {"app": image}, {"app": limit}, {}, "", 1, True, {}
    )


def change(kind="Deployment", old="web-aaa", new="web-bbb", **more):
    ref = ObjectRef(kind, "shop", "web")
    return RevisionChange(ref, revision(2, new, **more), revision(1, old, AT - 9999), AT, "", "app=web", 2)


def past(start, end, metric="working_set", value=100.0, kills=()):
    times = np.arange(start, end, 60.0)
    ends = np.array(kills, float)
    return PastSeries(metric, ORIGIN_PROMETHEUS, times, np.full(len(times), value * MIB), ends + 1, ends)


def pod(name, number=2, created=AT + 10, restarts=0, last=None, uid=None, reason="OOMKilled"):
    began = created if last is None else last + 10
    running = ContainerState(running=ContainerStateRunning(datetime.fromtimestamp(began, UTC)))
    ended = None
    if last is not None:
        moment = datetime.fromtimestamp(last, UTC)
        ended = ContainerState(terminated=ContainerStateTerminated(137, reason, "", moment, moment))
    labels = {"pod-template-hash": f"hash{number}"}
    metadata = ObjectMeta(
        name,
        "shop",
        uid or f"uid-{name}",
        creation_timestamp=datetime.fromtimestamp(created, UTC),
        labels=labels,
    )
    spec = PodSpec((ContainerSpec("app", "a:1", ResourceRequirements({"memory": "512Mi"})),))
    status = ContainerStatus("app", running, ended, True, restarts)
    return Pod(metadata, spec, PodStatus("Running", container_statuses=(status,)))


def metrics(name, at, mebibytes):
    usage = (ContainerMetrics("app", ResourceUsage(f"{mebibytes}Mi")),)
    return PodMetrics(PodName(name, "shop"), datetime.fromtimestamp(at, UTC), usage)


def sides(of, memory=None, lately=None, now=AT + 3600, disk=None):
    watched = {} if lately is None else lately.containers
    return gather_sides(of, "app", watched, memory or PastSamples(), disk or {}, now)


def named(name, metric="working_set"):
    return ContainerName("shop", name, "app"), metric


@pytest.mark.parametrize(
    ("kind", "fits", "not_"),
    [
        ("Deployment", ["web-aaa-x2x4z", "web-bbb-12345"], ["web-ccc-x2x4z", "web-aaa-x2x4z9", "web-aaa"]),
        ("StatefulSet", ["web-0", "web-12"], ["web-a", "web-0-x", "other-web-0"]),
        ("DaemonSet", ["web-x2x4z"], ["web-x2x4", "web-aaa-x2x4z"]),
    ],
)
def test_pods_are_known_by_their_names(kind, fits, not_):
    matches = re.compile(pod_name_pattern(change(kind))).fullmatch
    assert all(matches(name) for name in fits)
    assert not any(matches(name) for name in not_)


def test_names_too_long_are_cut_as_the_api_server_cuts_them():
    long = "x" * 70
    matches = re.compile(pod_name_pattern(change(new=long))).fullmatch
    assert matches("x" * 58 + "abcde")


def test_a_deployments_pods_are_told_apart_by_their_replica_set_even_the_dead():
    memory = PastSamples(
        before={
            named("web-aaa-11111"): past(AT - 7200, AT + 60),
            named("web-aaa-22222"): past(AT - 7200, AT),
        },
        after={named("web-bbb-33333"): past(AT, AT + 3600), named("web-aaa-11111"): past(AT, AT + 60)},
        reached_until=AT + 3590,
    )
    found = sides(change(), memory)
    assert len(found.before.series) == 2
    assert len(found.after.series) == 1
    assert found.after.series[0].limit == 512 * MIB
    assert found.basis == "working set from Prometheus"


def test_a_stateful_pods_samples_are_cut_where_it_was_made_again():
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-0", created=AT + 30)], AT + 3600)
    whole = past(AT - 3600, AT + 3600)
    memory = PastSamples(
        before={named("web-0"): whole}, after={named("web-0"): whole}, reached_until=AT + 3590
    )
    found = sides(change("StatefulSet"), memory, lately)
    assert found.before.series[0].timestamps[-1] < AT + 30
    assert found.after.series[0].timestamps[0] >= AT
    assert found.after.spans == ((AT + 30, AT + 3600),)


def test_a_daemon_sets_dead_pods_are_told_apart_by_when_they_began():
    memory = PastSamples(
        before={named("web-11111"): past(AT - 3600, AT + 90)},
        after={named("web-11111"): past(AT, AT + 90), named("web-22222"): past(AT + 60, AT + 900)},
        reached_until=AT + 3590,
    )
    found = sides(change("DaemonSet"), memory)
    assert len(found.before.series) == 1
    assert len(found.before.series[0].values) == 61 + 1
    assert [one.timestamps[0] for one in found.after.series] == [AT + 60]


def test_rss_is_judged_where_both_sides_have_it_and_the_limit_stays_the_working_sets():
    def both(name, start, end):
        return {named(name): past(start, end), named(name, "rss"): past(start, end, "rss", 80.0)}

    memory = PastSamples(
        both("web-aaa-11111", AT - 3600, AT), both("web-bbb-22222", AT, AT + 3600), "rss", "", AT + 3590
    )
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-bbb-22222")], AT + 3600)
    found = sides(change(), memory, lately)
    assert found.basis == "RSS from Prometheus"
    assert found.after.series[0].values[0] == 80 * MIB
    assert found.after.series[0].limit == (512 - 20) * MIB, "as much room is left as there is"
    assert found.after.limit == 512 * MIB
    del memory.before[named("web-aaa-11111", "rss")]
    assert sides(change(), memory, lately).basis.startswith("working set")


def test_a_prometheus_that_stopped_is_followed_by_what_is_seen():
    lately = LiveSamples("pod-template-hash")
    for minute in range(60):
        lately.take_pods([pod("web-bbb-22222")], AT + 60.0 * minute)
        lately.take_metrics([metrics("web-bbb-22222", AT + 60.0 * minute, 90)])
    memory = PastSamples(
        {named("web-aaa-11111"): past(AT - 3600, AT)},
        {
            named("web-bbb-22222"): past(AT, AT + 1200),
            named("web-bbb-22222", "rss"): past(AT, AT + 1200, "rss"),
        },
        "rss",
        "",
        AT + 1200,
    )
    found = sides(change(), memory, lately)
    assert found.basis == "working set from Prometheus and the metrics API"
    assert found.after.series[0].timestamps[-1] == AT + 3540
    assert len(found.before.series) == 1


# -- which revision is compared


def after_a_stuck_one(kind="Deployment"):
    """Revision 4, made after 3, which never ran, and 2 and 1, which did."""
    older = (
        revision(3, "web-ccc", AT - 600, image="a:3"),
        revision(2, "web-bbb", AT - 7200, image="a:2"),
        revision(1, "web-aaa", AT - 9999),
    )
    ref = ObjectRef(kind, "shop", "web")
    return RevisionChange(ref, revision(4, "web-ddd", image="a:4"), older[0], AT, "", "app=web", 2, older)


def test_a_revision_that_never_ran_is_passed_over():
    of = after_a_stuck_one()
    memory = PastSamples(before={named("web-aaa-1"): past(AT - 9000, AT - 7200)})
    assert compare_with_last_run(of, {}, memory, {}).previous.number == 1
    memory.before[named("web-bbb-1")] = past(AT - 7200, AT)
    assert compare_with_last_run(of, {}, memory, {}).previous.number == 2
    assert compare_with_last_run(of, {}, PastSamples(), memory.before).previous.number == 2, (
        "the disk knows it too"
    )
    memory.before[named("web-ccc-1")] = past(AT - 600, AT)
    assert compare_with_last_run(of, {}, memory, {}).previous.number == 3
    assert compare_with_last_run(of, {}, PastSamples(), {}).previous.number == 3, "nothing is known of any"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_what_is_seen_running_is_compared_and_not_what_is_stuck(kind):
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-bbb-1", 2, AT - 7200), pod("web-ccc-1", 3, AT - 600)], AT + 60)
    lately.take_metrics([metrics("web-bbb-1", AT + 60, 100)])
    of = compare_with_last_run(after_a_stuck_one(kind), lately.containers, PastSamples(), {})
    assert of.previous.number == 2
    assert of.words("app") == "2 → 4"
    assert len(sides(of, None, lately).before.series) == 1


def test_a_revision_that_only_crashed_is_passed_over():
    whole, twice = past(AT - 7200, AT - 600), past(AT - 600, AT - 480)
    memory = PastSamples(before={named("web-bbb-1"): whole, named("web-ccc-1"): twice})
    assert compare_with_last_run(after_a_stuck_one(), {}, memory, {}).previous.number == 3
    memory.before[named("web-ccc-1")] = replace(twice, restarts=twice.times - 10)
    assert compare_with_last_run(after_a_stuck_one(), {}, memory, {}).previous.number == 2, (
        "ten seconds after each start"
    )
    memory.before[named("web-ccc-1")] = replace(twice, restarts=twice.times[:1] - 10)
    assert compare_with_last_run(after_a_stuck_one(), {}, memory, {}).previous.number == 3, (
        "and a minute later"
    )


@pytest.mark.parametrize(("reason", "previous"), [("Error", 2), ("OOMKilled", 3)])
def test_a_pod_that_crashes_again_and_again_is_passed_over_unless_for_want_of_memory(reason, previous):
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-ccc-1", 3, AT - 600, restarts=5, last=AT + 20, reason=reason)], AT + 60)
    lately.take_metrics([metrics("web-ccc-1", AT + 60, 100)])
    memory = PastSamples(before={named("web-bbb-1"): past(AT - 7200, AT - 600)})
    assert (
        compare_with_last_run(after_a_stuck_one(), lately.containers, memory, {}).previous.number == previous
    )


def test_only_the_pods_of_the_revision_compared_are_before():
    whole = past(AT - 7200, AT)
    memory = PastSamples(
        before={named("web-aaa-1"): whole, named("web-bbb-1"): whole, named("web-ddd-1"): whole}
    )
    of = compare_with_last_run(after_a_stuck_one(), {}, memory, {})
    assert (of.previous.number, len(sides(of, memory).before.series)) == (2, 1)
    assert re.compile(pod_name_pattern(of)).fullmatch("web-aaa-12345")


def test_restarts_that_nobody_saw_count_over_the_time_in_which_they_were():
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-aaa-1", 1, AT - 48 * 3600, restarts=48, last=AT - 60)], AT + 60)
    lately.take_metrics([metrics("web-aaa-1", AT + 60, 100)])
    before = sides(change(), None, lately).before
    assert before.spans == ((AT - 24 * 3600, AT + 60),)
    assert 22 <= len(before.series[0].oom_kills) <= 26, "of two days, one counts"


def test_a_stateful_pod_that_was_seen_before_it_was_made_again_is_remembered():
    lately = LiveSamples("pod-template-hash")
    for minute in range(60):
        lately.take_pods([pod("web-0", 1, AT - 7200, uid="old")], AT - 3600 + 60.0 * minute)
        lately.take_metrics([metrics("web-0", AT - 3600 + 60.0 * minute, 100)])
    lately.take_pods([pod("web-0", 2, AT + 30, uid="new")], AT + 3600)
    before = sides(change("StatefulSet"), None, lately).before
    assert len(before.series[0].values) == 60


def test_what_ends_before_the_containers_start_is_not_watched():
    names = {"migrate": None, "proxy": None, "app": 512 * MIB}
    template = {
        "spec": {"initContainers": [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}]}
    }
    old, new = (
        replace(revision(number, name), images=dict.fromkeys(names, image), limits=names, template=template)
        for number, name, image in ((1, "web-aaa", "a:1"), (2, "web-bbb", "a:2"))
    )
    of = RevisionChange(ObjectRef("Deployment", "shop", "web"), new, old, AT, "", "", 1)
    assert of.containers == ("proxy", "app")


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (SideFigures(1, rate=None, shape="not enough data"), "–"),
        (SideFigures(1, rate=5.0, shape="not enough data"), "–"),
        (SideFigures(1, rate=5e6, shape="suspected leak", seconds_to_limit=60.0), "–"),
        (SideFigures(1, rate=5e6, shape="leak", leaks=True, seconds_to_limit=60.0), "1 m"),
        (SideFigures(1, rate=5.0, shape="steady"), "not in sight"),
    ],
)
def test_the_limit_is_out_of_sight_only_where_it_is_known_that_nothing_grows(side, words):
    assert side_facts(side)[1] == words


@pytest.mark.parametrize(("shape", "growth"), [("not enough data", "–"), ("suspected leak", "+2.78 GiB/h")])
def test_no_growth_is_said_of_what_has_only_just_started(shape, growth):
    assert side_facts(SideFigures(1, rate=2.78 * 1024**3, shape=shape))[0] == growth


def test_the_peak_is_said_as_a_share_of_the_limit():
    assert side_facts(SideFigures(1, peak=480 * MIB, limit=512.0 * MIB))[4] == "480 MiB (94 % of the limit)"


# -- what is seen


def test_restarts_that_nobody_saw_are_counted():
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-bbb-1", created=AT, restarts=4, last=AT + 3000)], AT + 3600)
    (one,) = lately.containers.values()
    restarts, kills = one.ends(guess=True)
    assert len(restarts) == 4
    assert len(kills) == 4, "all that is known were kills"
    assert restarts.min() > AT
    assert kills.max() == AT + 3000
    assert len(one.ends(guess=False)[1]) == 1


def test_an_end_is_kept_on_disk_though_its_container_has_no_sample_for_long(tmp_path):
    lately, record = LiveSamples("pod-template-hash"), SampleRecorder(tmp_path, "shop")
    lately.take_pods([pod("web-bbb-11111", created=AT), pod("web-bbb-22222", created=AT)], AT + 60)
    lately.take_metrics([metrics(f"web-bbb-{str(number) * 5}", AT + 50, 100) for number in (1, 2)])
    assert record.keep(lately.containers.values(), AT + 60) == ""
    for minute in range(2, 7):  # the first dies and is held back; the other goes on
        dead = pod("web-bbb-11111", created=AT, restarts=1, last=AT + 90)
        lately.take_pods([dead, pod("web-bbb-22222", created=AT)], AT + 60 * minute)
        some = (2,) if minute < 6 else (1, 2)
        lately.take_metrics(
            [metrics(f"web-bbb-{str(number) * 5}", AT + 60 * minute - 10, 100) for number in some]
        )
        record.keep(lately.containers.values(), AT + 60 * minute)
    record.close([], AT + 400)
    kept = samples_on_disk(tmp_path, change(), AT + 400)[named("web-bbb-11111")]
    assert kept.oom_kills.tolist() == [AT + 90]
    assert len(kept.restarts) == 1


def test_samples_are_bounded_and_keep_both_ends():
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-bbb-1")], AT)
    for second in range(2 * MOST_SAMPLES):
        lately.take_metrics([metrics("web-bbb-1", AT + second, 100)])
    (one,) = lately.containers.values()
    times = one.series().timestamps
    assert len(times) <= MOST_SAMPLES
    assert times[0] == AT
    assert times[-1] == AT + 2 * MOST_SAMPLES - 1
    assert (np.diff(times) > 0).all()


def test_a_sample_seen_twice_counts_once_and_strangers_do_not():
    lately = LiveSamples("pod-template-hash")
    lately.take_pods([pod("web-bbb-1")], AT)
    for _ in range(3):
        lately.take_metrics([metrics("web-bbb-1", AT + 5, 100), metrics("other", AT + 5, 100)])
    assert [one.samples for one in lately.containers.values()] == [1]


# -- when


def test_a_revision_that_was_gone_back_to_is_dated_by_its_oldest_new_pod():
    of = change(created=AT - 50_000)
    assert change_time_from_pods(of, [AT - 100, AT - 60])[0] == AT - 100
    assert change_time_from_pods(of, [])[0] == AT
    newer = change(created=AT)
    assert change_time_from_pods(newer, [AT - 100])[0] == AT


def test_what_changed_is_said_in_a_few_words():
    old, new = revision(1, "web-aaa", image="reg/a:1"), revision(2, "web-bbb", image="reg/a:2", limit=2**30)
    both = RevisionChange(ObjectRef("Deployment", "shop", "web"), new, old, AT, "", "", 1)
    assert both.words("app") == "1 → 2, limit 512 MiB → 1 GiB"
    first = RevisionChange(both.ref, new, None, AT, "", "", 1)
    assert first.words("app") == "revision 2, the first"
