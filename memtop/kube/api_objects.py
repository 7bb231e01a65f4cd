"""The parts of Kubernetes objects that memtop reads, as msgspec structs, and the reader of long lists.

Only the fields named here are decoded; everything else in an answer is skipped unread, which makes decoding
some fifty times faster than the official typed models (ARCHITECTURE.md has the figures). A list of 10,000
pods is 64 MB of JSON on one line: `ListReader` decodes each object as soon as its last byte is there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from memtop.kube.api_errors import Unreadable
from memtop.kube.lenient_decoding import UNREAD_NAME, decode_lenient, is_whole

ACCEPT_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
"""What to accept for nothing but the metadata of an object, or of each in a watch (Kubernetes ≥ 1.15)."""
ACCEPT_METADATA_LIST = ACCEPT_METADATA.replace("Metadata;", "MetadataList;")
"""Likewise for each in a list."""


class _Object(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """Camel-case names on the wire; no cycles, so the collector need not look."""


class OwnerReference(_Object, frozen=True):
    """Who created the object."""

    kind: str
    name: str
    uid: str = ""
    controller: bool = False
    api_version: str = ""


class ObjectMeta(_Object, frozen=True):
    """The part of ObjectMeta that memtop uses."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] = ()


class ResourceRequirements(_Object, frozen=True):
    """Requests and limits; quantities as the API writes them."""

    limits: dict[str, str] | None = None
    requests: dict[str, str] | None = None


class ContainerSpec(_Object, frozen=True):
    """A container of a pod's specification."""

    name: str
    image: str = ""
    resources: ResourceRequirements | None = None
    restart_policy: str = ""


class PodSpec(_Object, frozen=True):
    """The part of a pod's specification that memtop uses."""

    containers: tuple[ContainerSpec, ...] = ()
    init_containers: tuple[ContainerSpec, ...] = ()
    ephemeral_containers: tuple[ContainerSpec, ...] = ()
    resources: ResourceRequirements | None = None
    node_name: str = ""


class ContainerStateWaiting(_Object, frozen=True):
    """A container that has not started, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(_Object, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class ContainerStateTerminated(_Object, frozen=True):
    """A container that has ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Object, frozen=True):
    """One of the three is set; none of them means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(_Object, frozen=True):
    """What the kubelet says of one container."""

    name: str
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    ready: bool = False
    restart_count: int = 0
    resources: ResourceRequirements | None = None


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
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resources: ResourceRequirements | None = None
    resize: str = ""


class Pod(_Object, frozen=True):
    """A pod; `unreadable` names the parts that were of another type (`memtop.kube.lenient_decoding`)."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
    unreadable: tuple[str, ...] = msgspec.field(name=UNREAD_NAME, default=())


class PartialObjectMetadata(_Object, frozen=True):
    """Any object asked for as PartialObjectMetadata."""

    metadata: ObjectMeta


class NodeStatus(_Object, frozen=True):
    """A node's conditions."""

    conditions: tuple[Condition, ...] = ()


class Node(_Object, frozen=True):
    """A node, for its MemoryPressure."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()

    @property
    def under_memory_pressure(self) -> bool:
        """Whether the kubelet reports MemoryPressure."""
        return any(one.type == "MemoryPressure" and one.status == "True" for one in self.status.conditions)


class ListMeta(_Object, frozen=True):
    """Where a list stands: its version, and whether more pages follow."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class ResourceUsage(_Object, frozen=True):
    """What a container uses, as quantities of the API; ``memory`` is its working set, ``cpu`` in cores."""

    memory: str = ""
    cpu: str = ""


class ContainerMetrics(_Object, frozen=True):
    """The usage of one container."""

    name: str
    usage: ResourceUsage = ResourceUsage()


class PodName(_Object, frozen=True):
    """All that a sample's metadata is needed for: its labels are the pod's, and come every 15 seconds."""

    name: str
    namespace: str = ""


METRICS_PATH = "/apis/metrics.k8s.io/v1beta1"
"""Where metrics-server answers."""


class PodMetrics(_Object, frozen=True):
    """A sample of metrics.k8s.io: the containers of one pod at one time, which may be missing."""

    metadata: PodName
    timestamp: datetime | None = None
    containers: tuple[ContainerMetrics, ...] = ()

    @property
    def time(self) -> float | None:
        """When it was taken, Unix seconds; None where that is not told, or is the API's zero time."""
        return None if self.timestamp is None or self.timestamp.year < 1971 else self.timestamp.timestamp()


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


class ApiStatus(_Object, frozen=True):
    """The API's own error object."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: dict[str, Any] | None = None


T = TypeVar("T")

_ITEMS_START = b'"items":['
_METADATA_START = b'"metadata":{'
MAX_LEAD = 256
"""Bytes in front of an object's metadata: its kind and API version, if they are there at all."""
MAX_ITEM = 16 * 1024 * 1024
"""Bytes of one object; etcd takes 1.5 million."""


class _ListEnvelope(msgspec.Struct):
    """A list without what is in it, or with all of it where it could not be taken apart."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class ListReader(Generic[T]):
    """Takes a list's bytes as they come and hands out its objects; one that cannot be read is left out.

    Every object of a list begins with the same bytes, up to its metadata. Those bytes after a comma may be
    the beginning of the next one, and are if what is in front of them is a complete object: JSON that can be
    decoded is never part of a longer value. A list whose objects begin otherwise is decoded at its end.

    Args:
        read: Decodes one object; raises `Unreadable` for what is none of its kind.
        what: What is read, for sentences.
        most: Bytes that a list may have which could not be taken apart.

    Attributes:
        unread: What is wrong with each object that was left out.
    """

    def __init__(self, read: Callable[[bytes], T], what: str, most: int) -> None:
        self.unread: list[str] = []
        self._read = read
        self._what = what
        self._most = most
        self._head: bytes | None = None
        self._lead = b""
        self._rest = b""

    def feed(self, chunk: bytes) -> list[T]:
        """Takes in some bytes.

        Returns:
            The objects that they complete.

        Raises:
            Unreadable: There is too much of an object.
        """
        self._rest += chunk
        if len(self._rest) > (MAX_ITEM if self._lead else self._most) + len(chunk):
            raise Unreadable(f"{self._what} holds an object that does not end")
        if (self._head is None and not self._begin()) or not self._lead:
            return []
        pieces = self._rest.split(b"}," + self._lead)
        found: list[T] = []
        pending = pieces[0]
        for piece in pieces[1:]:
            whole = pending + b"}"
            if (items := self._complete(whole)) is not None:
                found += items
                pending = self._lead + piece
            else:
                pending = whole + b"," + self._lead + piece
        self._rest = pending
        return found

    def end(self) -> tuple[list[T], ListMeta]:
        """The list is complete.

        Returns:
            The objects that are left, and the list's own metadata.

        Raises:
            Unreadable: It is no list.
        """
        close = self._rest.rfind(b"]") if self._lead else -1
        while close > 0:
            last = self._complete(self._rest[:close])
            if last is not None:
                return last, self._envelope(self._rest[close:]).metadata
            close = self._rest.rfind(b"]", 0, close)
        envelope = self._envelope(self._rest)
        complete = (self._complete(bytes(raw)) for raw in envelope.items or ())
        return [item for items in complete for item in items or ()], envelope.metadata

    def _begin(self) -> bool:
        """Finds where the objects begin, and how; false if that has not come yet."""
        at = self._rest.find(_ITEMS_START)
        first = at + len(_ITEMS_START)
        if at < 0 or len(self._rest) < first + MAX_LEAD:
            return False
        self._head, self._rest = self._rest[:first], self._rest[first:]
        end = self._rest.find(_METADATA_START, 0, MAX_LEAD)
        if end > 0:
            self._lead = self._rest[: end + len(_METADATA_START)]
        return True

    def _complete(self, raw: bytes) -> list[T] | None:
        """The object; none if it cannot be read; None if the bytes are only a part of one."""
        try:
            return [self._read(raw)]
        except Unreadable as error:
            if not is_whole(raw):
                return None
            self.unread.append(str(error))
            return []

    def _envelope(self, rest: bytes) -> _ListEnvelope:
        return decode_lenient((self._head or b"") + rest, _ListEnvelope, self._what)
