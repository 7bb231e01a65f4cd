"""Fields: their names, differences, and who manages them; what a plan depends on."""

import copy

import msgspec
import pytest

from memtop.change.change_plan import (
    field_differences,
    field_label,
    managed_field_keys,
    object_digest,
    path_text,
)
from memtop.change.field_owners import (
    apply_conflict_lines,
    autoscaler_lines,
    field_managers,
    last_writer,
    owner_lines,
    pod_owner_lines,
)
from tests.change.objects import container, workload

IMAGE = ("spec", "template", "spec", "containers", ("name", "main"), "image")
REPLICAS = ("spec", "replicas")


def test_names_of_fields():
    assert path_text(IMAGE) == "spec.template.spec.containers[main].image"
    assert path_text(("metadata", "annotations", "a.b/c")) == "metadata.annotations[a.b/c]"
    assert managed_field_keys(IMAGE) == (
        "f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"main"}', "f:image",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("spec.template.spec.containers[main].image", "image of main"),
        ("spec.template.spec.initContainers[setup].image", "image of setup"),
        (
            "spec.jobTemplate.spec.template.spec.containers[main].resources.limits.memory",
            "memory limit of main",
        ),
        ("spec.template.spec.containers[main].env[HEAP].value", "env[HEAP].value of main"),
        ("spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]", "restarted at"),
        ("spec.template.spec.nodeSelector.disk", "nodeSelector.disk"),
        ("spec.replicas", "replicas"),
    ],
)
def test_short_names(path, label):
    assert field_label(path) == label


def found(old, new):
    return {path_text(steps): (before, after) for steps, before, after in field_differences(old, new)}


def test_differences_are_fields():
    old = {"a": 1, "b": {"c": "x", "gone": True}, "same": [1, 2]}
    new = {"a": 2, "b": {"c": "x", "new": "y"}, "same": [1, 2]}
    assert found(old, new) == {"a": ("1", "2"), "b.gone": ("true", ""), "b.new": ("", "y")}


def test_elements_of_lists_are_told_apart_by_name_wherever_they_stand():
    old = [container("a", "a:1"), container("b", "b:1")]
    new = [container("b", "b:2"), container("a", "a:1")]
    assert found({"containers": old}, {"containers": new}) == {"containers[b].image": ("b:1", "b:2")}


def test_what_is_empty_is_as_good_as_missing():
    assert not found({"a": {}, "b": None, "c": [], "d": ""}, {})


def test_lists_of_values_are_one_field():
    assert found({"args": ["-a"]}, {"args": ["-a", "-b"]}) == {"args": ('["-a"]', '["-a","-b"]')}


def test_ports_without_names_are_told_apart_by_place():
    assert found({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 81}]}) == {
        "ports[0].containerPort": ("80", "81")
    }


# -- who owns them


def entry(manager, *steps, operation="Update", time="2026-01-31T03:12:45Z"):
    fields: dict = {}
    for step in reversed(managed_field_keys(steps)):
        fields = {step: fields}
    return {"manager": manager, "operation": operation, "time": time, "fieldsV1": fields}


def lines(*entries, steps=IMAGE, labels=None, annotations=None, owners=(), becoming=""):
    metadata = {
        "managedFields": list(entries), "labels": labels or {}, "annotations": annotations or {},
        "ownerReferences": list(owners),
    }  # fmt: skip
    return [
        (line.weight, line.text)
        for line in owner_lines(workload(metadata=metadata), [steps], {steps: becoming})
    ]


def test_managers_of_exactly_that_field():
    holder = workload(metadata={"managedFields": [entry("helm", *IMAGE), entry("hpa", *REPLICAS)]})
    assert [one.name for one in field_managers(holder, IMAGE)] == ["helm"]
    assert [one.name for one in field_managers(holder, REPLICAS)] == ["hpa"]


def test_nobody_else():
    assert lines() == []
    assert (
        lines(entry("kubectl-set", *IMAGE), entry("memtop", *IMAGE), entry("argocd-controller", *REPLICAS))
        == []
    )


def test_helm():
    ((weight, words),) = lines(
        entry("helm", *IMAGE),
        labels={"app.kubernetes.io/managed-by": "Helm"},
        annotations={"meta.helm.sh/release-name": "shop"},
    )
    assert weight == "warn"
    assert "reverted by the next helm upgrade of the release shop" in words
    assert "helm, on 2026-01-31 03:12 UTC" in words


def test_argo_cd_known_by_its_annotation_or_by_its_manager():
    ((weight, words),) = lines(
        annotations={"argocd.argoproj.io/tracking-id": "storefront:apps/Deployment:a/b"}
    )
    assert weight == "critical"
    assert "reverted by Argo CD (application storefront)" in words
    ((_, words),) = lines(entry("argocd-controller", *IMAGE, operation="Apply"))
    assert "reverted by Argo CD" in words


def test_flux():
    marks = {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    ((weight, words),) = lines(labels=marks)
    assert weight == "critical"
    assert "Flux (Kustomization flux-system/apps)" in words
    ((_, words),) = lines(labels={"kustomize.toolkit.fluxcd.io/name": "apps"})
    assert "Flux (Kustomization production/apps)" in words, "else it is in the object's own namespace"
    ((_, words),) = lines(
        labels={"helm.toolkit.fluxcd.io/name": "shop", "app.kubernetes.io/managed-by": "Helm"}
    )
    assert "HelmRelease production/shop" in words


def applied(image):
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}
    return {"kubectl.kubernetes.io/last-applied-configuration": msgspec.json.encode({"spec": spec}).decode()}


def test_a_manifest_applied_with_kubectl_that_names_the_field():
    ((_, words),) = lines(annotations=applied("shop:v1"))
    assert "next kubectl apply of its manifest (there it is shop:v1)" in words


def test_a_manifest_that_has_the_very_value_reverts_nothing():
    ((weight, words),) = lines(annotations=applied("shop:v1"), becoming="shop:v1")
    assert (weight, words) == ("plain", "the manifest that kubectl apply knows has the same")
    ((weight, _),) = lines(annotations=applied("shop:v1"), becoming="shop:v2")
    assert weight == "warn"


def test_who_wrote_last():
    written_by = [
        entry("helm", *IMAGE, time="2026-01-30T03:12:45Z"),
        entry("kubectl-edit", *IMAGE),
        entry("kube-controller-manager", *IMAGE, time="2026-02-01T00:00:00Z") | {"subresource": "status"},
    ]
    found = workload(metadata={"managedFields": written_by})
    assert last_writer(found) == "kubectl-edit, on 2026-01-31 03:12 UTC"
    assert last_writer(workload()) == ""


def test_a_manifest_that_does_not_name_the_field():
    assert lines(steps=REPLICAS, annotations=applied("shop:v1")) == []
    assert lines(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{broken"}) == []


def test_whoever_applies_on_the_server():
    ((_, words),) = lines(entry("deployer", *IMAGE, operation="Apply"))
    assert words == (
        "the next server-side apply by deployer will fail with a conflict, since the field is memtop's then, "
        "and with --force-conflicts it reverts this: change its manifest to the same"
    )
    ((_, words),) = lines(entry("helm", *IMAGE, operation="Apply"))
    assert "the next helm upgrade will fail with a conflict" in words
    ((_, words),) = lines(entry("spinnaker", *IMAGE))
    assert "last set by spinnaker" in words


def test_an_operators_object():
    owner = {"controller": True, "kind": "Shop", "name": "main", "apiVersion": "example.com/v1"}
    ((weight, words),) = lines(owners=[owner])
    assert weight == "critical"
    assert "Shop/main (example.com/v1)" in words


def scaler(**spec):
    target = {"kind": "Deployment", "name": "shop"}
    return {"metadata": {"name": "auto"}, "spec": {"scaleTargetRef": target, "maxReplicas": 9, **spec}}


def test_autoscalers_take_a_number_of_replicas_back():
    (line,) = autoscaler_lines([scaler(minReplicas=2)], "Deployment", "shop", 12)
    assert "reverted by HorizontalPodAutoscaler/auto, which keeps from 2 to 9" in line.text
    assert not list(autoscaler_lines([scaler()], "Deployment", "other", 12))
    (line,) = autoscaler_lines([scaler()], "Deployment", "shop", 0)
    assert line.weight == "warn"


# -- what a plan depends on


def changed(*path, value, kind="Deployment"):
    before = workload()
    after = copy.deepcopy(before)
    inside = after
    for step in path[:-1]:
        inside = inside.setdefault(step, {})
    inside[path[-1]] = value
    return object_digest(kind, before) != object_digest(kind, after)


def test_what_makes_a_plan_void():
    assert changed("spec", "replicas", value=9)
    assert changed("spec", "template", "spec", "nodeName", value="n")
    assert changed("metadata", "labels", value={"a": "b"})
    assert changed("metadata", "annotations", value={"meta.helm.sh/release-name": "b"})
    assert changed("metadata", "uid", value="u2")
    assert changed("metadata", "deletionTimestamp", value="2026-01-31T03:12:45Z")
    owner = {"controller": True, "kind": "ReplicaSet", "name": "shop-1", "uid": "u9"}
    assert changed("metadata", "ownerReferences", value=[owner])
    assert changed("metadata", "ownerReferences", value=[owner], kind="Pod")


def test_what_does_not():
    assert not changed("status", "readyReplicas", value=1)
    assert not changed("metadata", "resourceVersion", value="8")
    assert not changed("metadata", "generation", value=8)
    assert not changed("metadata", "managedFields", value=[entry("x", *IMAGE)])
    assert not changed("metadata", "annotations", value={"deployment.kubernetes.io/revision": "4"})
    assert not changed("metadata", "labels", value={"a": "b"}, kind="Pod")


def texts(found):
    return [line.text for line in found]


class TestServerSideApply:
    LIMIT = ("spec", "containers", ("name", "main"), "resources", "limits", "memory")

    def holder(self, *entries, **metadata):
        return {"metadata": {"managedFields": list(entries), **metadata}, "spec": {}}

    @pytest.mark.parametrize("manager", ["kubectl", "platform-team", "terraform"])
    def test_the_next_apply_fails_with_a_conflict_and_reverts_nothing(self, manager):
        [(weight, words)] = lines(entry(manager, *IMAGE, operation="Apply"))
        assert weight == "warn"
        assert words.startswith(f"the next server-side apply by {manager} will fail with a conflict")
        assert "will be reverted" not in words

    def test_a_pod_that_is_resized_is_in_conflict_too_and_no_controller_reverts_it(self):
        owner = {"kind": "ReplicaSet", "name": "web", "apiVersion": "apps/v1", "controller": True}
        pod = self.holder(entry("kubectl", *self.LIMIT, operation="Apply"), ownerReferences=[owner])
        [words] = texts(pod_owner_lines(pod, [self.LIMIT], {self.LIMIT: "2Gi"}))
        assert "will fail with a conflict" in words
        assert "reverted by the controller" not in words

    def test_an_autoscaler_that_resizes_may_set_it_again(self):
        pod = self.holder(entry("vpa-updater", *self.LIMIT))
        [words] = texts(pod_owner_lines(pod, [self.LIMIT], {self.LIMIT: "2Gi"}))
        assert words == "last set by vpa-updater, on 2026-01-31 03:12 UTC: it may set it again"

    def test_a_pause_that_a_manifest_names_is_in_conflict(self):
        deployment = self.holder(entry("platform-team", "spec", "paused", operation="Apply"))
        [words] = texts(apply_conflict_lines(deployment, [("spec", "paused")]))
        assert "platform-team will fail with a conflict" in words
        assert not texts(apply_conflict_lines(deployment, [REPLICAS]))

    def test_what_is_set_as_a_whole_is_held_with_all_that_is_in_it(self):
        """The containers of a custom resource are one value to the API server."""
        whole = self.holder(
            entry("platform-team", "spec", "template", "spec", "containers", operation="Apply")
        )
        assert [one.name for one in field_managers(whole, IMAGE)] == ["platform-team"]
        parts = self.holder(
            {"manager": "x", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {".": {}}}}}}}
        )
        assert field_managers(parts, IMAGE) == [], "a list that is made of parts is held part by part"
