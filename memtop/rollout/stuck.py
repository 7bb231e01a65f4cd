"""Why a rollout does not go on: each cause named, with what the cluster said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memtop.cluster.containers import epoch
from memtop.cluster.sanitize import sanitize
from memtop.cluster.tree import mapping, number, text
from memtop.rollout.model import Cause, Reason
from memtop.rollout.pod_trouble import troubles
from memtop.rollout.pods import leaving, ready
from memtop.rollout.scene import Scene, last_told
from memtop.rollout.status import condition
from memtop.wording import duration

OVERDUE_SECONDS = 30.0
"""A pod that is still there so long after its grace period does not end by itself."""
_REFUSALS = (
    ("exceeded quota", "The namespace's quota allows no more pods"),
    ("failed quota", "The namespace's quota does not allow these pods"),
    ("admission webhook", "An admission webhook refuses the pods"),
    ("violates PodSecurity", "The namespace's pod security level does not allow these pods"),
    ("per Container", "The namespace's LimitRange does not allow these pods"),
    ("per Pod", "The namespace's LimitRange does not allow these pods"),
    ("service account", "The pods' service account is missing"),
    ("serviceaccount", "The pods' service account is missing"),
)
_PRESSURE = {
    "MemoryPressure": "is under memory pressure and may evict pods",
    "DiskPressure": "is under disk pressure and may evict pods",
    "PIDPressure": "has no process ids left",
}


def reasons(scene: Scene) -> tuple[Reason, ...]:
    """Why a rollout does not go on, the gravest reason first; nothing where it just goes its way.

    Of one that is done it says which of its new pods crash all the same: without a readiness probe a pod
    counts as available between two crashes.
    """
    if scene.status.done:
        crashes = (one for one in _of_pods(scene) if one.cause in {Cause.OOM, Cause.CRASH})
        return tuple(replace(one, blocking=False) for one in crashes)
    found = [
        *_of_pods(scene),
        *_refused(scene),
        *_held(scene),
        *_of_nodes(scene),
        *_overdue(scene),
    ]
    found += _waiting_for_one_another(scene, found)
    found += _deadline(scene)
    order = list(Cause)
    return tuple(sorted(found, key=lambda one: (not one.blocking, order.index(one.cause))))


# -- pods


def _of_pods(scene: Scene) -> Iterator[Reason]:
    """One reason for all pods that have the same trouble."""
    same: dict[tuple[Cause, str], list[Reason]] = {}
    for pod in scene.new:
        if leaving(pod):
            continue
        for one in troubles(scene, pod):
            same.setdefault((one.cause, one.container), []).append(one)
    pods = sum(not leaving(pod) for pod in scene.new)
    for found in same.values():
        first = max(found, key=lambda one: one.blocking)
        words = f"{len(found)} of {pods} new pods: {first.words}" if pods > 1 else _capital(first.words)
        yield replace(first, words=words)


# -- what makes the pods


def _refused(scene: Scene) -> Iterator[Reason]:
    failure = condition(scene.workload, "ReplicaFailure")
    said = text(failure, "message") if text(failure, "status") == "True" else ""
    if not said and scene.status.updated < scene.status.target:
        events = (scene.told(uid, ("FailedCreate",)) for uid in scene.makers)
        event = max((event for event in events if event is not None), key=last_told, default=None)
        said = sanitize(event.message or "") if event is not None else ""
    if said:
        words = next((words for sign, words in _REFUSALS if sign in said), "No more pods can be created")
        yield Reason(Cause.REFUSED, words, said)


def _held(scene: Scene) -> Iterator[Reason]:
    status, spec = scene.status, mapping(scene.workload, "spec")
    if status.paused:
        yield Reason(Cause.PAUSED, "The rollout is paused: nothing more happens until it is resumed")
    if scene.kind != "Deployment" and text(spec, "updateStrategy", "type") == "OnDelete" and status.old:
        keep = "1 pod keeps" if status.old == 1 else f"{status.old} pods keep"
        words = f"The strategy is OnDelete: {keep} the old revision until deleted"
        yield Reason(Cause.ON_DELETE, words)
    seconds = number(spec, "minReadySeconds") or 0
    works = sum(ready(pod) for pod in scene.new)
    if seconds and scene.kind == "Deployment" and status.available < status.ready and works:
        words = f"A pod counts only when it has been ready for {duration(seconds)} (minReadySeconds)"
        yield Reason(Cause.NOT_READY, words, blocking=False)


def _deadline(scene: Scene) -> Iterator[Reason]:
    if text(condition(scene.workload, "Progressing"), "reason") != "ProgressDeadlineExceeded":
        return
    seconds = number(scene.workload, "spec", "progressDeadlineSeconds")
    allowed = f" ({duration(seconds)})" if seconds else ""
    words = f"Nothing has moved for longer than the progress deadline allows{allowed}"
    yield Reason(Cause.DEADLINE, words)


def _waiting_for_one_another(scene: Scene, found: Sequence[Reason]) -> Iterator[Reason]:
    """A StatefulSet stops at a broken pod, and does not replace that one even by an older revision."""
    if scene.kind != "StatefulSet" or not any(reason.blocking for reason in found):
        return
    if text(scene.workload, "spec", "podManagementPolicy") == "Parallel":
        return
    broken = [sanitize(pod.metadata.name) for pod in scene.new if not leaving(pod) and not ready(pod)]
    if broken:
        words = (
            f"A StatefulSet changes one pod after another and waits for {broken[0]}; "
            "after an undo that pod has to be deleted by hand"
        )
        yield Reason(Cause.ORDER, words, blocking=False)


# -- where they run, and what they replace


def _of_nodes(scene: Scene) -> Iterator[Reason]:
    concerned = {pod.spec.node_name for pod in scene.new if pod.spec.node_name and not ready(pod)}
    for name in sorted(concerned & set(scene.nodes)):
        for state in scene.nodes[name].status.conditions:
            if state.type in _PRESSURE and state.status == "True":
                yield Reason(Cause.NODE, f"Node {sanitize(name)} {_PRESSURE[state.type]}", blocking=False)
            if state.type == "Ready" and state.status != "True":
                yield Reason(Cause.NODE, f"Node {sanitize(name)} is not ready", sanitize(state.message))


def _overdue(scene: Scene) -> Iterator[Reason]:
    late = [
        pod
        for pod in scene.old
        if scene.now - (epoch(pod.metadata.deletion_timestamp) or scene.now) > OVERDUE_SECONDS
    ]
    if late:
        first = sanitize(late[0].metadata.name)
        others = f" and {len(late) - 1} more" if len(late) > 1 else ""
        words = f"Pod {first}{others} should have ended long ago: its node or a finalizer keeps it"
        yield Reason(Cause.LEAVING, words, blocking=False)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
