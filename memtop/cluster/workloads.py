"""From a pod to its workload: the controller a person would name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from memtop.cluster.objects import Metadata, OwnerReference
from memtop.cluster.sanitize import sanitize


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """The controller that owns a pod: Deployment, StatefulSet, DaemonSet, Job, CronJob, or the bare Pod."""

    kind: str
    name: str

    def __str__(self) -> str:
        """As kubectl writes it: ``deployment/user-service``."""
        return f"{self.kind.lower()}/{self.name}"


class Owners:
    """Resolves owner references through ReplicaSets and Jobs, which are known by their metadata only.

    Until their metadata is here, or where it is forbidden, a ReplicaSet's Deployment follows from the pod's
    ``pod-template-hash``: the Deployment controller names a ReplicaSet ``<deployment>-<hash>``
    (k8s.io/kubernetes, pkg/controller/deployment/sync.go).
    """

    def __init__(self) -> None:
        self._owner_of: dict[str, OwnerReference | None] = {}

    @staticmethod
    def part(pod: Metadata) -> Metadata:
        """What `workload_of` needs of a pod; one object serves all pods of one owner."""
        owner = controller(pod)
        return Metadata(name=pod.name) if owner is None else _owned(owner, _template(pod))

    def learn(self, metadata: Metadata) -> bool:
        """Remembers who owns a ReplicaSet or a Job; true if that is news."""
        owner = controller(metadata)
        if self._owner_of.get(metadata.uid, self) == owner:
            return False
        self._owner_of[metadata.uid] = owner
        return True

    def forget(self, uid: str) -> None:
        """The ReplicaSet or Job is gone."""
        self._owner_of.pop(uid, None)

    def workload_of(self, pod: Metadata) -> Workload:
        """The workload of a pod, as far up as is known."""
        owner = controller(pod)
        if owner is None:
            return Workload("Pod", sanitize(pod.name))
        if owner.uid in self._owner_of:
            owner = self._owner_of[owner.uid] or owner
        elif owner.kind == "ReplicaSet":
            template = _template(pod)
            if template and owner.name.endswith(f"-{template}"):
                return _shared("Deployment", sanitize(owner.name.removesuffix(f"-{template}")))
        return _shared(sanitize(owner.kind), sanitize(owner.name))


def controller(metadata: Metadata) -> OwnerReference | None:
    """The owner that controls the object, if any."""
    return next((owner for owner in metadata.owner_references if owner.controller), None)


def _template(pod: Metadata) -> str | None:
    return (pod.labels or {}).get("pod-template-hash")


@lru_cache(maxsize=8192)
def _owned(owner: OwnerReference, template: str | None) -> Metadata:
    labels = {"pod-template-hash": template} if template else None
    return Metadata(name="", labels=labels, owner_references=(owner,))


_shared = lru_cache(maxsize=8192)(Workload)
