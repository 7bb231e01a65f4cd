"""How far a rollout is, in the words of ``kubectl rollout status``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from memtop.change.rollout_model import Rollout
from memtop.change.rollout_status import rollout_status
from memtop.change.rollout_watch import background_rollout
from memtop.kube.object_ref import ObjectRef
from tests.change.rollout_api import NAMESPACE, workload

KUBECTL = shutil.which("kubectl")
TIMED_OUT = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


def deployment(name, replicas=3, updated=3, all_=3, ready=3, available=3, **more):
    counts = {"updatedReplicas": updated, "replicas": all_, "readyReplicas": ready}
    said = counts | {"availableReplicas": available} | more.pop("status", {})
    return workload("Deployment", name, {"replicas": replicas} | more.pop("spec", {}), said, **more)


def stateful_set(name, replicas=3, ready=3, updated=3, strategy=None, **status):
    spec = {"replicas": replicas, "updateStrategy": strategy or {"type": "RollingUpdate"}}
    said = {"replicas": replicas, "readyReplicas": ready, "updatedReplicas": updated, "currentReplicas": 3}
    return workload(
        "StatefulSet", name, spec, said | {"currentRevision": "r1", "updateRevision": "r2"} | status
    )


def daemon_set(name, desired=3, updated=3, available=3, strategy="RollingUpdate"):
    said = {"desiredNumberScheduled": desired, "updatedNumberScheduled": updated, "currentNumberScheduled": 3}
    said |= {"numberAvailable": available, "numberReady": available}
    return workload("DaemonSet", name, {"updateStrategy": {"type": strategy}}, said)


def partitioned(partition):
    rolling = {} if partition is None else {"partition": partition}
    return {"type": "RollingUpdate", "rollingUpdate": rolling}


STORIES = [
    deployment("done"),
    deployment("one-of-three", updated=1),
    deployment("none-yet", updated=0, all_=3),
    deployment("old-leave", updated=3, all_=5),
    deployment("not-available", available=1),
    deployment("no-pods-wanted", replicas=0, updated=0, all_=0, ready=0, available=0),
    deployment("more-than-wanted", replicas=2, updated=3, all_=3),
    deployment("timed-out", updated=1, status={"conditions": TIMED_OUT}),
    deployment("unseen", status={"observedGeneration": 1, "conditions": TIMED_OUT}),
    deployment("paused", updated=1, spec={"paused": True}),
    stateful_set("unready", ready=1),
    stateful_set("half-way", updated=1),
    stateful_set("all-moved", currentRevision="r2", currentReplicas=3),
    stateful_set("unseen", observedGeneration=1),
    stateful_set("never-seen", observedGeneration=0),
    stateful_set("by-hand", strategy={"type": "OnDelete"}),
    stateful_set("partition-waits", updated=1, strategy=partitioned(1)),
    stateful_set("partition-done", updated=2, strategy=partitioned(1)),
    stateful_set("partition-zero", updated=2, strategy=partitioned(0)),
    stateful_set("no-partition", updated=0, strategy=partitioned(None)),
    daemon_set("done"),
    daemon_set("updating", updated=1),
    daemon_set("not-available", available=2),
    daemon_set("no-nodes", desired=0, updated=0, available=0),
    daemon_set("by-hand", strategy="OnDelete"),
]


def recorded(recording, name):
    return json.loads(recording(f"rollout-{name}-deployment.json"))


@pytest.mark.parametrize(
    ("name", "words", "done", "failed"),
    [
        ("0-before", 'deployment "steady-service" successfully rolled out', True, False),
        (
            "1-during",
            "Waiting for deployment spec update to be observed...",
            False,
            False,
        ),
        ("2-after", 'deployment "steady-service" successfully rolled out', True, False),
        ("3-stuck", 'deployment "steady-service" exceeded its progress deadline', False, True),
    ],
)
def test_a_recorded_rollout(recording, name, words, done, failed):
    found = rollout_status(recorded(recording, name), "Deployment")
    assert (found.words, found.done, found.failed) == (words, done, failed)


def test_the_figures_of_a_rollout_on_its_way(recording):
    found = rollout_status(deployment("x", updated=1, all_=4, ready=3, available=3), "Deployment")
    assert (found.desired, found.target, found.updated, found.ready, found.old) == (3, 3, 1, 3, 3)


def test_a_partition_keeps_pods_back():
    found = rollout_status(stateful_set("x", updated=1, strategy=partitioned(1)), "StatefulSet")
    assert (found.desired, found.target, found.old) == (3, 2, 2)


def test_before_1_22_the_ready_pods_of_a_stateful_set_count_as_available():
    assert rollout_status(stateful_set("x", ready=2), "StatefulSet").available == 2
    assert rollout_status(stateful_set("x", ready=2, availableReplicas=1), "StatefulSet").available == 1


@pytest.mark.parametrize(
    ("made", "over"),
    [
        (stateful_set("by-hand", strategy={"type": "OnDelete"}), True),
        (stateful_set("by-hand", strategy={"type": "OnDelete"}, observedGeneration=1), False),
        (stateful_set("by-hand", updated=2, strategy={"type": "OnDelete"}), False),
        (stateful_set("by-hand", ready=2, strategy={"type": "OnDelete"}), False),
        (daemon_set("by-hand", strategy="OnDelete"), True),
        (deployment("timed-out", available=2, status={"conditions": TIMED_OUT}), False),
    ],
)
def test_pods_that_change_by_hand_are_followed_until_all_have(made, over):
    found = Rollout(ObjectRef(made["kind"], NAMESPACE, "by-hand"), rollout_status(made, made["kind"]))
    assert (found.status.failed, found.is_over, background_rollout(found).is_over) == (True, over, over)


def test_other_kinds_are_not_rolled_out():
    with pytest.raises(ValueError, match="a Job is not rolled out"):
        rollout_status({}, "Job")


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_the_words_are_those_of_kubectl(shelf, tmp_path):
    """One run of kubectl for all that do not end in an error, and one for each that does."""
    for story in STORIES:
        shelf.put(story)
    judged = {story_name(story): rollout_status(story, story["kind"]) for story in STORIES}
    fine = [name for name, found in judged.items() if not found.failed]

    def kubectl(*names):
        return subprocess.run(
            [KUBECTL, f"--server={shelf.url}", "-n", NAMESPACE, "rollout", "status", "--watch=false", *names],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": "/dev/null"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    asked = kubectl(*fine)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines() == [judged[name].words for name in fine]
    for name in sorted(set(judged) - set(fine)):
        asked = kubectl(name)
        assert asked.returncode == 1
        assert asked.stderr.splitlines()[-1] == f"error: {judged[name].words}", name


def story_name(story):
    return f"{story['kind'].lower()}/{story['metadata']['name']}"
