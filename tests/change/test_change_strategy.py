"""What a change means for the pods, by strategy."""

import pytest

from memtop.change.change_request import DeletePod, Pause, Resume, Scale
from memtop.change.planning import effect_on_pods, rollout_under_way
from memtop.change.rollout_strategy import pod_replacement, rolling_bounds
from tests.change.objects import ref, revision, subject_of, workload


def deployment(replicas=4, **spec):
    return pod_replacement("Deployment", workload(spec={"replicas": replicas, **spec}))


def rolling(unavailable, surge, replicas=4):
    bounds = {"maxUnavailable": unavailable, "maxSurge": surge}
    return deployment(replicas, strategy={"type": "RollingUpdate", "rollingUpdate": bounds})


def test_one_by_one():
    found = rolling(1, 1)
    assert found.words.startswith("Rolling, one by one: 1 extra, at most 1 unavailable; 4 pods")
    assert (found.replaced, found.surge, found.weight) == (4, 1, "plain")


@pytest.mark.parametrize(
    ("unavailable", "surge", "replicas", "bounds"),
    [
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 3, (1, 0)),  # the surge is rounded up, what may be missing down
        (0, 0, 4, (0, 1)),  # the controller would stand still
        ("0%", "0%", 4, (0, 1)),
        ("100%", 0, 4, (0, 4)),
        (10, 0, 4, (0, 4)),
        (None, None, 8, (2, 2)),
    ],
)
def test_the_bounds_are_the_controllers(unavailable, surge, replicas, bounds):
    rolled = {"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}
    assert rolling_bounds(workload(spec={"replicas": replicas, "strategy": rolled})) == bounds


def test_all_at_once_is_downtime():
    assert rolling("100%", 0).weight == "critical"
    assert "downtime" in rolling("100%", 0).words


def test_a_single_pod():
    assert "when the new one is ready" in rolling(0, 1, replicas=1).words
    assert "downtime" in rolling(1, 0, replicas=1).words


def test_a_kind_whose_strategy_is_unknown_is_a_warning():
    found = pod_replacement("Shop", workload())
    assert (found.weight, found.replaces_pods) == ("warn", False)
    assert "memtop does not know how a Shop replaces its pods" in found.words


def test_recreate():
    found = deployment(3, strategy={"type": "Recreate"})
    assert found.words == "Recreate: all 3 pods stop first, then 3 new ones start: downtime"
    assert (found.weight, found.replaces_pods) == ("critical", True)


def test_paused_and_empty_ones_move_nothing():
    assert "until it is resumed" in deployment(paused=True).words
    assert "scaled to 0" in deployment(0).words
    assert not deployment(paused=True).replaces_pods
    assert not deployment(0).replaces_pods


def test_how_long_it_may_take():
    words = deployment(minReadySeconds=30, progressDeadlineSeconds=120).words
    assert "ready for 30 s" in words
    assert "failed after 2 m without progress" in words


def stateful(replicas=3, kind="RollingUpdate", partition=None, unavailable=None):
    bounds = {"partition": partition, "maxUnavailable": unavailable}
    rolled = {key: bound for key, bound in bounds.items() if bound is not None}
    update = {"type": kind, **({"rollingUpdate": rolled} if rolled else {})}
    return pod_replacement(
        "StatefulSet", workload("StatefulSet", spec={"replicas": replicas, "updateStrategy": update})
    )


def test_stateful_sets_go_from_the_highest_number_down():
    assert "number 2 down to 0" in stateful().words
    assert stateful().replaced == 3


def test_a_partition_holds_pods_back():
    assert "2 pods below the partition 2 keep the old template" in stateful(partition=2).words
    assert stateful(partition=2).replaced == 1
    assert "Nothing happens" in stateful(partition=3).words
    assert not stateful(partition=3).replaces_pods


@pytest.mark.parametrize(
    ("unavailable", "partition", "words"),
    [
        (2, None, "up to 2 at a time, from number 4 down to 0; they stop first, and the next wait for them"),
        ("50%", None, "up to 2 at a time"),  # rounded down
        ("10%", None, "one by one"),  # but not to none
        (4, 3, "up to 2 at a time, from number 4 down to 3"),  # the partition leaves no more
        (5, 3, "3 pods below the partition 3 keep the old template"),
    ],
)
def test_a_stateful_set_may_replace_several_at_a_time(unavailable, partition, words):
    assert words in stateful(5, partition=partition, unavailable=unavailable).words


def test_a_stateful_set_that_may_replace_all_at_once_has_downtime():
    found = stateful(5, unavailable="100%")
    assert found.words == "Rolling, but all 5 pods may be unavailable at once: downtime"
    assert (found.weight, found.replaced) == ("critical", 5)


def test_on_delete():
    assert "nothing happens to the 3 pods until somebody deletes them" in stateful(kind="OnDelete").words
    assert not stateful(kind="OnDelete").replaces_pods


def daemons(**rolling_update):
    update = {"type": "RollingUpdate", "rollingUpdate": rolling_update}
    return pod_replacement(
        "DaemonSet",
        workload("DaemonSet", spec={"updateStrategy": update}, status={"desiredNumberScheduled": 10}),
    )


def test_daemon_sets():
    assert "on 1 of 10 nodes at a time the pod stops before" in daemons().words
    assert "on 3 of 10 nodes" in daemons(maxUnavailable="25%").words  # rounded up, other than a Deployment's
    assert "a new pod starts before the old one stops" in daemons(maxSurge=2).words


def test_a_cron_jobs_next_run():
    found = pod_replacement("CronJob", workload("CronJob", spec={"schedule": "0 3 * * *"}))
    assert "The next run (0 3 * * *)" in found.words
    assert "suspended" in pod_replacement("CronJob", workload("CronJob", spec={"suspend": True})).words


def test_scaling():
    assert effect_on_pods(Scale(ref(), 5), subject_of()).words == "2 pods more: 5 pods then"
    assert effect_on_pods(Scale(ref(), 0), subject_of()).weight == "critical"
    assert "volumes stay" in effect_on_pods(Scale(ref("StatefulSet"), 1), subject_of("StatefulSet")).words


def pod(owner=None, **spec):
    owners = [{"controller": True, "kind": owner, "name": "shop-1"}] if owner else []
    found = subject_of("Pod", metadata={"ownerReferences": owners}, spec=spec)
    return effect_on_pods(DeletePod(ref("Pod")), found)


def test_deleting_a_pod():
    assert "gone for good" in pod().words
    assert pod().weight == "critical"
    assert pod("ReplicaSet").words == "ReplicaSet/shop-1 makes another one; it has 30 s to stop"
    assert "one of the same name; it has 5 s" in pod("StatefulSet", terminationGracePeriodSeconds=5).words
    assert (
        "what it keeps in cache (emptyDir) is lost"
        in pod("ReplicaSet", volumes=[{"name": "cache", "emptyDir": {}}]).words
    )


DONE = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3}


def test_pausing_in_the_middle():
    assert "stay as they are" in effect_on_pods(Pause(ref()), subject_of(status=DONE)).words
    half = subject_of(status={**DONE, "updatedReplicas": 1})
    assert rollout_under_way(half)
    assert "stops where it is" in effect_on_pods(Pause(ref()), half).words


def test_resuming():
    current, old = revision(2, current=True, replicas=3), revision(1, replicas=3)
    paused = {"paused": True, "replicas": 3}
    quiet = subject_of(revisions=[current], spec=paused, status=DONE)
    assert "Nothing waits" in effect_on_pods(Resume(ref()), quiet).words
    waiting = subject_of(revisions=[old], spec=paused, status={**DONE, "updatedReplicas": 0})
    assert effect_on_pods(Resume(ref()), waiting).words.startswith("Rolling")


def test_the_weight_of_each_effect_is_what_it_asks_for():
    stateful = workload("StatefulSet", spec={"replicas": 1})
    found = pod_replacement("StatefulSet", stateful)
    assert (found.words, found.weight) == (
        "Rolling: the pod stops before a new one starts: downtime",
        "critical",
    )
    unknown = pod_replacement("Job", workload("Job"))
    assert (unknown.words, unknown.weight, unknown.replaces_pods) == (
        "memtop does not know how a Job replaces its pods",
        "warn",
        False,
    )
