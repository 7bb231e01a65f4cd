"""What a wish means for the pods there are."""

from __future__ import annotations

from memtop.change.strategy import Strategy, pods, strategy
from memtop.change.subject import Subject
from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.tree import controller_of, has, name_of, number, objects, text

_GRACE = 30
"""Seconds a pod has to stop, unless it says otherwise."""


def effect(wish: Wish, subject: Subject) -> Strategy:
    """What granting a wish does to the pods."""
    match wish:
        case SetImage() | SetMemory() | Restart() | Undo():
            return strategy(subject.ref.kind, subject.object)
        case Scale():
            return _scaled(wish, subject)
        case DeletePod():
            return _deleted(subject)
        case Pause():
            moving = under_way(subject)
            stop = (
                "The rollout that is under way stops where it is" if moving else "The pods stay as they are"
            )
            return Strategy(
                f"{stop}; changes from now on wait until it is resumed", "warn" if moving else "plain"
            )
        case Resume():
            return _resumed(subject)


def under_way(subject: Subject) -> bool:
    """Whether a rollout of the workload has not come to its end."""
    status, wanted = subject.object.get("status"), subject.replicas
    if wanted is None:
        return False
    if (number(status, "observedGeneration") or 0) < (number(subject.object, "metadata", "generation") or 0):
        return True
    updated = "updatedNumberScheduled" if subject.ref.kind == "DaemonSet" else "updatedReplicas"
    total = wanted if subject.ref.kind == "DaemonSet" else number(status, "replicas") or 0
    return (number(status, updated) or 0) < max(wanted, total)


def _scaled(wish: Scale, subject: Subject) -> Strategy:
    before = subject.replicas or 0
    count = abs(wish.replicas - before)
    stateful = subject.ref.kind == "StatefulSet"
    if wish.replicas > before:
        order = ", one after the other" if stateful and count > 1 else ""
        return Strategy(f"{pods(count)} more{order}: {pods(wish.replicas)} then", replaced=count)
    if wish.replicas == 0:
        return Strategy(f"No pod is left: all {before} stop" if before > 1 else "No pod is left", "critical")
    which = "those with the highest numbers; their volumes stay" if stateful else "not ready ones first"
    return Strategy(f"{pods(count)} stop{'s' if count == 1 else ''}, {which}", "warn", replaced=count)


def _deleted(subject: Subject) -> Strategy:
    pod, grace = subject.object, number(subject.object, "spec", "terminationGracePeriodSeconds")
    until = f"it has {_GRACE if grace is None else grace} s to stop"
    owner = controller_of(pod)
    if not owner:
        return Strategy(f"No controller makes another one: it is gone for good; {until}", "critical")
    again = "one of the same name" if text(owner, "kind") == "StatefulSet" else "another one"
    lost = [
        name_of({"metadata": volume}) for volume in objects(pod, "spec", "volumes") if has(volume, "emptyDir")
    ]
    files = f"; what it keeps in {', '.join(lost)} (emptyDir) is lost" if lost else ""
    return Strategy(
        f"{text(owner, 'kind')}/{text(owner, 'name')} makes {again}; {until}{files}",
        "warn" if lost else "plain",
    )


def _resumed(subject: Subject) -> Strategy:
    then = strategy(subject.ref.kind, {**subject.object, "spec": _without_pause(subject)})
    known = subject.revisions
    if known and any(one.current and one.replicas for one in known) and not under_way(subject):
        return Strategy("Nothing waits: the pods are those of the present template")
    return then


def _without_pause(subject: Subject) -> dict[str, object]:
    spec = subject.object.get("spec")
    parts = dict(spec) if isinstance(spec, dict) else {}
    parts.pop("paused", None)
    return parts
