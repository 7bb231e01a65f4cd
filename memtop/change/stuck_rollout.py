"""Why a rollout does not go on: each cause by name, with the cluster's own message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memtop.change.rollout_model import (
    RolloutFacts,
    StuckCause,
    StuckReason,
    has_ended,
    is_ready,
    is_terminating,
    last_event_time,
)
from memtop.change.rollout_status import workload_condition
from memtop.kube.api_objects import ContainerStatus, Pod
from memtop.kube.json_object import mapping, number, text
from memtop.kube.pod_facts import ContainerFacts, ContainerKind, container_facts, unix_seconds
from memtop.sanitize import sanitize
from memtop.wording import bytes_, duration

SLOW_READY_SECONDS = 300.0
"""A pod that runs so long without getting ready will hardly do so by itself."""
_PULL_FAILURES = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
}
_START_FAILURES = {"StartError", "ContainerCannotRun"}
_NORMAL_WAITING = {"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
_SETUP_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"}


def pod_problems(scene: RolloutFacts, pod: Pod) -> Iterator[StuckReason]:
    """What keeps one pod from doing its work; their words begin small, for something may stand before them.

    Args:
        scene: What is known around it.
        pod: The pod.
    """
    status = pod.status
    if has_ended(pod):
        why = sanitize(status.reason or status.phase)
        yield StuckReason(StuckCause.FAILED, f"a pod has failed ({why})", sanitize(status.message))
        return
    unscheduled = next((one for one in status.conditions if one.type == "PodScheduled"), None)
    if unscheduled is not None and unscheduled.status == "False":
        if unscheduled.reason == "Unschedulable":
            yield StuckReason(StuckCause.NO_NODE, "no node takes the pod", sanitize(unscheduled.message))
        return
    found = False
    statuses = {one.name: one for one in (*status.container_statuses, *status.init_container_statuses)}
    images = {one.name: one.image for one in (*pod.spec.containers, *pod.spec.init_containers)}
    for facts in container_facts(pod):
        container = statuses.get(facts.name)
        if container is None:
            continue
        reason = _container_problem(scene, pod, facts, container, sanitize(images.get(facts.name, "")))
        if reason is not None:
            found = True
            yield replace(reason, container=facts.name)
    if (
        not found
        and (event := scene.recent_warning(pod.metadata.uid, _SETUP_EVENTS)) is not None
        and not _is_running(pod)
    ):
        volume = event.reason != "FailedCreatePodSandBox"
        what = "the pod's volumes cannot be mounted" if volume else "the pod's network cannot be set up"
        yield StuckReason(StuckCause.VOLUME, what, sanitize(event.message or ""))


def _container_problem(
    scene: RolloutFacts, pod: Pod, facts: ContainerFacts, status: ContainerStatus, image: str
) -> StuckReason | None:
    waiting = status.state.waiting if status.state is not None else None
    why = sanitize(waiting.reason) if waiting is not None else ""
    said = sanitize(waiting.message) if waiting is not None else ""
    if why in _PULL_FAILURES:
        return _image_reason(scene, pod, facts.name, image, why, said)
    if why not in _NORMAL_WAITING:
        return StuckReason(StuckCause.CONFIG, f"container {facts.name} cannot be created ({why})", said)
    if facts.terminations and (why == "CrashLoopBackOff" or _ended_badly(scene, facts)):
        return _crash_reason(facts, status)
    if facts.kind is ContainerKind.CONTAINER and facts.started_at is not None and not status.ready:
        return _not_ready_reason(scene, pod, facts)
    return None


def _ended_badly(scene: RolloutFacts, facts: ContainerFacts) -> bool:
    """Whether its last end was a bad and a recent one; between two crashes a container may even be ready."""
    end = facts.terminations[-1]
    return end.exit_code != 0 and scene.now - (end.finished_at or scene.now) <= SLOW_READY_SECONDS


def _crash_reason(facts: ContainerFacts, status: ContainerStatus) -> StuckReason:
    end = facts.terminations[-1]
    times = "1 restart" if facts.restarts == 1 else f"{facts.restarts} restarts"
    if end.oom:
        limit = f"its limit is {bytes_(facts.limit)}" if facts.limit else "it has no limit of its own"
        return StuckReason(StuckCause.OOM, f"container {facts.name} is OOMKilled ({times}); {limit}")
    if end.exit_code == 0:
        return StuckReason(
            StuckCause.CRASH, f"container {facts.name} ends by itself again and again ({times})"
        )
    if end.reason in _START_FAILURES:
        return StuckReason(
            StuckCause.CRASH,
            f"container {facts.name} cannot be started ({times})",
            _termination_message(status),
        )
    why = f", {end.reason}" if end.reason not in {"", "Error"} else ""
    words = f"container {facts.name} crashes ({times}), the last time with exit code {end.exit_code}{why}"
    return StuckReason(StuckCause.CRASH, words, _termination_message(status))


def _image_reason(
    scene: RolloutFacts, pod: Pod, container: str, image: str, why: str, said: str
) -> StuckReason:
    if why == "ErrImageNeverPull":
        words = f"the image {image} is not on the node, and imagePullPolicy Never forbids pulling it"
        return StuckReason(StuckCause.IMAGE, words)
    if why == "InvalidImageName":
        return StuckReason(StuckCause.IMAGE, f"{image!r} is not a valid image name")
    # While it backs off the status says only that it does; the attempt's own words are in the event.
    event = next(
        (
            event
            for event in scene.events
            if event.involved_object.uid == pod.metadata.uid
            and event.reason == "Failed"
            and (event.message or "").startswith("Failed to pull image")
            and f"{{{container}}}" in (event.involved_object.field_path or f"{{{container}}}")
        ),
        None,
    )
    if event is not None:
        said = sanitize(event.message or "")
    return StuckReason(StuckCause.IMAGE, f"the image {image} cannot be pulled ({why})", said)


def _termination_message(status: ContainerStatus) -> str:
    """What the runtime or the container left as its termination message, the newest first."""
    for state in (status.state, status.last_state):
        if state is not None and state.terminated is not None and state.terminated.message:
            return sanitize(state.terminated.message)
    return ""


def _not_ready_reason(scene: RolloutFacts, pod: Pod, facts: ContainerFacts) -> StuckReason | None:
    seconds = scene.now - (facts.started_at or scene.now)
    slow = seconds > SLOW_READY_SECONDS
    event = scene.recent_warning(pod.metadata.uid, ("Unhealthy",))
    if event is None:
        if not slow:
            return None
        return StuckReason(StuckCause.NOT_READY, f"container {facts.name} runs, but has not become ready")
    said = sanitize(event.message or "")
    probe = said.split(" ", 1)[0].lower() if " probe " in said else "readiness"
    words = f"container {facts.name} runs, but its {probe} probe fails"
    return StuckReason(StuckCause.NOT_READY, words, said, blocking=slow)


def _is_running(pod: Pod) -> bool:
    return any(one.state is not None and one.state.running for one in pod.status.container_statuses)


OVERDUE_SECONDS = 30.0
"""A pod that is still there so long after its grace period does not end by itself."""
_REFUSAL_WORDS = (
    ("exceeded quota", "The namespace's quota allows no more pods"),
    ("failed quota", "The namespace's quota does not allow these pods"),
    ("admission webhook", "An admission webhook refuses the pods"),
    ("violates PodSecurity", "The namespace's pod security level does not allow these pods"),
    ("per Container", "The namespace's LimitRange does not allow these pods"),
    ("per Pod", "The namespace's LimitRange does not allow these pods"),
    ("service account", "The pods' service account is missing"),
    ("serviceaccount", "The pods' service account is missing"),
)
_PRESSURE_WORDS = {
    "MemoryPressure": "is under memory pressure and may evict pods",
    "DiskPressure": "is under disk pressure and may evict pods",
    "PIDPressure": "has no process ids left",
}


def stuck_reasons(scene: RolloutFacts) -> tuple[StuckReason, ...]:
    """Why a rollout does not go on, the gravest reason first; nothing where it just goes its way.

    Of one that is done it says which of its new pods crash all the same: without a readiness probe a pod
    counts as available between two crashes.
    """
    if scene.status.done:
        crashes = (one for one in _pod_reasons(scene) if one.cause in {StuckCause.OOM, StuckCause.CRASH})
        return tuple(replace(one, blocking=False) for one in crashes)
    found = [
        *_pod_reasons(scene),
        *_refused_reasons(scene),
        *_waiting_reasons(scene),
        *_node_reasons(scene),
        *_overdue_reasons(scene),
    ]
    found += _ordered_update_reasons(scene, found)
    found += _deadline_reasons(scene)
    order = list(StuckCause)
    return tuple(sorted(found, key=lambda one: (not one.blocking, order.index(one.cause))))


# -- pods


def _pod_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    """One reason for all pods that have the same trouble."""
    same: dict[tuple[StuckCause, str], list[StuckReason]] = {}
    for pod in scene.new:
        if is_terminating(pod):
            continue
        for one in pod_problems(scene, pod):
            same.setdefault((one.cause, one.container), []).append(one)
    pods = sum(not is_terminating(pod) for pod in scene.new)
    for found in same.values():
        first = max(found, key=lambda one: one.blocking)
        words = f"{len(found)} of {pods} new pods: {first.words}" if pods > 1 else _capitalised(first.words)
        yield replace(first, words=words)


# -- what makes the pods


def _refused_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    failure = workload_condition(scene.workload, "ReplicaFailure")
    said = text(failure, "message") if text(failure, "status") == "True" else ""
    if not said and scene.status.updated < scene.status.target:
        events = (scene.recent_warning(uid, ("FailedCreate",)) for uid in scene.owner_uids)
        event = max((event for event in events if event is not None), key=last_event_time, default=None)
        said = sanitize(event.message or "") if event is not None else ""
    if said:
        words = next((words for sign, words in _REFUSAL_WORDS if sign in said), "No more pods can be created")
        yield StuckReason(StuckCause.REFUSED, words, said)


def _waiting_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    status, spec = scene.status, mapping(scene.workload, "spec")
    if status.paused:
        yield StuckReason(
            StuckCause.PAUSED, "The rollout is paused: nothing more happens until it is resumed"
        )
    if scene.kind != "Deployment" and text(spec, "updateStrategy", "type") == "OnDelete" and status.old:
        keep = "1 pod keeps" if status.old == 1 else f"{status.old} pods keep"
        words = f"The strategy is OnDelete: {keep} the old revision until deleted"
        yield StuckReason(StuckCause.ON_DELETE, words)
    seconds = number(spec, "minReadySeconds") or 0
    works = sum(is_ready(pod) for pod in scene.new)
    if seconds and scene.kind == "Deployment" and status.available < status.ready and works:
        words = f"A pod counts only when it has been ready for {duration(seconds)} (minReadySeconds)"
        yield StuckReason(StuckCause.NOT_READY, words, blocking=False)


def _deadline_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    if text(workload_condition(scene.workload, "Progressing"), "reason") != "ProgressDeadlineExceeded":
        return
    seconds = number(scene.workload, "spec", "progressDeadlineSeconds")
    allowed = f" ({duration(seconds)})" if seconds else ""
    words = f"Nothing has moved for longer than the progress deadline allows{allowed}"
    yield StuckReason(StuckCause.DEADLINE, words)


def _ordered_update_reasons(scene: RolloutFacts, found: Sequence[StuckReason]) -> Iterator[StuckReason]:
    """A StatefulSet stops at a broken pod, and does not replace that one even by an older revision."""
    if scene.kind != "StatefulSet" or not any(reason.blocking for reason in found):
        return
    if text(scene.workload, "spec", "podManagementPolicy") == "Parallel":
        return
    broken = [
        sanitize(pod.metadata.name) for pod in scene.new if not is_terminating(pod) and not is_ready(pod)
    ]
    if broken:
        words = (
            f"A StatefulSet changes one pod after another and waits for {broken[0]}; "
            "after an undo that pod has to be deleted by hand"
        )
        yield StuckReason(StuckCause.ORDER, words, blocking=False)


# -- where they run, and what they replace


def _node_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    concerned = {pod.spec.node_name for pod in scene.new if pod.spec.node_name and not is_ready(pod)}
    for name in sorted(concerned & set(scene.nodes)):
        for state in scene.nodes[name].status.conditions:
            if state.type in _PRESSURE_WORDS and state.status == "True":
                yield StuckReason(
                    StuckCause.NODE, f"Node {sanitize(name)} {_PRESSURE_WORDS[state.type]}", blocking=False
                )
            if state.type == "Ready" and state.status != "True":
                yield StuckReason(
                    StuckCause.NODE, f"Node {sanitize(name)} is not ready", sanitize(state.message)
                )


def _overdue_reasons(scene: RolloutFacts) -> Iterator[StuckReason]:
    late = [
        pod
        for pod in scene.old
        if scene.now - (unix_seconds(pod.metadata.deletion_timestamp) or scene.now) > OVERDUE_SECONDS
    ]
    if late:
        first = sanitize(late[0].metadata.name)
        others = f" and {len(late) - 1} more" if len(late) > 1 else ""
        words = f"Pod {first}{others} should have ended long ago: its node or a finalizer keeps it"
        yield StuckReason(StuckCause.LEAVING, words, blocking=False)


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]
