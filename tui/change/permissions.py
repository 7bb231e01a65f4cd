"""What may be changed here, and why the rest may not; the cluster is asked once for each right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from memtop.change import rights
from memtop.change.kinds import Right, impossible, right
from memtop.change.wish import DeletePod, Pause, Restart, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.client import Client
from memtop.cluster.errors import CredentialError, KubeconfigError
from memtop.cluster.refs import ROLLING, ObjectRef
from tui.pod.tab import Subject

WISHES: Final[Mapping[str, type[Wish]]] = {
    "image": SetImage,
    "memory": SetMemory,
    "restart": Restart,
    "undo": Undo,
    "scale": Scale,
    "delete": DeletePod,
    "pause": Pause,
}
"""What each action wishes for; resuming takes what pausing takes."""
_ONE_FOR_EACH_RIGHT: Final = (SetImage, Scale, DeletePod)


class Permissions:
    """What is known of what may be changed.

    Args:
        read_only: Whether the settings forbid every change.
    """

    def __init__(self, *, read_only: bool) -> None:
        self._read_only = read_only
        self._answers: dict[tuple[str, Right], str] = {}

    def refusal(self, subject: Subject, action: str) -> str:
        """Why an action can't be taken on a row; empty if nothing is known against it."""
        if self._read_only:
            return rights.READ_ONLY
        wish = WISHES[action]
        ref = subject.pod_ref if wish is DeletePod else subject.workload
        if ref is None:
            return "this is a workload and not a pod: open it with enter and choose one of its pods"
        if why := impossible(ref, wish):
            return why
        return self._answers.get((ref.namespace, right(ref.kind, wish)), "")

    def unasked(self, subject: Subject) -> list[tuple[ObjectRef, type[Wish]]]:
        """What the cluster has not been asked yet that matters for a row."""
        if self._read_only:
            return []
        pod = subject.pod_ref or ObjectRef("Pod", subject.namespace, "")
        wanted = [(pod if wish is DeletePod else subject.workload, wish) for wish in _ONE_FOR_EACH_RIGHT]
        return [
            (ref, wish)
            for ref, wish in wanted
            if not impossible(ref, wish) and (ref.namespace, right(ref.kind, wish)) not in self._answers
        ]

    async def learn(self, client: Client, questions: Iterable[tuple[ObjectRef, type[Wish]]]) -> None:
        """Asks the cluster; on the engine's loop."""
        for ref, wish in questions:
            try:
                why = await rights.refusal(client, ref, wish, read_only=False)
            except (CredentialError, KubeconfigError):
                return  # every source says so already; it is asked again in the next place, or with r
            self._answers[ref.namespace, right(ref.kind, wish)] = why


def rolls(ref: ObjectRef) -> str:
    """Why a workload has no rollout to follow; empty if it has."""
    if ref.kind in ROLLING:
        return ""
    return f"a {ref.kind} has no rollouts: Deployments, StatefulSets and DaemonSets have"
