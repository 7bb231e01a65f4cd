"""Rollouts of a real cluster, beside kubectl: to the end, stuck in every way there is, and undone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from memtop.change.rollout_model import Rollout, StuckCause
from memtop.change.rollout_watch import follow_rollout
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import list_revisions
from tests.real.patience import PATIENCE, eventually

MANIFEST = Path(__file__).parent / "rollout.yaml"

Kubectl = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def place(
    kubectl: Kubectl, new_namespace: Callable[[str], str], request: pytest.FixtureRequest
) -> tuple[str, Kubectl]:
    """A namespace of its own with one of the manifest's workloads rolled out, and kubectl in it."""
    kind, name = request.param
    namespace = new_namespace("rollout")

    def inside(*words: str) -> str:
        return kubectl("--namespace", namespace, *words)

    inside("apply", "-f", str(MANIFEST), "-l", f"app={name}")
    inside("rollout", "status", f"{kind}/{name}", f"--timeout={PATIENCE:.0f}s")
    return namespace, inside


def on(kind: str, name: str) -> pytest.MarkDecorator:
    """Which workload a test is about."""
    return pytest.mark.parametrize("place", [(kind, name)], indirect=True, ids=[name])


@pytest.fixture
def target(as_user: Callable[[str], Any]) -> Any:
    """The cluster, as a user who may do everything."""
    return as_user("kubeconfig")


@contextlib.asynccontextmanager
async def following(target: Any, ref: ObjectRef) -> AsyncIterator[AsyncIterator[Rollout | str]]:
    async with Client(target) as client, contextlib.aclosing(follow_rollout(client, ref)) as told:
        yield told


async def until(told: AsyncIterator[Rollout | str], holds: Callable[[Rollout], object]) -> Rollout:
    """The first of what is told that something is true of."""
    last: object = None
    try:
        async with asyncio.timeout(PATIENCE):
            async for last in told:
                if isinstance(last, Rollout) and holds(last):
                    return last
    except TimeoutError:
        pytest.fail(f"the last that was told is {last}")
    raise AssertionError("it ended")


def blocked_by(cause: StuckCause, said: str = "") -> Callable[[Rollout], object]:
    """Something is stuck for a cause, in these words; a kubelet's first ones may be about itself."""
    return lambda one: any(reason.cause is cause and said in str(reason) for reason in one.stuck)


def says_the_same(inside: Kubectl, one: Rollout, name: str) -> bool:
    """Whether kubectl has the same words for how far it is; pods may be ahead of the workload's status."""
    return one.status.words == inside("rollout", "status", name, "--watch=false").strip()


def patch(inside: Kubectl, name: str, container: dict[str, Any], **pod: Any) -> None:
    spec = {"containers": [{"name": "app", **container}], **pod}
    inside("patch", name, "-p", json.dumps({"spec": {"template": {"spec": spec}}}))


@on("deployment", "web")
async def test_a_good_rollout_to_its_end(place: tuple[str, Kubectl], target: Any) -> None:
    namespace, inside = place
    ref = ObjectRef("Deployment", namespace, "web")
    async with following(target, ref) as told:
        first = await until(told, lambda one: one.status.done)
        assert first.revision is not None
        inside("set", "env", "deployment/web", "TRY=1")
        going = {True, False}
        await until(told, lambda one: {line.new for line in one.pods} == going and not one.status.done)
        done = await until(told, lambda one: one.status.done and one.working_new_pods == 2)
    assert done.status.words == inside("rollout", "status", "deployment/web", "--watch=false").strip()
    assert done.revision is not None
    assert done.revision.number == first.revision.number + 1
    assert done.started is not None
    assert done.finished is not None
    assert 0 <= done.finished - done.started < PATIENCE
    assert {line.name for line in done.pods if line.new} <= set(
        inside("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}").split()
    )


@on("deployment", "web")
async def test_a_missing_image_and_the_way_back(
    place: tuple[str, Kubectl], target: Any, memtop: Run, admin: Path
) -> None:
    namespace, inside = place
    ref = ObjectRef("Deployment", namespace, "web")
    async with following(target, ref) as told:
        inside("set", "image", "deployment/web", "app=localhost/lab/absent:9")
        image = blocked_by(StuckCause.IMAGE)
        stuck = await until(told, lambda one: image(one) and says_the_same(inside, one, "deployment/web"))
        assert "localhost/lab/absent:9" in str(stuck.blocked)
        done = memtop(admin, "rollout", "undo", "deployment/web", "-n", namespace, "--yes")
        assert done.returncode == 0, done.stderr
        back = await until(told, lambda one: one.status.done)
    assert back.revision is not None
    assert back.revision.images == {"app": "localhost/lab/busybox:1"}
    said = inside("rollout", "history", "deployment/web").splitlines()[2:]
    numbers = [int(line.split()[0]) for line in said if line.strip()]
    async with Client(target) as client:
        known = await list_revisions(client, ref)
    assert [one.number for one in reversed(known)] == numbers
    assert known[0].current
    assert known[0].earlier == (1,)


@pytest.mark.parametrize(
    ("cause", "container", "pod", "said"),
    [
        (StuckCause.CRASH, {"command": ["sh", "-c", "echo no table; exit 3"]}, {}, "exit code 3"),
        (StuckCause.CRASH, {"command": ["/nonexistent"]}, {}, "cannot be started"),
        (
            StuckCause.NO_NODE,
            {"resources": {"limits": {"memory": "300Gi"}, "requests": {"memory": "300Gi"}}},
            {},
            "Insufficient memory",
        ),
        (
            StuckCause.CONFIG,
            {"envFrom": [{"configMapRef": {"name": "absent"}}]},
            {},
            'configmap "absent" not found',
        ),
        (
            StuckCause.NOT_READY,
            {
                "readinessProbe": {
                    "exec": {"command": ["sh", "-c", "echo not yet; exit 1"]},
                    "periodSeconds": 1,
                }
            },
            {},
            "not yet",
        ),
        (
            StuckCause.VOLUME,
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            {"volumes": [{"name": "v", "configMap": {"name": "absent"}}]},
            'configmap "absent" not found',
        ),
        (
            StuckCause.OOM,
            {"command": ["sh", "-c", "x=a; while true; do x=$x$x; done"]},
            {},
            "its limit is 32 MiB",
        ),
    ],
    ids=["crash", "no-program", "no-node", "config", "not-ready", "volume", "oom"],
)
@on("deployment", "narrow")
async def test_why_it_is_stuck(
    place: tuple[str, Kubectl],
    target: Any,
    cause: StuckCause,
    container: dict[str, Any],
    pod: dict[str, Any],
    said: str,
) -> None:
    namespace, inside = place
    async with following(target, ObjectRef("Deployment", namespace, "narrow")) as told:
        patch(inside, "deployment/narrow", container, **pod)
        stuck = await until(told, blocked_by(cause, said))
    assert not stuck.status.done


@on("deployment", "narrow")
async def test_quota_and_pause(place: tuple[str, Kubectl], target: Any) -> None:
    namespace, inside = place
    ref = ObjectRef("Deployment", namespace, "narrow")
    async with following(target, ref) as told:
        inside("create", "quota", "tight", "--hard=requests.memory=1Mi")
        used = ("get", "quota", "tight", "-o", "jsonpath={.status.used}")
        eventually(lambda: inside(*used), "the quota to count")
        inside("set", "env", "deployment/narrow", "TRY=1")
        stuck = await until(told, blocked_by(StuckCause.REFUSED, "exceeded quota"))
        assert "exceeded quota: tight" in str(stuck.blocked)
        inside("rollout", "pause", "deployment/narrow")
        paused = await until(told, blocked_by(StuckCause.PAUSED))
        assert paused.status.paused
        inside("delete", "quota", "tight")
        inside("rollout", "resume", "deployment/narrow")
        inside("rollout", "undo", "deployment/narrow")
        await until(told, lambda one: one.status.done and not one.stuck)


@on("statefulset", "store")
async def test_a_stateful_set_waits_for_its_broken_pod(place: tuple[str, Kubectl], target: Any) -> None:
    namespace, inside = place
    async with following(target, ObjectRef("StatefulSet", namespace, "store")) as told:
        inside("set", "image", "statefulset/store", "app=localhost/lab/absent:9")
        order = blocked_by(StuckCause.ORDER)
        stuck = await until(told, lambda one: order(one) and says_the_same(inside, one, "statefulset/store"))
        assert "waits for store-1" in stuck.stuck[-1].words
        inside("rollout", "undo", "statefulset/store")
        generations = "jsonpath={.metadata.generation}={.status.observedGeneration}"
        seen = ("get", "statefulset", "store", "-o", generations)
        # Before its controller knows, it would make the broken pod anew.
        eventually(lambda: len({*inside(*seen).split("=")}) == 1, "the controller to see the way back")
        inside("delete", "pod", "store-1", "--wait=false")
        done = await until(told, lambda one: one.status.done and one.working_new_pods == 2)
        assert done.revision is not None
        assert done.revision.images == {"app": "localhost/lab/busybox:1"}


@on("daemonset", "agent")
async def test_a_daemon_set(place: tuple[str, Kubectl], target: Any) -> None:
    namespace, inside = place
    async with following(target, ObjectRef("DaemonSet", namespace, "agent")) as told:
        inside("set", "env", "daemonset/agent", "TRY=1")
        await until(told, lambda one: not one.status.done)
        done = await until(told, lambda one: one.status.done and one.working_new_pods == one.status.target)
        assert done.status.words == inside("rollout", "status", "daemonset/agent", "--watch=false").strip()
        inside(
            "patch",
            "daemonset/agent",
            "-p",
            '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}',
        )
        inside("set", "env", "daemonset/agent", "TRY=2")
        held = await until(told, blocked_by(StuckCause.ON_DELETE))
        assert held.status.failed


@on("deployment", "web")
def test_the_command_beside_kubectl(
    place: tuple[str, Kubectl], memtop: Run, admin: Path, nobody: Path
) -> None:
    namespace, inside = place
    done = memtop(admin, "rollout", "status", "deployment/web", "-n", namespace)
    assert (done.returncode, done.stdout) == (0, inside("rollout", "status", "deployment/web"))
    inside("set", "image", "deployment/web", "app=localhost/lab/absent:9")
    reasons = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}"
    eventually(lambda: inside("get", "pods", "-o", reasons) == "ErrImageNeverPull", "a pod without its image")
    inside("patch", "deployment/web", "-p", '{"spec":{"progressDeadlineSeconds":12}}')
    limit = ("--timeout", f"{PATIENCE:.0f}s")
    failed = memtop(admin, "rollout", "status", "deployment/web", "-n", namespace, *limit)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == 'error: deployment "web" exceeded its progress deadline'
    assert "localhost/lab/absent:9" in failed.stderr
    late = memtop(admin, "rollout", "status", "deployment/absent", "-n", namespace)
    assert (late.returncode, late.stderr) == (1, 'memtop: deployments.apps "absent" not found\n')
    forbidden = memtop(nobody, "rollout", "status", "deployment/web", "-n", namespace)
    assert forbidden.returncode == 1
    assert "forbidden" in forbidden.stderr
