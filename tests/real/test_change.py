"""Changes of workloads on a real cluster, in a namespace of their own; kubectl has to agree with them."""

import asyncio
import json
import time
import uuid
from pathlib import Path

import pytest

from memtop.change.apply import Applied, NotApplied, ObjectChanged, apply_plan
from memtop.change.audit_log import AuditLog
from memtop.change.change_request import (
    DeletePod,
    Pause,
    Restart,
    Resume,
    Scale,
    SetImage,
    SetMemory,
    Undo,
    why_not_allowed,
)
from memtop.change.patch_file import patch_file
from memtop.change.planning import make_plan as make
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from memtop.kube.object_ref import ObjectRef
from tests.real.patience import PATIENCE, eventually

NAMESPACE = f"memtop-change-{uuid.uuid4().hex[:6]}"
APP, STORE, AGENT = (
    ObjectRef("Deployment", NAMESPACE, "app"),
    ObjectRef("StatefulSet", NAMESPACE, "store"),
    ObjectRef("DaemonSet", NAMESPACE, "agent"),
)
OLD, NEW = "localhost/lab/python:1", "localhost/lab/user-service:v2.1.0"


@pytest.fixture
def namespace(kubectl, tmp_path):
    """The namespace with its workloads, as new."""
    if NAMESPACE in kubectl("get", "namespaces", "-o", "name"):
        kubectl("delete", "namespace", NAMESPACE, f"--timeout={PATIENCE:.0f}s")
    manifest = tmp_path / "change.yaml"
    text = (Path(__file__).parent / "change.yaml").read_text()
    manifest.write_text(text.replace("NAMESPACE", NAMESPACE))
    kubectl("apply", "-f", str(manifest))
    for each in ("deployment/app", "statefulset/store", "daemonset/agent"):
        kubectl("-n", NAMESPACE, "rollout", "status", each, f"--timeout={PATIENCE:.0f}s")
    # A quota that is made while pods are made may count some of them minutes later.
    kubectl("-n", NAMESPACE, "create", "quota", "memory", "--hard=limits.memory=768Mi,pods=10")
    used = ("-n", NAMESPACE, "get", "quota", "memory", "-o", "jsonpath={.status.used.limits\\.memory}")
    eventually(lambda: kubectl(*used) == "384Mi", "the quota to know of all pods")
    yield
    kubectl("delete", "namespace", NAMESPACE, f"--timeout={PATIENCE:.0f}s")


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "audit.jsonl")


@pytest.fixture
async def client(admin, namespace):
    async with Client(load_target(kubeconfig=str(admin))) as made:
        yield made


@pytest.fixture
def seen(kubectl):
    """``seen("deployment", "app")``: what kubectl gets."""
    return lambda kind, name: json.loads(kubectl("-n", NAMESPACE, "get", kind, name, "-o", "json"))


@pytest.fixture
def rolled(kubectl):
    """Waits for a rollout as kubectl does."""
    return lambda name: kubectl("-n", NAMESPACE, "rollout", "status", name, f"--timeout={PATIENCE:.0f}s")


def text_of(plan, label):
    return " | ".join(line.text for line in plan.lines if line.label == label)


async def done(client, change, log):
    plan = await make(client, change, "lab")
    result = await apply_plan(client, plan, log)
    assert isinstance(result, Applied), result
    return plan, result


def observed(found):
    """An object whose controller knows its newest specification; None otherwise."""
    return found if found["status"]["observedGeneration"] >= found["metadata"]["generation"] else None


def container(found, name="main"):
    return next(one for one in found["spec"]["template"]["spec"]["containers"] if one["name"] == name)


async def test_patch_files_give_what_the_plan_said(client, seen, kubectl, tmp_path):
    """Real kubectl applies the patch, and a kustomization that has it over the object as it was."""
    plan = await make(client, SetMemory(APP, "main", limit="96Mi"), "lab")
    patch = tmp_path / "patch.yaml"
    patch.write_text(patch_file(plan, "patch"))
    base = seen("deployment", "app")
    for volatile in ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"):
        base["metadata"].pop(volatile, None)
    base.pop("status")
    kubectl("-n", NAMESPACE, "patch", "deployment", "app", "--patch-file", str(patch))

    def limits():
        return {
            one["name"]: one["resources"]["limits"]["memory"]
            for one in seen("deployment", "app")["spec"]["template"]["spec"]["containers"]
        }

    assert limits() == {"main": "96Mi", "side": "64Mi"}
    kubectl("replace", "-f", "-", given=json.dumps(base))
    assert limits()["main"] == "64Mi"
    (tmp_path / "app.json").write_text(json.dumps(base))
    kustomization = patch_file(plan, "kustomize") + "resources: [app.json]\n"
    (tmp_path / "kustomization.yaml").write_text(kustomization)
    kubectl("apply", "-k", str(tmp_path))
    assert limits() == {"main": "96Mi", "side": "64Mi"}


async def test_a_story(client, kubectl, seen, rolled, log):
    """Set an image, undo it, restart, set the memory, pause and resume: kubectl agrees all along."""
    before = seen("deployment", "app")
    plan, result = await done(client, SetImage(APP, "main", NEW), log)
    assert "none unavailable" in text_of(plan, "pods")
    assert "PodDisruptionBudget/app" in text_of(plan, "disruption")
    assert "next kubectl apply of its manifest" in text_of(plan, "owner")
    assert "pull policy is Never" in text_of(plan, "image")
    after = seen("deployment", "app")
    assert container(after)["image"] == NEW
    assert container(after, "side")["image"] == OLD
    assert int(result.version) <= int(after["metadata"]["resourceVersion"])
    rolled("deployment/app")
    history = kubectl("-n", NAMESPACE, "rollout", "history", "deployment/app")
    assert f"2         kubectl set image deployment/app main={NEW} --namespace={NAMESPACE}" in history
    managers = kubectl("-n", NAMESPACE, "get", "deployment", "app", "-o", "json", "--show-managed-fields")
    assert "memtop" in [one["manager"] for one in json.loads(managers)["metadata"]["managedFields"]]

    plan, _ = await done(client, Undo(APP), log)
    assert plan.change == Undo(APP, 1)
    assert seen("deployment", "app")["spec"] == before["spec"]
    rolled("deployment/app")
    history = kubectl("-n", NAMESPACE, "rollout", "history", "deployment/app")
    assert history.split()[-2:] == ["3", "<none>"]  # as it was, under a new number
    assert "kubernetes.io/change-cause" not in seen("deployment", "app")["metadata"]["annotations"]

    await done(client, Restart(APP), log)
    rolled("deployment/app")

    await done(client, Pause(APP), log)
    plan, _ = await done(client, SetMemory(APP, "side", "96Mi", "48Mi"), log)
    assert not plan.opens_rollout
    assert "until it is resumed" in text_of(plan, "pods")
    paused = eventually(lambda: observed(seen("deployment", "app")), "the controller to see the change")
    assert paused["status"].get("updatedReplicas", 0) < 2
    plan, _ = await done(client, Resume(APP), log)
    assert plan.opens_rollout
    rolled("deployment/app")
    assert container(seen("deployment", "app"), "side")["resources"] == {
        "limits": {"memory": "96Mi"}, "requests": {"memory": "48Mi"},
    }  # fmt: skip
    assert [one.outcome for one in log.entries()] == ["applied"] * 6
    assert {one.user for one in log.entries()} == {"lab-admin"}  # from the certificate: 1.20 does not say


async def test_stateful_and_daemon_sets(client, kubectl, seen, rolled, log):
    for ref in (STORE, AGENT):
        kind = ref.kind.lower()
        before = seen(kind, ref.name)
        await done(client, SetMemory(ref, "main", "80Mi"), log)
        rolled(f"{kind}/{ref.name}")
        assert "kubectl set resources" in kubectl("-n", NAMESPACE, "rollout", "history", f"{kind}/{ref.name}")
        await done(client, Undo(ref), log)
        rolled(f"{kind}/{ref.name}")
        assert seen(kind, ref.name)["spec"] == before["spec"]


async def test_pods_by_number_and_by_name(client, kubectl, seen, log):
    plan, _ = await done(client, Scale(APP, 3), log)
    assert "ResourceQuota/memory" in text_of(plan, "quota")
    assert seen("deployment", "app")["spec"]["replicas"] == 3
    before = seen("pod", "store-0")
    plan, _ = await done(client, DeletePod(ObjectRef("Pod", NAMESPACE, "store-0")), log)
    assert "StatefulSet/store makes one of the same name" in text_of(plan, "pods")
    deadline = time.monotonic() + PATIENCE
    while True:
        now = json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-l", "app=store", "-o", "json"))["items"]
        if now and now[0]["metadata"]["uid"] != before["metadata"]["uid"]:
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


async def test_a_limit_for_which_there_is_no_room(client, kubectl, seen, rolled, log):
    """What the plan foretells happens, and is undone."""
    plan, _ = await done(client, SetMemory(APP, "main", "300Mi"), log)
    foretold = [(line.label, line.weight) for line in plan.lines]
    assert ("quota", "critical") in foretold
    assert ("limit range", "critical") in foretold
    deadline = time.monotonic() + PATIENCE
    while "forbidden" not in (said := json.dumps(seen("deployment", "app")["status"].get("conditions"))):
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.5)
    await done(client, Undo(APP), log)
    rolled("deployment/app")


async def test_a_request_that_no_node_can_hold(client, log):
    plan = await make(client, SetMemory(STORE, "main", "900Gi", "900Gi"), "lab")
    assert "no node is that large" in text_of(plan, "nodes")


async def test_somebody_else_writes_between_plan_and_yes(client, kubectl, seen, rolled, log):
    plan = await make(client, SetImage(APP, "main", NEW), "lab")
    kubectl("-n", NAMESPACE, "set", "env", "deployment/app", "HELLO=world")
    result = await apply_plan(client, plan, log)
    assert isinstance(result, ObjectChanged)
    assert container(seen("deployment", "app"))["image"] == OLD
    # The rollout of that write keeps the status changing, which is no reason not to go on.
    assert isinstance(await apply_plan(client, result.plan, log), Applied)
    after = seen("deployment", "app")
    assert container(after)["image"] == NEW
    assert container(after)["env"] == [{"name": "HELLO", "value": "world"}]
    assert [one.outcome for one in log.entries()] == ["conflict", "applied"]
    plan = await make(client, SetImage(APP, "main", OLD), "lab")
    rolled("deployment/app")
    assert seen("deployment", "app")["metadata"]["resourceVersion"] != plan.version
    assert isinstance(await apply_plan(client, plan, log), Applied)


@pytest.fixture
def guarded(kubectl, namespace, tmp_path):
    """An admission webhook that nobody answers, for that namespace only."""
    hook = {
        "name": "guard.test.memtop", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Fail", "timeoutSeconds": 2,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"for": NAMESPACE}},
        "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                   "resources": ["deployments"]}],
    }  # fmt: skip
    path = tmp_path / "webhook.json"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    path.write_text(json.dumps(kind | {"metadata": {"name": NAMESPACE}, "webhooks": [hook]}))
    kubectl("apply", "-f", str(path))
    yield
    kubectl("delete", "validatingwebhookconfiguration", NAMESPACE)


async def test_admission_that_refuses_is_heard_before_anybody_agrees(client, guarded, log):
    deadline = time.monotonic() + PATIENCE
    while not (plan := await make(client, SetImage(APP, "main", NEW), "lab")).refused:
        assert time.monotonic() < deadline  # the API server takes a moment to learn of a webhook
        await asyncio.sleep(0.5)
    assert 'failed calling webhook "guard.test.memtop"' in plan.refused
    assert isinstance(await apply_plan(client, plan, log), NotApplied)


async def test_who_may_not(namespace, reader, nobody, log, seen):
    change = SetImage(APP, "main", NEW)
    async with Client(load_target(kubeconfig=str(reader))) as client:
        words = f"you may not patch deployments.apps in the namespace {NAMESPACE}"
        assert await why_not_allowed(client, APP, SetImage, read_only=False) == words
        plan = await make(client, change, "lab")
        assert 'User "lab-readonly" cannot patch resource "deployments"' in plan.refused
        assert isinstance(await apply_plan(client, plan, log), NotApplied)
    (line,) = log.entries()
    assert (line.outcome, line.user) == ("refused", "lab-readonly")
    assert container(seen("deployment", "app"))["image"] == OLD


def test_the_command(namespace, admin, reader, memtop, seen):
    words = ("set", "image", "deployment/app", f"main={NEW}", "-n", NAMESPACE)
    assert memtop(admin, *words).returncode == 2  # nobody to ask
    assert memtop(reader, *words, "--yes").returncode == 1
    assert container(seen("deployment", "app"))["image"] == OLD
    done = memtop(admin, *words, "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "deployment/app image updated")
    assert container(seen("deployment", "app"))["image"] == NEW
    outcomes = [one["outcome"] for one in json.loads(memtop(admin, "audit", "-o", "json").stdout)]
    assert outcomes == ["declined", "applied"]
