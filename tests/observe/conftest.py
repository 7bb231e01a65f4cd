"""Pods, samples and a store made by hand; times are seconds after `NOW`."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from memtop.analysis.judgement import VERDICT_CODES, Verdict
from memtop.kube.api_objects import Pod, PodMetrics
from memtop.kube.connection_target import ClusterTarget
from memtop.observe.container_store import ContainerStore
from memtop.observe.engine import build_next_frame
from memtop.observe.observer import Observer
from memtop.observe.sample_rings import SampleHistory
from memtop.observe.slots import ContainerKey
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.view import OverviewPane, Scope, View
from memtop.observe.watchlist import LimitThresholds

NOW = 1_800_000_000.0
DAY = 86400.0


def moment(at):
    """Seconds after `NOW` as the API writes them."""
    return datetime.fromtimestamp(NOW + at, UTC).isoformat().replace("+00:00", "Z")


def ended(at, reason="OOMKilled", code=137, started=None):
    """A terminated state."""
    began = at - 600 if started is None else started
    return {
        "terminated": {
            "reason": reason,
            "exitCode": code,
            "startedAt": moment(began),
            "finishedAt": moment(at),
        }
    }


def running(at=-DAY):
    """A running state."""
    return {"running": {"startedAt": moment(at)}}


def container(name="app", limit="256Mi", state=None, last=None, restarts=0, request=None, sidecar=False):
    """A container's specification and its status, as one value for `pod`."""
    resources = {"limits": {"memory": limit}} if limit else {}
    if request:
        resources["requests"] = {"memory": request}
    spec = {"name": name, "resources": resources} | ({"restartPolicy": "Always"} if sidecar else {})
    status = {"name": name, "state": state or running(), "lastState": last or {}, "restartCount": restarts}
    return spec, status


def pod(
    name="web-1",
    *containers,
    namespace="shop",
    uid=None,
    created=-DAY,
    owner=None,
    labels=None,
    node="node-1",
    init=(),
    status=None,
    deleted=None,
):
    """A pod as the API would send it, decoded."""
    containers = containers or (container(),)
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{namespace}-{name}",
        "creationTimestamp": moment(created),
        "labels": labels or {},
    }
    if owner:
        kind, owner_name = owner
        metadata["ownerReferences"] = [
            {"kind": kind, "name": owner_name, "uid": f"uid-{owner_name}", "controller": True}
        ]
    if deleted is not None:
        metadata["deletionTimestamp"] = moment(deleted)
    return msgspec.convert(
        {
            "metadata": metadata,
            "spec": {
                "nodeName": node,
                "containers": [spec for spec, _ in containers],
                "initContainers": [spec for spec, _ in init],
            },
            "status": {
                "phase": "Running",
                "containerStatuses": [status for _, status in containers],
                "initContainerStatuses": [status for _, status in init],
            }
            | (status or {}),
        },
        Pod,
    )


def sample(name, at, namespace="shop", **memory):
    """A sample of metrics.k8s.io; ``app="64Mi"`` for each container."""
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": namespace},
            "timestamp": moment(at),
            "containers": [{"name": key, "usage": {"memory": value}} for key, value in memory.items()],
        },
        PodMetrics,
    )


class Shelf:
    """A store with short words for what tests do to it."""

    def __init__(self, interval=15.0, slots=8):
        self.store = ContainerStore(SampleHistory(slots, interval), slots)

    def put(self, *pods, at=0.0):
        for one in pods:
            self.store.put_pod(one, NOW + at)

    def metrics(self, *samples, at=0.0):
        return self.store.put_metrics(samples, NOW + at)

    def slot(self, name="web-1", container="app", namespace="shop"):
        return self.store.slot_named(namespace, name, container)

    def column(self, column, *args, **kwargs):
        return getattr(self.store.columns, column)[self.slot(*args, **kwargs)]

    def identity(self, *args, **kwargs):
        return self.store.identities[self.slot(*args, **kwargs)]

    def series(self, *args, **kwargs):
        times, values = self.store.history.series(self.slot(*args, **kwargs))
        return np.round(times - NOW, 1).tolist(), (values / 2**20).tolist()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def world():
    """The functions of this module, since test folders are no packages."""

    class World:
        NOW, DAY, Key, Shelf = NOW, DAY, ContainerKey, Shelf

    for function in (moment, ended, running, container, pod, sample):
        setattr(World, function.__name__, staticmethod(function))
    return World


class Stage:
    """An observer that is fed by hand, and the frames built of it."""

    def __init__(self, world):
        target = ClusterTarget("test", "c", "u", "http://127.0.0.1:1", "shop", "a test")
        self.world = world
        self.observer = Observer(target, Scope(), interval=15.0, hours=24.0, on_change=lambda: None)
        self.observer.clock.now = lambda: world.NOW + self.at
        self.at = 0.0
        self.snapshots = FrameBuilder(self.observer, LimitThresholds(), ("a note",))

    def put(self, *pods):
        for pod in pods:
            self.observer.store.put_pod(pod, self.world.NOW + self.at)

    def tick(self, *samples, at=0.0):
        self.at = at
        now = self.world.NOW + at
        self.observer.verdicts.take_samples(self.observer.store.put_metrics(samples, now), now)
        self.observer.ticks += 1

    def judged(
        self, name, verdict=Verdict.LEAK, confidence=0.99, rate=2**20, seconds=3600.0, container="app"
    ):
        """Puts a verdict where the judge would."""
        slot = self.observer.store.slot_named("shop", name, container)
        seat, judged = self.observer.verdicts._seat[slot], self.observer.verdicts._judge.judgements
        judged.codes[seat], judged.confidence[seat] = VERDICT_CODES[verdict], confidence
        judged.rate[seat], judged.seconds_to_limit[seat] = rate, seconds
        self.observer.verdicts._frozen = None

    def frame(self, **view):
        return build_next_frame(self.observer, self.snapshots, View(**view))

    def shown(self, pane=OverviewPane.TOP, **view):
        """The names in a pane, in order; a container's where its pod has several."""
        frame = self.frame(**view)
        found = []
        for row in frame.pane_rows[pane].tolist():
            who = frame.rows.identities[row]
            if view.get("workloads"):
                found.append(str(who.workload))
            else:
                found.append(who.pod if who.is_only_container else f"{who.pod}/{who.container}")
        return found

    def row(self, name, **view):
        frame = self.frame(**view)
        for row, who in enumerate(frame.rows.identities):
            if who is not None and name in (getattr(who, "pod", None), str(who.workload)):
                return frame.rows, row
        raise LookupError(name)


@pytest.fixture
async def stage(world):
    return Stage(world)


@pytest.fixture(scope="session")
def _demo():
    from memtop.demo.thread import DemoThread

    with DemoThread() as demo:
        yield demo


@pytest.fixture
def demo(_demo):
    """The embedded cluster, in good order: at every test's end it answers again."""
    yield _demo
    _demo.server.faults.clear()


@pytest.fixture
def kubeconfig(demo, tmp_path):
    """``kubeconfig("admin")``: the path of a kubeconfig of the embedded cluster, for one of its users."""

    def write(user="admin", **fields):
        path = tmp_path / f"kubeconfig-{user}"
        path.write_text(demo.kubeconfig(user, **fields))
        return path

    return write
