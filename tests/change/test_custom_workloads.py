"""Workloads of Argo Rollouts and OpenKruise, and of controllers that nobody knows: owners and changes.

The objects have the shapes that their controllers write.
"""

import json
from copy import deepcopy

import msgspec
import pytest

from memtop.change.api_request import JSON_PATCH, build_request, json_patch, patch_command
from memtop.change.change_plan import VERSION_POINTER, ChangePlan
from memtop.change.change_request import (
    DeletePod,
    Pause,
    Restart,
    Resume,
    Scale,
    SetImage,
    SetMemory,
    SetVariables,
    Undo,
    required_right,
    why_unsupported,
)
from memtop.change.rollout_strategy import pod_replacement
from memtop.change.validation import request_problem
from memtop.change.workload_state import workload_from_object
from memtop.kube.api_objects import ObjectMeta, OwnerReference
from memtop.kube.custom_workloads import custom_workload, status_words
from memtop.kube.object_ref import CUSTOM_KINDS, ROLLING_KINDS, ObjectRef, parse_object_name
from memtop.kube.pod_facts import OwnerIndex
from memtop.kube.workload_revisions import revisions_from_controller, revisions_from_replica_sets

ARGO, KRUISE, KRUISE_BETA = "argoproj.io/v1alpha1", "apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1"
ROLLOUT = ObjectRef("Rollout", "shop", "cart", api_version=ARGO)
CLONES = ObjectRef("CloneSet", "shop", "search", api_version=KRUISE)
STORE = ObjectRef("StatefulSet", "shop", "store", api_version=KRUISE_BETA)
NOW = 1_795_363_200.0


def template(image="cart:1", **labels):
    container = {"name": "app", "image": image, "resources": {"limits": {"memory": "128Mi"}}}
    return {"metadata": {"labels": {"app": "cart", **labels}}, "spec": {"containers": [container]}}


def rollout(**spec):
    return {
        "apiVersion": ARGO,
        "kind": "Rollout",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
        "spec": {
            "replicas": 4,
            "strategy": {
                "canary": {"steps": [{"setWeight": 25}, {"pause": {}}, {"pause": {"duration": "1h"}}]}
            },
            "template": template(),
            **spec,
        },
        "status": {
            "phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1, "observedGeneration": "4",
            "replicas": 5, "updatedReplicas": 1, "readyReplicas": 5, "availableReplicas": 5,
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-11-22T15:00:00Z"}],
        },
    }  # fmt: skip


def kruise(ref, strategy, **status):
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": "shop",
            "uid": "u2",
            "resourceVersion": "9",
            "generation": 2,
        },
        "spec": {"replicas": 3, "updateStrategy": strategy, "template": template("search:1")},
        "status": {
            "observedGeneration": 2,
            "replicas": 3,
            "readyReplicas": 3,
            "updatedReplicas": 3,
            **status,
        },
    }


def request(change, found, target=None):
    subject = workload_from_object(change.ref, found)
    return build_request(change, subject, "/apis/x/ns/shop/y", "", target, NOW)


def steps(change, found, target=None):
    """The steps of the patch after the one that carries the version."""
    made = request(change, found, target)
    assert made.content_type == JSON_PATCH
    version, *rest = made.body
    assert version == {
        "op": "replace",
        "path": VERSION_POINTER,
        "value": found["metadata"]["resourceVersion"],
    }
    return rest


class TestOwners:
    def pod(self, kind, name, version, **labels):
        owner = OwnerReference(kind, name, "uid-of-owner", True, version)
        return ObjectMeta(name="p", labels=labels or None, owner_references=(owner,))

    def test_a_rollout_is_found_through_its_replica_set(self):
        index = OwnerIndex()
        owner = OwnerReference("Rollout", "cart", "u1", True, ARGO)
        index.add(ObjectMeta(name="cart-abc12", uid="uid-of-owner", owner_references=(owner,)))
        found = index.workload_of(index.part(self.pod("ReplicaSet", "cart-abc12", "apps/v1")))
        assert (str(found), found.api_version) == ("rollout/cart", ARGO)

    def test_and_by_its_hash_where_replica_sets_may_not_be_read(self):
        index = OwnerIndex()
        pod = self.pod("ReplicaSet", "cart-abc12", "apps/v1", **{"rollouts-pod-template-hash": "abc12"})
        found = index.workload_of(index.part(pod))
        assert (str(found), found.api_version) == ("rollout/cart", ARGO)

    def test_stateful_sets_of_openkruise_are_not_those_of_kubernetes(self):
        index = OwnerIndex()
        own, kruises = (
            index.workload_of(index.part(self.pod("StatefulSet", "store", version)))
            for version in ("apps/v1", KRUISE_BETA)
        )
        assert own != kruises
        assert (own.api_version, kruises.api_version) == ("", KRUISE_BETA)

    def test_pods_of_any_other_controller_group_by_its_kind_and_name(self):
        index = OwnerIndex()
        found = index.workload_of(index.part(self.pod("StrimziPodSet", "kafka", "core.strimzi.io/v1beta2")))
        assert str(found) == "strimzipodset/kafka"
        ref = ObjectRef(found.kind, "shop", found.name, api_version=found.api_version)
        assert "belongs to a StrimziPodSet (core.strimzi.io/v1beta2)" in why_unsupported(
            DeletePod(ref).ref, SetImage
        ).replace("kafka ", "")


class TestRequests:
    def test_an_image_is_one_step_in_the_list(self):
        found = rollout()
        assert steps(SetImage(ROLLOUT, "app", "cart:2"), found) == [
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "cart:2"}
        ]

    def test_what_is_missing_above_a_field_is_made(self):
        found = kruise(CLONES, {})
        found["spec"]["template"]["spec"]["containers"][0].pop("resources")
        made = steps(SetMemory(CLONES, "app", "256Mi", "64Mi"), found)
        assert made == [
            {
                "op": "add",
                "path": "/spec/template/spec/containers/0/resources",
                "value": {"limits": {"memory": "256Mi"}},
            },
            {
                "op": "add",
                "path": "/spec/template/spec/containers/0/resources/requests",
                "value": {"memory": "64Mi"},
            },
        ]

    @pytest.mark.parametrize(
        ("ref", "found", "path"),
        [
            (ROLLOUT, rollout(), "/spec/paused"),
            (CLONES, kruise(CLONES, {"type": "ReCreate"}), "/spec/updateStrategy/paused"),
            (STORE, kruise(STORE, {"rollingUpdate": {}}), "/spec/updateStrategy/rollingUpdate/paused"),
        ],
    )
    def test_each_is_paused_and_resumed_at_its_field(self, ref, found, path):
        assert steps(Pause(ref), found) == [{"op": "add", "path": path, "value": True}]
        paused = deepcopy(found)
        inside = paused
        *above, last = path[1:].split("/")
        for key in above:
            inside = inside[key]
        inside[last] = True
        assert workload_from_object(ref, paused).paused
        assert steps(Resume(ref), paused) == [{"op": "remove", "path": path}]

    def test_a_rollout_restarts_by_a_field_of_its_own_and_others_by_the_annotation(self):
        [step] = steps(Restart(ROLLOUT), rollout())
        assert step == {"op": "add", "path": "/spec/restartAt", "value": "2026-11-22T16:00:00Z"}
        [step] = steps(Restart(CLONES), kruise(CLONES, {}))
        assert step["path"] == "/spec/template/metadata/annotations"
        found = kruise(CLONES, {})
        found["spec"]["template"]["metadata"]["annotations"] = {"a": "b"}
        [step] = steps(Restart(CLONES), found)
        assert step["path"] == "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt"

    def test_the_version_of_a_plan_moves_with_the_object(self):
        made = request(Pause(ROLLOUT), rollout())
        body = msgspec.json.encode(made.body)
        plan = ChangePlan(
            Pause(ROLLOUT), "lab", ROLLOUT, "", (), (), "", "PATCH", "/p", JSON_PATCH, body, "7", "", False
        )
        assert json.loads(plan.at_version("8").body)[0]["value"] == "8"

    def test_the_command_is_the_patch_without_the_version(self):
        found = rollout()
        subject = workload_from_object(ROLLOUT, found)
        words = patch_command(request(Pause(ROLLOUT), found), subject, "kubectl x -n shop --context lab")
        assert words.startswith("kubectl patch rollouts.argoproj.io cart --type=json -p ")
        assert words.endswith("-n shop --context lab")
        assert "resourceVersion" not in words

    def test_values_that_are_there_are_not_lost(self):
        assert json_patch({"a": {"b": 1}}, [(("a", "b"), 2), (("a", "c"), 3), (("x",), None)]) == [
            {"op": "replace", "path": "/a/b", "value": 2},
            {"op": "add", "path": "/a/c", "value": 3},
        ]


class TestRevisions:
    def replica_set(self, number, image):
        hash_ = f"abc{number}"
        return {
            "metadata": {
                "name": f"cart-{hash_}",
                "creationTimestamp": "2026-11-22T15:00:00Z",
                "labels": {"rollouts-pod-template-hash": hash_},
                "annotations": {"rollout.argoproj.io/revision": str(number)},
                "ownerReferences": [{"kind": "Rollout", "name": "cart", "uid": "u1", "controller": True}],
            },
            "spec": {"template": template(image, **{"rollouts-pod-template-hash": hash_})},
            "status": {"replicas": 1},
        }

    def test_those_of_a_rollout_are_its_replica_sets(self):
        kept = [self.replica_set(1, "cart:0"), self.replica_set(2, "cart:1")]
        newest, older = revisions_from_replica_sets(rollout(), kept)
        assert (newest.number, newest.current, newest.hash) == (2, True, "abc2")
        assert (older.number, older.current, older.images) == (1, False, {"app": "cart:0"})

    def test_going_back_puts_the_template_there_without_the_hash(self):
        kept = [self.replica_set(1, "cart:0"), self.replica_set(2, "cart:1")]
        target = revisions_from_replica_sets(rollout(), kept)[1]
        [step] = steps(Undo(ROLLOUT, 1), rollout(), target)
        assert (step["op"], step["path"]) == ("replace", "/spec/template")
        assert step["value"]["metadata"]["labels"] == {"app": "cart"}
        assert step["value"]["spec"]["containers"][0]["image"] == "cart:0"

    def test_those_of_openkruise_are_controller_revisions(self):
        kept = {
            "metadata": {
                "name": "search-1",
                "ownerReferences": [{"kind": "CloneSet", "name": "search", "uid": "u2", "controller": True}],
            },
            "revision": 1,
            "data": {"spec": {"template": {**template("search:1"), "$patch": "replace"}}},
        }
        [only] = revisions_from_controller(kruise(CLONES, {}), "CloneSet", [kept], {"search-1": 3})
        assert (only.number, only.replicas, only.current) == (1, 3, True)
        [step] = steps(Undo(CLONES, 1), kruise(CLONES, {}), only)
        assert "$patch" not in step["value"], "which means nothing in a JSON patch"


class TestWords:
    def test_what_their_controllers_say_goes_first(self):
        words, over = status_words(custom_workload("Rollout"), rollout())
        assert words.startswith("Paused: CanaryPauseStep, step 1 of 3 done; 5 pods: 1 updated")
        assert not over
        words, over = status_words(custom_workload("CloneSet"), kruise(CLONES, {}))
        assert over
        held = kruise(CLONES, {"partition": "50%"}, updatedReplicas=1)
        assert status_words(custom_workload("CloneSet"), held)[0].startswith(
            "the partition 50% holds pods back"
        )

    def test_a_controller_that_has_said_nothing_is_unknown_and_not_nought(self):
        silent = rollout()
        del silent["status"]
        assert status_words(custom_workload("Rollout"), silent) == (
            "its controller has said nothing yet",
            False,
        )

    def test_how_each_replaces_its_pods(self):
        assert pod_replacement("Rollout", rollout()).words == (
            "Canary in 3 steps; 1 of them waits for somebody to promote it; 4 pods"
        )
        green = rollout(strategy={"blueGreen": {"autoPromotionEnabled": False}})
        effect = pod_replacement("Rollout", green)
        assert (effect.surge, effect.words.endswith("waits for somebody to promote it")) == (4, True)
        clones = kruise(CLONES, {"type": "InPlaceIfPossible", "partition": 1, "maxUnavailable": "50%"})
        assert pod_replacement("CloneSet", clones).words.startswith("In place where only images change")
        assert "the partition holds back 1" in pod_replacement("CloneSet", clones).words
        store = kruise(STORE, {"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible"}})
        assert pod_replacement("StatefulSet", store).words.endswith("in place where only images change")
        store["spec"]["updateStrategy"]["rollingUpdate"]["paused"] = True
        assert "until it is resumed" in pod_replacement("StatefulSet", store).words

    def test_a_template_of_another_object_is_named(self):
        found = rollout(workloadRef={"kind": "Deployment", "name": "cart"})
        del found["spec"]["template"]
        why = request_problem(SetImage(ROLLOUT, "app", "cart:2"), workload_from_object(ROLLOUT, found))
        assert why == "its pod template is that of Deployment/cart (spec.workloadRef): change it there"

    def test_a_pause_by_a_step_is_not_resumed_but_promoted(self):
        why = request_problem(Resume(ROLLOUT), workload_from_object(ROLLOUT, rollout()))
        assert why.startswith(
            "its rollouts are not paused: it waits at a step of its strategy (CanaryPauseStep)"
        )
        assert "kubectl argo rollouts promote cart" in why

    def test_what_their_apis_do_not_allow_is_a_sentence(self):
        daemons = ObjectRef("DaemonSet", "shop", "agent", api_version=KRUISE)
        assert "one pod on each node" in why_unsupported(daemons, Scale)
        assert why_unsupported(ROLLOUT, SetVariables) == (
            "memtop doesn't know how to set the environment of a Rollout of Argo Rollouts"
        )
        assert why_unsupported(ROLLOUT, SetImage) == why_unsupported(STORE, Pause) == ""
        other = ObjectRef("StatefulSet", "shop", "x", api_version="example.com/v1")
        assert "which its own controller looks after" in why_unsupported(other, SetImage)

    def test_rights_are_those_of_their_groups(self):
        assert str(required_right(STORE, SetImage)) == "patch statefulsets.apps.kruise.io"
        assert str(required_right(ROLLOUT, Scale)) == "patch rollouts.argoproj.io/scale"


class TestNames:
    @pytest.mark.parametrize(
        ("written", "ref"),
        [
            ("rollout/cart", ROLLOUT),
            ("rollouts.argoproj.io/cart", ROLLOUT),
            ("cloneset/search", CLONES),
            ("statefulset.apps.kruise.io/store", STORE),
            ("statefulset/store", ObjectRef("StatefulSet", "shop", "store")),
            ("statefulset.apps/store", ObjectRef("StatefulSet", "shop", "store")),
        ],
    )
    def test_as_kubectl_takes_them(self, written, ref):
        assert parse_object_name([written], "shop", (*ROLLING_KINDS, *CUSTOM_KINDS)) == ref

    def test_where_they_make_no_sense_that_is_said(self):
        with pytest.raises(ValueError, match="is a Rollout, which this cannot be done with"):
            parse_object_name(["rollout/cart"], "shop", ROLLING_KINDS)
        with pytest.raises(ValueError, match="is of a kind that memtop does not know"):
            parse_object_name(["statefulset.apps.kruise.io/store"], "shop", ROLLING_KINDS)

    def test_each_is_asked_for_where_it_is(self):
        assert STORE.collections() == ("/apis/apps.kruise.io/v1beta1/namespaces/shop/statefulsets",)
        assert ObjectRef("StatefulSet", "shop", "s").collections() == (
            "/apis/apps/v1/namespaces/shop/statefulsets",
        )
