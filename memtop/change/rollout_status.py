"""How far a rollout is, as ``kubectl rollout status`` judges and words it."""

from __future__ import annotations

from dataclasses import dataclass

from memtop.kube.json_object import Json, has, mapping, name_of, number, objects, text

_ROLLING = "RollingUpdate"


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """How far a rollout is.

    Attributes:
        words: kubectl's sentence, without ``error:`` and line end.
        done: Whether it is over and has succeeded.
        failed: Whether kubectl would end with an error now: the progress deadline has passed, or there is
            nothing to follow.
        observed: Whether the controller has seen the change yet; the numbers are of an earlier state if not.
        desired: Pods there should be.
        updated: Pods of the new revision.
        ready: Ready pods of any revision.
        available: Available pods of any revision; a StatefulSet older than Kubernetes 1.22 does not tell, for
            it the ready ones count.
        old: Pods of other revisions; those that are being deleted count for a DaemonSet and a StatefulSet.
        target: Pods of the new revision there will be in the end: fewer than desired where a StatefulSet's
            partition holds some back.
        paused: Whether a Deployment was told to go no further.
    """

    words: str
    done: bool
    failed: bool
    observed: bool
    desired: int
    updated: int
    ready: int
    available: int
    old: int
    target: int
    paused: bool = False


def rollout_status(workload: Json, kind: str) -> RolloutStatus:
    """Judges a Deployment, StatefulSet or DaemonSet.

    Args:
        workload: The object.
        kind: Its kind; one inside a list does not say so itself.

    Raises:
        ValueError: It is of another kind.
    """
    match kind:
        case "Deployment":
            return _deployment(workload)
        case "StatefulSet":
            return _stateful_set(workload)
        case "DaemonSet":
            return _daemon_set(workload)
    raise ValueError(f"a {kind} is not rolled out")


def workload_condition(workload: Json, type_: str) -> Json:
    """One of a workload's conditions; empty where it is not told."""
    found = objects(workload, "status", "conditions")
    return next((one for one in found if text(one, "type") == type_), {})


def _deployment(workload: Json) -> RolloutStatus:
    name, said = name_of(workload), mapping(workload, "status")
    wished = number(workload, "spec", "replicas")
    updated, all_ = _status_count(said, "updatedReplicas"), _status_count(said, "replicas")
    available = _status_count(said, "availableReplicas")
    seen = _status_count(mapping(workload, "metadata"), "generation") <= _status_count(
        said, "observedGeneration"
    )
    done = failed = False
    waiting = f'Waiting for deployment "{name}" rollout to finish'
    if not seen:
        words = "Waiting for deployment spec update to be observed..."
    elif text(workload_condition(workload, "Progressing"), "reason") == "ProgressDeadlineExceeded":
        words, failed = f'deployment "{name}" exceeded its progress deadline', True
    elif wished is not None and updated < wished:
        words = f"{waiting}: {updated} out of {wished} new replicas have been updated..."
    elif all_ > updated:
        words = f"{waiting}: {all_ - updated} old replicas are pending termination..."
    elif available < updated:
        words = f"{waiting}: {available} of {updated} updated replicas are available..."
    else:
        words, done = f'deployment "{name}" successfully rolled out', True
    desired = 1 if wished is None else wished
    return RolloutStatus(
        words,
        done,
        failed,
        seen,
        desired=desired,
        updated=updated,
        ready=_status_count(said, "readyReplicas"),
        available=available,
        old=max(0, all_ - updated),
        target=desired,
        paused=text(workload, "spec", "paused") == "true",
    )


def _stateful_set(workload: Json) -> RolloutStatus:
    said, strategy = mapping(workload, "status"), mapping(workload, "spec", "updateStrategy")
    wished = number(workload, "spec", "replicas")
    updated, ready = _status_count(said, "updatedReplicas"), _status_count(said, "readyReplicas")
    current, wanted = text(said, "currentRevision"), text(said, "updateRevision")
    partition = number(strategy, "rollingUpdate", "partition")
    observed = _status_count(said, "observedGeneration")
    seen = observed > 0 and _status_count(mapping(workload, "metadata"), "generation") <= observed
    desired = 1 if wished is None else wished
    target = desired if partition is None else max(0, desired - partition)
    done = failed = False
    if text(strategy, "type") != _ROLLING:
        words, failed = _no_rolling_update(), True
    elif not seen:
        words = "Waiting for statefulset spec update to be observed..."
    elif wished is not None and ready < wished:
        words = f"Waiting for {wished - ready} pods to be ready..."
    elif has(strategy, "rollingUpdate"):
        if wished is not None and partition is not None and updated < wished - partition:
            words = (
                f"Waiting for partitioned roll out to finish: {updated} out of {wished - partition} "
                "new pods have been updated..."
            )
        else:
            words, done = f"partitioned roll out complete: {updated} new pods have been updated...", True
    elif wanted != current:
        words = f"waiting for statefulset rolling update to complete {updated} pods at revision {wanted}..."
    else:
        moved = _status_count(said, "currentReplicas")
        words, done = f"statefulset rolling update complete {moved} pods at revision {current}...", True
    return RolloutStatus(
        words,
        done,
        failed,
        seen,
        desired=desired,
        updated=updated,
        ready=ready,
        available=_status_count(said, "availableReplicas") if has(said, "availableReplicas") else ready,
        old=max(0, _status_count(said, "replicas") - updated),
        target=target,
    )


def _daemon_set(workload: Json) -> RolloutStatus:
    name, said = name_of(workload), mapping(workload, "status")
    desired, updated = (
        _status_count(said, "desiredNumberScheduled"),
        _status_count(said, "updatedNumberScheduled"),
    )
    available = _status_count(said, "numberAvailable")
    seen = _status_count(mapping(workload, "metadata"), "generation") <= _status_count(
        said, "observedGeneration"
    )
    done = failed = False
    waiting = f'Waiting for daemon set "{name}" rollout to finish'
    if text(workload, "spec", "updateStrategy", "type") != _ROLLING:
        words, failed = _no_rolling_update(), True
    elif not seen:
        words = "Waiting for daemon set spec update to be observed..."
    elif updated < desired:
        words = f"{waiting}: {updated} out of {desired} new pods have been updated..."
    elif available < desired:
        words = f"{waiting}: {available} of {desired} updated pods are available..."
    else:
        words, done = f'daemon set "{name}" successfully rolled out', True
    return RolloutStatus(
        words,
        done,
        failed,
        seen,
        desired=desired,
        updated=updated,
        ready=_status_count(said, "numberReady"),
        available=available,
        old=max(0, _status_count(said, "currentNumberScheduled") - updated),
        target=desired,
    )


def _no_rolling_update() -> str:
    return f"rollout status is only available for {_ROLLING} strategy type"


def _status_count(value: Json, key: str) -> int:
    return number(value, key) or 0
