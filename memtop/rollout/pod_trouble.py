"""What keeps one pod of a rollout from doing its work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from memtop.cluster.containers import ContainerFacts, Kind, container_facts
from memtop.cluster.objects import ContainerStatus, Pod
from memtop.cluster.sanitize import sanitize
from memtop.rollout.model import Cause, Reason
from memtop.rollout.pods import ended
from memtop.rollout.scene import Scene
from memtop.wording import bytes_

SLOW_SECONDS = 300.0
"""A pod that runs so long without getting ready will hardly do so by itself."""
_PULL = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
}
_UNSTARTABLE = {"StartError", "ContainerCannotRun"}
_HARMLESS = {"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"}
_SETUP = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"}


def troubles(scene: Scene, pod: Pod) -> Iterator[Reason]:
    """What keeps one pod from doing its work; their words begin small, for something may stand before them.

    Args:
        scene: What is known around it.
        pod: The pod.
    """
    status = pod.status
    if ended(pod):
        why = sanitize(status.reason or status.phase)
        yield Reason(Cause.FAILED, f"a pod has failed ({why})", sanitize(status.message))
        return
    unscheduled = next((one for one in status.conditions if one.type == "PodScheduled"), None)
    if unscheduled is not None and unscheduled.status == "False":
        if unscheduled.reason == "Unschedulable":
            yield Reason(Cause.NO_NODE, "no node takes the pod", sanitize(unscheduled.message))
        return
    found = False
    statuses = {one.name: one for one in (*status.container_statuses, *status.init_container_statuses)}
    images = {one.name: one.image for one in (*pod.spec.containers, *pod.spec.init_containers)}
    for facts in container_facts(pod):
        container = statuses.get(facts.name)
        if container is None:
            continue
        reason = _of_container(scene, pod, facts, container, sanitize(images.get(facts.name, "")))
        if reason is not None:
            found = True
            yield replace(reason, container=facts.name)
    if not found and (event := scene.told(pod.metadata.uid, _SETUP)) is not None and not _running(pod):
        volume = event.reason != "FailedCreatePodSandBox"
        what = "the pod's volumes cannot be mounted" if volume else "the pod's network cannot be set up"
        yield Reason(Cause.VOLUME, what, sanitize(event.message or ""))


def _of_container(
    scene: Scene, pod: Pod, facts: ContainerFacts, status: ContainerStatus, image: str
) -> Reason | None:
    waiting = status.state.waiting if status.state is not None else None
    why = sanitize(waiting.reason) if waiting is not None else ""
    said = sanitize(waiting.message) if waiting is not None else ""
    if why in _PULL:
        return _image(scene, pod, facts.name, image, why, said)
    if why not in _HARMLESS:
        return Reason(Cause.CONFIG, f"container {facts.name} cannot be created ({why})", said)
    if facts.terminations and (why == "CrashLoopBackOff" or _ended_badly(scene, facts)):
        return _crash(facts, status)
    if facts.kind is Kind.CONTAINER and facts.started_at is not None and not status.ready:
        return _not_ready(scene, pod, facts)
    return None


def _ended_badly(scene: Scene, facts: ContainerFacts) -> bool:
    """Whether its last end was a bad and a recent one; between two crashes a container may even be ready."""
    end = facts.terminations[-1]
    return end.exit_code != 0 and scene.now - (end.finished_at or scene.now) <= SLOW_SECONDS


def _crash(facts: ContainerFacts, status: ContainerStatus) -> Reason:
    end = facts.terminations[-1]
    times = "1 restart" if facts.restarts == 1 else f"{facts.restarts} restarts"
    if end.oom:
        limit = f"its limit is {bytes_(facts.limit)}" if facts.limit else "it has no limit of its own"
        return Reason(Cause.OOM, f"container {facts.name} is OOMKilled ({times}); {limit}")
    if end.exit_code == 0:
        return Reason(Cause.CRASH, f"container {facts.name} ends by itself again and again ({times})")
    if end.reason in _UNSTARTABLE:
        return Reason(Cause.CRASH, f"container {facts.name} cannot be started ({times})", _last_words(status))
    why = f", {end.reason}" if end.reason not in {"", "Error"} else ""
    words = f"container {facts.name} crashes ({times}), the last time with exit code {end.exit_code}{why}"
    return Reason(Cause.CRASH, words, _last_words(status))


def _image(scene: Scene, pod: Pod, container: str, image: str, why: str, said: str) -> Reason:
    if why == "ErrImageNeverPull":
        words = f"the image {image} is not on the node, and imagePullPolicy Never forbids pulling it"
        return Reason(Cause.IMAGE, words)
    if why == "InvalidImageName":
        return Reason(Cause.IMAGE, f"{image!r} is not a valid image name")
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
    return Reason(Cause.IMAGE, f"the image {image} cannot be pulled ({why})", said)


def _last_words(status: ContainerStatus) -> str:
    """What the runtime or the container left as its termination message, the newest first."""
    for state in (status.state, status.last_state):
        if state is not None and state.terminated is not None and state.terminated.message:
            return sanitize(state.terminated.message)
    return ""


def _not_ready(scene: Scene, pod: Pod, facts: ContainerFacts) -> Reason | None:
    seconds = scene.now - (facts.started_at or scene.now)
    slow = seconds > SLOW_SECONDS
    event = scene.told(pod.metadata.uid, ("Unhealthy",))
    if event is None:
        if not slow:
            return None
        return Reason(Cause.NOT_READY, f"container {facts.name} runs, but has not become ready")
    said = sanitize(event.message or "")
    probe = said.split(" ", 1)[0].lower() if " probe " in said else "readiness"
    words = f"container {facts.name} runs, but its {probe} probe fails"
    return Reason(Cause.NOT_READY, words, said, blocking=slow)


def _running(pod: Pod) -> bool:
    return any(one.state is not None and one.state.running for one in pod.status.container_statuses)
