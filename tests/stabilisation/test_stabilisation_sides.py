"""Which samples are before a change and which are after it, for every kind of workload."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from memtop.cluster.objects import (
    Container,
    ContainerMetrics,
    ContainerState,
    ContainerStatus,
    Metadata,
    Pod,
    PodMetrics,
    PodName,
    PodSpec,
    PodStatus,
    Resources,
    Running,
    Terminated,
    Usage,
)
from memtop.cluster.refs import ObjectRef
from memtop.cluster.revisions import Revision
from memtop.past import PROMETHEUS, ContainerName, Past
from memtop.stabilisation.change import Change, earliest
from memtop.stabilisation.gather import gather
from memtop.stabilisation.lately import MOST_SAMPLES, Lately
from memtop.stabilisation.remembered import Memory, pattern

AT = 1_795_363_200.0
MIB = 2**20


def revision(number, name, created=AT, limit=512 * MIB, image="a:1"):
    return Revision(
        number, name, created, f"hash{number}", {"app": image}, {"app": limit}, {}, "", 1, True, {}
    )


def change(kind="Deployment", old="web-aaa", new="web-bbb", **more):
    ref = ObjectRef(kind, "shop", "web")
    return Change(ref, revision(2, new, **more), revision(1, old, AT - 9999), AT, "", "app=web", 2)


def past(start, end, metric="working_set", value=100.0, kills=()):
    times = np.arange(start, end, 60.0)
    ends = np.array(kills, float)
    return Past(metric, PROMETHEUS, times, np.full(len(times), value * MIB), ends + 1, ends)


def pod(name, number=2, created=AT + 10, restarts=0, last=None, uid=None):
    began = created if last is None else last + 10
    running = ContainerState(running=Running(datetime.fromtimestamp(began, UTC)))
    ended = None
    if last is not None:
        moment = datetime.fromtimestamp(last, UTC)
        ended = ContainerState(terminated=Terminated(137, "OOMKilled", "", moment, moment))
    labels = {"pod-template-hash": f"hash{number}"}
    metadata = Metadata(
        name,
        "shop",
        uid or f"uid-{name}",
        creation_timestamp=datetime.fromtimestamp(created, UTC),
        labels=labels,
    )
    spec = PodSpec((Container("app", "a:1", Resources({"memory": "512Mi"})),))
    status = ContainerStatus("app", running, ended, True, restarts)
    return Pod(metadata, spec, PodStatus("Running", container_statuses=(status,)))


def metrics(name, at, mebibytes):
    usage = (ContainerMetrics("app", Usage(f"{mebibytes}Mi")),)
    return PodMetrics(PodName(name, "shop"), datetime.fromtimestamp(at, UTC), usage)


def sides(of, memory=None, lately=None, now=AT + 3600, disk=None):
    watched = {} if lately is None else lately.containers
    return gather(of, "app", watched, memory or Memory(), disk or {}, now)


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
    matches = re.compile(pattern(change(kind))).fullmatch
    assert all(matches(name) for name in fits)
    assert not any(matches(name) for name in not_)


def test_names_too_long_are_cut_as_the_api_server_cuts_them():
    long = "x" * 70
    matches = re.compile(pattern(change(new=long))).fullmatch
    assert matches("x" * 58 + "abcde")


def test_a_deployments_pods_are_told_apart_by_their_replica_set_even_the_dead():
    memory = Memory(
        before={
            named("web-aaa-11111"): past(AT - 7200, AT + 60),
            named("web-aaa-22222"): past(AT - 7200, AT),
        },
        after={named("web-bbb-33333"): past(AT, AT + 3600), named("web-aaa-11111"): past(AT, AT + 60)},
        reached=AT + 3590,
    )
    found = sides(change(), memory)
    assert len(found.before.series) == 2
    assert len(found.after.series) == 1
    assert found.after.series[0].limit == 512 * MIB
    assert found.basis == "working set from Prometheus"


def test_a_stateful_pods_samples_are_cut_where_it_was_made_again():
    lately = Lately("pod-template-hash")
    lately.see_pods([pod("web-0", created=AT + 30)], AT + 3600)
    whole = past(AT - 3600, AT + 3600)
    memory = Memory(before={named("web-0"): whole}, after={named("web-0"): whole}, reached=AT + 3590)
    found = sides(change("StatefulSet"), memory, lately)
    assert found.before.series[0].timestamps[-1] < AT + 30
    assert found.after.series[0].timestamps[0] >= AT
    assert found.after.spans == ((AT + 30, AT + 3600),)


def test_a_daemon_sets_dead_pods_are_told_apart_by_when_they_began():
    memory = Memory(
        before={named("web-11111"): past(AT - 3600, AT + 90)},
        after={named("web-11111"): past(AT, AT + 90), named("web-22222"): past(AT + 60, AT + 900)},
        reached=AT + 3590,
    )
    found = sides(change("DaemonSet"), memory)
    assert len(found.before.series) == 1
    assert len(found.before.series[0].values) == 61 + 1
    assert [one.timestamps[0] for one in found.after.series] == [AT + 60]


def test_rss_is_judged_where_both_sides_have_it_and_the_limit_stays_the_working_sets():
    def both(name, start, end):
        return {named(name): past(start, end), named(name, "rss"): past(start, end, "rss", 80.0)}

    memory = Memory(
        both("web-aaa-11111", AT - 3600, AT), both("web-bbb-22222", AT, AT + 3600), "rss", "", AT + 3590
    )
    lately = Lately("pod-template-hash")
    lately.see_pods([pod("web-bbb-22222")], AT + 3600)
    found = sides(change(), memory, lately)
    assert found.basis == "RSS from Prometheus"
    assert found.after.series[0].values[0] == 80 * MIB
    assert found.after.series[0].limit == (512 - 20) * MIB, "as much room is left as there is"
    assert found.after.limit == 512 * MIB
    del memory.before[named("web-aaa-11111", "rss")]
    assert sides(change(), memory, lately).basis.startswith("working set")


def test_a_prometheus_that_stopped_is_followed_by_what_is_seen():
    lately = Lately("pod-template-hash")
    for minute in range(60):
        lately.see_pods([pod("web-bbb-22222")], AT + 60.0 * minute)
        lately.see_metrics([metrics("web-bbb-22222", AT + 60.0 * minute, 90)])
    memory = Memory(
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


# -- what is seen


def test_restarts_that_nobody_saw_are_counted():
    lately = Lately("pod-template-hash")
    lately.see_pods([pod("web-bbb-1", created=AT, restarts=4, last=AT + 3000)], AT + 3600)
    (one,) = lately.containers.values()
    restarts, kills = one.ends(guess=True)
    assert len(restarts) == 4
    assert len(kills) == 4, "all that is known were kills"
    assert restarts.min() > AT
    assert kills.max() == AT + 3000
    assert len(one.ends(guess=False)[1]) == 1


def test_samples_are_bounded_and_keep_both_ends():
    lately = Lately("pod-template-hash")
    lately.see_pods([pod("web-bbb-1")], AT)
    for second in range(2 * MOST_SAMPLES):
        lately.see_metrics([metrics("web-bbb-1", AT + second, 100)])
    (one,) = lately.containers.values()
    times = one.series().timestamps
    assert len(times) <= MOST_SAMPLES
    assert times[0] == AT
    assert times[-1] == AT + 2 * MOST_SAMPLES - 1
    assert (np.diff(times) > 0).all()


def test_a_sample_seen_twice_counts_once_and_strangers_do_not():
    lately = Lately("pod-template-hash")
    lately.see_pods([pod("web-bbb-1")], AT)
    for _ in range(3):
        lately.see_metrics([metrics("web-bbb-1", AT + 5, 100), metrics("other", AT + 5, 100)])
    assert [one.samples for one in lately.containers.values()] == [1]


# -- when


def test_a_revision_that_was_gone_back_to_is_dated_by_its_oldest_new_pod():
    of = change(created=AT - 50_000)
    assert earliest(of, [AT - 100, AT - 60])[0] == AT - 100
    assert earliest(of, [])[0] == AT
    newer = change(created=AT)
    assert earliest(newer, [AT - 100])[0] == AT


def test_what_changed_is_said_in_a_few_words():
    old, new = revision(1, "web-aaa", image="reg/a:1"), revision(2, "web-bbb", image="reg/a:2", limit=2**30)
    both = Change(ObjectRef("Deployment", "shop", "web"), new, old, AT, "", "", 1)
    assert both.words("app") == "1 → 2, limit 512 MiB → 1 GiB"
    first = Change(both.ref, new, None, AT, "", "", 1)
    assert first.words("app") == "revision 2, the first"
