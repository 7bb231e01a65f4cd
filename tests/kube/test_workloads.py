"""From pods to the controllers a person would name."""

import msgspec
import pytest

from memtop.kube.api_objects import ObjectMeta, OwnerReference, PartialObjectMetadata, Pod
from memtop.kube.pod_facts import OwnerIndex, Workload


@pytest.fixture
def pod(recording):
    return lambda name: msgspec.json.decode(recording(name), type=Pod).metadata


class Items(msgspec.Struct):
    items: list[PartialObjectMetadata]


@pytest.fixture
def owners(recording):
    known = OwnerIndex()
    for name in ("replicasets-production.json", "jobs-production.json"):
        for owner in msgspec.json.decode(recording(name), type=Items).items:
            known.add(owner.metadata)
    return known


def owned(kind, name, uid="o1", **metadata):
    return ObjectMeta(
        name="p", owner_references=(OwnerReference(kind, name, uid, controller=True),), **metadata
    )


@pytest.mark.parametrize(
    ("name", "workload"),
    [
        ("pod-user-service-oomkilled.json", Workload("Deployment", "user-service")),
        ("pod-statefulset.json", Workload("StatefulSet", "session-store")),
        ("pod-daemonset.json", Workload("DaemonSet", "node-agent")),
        ("pod-completed-job.json", Workload("Job", "nightly-report")),
        ("pod-exit137-not-oom.json", Workload("Pod", "debug-shell")),
    ],
)
def test_recorded_pods(owners, pod, name, workload):
    assert owners.workload_of(pod(name)) == workload
    assert owners.workload_of(owners.part(pod(name))) == workload, "the part that is kept is enough"


def test_what_is_kept_of_replicas_is_kept_once():
    hashed = {"pod-template-hash": "abc", "app": "web"}
    pods = [owned("ReplicaSet", "web-abc", labels={**hashed, "serial": str(number)}) for number in range(2)]
    assert OwnerIndex.part(pods[0]) is OwnerIndex.part(pods[1])
    other = owned("ReplicaSet", "web-abc", labels={"pod-template-hash": "xyz"})
    assert OwnerIndex.part(other) != OwnerIndex.part(pods[0])
    known = OwnerIndex()
    assert known.workload_of(pods[0]) is known.workload_of(pods[1])


def test_a_job_of_a_cron_job_belongs_to_the_cron_job():
    owners = OwnerIndex()
    report = owned("Job", "report-123")
    assert owners.workload_of(report) == Workload("Job", "report-123")
    cron = OwnerReference("CronJob", "report", "o2", controller=True)
    owners.add(ObjectMeta(name="report-123", uid="o1", owner_references=(cron,)))
    assert owners.workload_of(report) == Workload("CronJob", "report")


def test_without_the_replica_set_the_deployment_follows_from_the_hash():
    pod = owned("ReplicaSet", "user-service-7f8688b968", labels={"pod-template-hash": "7f8688b968"})
    assert OwnerIndex().workload_of(pod) == Workload("Deployment", "user-service")


def test_without_a_hash_a_replica_set_stands_for_itself():
    assert OwnerIndex().workload_of(owned("ReplicaSet", "lonely")) == Workload("ReplicaSet", "lonely")


def test_a_replica_set_that_nobody_owns_stands_for_itself():
    owners = OwnerIndex()
    owners.add(ObjectMeta(name="web-abc", uid="o1"))
    pod = owned("ReplicaSet", "web-abc", labels={"pod-template-hash": "abc"})
    assert owners.workload_of(pod) == Workload("ReplicaSet", "web-abc")


def test_learning_the_same_again_is_no_news():
    owners = OwnerIndex()
    metadata = ObjectMeta(name="web-abc", uid="o1")
    assert owners.add(metadata)
    assert not owners.add(metadata)
    owners.forget("o1")
    assert owners.add(metadata)


def test_an_owner_that_does_not_control_does_not_count():
    node = OwnerReference("Node", "n1", "o1", controller=False)
    assert OwnerIndex().workload_of(ObjectMeta(name="static", owner_references=(node,))) == Workload(
        "Pod", "static"
    )


def test_a_workload_is_written_as_kubectl_writes_it():
    assert str(Workload("StatefulSet", "db")) == "statefulset/db"
