"""Workloads of Argo Rollouts and OpenKruise on a real API server, and a rollout compared half-way.

The server knows the kinds by definitions that say no more than the names and fields that memtop uses; no
controller of theirs runs, so their ReplicaSets are made here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import kubectl_of
from tests.real.patience import eventually

Kubectl = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]
KINDS = (("Rollout", "argoproj.io", "v1alpha1"), ("CloneSet", "apps.kruise.io", "v1alpha1"))
OLD, NEW = "localhost/lab/user-service:v2.0.0", "localhost/lab/user-service:v2.1.0"


def definition(kind: str, group: str, version: str) -> dict[str, Any]:
    """A definition of a kind that takes any field."""
    plural, anything = f"{kind.lower()}s", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def kinds(cluster_home: Path) -> Iterator[None]:
    """The server knows Rollouts and CloneSets; those that it did not know before are taken away again."""
    made = []
    for one in (definition(*kind) for kind in KINDS):
        name = one["metadata"]["name"]
        if kubectl_of(cluster_home, "get", "crd", name).returncode:
            assert not kubectl_of(cluster_home, "apply", "-f", "-", given=json.dumps(one)).returncode
            made.append(name)
        eventually(
            lambda name=name: kubectl_of(cluster_home, "get", name, "-A").returncode == 0, f"the kind {name}"
        )
    yield
    if made:
        kubectl_of(cluster_home, "delete", "crd", *made, "--wait=false")


def template(app: str, image: str, **labels: str) -> dict[str, Any]:
    variables = {"SERVICE": app, "STEP_MIB": "1", "STEP_SECONDS": "10"}
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "Never",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"limits": {"memory": "128Mi"}},
    }
    return {
        "metadata": {"labels": {"app": app, **labels}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


@pytest.fixture
def rollout(kinds: None, kubectl: Kubectl, new_namespace: Callable[[str], str]) -> str:
    """A namespace with a Rollout of two revisions, each with a pod that it owns through a ReplicaSet."""
    namespace = new_namespace("custom")

    def make(made: dict[str, Any]) -> dict[str, Any]:
        answer = kubectl("-n", namespace, "create", "-o", "json", "-f", "-", given=json.dumps(made))
        found: dict[str, Any] = json.loads(answer)
        return found

    steps = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
    selector = {"matchLabels": {"app": "cart"}}
    spec = {"replicas": 2, "selector": selector, "strategy": steps, "template": template("cart", NEW)}
    owner = make(
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "cart"}, "spec": spec}
    )
    for number, (hash_, image) in enumerate((("aaa11", OLD), ("bbb22", NEW)), 1):
        labels = {"app": "cart", "rollouts-pod-template-hash": hash_}
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        reference |= {"name": "cart", "uid": owner["metadata"]["uid"], "controller": True}
        make(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"cart-{hash_}",
                    "labels": labels,
                    "annotations": {"rollout.argoproj.io/revision": str(number)},
                    "ownerReferences": [reference],
                },
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "template": template("cart", image, **{"rollouts-pod-template-hash": hash_}),
                },
            }
        )
    return namespace


def field(kubectl: Kubectl, namespace: str, path: str) -> str:
    return kubectl("-n", namespace, "get", "rollouts.argoproj.io", "cart", "-o", f"jsonpath={{{path}}}")


def test_a_rollout_is_a_workload_and_is_changed_by_plans(
    rollout: str, kubectl: Kubectl, memtop: Run, admin: Path, frame: Callable[..., Any]
) -> None:
    def shown() -> set[str]:
        rows = frame("-n", rollout)["containers"]
        return {row["workload"]["kind"] for row in rows if row["workload"]["name"] == "cart"}

    eventually(lambda: shown() == {"Rollout"}, "the pods of the Rollout")

    def done(*words: str) -> str:
        answer = memtop(admin, *words, "-n", rollout, "--yes")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    said = done("set", "memory", "rollout/cart", "--limit", "256Mi", "--request", "64Mi")
    assert "Canary in 2 steps; 1 of them waits for somebody to promote it" in said
    assert "kubectl patch rollouts.argoproj.io cart --type=json" in said
    resources = ".spec.template.spec.containers[0].resources"
    assert field(kubectl, rollout, f"{resources}.limits.memory") == "256Mi"
    assert field(kubectl, rollout, f"{resources}.requests.memory") == "64Mi"
    assert field(kubectl, rollout, ".spec.template.spec.containers[0].env[0].value") == "cart", (
        "nothing is lost"
    )

    done("rollout", "undo", "rollout/cart", "--to-revision", "1")
    assert field(kubectl, rollout, ".spec.template.spec.containers[0].image") == OLD
    assert field(kubectl, rollout, ".spec.template.metadata.labels") == '{"app":"cart"}'
    done("rollout", "pause", "rollout/cart")
    assert field(kubectl, rollout, ".spec.paused") == "true"
    done("rollout", "resume", "rollout/cart")
    assert field(kubectl, rollout, ".spec.paused") == ""
    history = memtop(admin, "rollout", "history", "rollout/cart", "-n", rollout, "-o", "json").stdout
    assert [one["current"] for one in json.loads(history)["revisions"]] == [False, True]


def test_a_change_in_between_is_a_conflict_of_the_json_patch(rollout: str, kubectl: Kubectl) -> None:
    """What the server says of a patch with another version is what memtop plans anew upon."""
    steps = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/spec/paused", "value": True},
    ]
    words = ("-n", rollout, "patch", "rollouts.argoproj.io", "cart", "--type=json", "-p", json.dumps(steps))
    with pytest.raises(AssertionError, match="the object has been modified"):
        kubectl(*words)
    assert field(kubectl, rollout, ".spec.paused") == ""


def test_a_rollout_half_way_is_compared_over_the_same_minutes(
    kubectl: Kubectl, new_namespace: Callable[[str], str], memtop: Run, admin: Path
) -> None:
    namespace = new_namespace("canary")
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "user-service"},
        "spec": {
            "replicas": 2,
            "minReadySeconds": 3600,
            "progressDeadlineSeconds": 7200,
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": {"app": "user-service"}},
            "template": template("user-service", OLD),
        },
    }
    kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(deployment))
    pods = ("-n", namespace, "get", "pods", "--field-selector=status.phase=Running", "-o", "name")
    eventually(lambda: len(kubectl(*pods).split()) == 2, "the old pods")
    kubectl("-n", namespace, "set", "image", "deployment/user-service", f"app={NEW}")
    eventually(lambda: len(kubectl(*pods).split()) == 3, "the first new pod")

    def compared() -> Any:
        done = memtop(admin, "rollout", "compare", "deployment/user-service", "-n", namespace, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def both_known() -> bool:
        found = compared()
        return found["old"]["pods_now"] == 2 and found["new"]["memory_bytes"] is not None

    eventually(both_known, "samples of old and new pods")
    found = compared()
    assert (found["old"]["revision"], found["new"]["revision"]) == (1, 2)
    assert found["new"]["pods_now"] == 1
    assert found["sentence"].startswith("too early: ")
    assert found["old"]["restarts_per_pod_hour"] == 0
