"""The vocabulary worlds are written in: containers and workloads, and the pod template they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memtop.demo.curves import DAY, HOUR
from memtop.demo.store import Object


@dataclass(frozen=True, slots=True)
class Box:
    """One container as a manifest has it: name, image, memory limit and request as quantities."""

    name: str
    image: str
    limit: str | None = None
    request: str | None = None
    command: tuple[str, ...] = ()
    cpu: str = "50m"

    def spec(self) -> Object:
        """Return its part of a pod spec."""
        resources: Object = {}
        if self.limit:
            resources["limits"] = {"memory": self.limit}
        if self.request:
            resources["requests"] = {"cpu": self.cpu, "memory": self.request}
        spec: Object = {"name": self.name, "image": self.image}
        if self.command:
            spec["command"] = list(self.command)
        return {
            **spec,
            "resources": resources,
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }


@dataclass(frozen=True, slots=True)
class App:
    """One workload.

    Attributes:
        namespace: where it lives.
        name: its name and its `app` label.
        boxes: its containers.
        kind: `Deployment`, `StatefulSet`, `DaemonSet`, `CronJob` or `Pod`.
        replicas: how many pods.
        inits: its init containers.
        labels: labels besides `app`.
        ages: seconds since the current run of each pod's first container began, for the pods in turn.
        restarts: how often each pod has restarted before that run.
        age: seconds since the workload was created.
        earlier: images of earlier revisions, oldest first, each with its change cause.
        revised: seconds since each revision but the first was rolled out; by default a day lies between two.
        cause: the change cause of the current revision.
        strategy: `RollingUpdate`, `Recreate` or `OnDelete`.
        paused: whether the Deployment is paused.
        deadline: progressDeadlineSeconds of a Deployment.
        schedule: of a CronJob, `minute hour * * *`.
        delivery: what brought it: `kubectl`, `helm`, `argocd` or `flux`.
    """

    namespace: str
    name: str
    boxes: tuple[Box, ...]
    kind: str = "Deployment"
    replicas: int = 1
    inits: tuple[Box, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ages: tuple[float, ...] = ()
    restarts: tuple[int, ...] = ()
    age: float = 9 * DAY
    earlier: tuple[tuple[str, str], ...] = ()
    revised: tuple[float, ...] = ()
    cause: str = ""
    strategy: str = "RollingUpdate"
    paused: bool = False
    deadline: int = 600
    schedule: str = "0 2 * * *"
    delivery: str = "kubectl"

    @property
    def selector(self) -> dict[str, str]:
        """The labels its pods are found by."""
        return {"app": self.name}

    def template(self, image: str | None = None) -> Object:
        """Return the pod template, with another image for the first container if one is given."""
        boxes = [box.spec() for box in self.boxes]
        if image is not None:
            boxes[0]["image"] = image
        spec: Object = {}
        if self.inits:
            spec["initContainers"] = [box.spec() for box in self.inits]
        spec["containers"] = boxes
        spec |= {
            "restartPolicy": "Never" if self.kind == "CronJob" else "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        }
        metadata: Object = {"creationTimestamp": None, "labels": {**self.selector, **self.labels}}
        return {"metadata": metadata, "spec": spec}

    def revision_age(self, index: int) -> float:
        """Return how many seconds ago a revision of `earlier` and the present one was rolled out."""
        if index == 0 or not self.revised:
            return self.age - index * DAY
        return self.revised[index - 1]

    def pod_age(self, index: int) -> float:
        """Return the age of the pod's current run, for pods of which none is told: a few hours to days."""
        if index < len(self.ages):
            return self.ages[index]
        return min(self.age - HOUR, 1.2 * DAY + (index * 5077.0) % (2 * DAY))
