"""The revisions of a workload, from what its controller keeps of them."""

from __future__ import annotations

from memtop.kube.json_object import sanitize_tree
from memtop.kube.workload_revisions import hash_label, revisions_from_controller, revisions_from_replica_sets
from tests.change.rollout_api import workload

OWN = [{"kind": "Deployment", "uid": "uid-api", "controller": True}]


def template(image="a:1", **metadata):
    container = {"name": "app", "image": image, "resources": {"limits": {"memory": "1Gi"}}}
    starter = {"name": "init", "image": "i:1"}
    return {"metadata": metadata, "spec": {"containers": [container], "initContainers": [starter]}}


def replica_set(name, number, image, created="2026-11-22T10:00:00Z", owners=OWN, **annotations):
    said = {f"deployment.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    labels = {"app": "api", "pod-template-hash": name}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "ownerReferences": owners,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(number)} | said,
        },
        "spec": {"template": template(image, labels=labels, creationTimestamp=None)},
        "status": {"replicas": 2},
    }


def deployment(image):
    return workload("Deployment", "api", {"template": template(image, labels={"app": "api"})})


def test_the_newest_comes_first_and_the_one_asked_for_is_marked():
    known = revisions_from_replica_sets(
        deployment("a:1"), [replica_set("x", 9, "a:1"), replica_set("y", 10, "a:2")]
    )
    assert [(one.number, one.name, one.current) for one in known] == [(10, "y", False), (9, "x", True)]
    assert known[1].images == {"app": "a:1", "init": "i:1"}
    assert known[1].limits == {"app": 1024**3, "init": None}
    assert known[1].requests == {"app": None, "init": None}
    assert (known[1].hash, known[1].replicas) == ("x", 2)
    assert known[1].template["metadata"]["labels"] == {"app": "api"}


def test_none_is_current_before_the_controller_has_made_it():
    assert not any(
        one.current for one in revisions_from_replica_sets(deployment("a:3"), [replica_set("x", 1, "a:1")])
    )


def test_of_two_with_the_same_template_the_older_is_used():
    older = replica_set("x", 2, "a:1", created="2026-11-22T09:00:00Z")
    known = revisions_from_replica_sets(deployment("a:1"), [replica_set("y", 3, "a:1"), older])
    assert [one.name for one in known if one.current] == ["x"]


def test_what_others_own_is_no_revision():
    stranger = replica_set("x", 1, "a:1", owners=[{"kind": "Deployment", "uid": "other", "controller": True}])
    orphan = replica_set("y", 1, "a:1", owners=[])
    assert revisions_from_replica_sets(deployment("a:1"), [stranger, orphan]) == ()


def test_one_that_was_gone_back_to_tells_its_earlier_numbers():
    found = replica_set("x", 5, "a:1", revision_history="1,3")
    assert revisions_from_replica_sets(deployment("a:1"), [found])[0].earlier == (1, 3)


def test_a_template_to_go_back_to_is_not_altered_but_what_is_shown_is_safe():
    script = "set -e\r\nprintf '\x1b[2J'"
    found = replica_set("x", 1, "a:1\x1b[31m")
    found["spec"]["template"]["spec"]["containers"][0]["args"] = [script]
    wanted = deployment("a:1\x1b[31m")
    wanted["spec"]["template"]["spec"]["containers"][0]["args"] = [script]
    only = revisions_from_replica_sets(sanitize_tree(wanted), [found])[0]
    assert only.template["spec"]["containers"][0]["args"] == [script]
    assert only.images["app"] == "a:1"
    assert only.current


def controller_revision(name, number, image, kind, **labels):
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-11-22T10:00:00Z",
            "ownerReferences": [{"kind": kind, "uid": "uid-api", "controller": True}],
            "labels": labels,
        },
        "revision": number,
        "data": {"spec": {"template": {"$patch": "replace", **template(image)}}},
    }


def test_a_stateful_sets_pods_carry_the_name_of_their_revision():
    kept = [controller_revision(f"api-{n}", n, f"a:{n}", "StatefulSet") for n in (1, 2)]
    known = revisions_from_controller(
        workload("StatefulSet", "api"), "StatefulSet", kept, {"api-1": 1, "api-2": 2}
    )
    assert [(one.hash, one.replicas, one.current) for one in known] == [
        ("api-2", 2, True),
        ("api-1", 1, False),
    ]
    assert "$patch" not in known[0].template


def test_a_daemon_sets_pods_carry_the_hash_of_theirs():
    label = {hash_label("DaemonSet"): "abc"}
    kept = [controller_revision("api-abc", 1, "a:1", "DaemonSet", **label)]
    unseen = workload("DaemonSet", "api", status={"observedGeneration": 1}, generation=2)
    known = revisions_from_controller(unseen, "DaemonSet", kept, None)
    assert [(one.hash, one.replicas, one.current) for one in known] == [("abc", None, False)]
