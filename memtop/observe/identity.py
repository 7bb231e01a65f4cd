"""Who a row is: what of a container does not change while its pod lives."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import force_setattr

from memtop.cluster.containers import Kind
from memtop.cluster.workloads import Workload


class Key(Struct, frozen=True):
    """Names a row for as long as its pod lives."""

    uid: str
    container: str


class Identity(Struct, frozen=True):
    """What of a row does not change while its pod lives, but for the node and what is learned of its owner.

    Attributes:
        key: The row's name.
        namespace: The pod's namespace.
        pod: The pod's name.
        container: The container's name.
        kind: What part the container has in the pod.
        only: Whether it is the pod's only ordinary container, so that the pod's name says it all.
        workload: The controller a person would name.
        node: The node's name, empty before the pod is scheduled.
        labels: The pod's labels.
    """

    key: Key
    namespace: str
    pod: str
    container: str
    kind: Kind
    only: bool
    workload: Workload
    node: str
    labels: dict[str, str]
    _haystack: str = ""

    def haystack(self) -> str:
        """What a text filter looks through, in lower case; made for the first filter, and then kept."""
        if not self._haystack:
            text = f"{self.namespace}/{self.pod}/{self.container} {self.workload} {self.node}"
            force_setattr(self, "_haystack", text.lower())
        return self._haystack
