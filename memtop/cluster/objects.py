"""The parts of Kubernetes objects that memtop reads, as msgspec structs.

Only the fields named here are decoded; everything else in an answer is skipped unread, which makes decoding
some fifty times faster than the official typed models (ARCHITECTURE.md has the figures).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
"""What to accept for nothing but the metadata of an object, or of each in a watch (Kubernetes ≥ 1.15)."""
METADATA_LIST = METADATA.replace("Metadata;", "MetadataList;")
"""Likewise for each in a list."""


class _Object(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Camel-case names on the wire; no cycles, so the collector need not look."""


class OwnerReference(_Object, frozen=True):
    """Who created the object."""

    kind: str
    name: str
    uid: str = ""
    controller: bool = False


class Metadata(_Object, frozen=True):
    """The part of ObjectMeta that memtop uses."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] = ()


class Resources(_Object, frozen=True):
    """Requests and limits; quantities as the API writes them."""

    limits: dict[str, str] | None = None
    requests: dict[str, str] | None = None


class Container(_Object, frozen=True):
    """A container of a pod's specification."""

    name: str
    image: str = ""
    resources: Resources | None = None
    restart_policy: str = ""


class PodSpec(_Object, frozen=True):
    """The part of a pod's specification that memtop uses."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""


class Waiting(_Object, frozen=True):
    """A container that has not started, and why."""

    reason: str = ""
    message: str = ""


class Running(_Object, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class Terminated(_Object, frozen=True):
    """A container that has ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Object, frozen=True):
    """One of the three is set; none of them means waiting."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Object, frozen=True):
    """What the kubelet says of one container."""

    name: str
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    ready: bool = False
    restart_count: int = 0


class Condition(_Object, frozen=True):
    """A condition of a pod or a node."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class PodStatus(_Object, frozen=True):
    """The part of a pod's status that memtop uses."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Object, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PartialObject(_Object, frozen=True):
    """Any object asked for as PartialObjectMetadata."""

    metadata: Metadata


class NodeStatus(_Object, frozen=True):
    """A node's conditions."""

    conditions: tuple[Condition, ...] = ()


class Node(_Object, frozen=True):
    """A node, for its MemoryPressure."""

    metadata: Metadata
    status: NodeStatus = NodeStatus()

    @property
    def under_memory_pressure(self) -> bool:
        """Whether the kubelet reports MemoryPressure."""
        return any(one.type == "MemoryPressure" and one.status == "True" for one in self.status.conditions)


class ListMetadata(_Object, frozen=True):
    """Where a list stands: its version, and whether more pages follow."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class Usage(_Object, frozen=True):
    """What a container uses; ``memory`` is its working set, a quantity as the API writes it."""

    memory: str = ""


class ContainerMetrics(_Object, frozen=True):
    """The usage of one container."""

    name: str
    usage: Usage = Usage()


class PodName(_Object, frozen=True):
    """All that a sample's metadata is needed for: its labels are the pod's, and come every 15 seconds."""

    name: str
    namespace: str = ""


class PodMetrics(_Object, frozen=True):
    """A sample of metrics.k8s.io: the containers of one pod at one time."""

    metadata: PodName
    timestamp: datetime
    containers: tuple[ContainerMetrics, ...] = ()


class PodMetricsList(_Object, frozen=True):
    """The answer of ``/apis/metrics.k8s.io/v1beta1/pods``."""

    items: list[PodMetrics] | None = None


class RawList(msgspec.Struct):
    """Any list, its objects not yet decoded."""

    items: list[msgspec.Raw] | None = None


class WatchEvent(msgspec.Struct):
    """One line of a watch; the object is decoded when its type is known."""

    type: str
    object: msgspec.Raw


class Status(_Object, frozen=True):
    """The API's own error object."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: dict[str, Any] | None = None
