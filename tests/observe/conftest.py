"""Pods, samples and a store made by hand; times are seconds after `NOW`."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from memtop.cluster.objects import Pod, PodMetrics
from memtop.observe.samples import History
from memtop.observe.store import Key, Store

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
        self.store = Store(History(slots, interval), slots)

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
        NOW, DAY, Key, Shelf = NOW, DAY, Key, Shelf

    for function in (moment, ended, running, container, pod, sample):
        setattr(World, function.__name__, staticmethod(function))
    return World
