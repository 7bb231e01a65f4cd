"""What may be changed here, and why the rest may not; the cluster is asked once for each access right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from memtop.change import change_request
from memtop.change.change_request import (
    AccessRight,
    ChangeRequest,
    DeletePod,
    Pause,
    ResizePod,
    Restart,
    Scale,
    SetImage,
    SetMemory,
    Undo,
    required_right,
    why_unsupported,
)
from memtop.kube.api_errors import CredentialError, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.custom_workloads import custom_workload
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from tui.pod.tab import TabSubject

REQUEST_TYPES: Final[Mapping[str, type[ChangeRequest]]] = {
    "image": SetImage,
    "memory": SetMemory,
    "restart": Restart,
    "undo": Undo,
    "scale": Scale,
    "delete": DeletePod,
    "pause": Pause,
}
"""What each action changes for; resuming takes what pausing takes."""
_REQUEST_FOR_EACH_RIGHT: Final = (SetImage, Scale, DeletePod, ResizePod)


class Permissions:
    """What is known of what may be changed.

    Args:
        read_only: Whether the settings forbid every change.
    """

    def __init__(self, *, read_only: bool) -> None:
        self._read_only = read_only
        self._answers: dict[tuple[str, AccessRight], str] = {}

    def refusal(self, subject: TabSubject, action: str) -> str:
        """Why an action can't be taken on a row; empty if nothing is known against it."""
        if self._read_only:
            return change_request.READ_ONLY_SENTENCE
        change = REQUEST_TYPES[action]
        if change is SetMemory and subject.workload.kind == "Pod":
            change = ResizePod
        ref = subject.pod_ref if change is DeletePod else subject.workload
        if ref is None:
            return "this is a workload and not a pod: open it with enter and choose one of its pods"
        if why := why_unsupported(ref, change):
            return why
        return self._answers.get((ref.namespace, required_right(ref, change)), "")

    def unasked(self, subject: TabSubject) -> list[tuple[ObjectRef, type[ChangeRequest]]]:
        """What the cluster has not been asked yet that matters for a row."""
        if self._read_only:
            return []
        pod = subject.pod_ref or ObjectRef("Pod", subject.namespace, "")
        wanted = [
            (pod if change is DeletePod else subject.workload, change) for change in _REQUEST_FOR_EACH_RIGHT
        ]
        return [
            (ref, change)
            for ref, change in wanted
            if not why_unsupported(ref, change)
            and (ref.namespace, required_right(ref, change)) not in self._answers
        ]

    async def learn(self, client: Client, questions: Iterable[tuple[ObjectRef, type[ChangeRequest]]]) -> None:
        """Asks the cluster; on the engine's loop."""
        for ref, change in questions:
            try:
                why = await change_request.why_not_allowed(client, ref, change, read_only=False)
            except (CredentialError, KubeconfigError):
                return  # every source says so already; it is asked again in the next place, or with r
            self._answers[ref.namespace, required_right(ref, change)] = why


def why_no_rollout(ref: ObjectRef) -> str:
    """Why a workload has no rollout to follow; empty if it has."""
    if (custom := custom_workload(ref.kind, ref.api_version)) is not None:
        command = custom.follow.replace("NAME", f"{ref.name} -n {ref.namespace}")
        return f"{custom.product} rolls it out by its own rules: W shows how it stands, {command} follows it"
    if ref.kind in ROLLING_KINDS and ref.is_builtin:
        return ""
    return f"a {ref.kind} has no rollouts: Deployments, StatefulSets and DaemonSets have"


def why_no_timeline(kind: str) -> str:
    """Why nobody can say since when a workload leaks; empty if somebody can."""
    if kind in {"Deployment", "StatefulSet", "DaemonSet", "Pod"}:
        return ""
    return f"the pods of a {kind} come and go: they have no floor that could have begun to climb"
