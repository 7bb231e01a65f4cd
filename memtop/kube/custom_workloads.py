"""Workloads whose APIs are not Kubernetes' own and that memtop knows: Argo Rollouts and OpenKruise.

The fields are those of their documented APIs (argoproj.io/v1alpha1, apps.kruise.io/v1alpha1 and v1beta1).
Their objects are custom resources: the API server takes no strategic-merge patch for them, so they are
changed by JSON patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memtop.kube.json_object import Json, at, mapping, number, objects, text

ROLLOUT_HASH: Final = "rollouts-pod-template-hash"
"""The label by which Argo Rollouts tells the pods and ReplicaSets of a Rollout's revisions apart."""
ROLLOUT_REVISION: Final = "rollout.argoproj.io/revision"
"""The annotation of a ReplicaSet that numbers a Rollout's revisions."""
_OWN_GROUPS: Final = frozenset({"", "apps", "batch", "extensions"})
"""API groups of the workloads that come with Kubernetes."""


@dataclass(frozen=True, slots=True)
class CustomWorkload:
    """One kind of workload that is not Kubernetes' own.

    Attributes:
        kind: Such as ``CloneSet``; some are called like Kubernetes' own.
        api_version: Its API group and version, as it is written where nobody says another.
        plural: What its collection is called.
        product: Whose controller looks after it.
        pause_path: The field that holds its rollouts back.
        restart_field: The field that asks for new pods; empty where an annotation of the template does, as
            with Kubernetes' own.
        scales: Whether it has a number of pods.
        follow: The command that follows its rollouts.
    """

    kind: str
    api_version: str
    plural: str
    product: str
    pause_path: tuple[str, ...]
    restart_field: tuple[str, ...] = ()
    scales: bool = True
    follow: str = ""

    @property
    def group(self) -> str:
        """Its API group."""
        return self.api_version.partition("/")[0]


ROLLOUT: Final = CustomWorkload(
    "Rollout", "argoproj.io/v1alpha1", "rollouts", "Argo Rollouts", ("spec", "paused"), ("spec", "restartAt"),
    follow="kubectl argo rollouts get rollout NAME --watch",
)  # fmt: skip
_KRUISE: Final = "apps.kruise.io/v1alpha1"
_ROLLING_PAUSE: Final = ("spec", "updateStrategy", "rollingUpdate", "paused")
CUSTOM_WORKLOADS: Final = (
    ROLLOUT,
    CustomWorkload(
        "CloneSet", _KRUISE, "clonesets", "OpenKruise", ("spec", "updateStrategy", "paused"),
        follow="kubectl kruise rollout status cloneset/NAME",
    ),
    CustomWorkload(
        "StatefulSet", "apps.kruise.io/v1beta1", "statefulsets", "OpenKruise", _ROLLING_PAUSE,
        follow="kubectl kruise rollout status statefulsets.apps.kruise.io/NAME",
    ),
    CustomWorkload(
        "DaemonSet", _KRUISE, "daemonsets", "OpenKruise", _ROLLING_PAUSE, scales=False,
        follow="kubectl get daemonsets.apps.kruise.io NAME --watch",
    ),
)  # fmt: skip


def custom_api_version(api_version: str) -> str:
    """An API version if its group is not one of Kubernetes' own; else empty."""
    group, slash, _ = api_version.partition("/")
    return "" if not slash or group in _OWN_GROUPS else api_version


def custom_workload(kind: str, api_version: str = "") -> CustomWorkload | None:
    """What is known of a kind that is not Kubernetes' own; None for its own, and for what nobody knows.

    Args:
        kind: The kind.
        api_version: Its API version; where that is not known, only kinds that Kubernetes lacks are found.
    """
    group = custom_api_version(api_version).partition("/")[0]
    if api_version and not group:
        return None
    return next(
        (
            one
            for one in CUSTOM_WORKLOADS
            if one.kind == kind and (one.group == group if group else kind in {"Rollout", "CloneSet"})
        ),
        None,
    )


def named_custom_workload(kind: str, group: str) -> CustomWorkload | None:
    """The kind that a person means by ``rollout/NAME`` or ``statefulset.apps.kruise.io/NAME``; else None.

    Args:
        kind: The kind.
        group: The group that was written behind it; empty for none.
    """
    return custom_workload(kind, f"{group}/" if group not in _OWN_GROUPS else "")


def is_paused(custom: CustomWorkload, found: Json) -> bool:
    """Whether somebody has its rollouts held back."""
    return at(found, *custom.pause_path) is True


def template_elsewhere(found: Json) -> str:
    """The object that a Rollout takes its pod template from; empty where it has its own."""
    reference = mapping(found, "spec", "workloadRef")
    return f"{text(reference, 'kind')}/{text(reference, 'name')}" if reference else ""


def paused_by_step(found: Json) -> str:
    """Why the controller of a Rollout itself waits, such as ``CanaryPauseStep``; empty where it does not."""
    waits = objects(found, "status", "pauseConditions")
    return ", ".join(text(one, "reason") or "unknown" for one in waits)


def status_words(custom: CustomWorkload, found: Json) -> tuple[str, bool]:
    """How far a rollout of it is, and whether it is over.

    What the controller says of itself goes first; the numbers follow.

    Args:
        custom: Its kind.
        found: The object.
    """
    status = mapping(found, "status")
    if not status:
        return "its controller has said nothing yet", False
    phase, message = text(status, "phase"), text(status, "message")
    counted = _counted(status)
    if custom is ROLLOUT and phase:
        said = f"{phase}{f': {message}' if message else ''}"
        if step := _step_words(found):
            said += f", {step}"
        return f"{said}; {counted}", phase == "Healthy"
    wanted = number(found, "spec", "replicas") if custom.scales else number(status, "desiredNumberScheduled")
    updated = number(status, "updatedReplicas" if custom.scales else "updatedNumberScheduled") or 0
    seen = (number(status, "observedGeneration") or 0) >= (number(found, "metadata", "generation") or 0)
    done = seen and updated >= (wanted or 0)
    held = "" if done else _partition(found)
    words = "rolled out" if done else "a rollout is under way"
    return f"{f'the partition {held} holds pods back' if held else words}; {counted}", done


def _partition(found: Json) -> str:
    strategy = mapping(found, "spec", "updateStrategy")
    own = at(strategy, "partition")
    held = own if own is not None else at(strategy, "rollingUpdate", "partition")
    return "" if held in {None, 0, "0", "0%"} else str(held)


def _step_words(found: Json) -> str:
    steps = objects(found, "spec", "strategy", "canary", "steps")
    index = number(found, "status", "currentStepIndex")
    return f"step {index} of {len(steps)} done" if steps and index is not None else ""


def _counted(status: Json) -> str:
    names = (
        ("updated", ("updatedReplicas", "updatedNumberScheduled")),
        ("ready", ("readyReplicas", "numberReady")),
        ("available", ("availableReplicas", "numberAvailable")),
    )
    total = _first_number(status, ("replicas", "currentNumberScheduled"))
    parts = [f"{_first_number(status, keys)} {word}" for word, keys in names]
    return f"{total} pods: {', '.join(parts)}"


def _first_number(status: Json, keys: tuple[str, ...]) -> int:
    return next((found for key in keys if (found := number(status, key)) is not None), 0)


def wait_words(custom: CustomWorkload, found: Json) -> str:
    """What a Rollout waits for that resuming does not end; empty for nothing."""
    if custom is not ROLLOUT or not (why := paused_by_step(found)):
        return ""
    return f"it waits at a step of its strategy ({why}): kubectl argo rollouts promote NAME goes on"
