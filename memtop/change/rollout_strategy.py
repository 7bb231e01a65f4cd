"""How a workload replaces its pods when its template changes: rolling, Recreate, OnDelete, paused.

The rules are those of the controllers (k8s.io/kubernetes, pkg/controller/deployment, statefulset,
daemon).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from memtop.change.change_plan import LineWeight
from memtop.kube.json_object import Json, at, flag, has, mapping, number, objects, text
from memtop.quantity import parse_whole
from memtop.wording import duration

_PROGRESS_DEADLINE_SECONDS = 600
"""Seconds a Deployment may go without progress, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class PodReplacement:
    """How a workload goes from one template to another.

    Attributes:
        words: In a sentence.
        weight: How much that asks for attention.
        replaced: How many pods are replaced.
        surge: How many more pods than before there are meanwhile.
    """

    words: str
    weight: LineWeight = "plain"
    replaced: int = 0
    surge: int = 0

    @property
    def replaces_pods(self) -> bool:
        """Whether any pod is replaced at once, so that there is a rollout to watch."""
        return self.replaced > 0


def pod_replacement(kind: str, found: Json) -> PodReplacement:
    """What a change of its template does to a workload's pods.

    Args:
        kind: Its kind.
        found: The workload.
    """
    rolling = mapping(found, "spec", "updateStrategy", "rollingUpdate")
    if flag(rolling, "paused"):  # OpenKruise's own StatefulSets and DaemonSets
        return PodReplacement("Nothing happens to the pods until it is resumed: it is paused", "warn")
    match kind:
        case "StatefulSet" if text(rolling, "podUpdatePolicy").startswith("InPlace"):
            effect = _stateful_set(found)
            return replace(effect, words=f"{effect.words}; in place where only images change")
        case "Deployment":
            return _deployment(found)
        case "StatefulSet":
            return _stateful_set(found)
        case "DaemonSet":
            return _daemon_set(found)
        case "CronJob":
            return _cron_job(found)
        case "Rollout":
            return _argo_rollout(found)
        case "CloneSet":
            return _clone_set(found)
        case _:
            return PodReplacement(f"memtop does not know how a {kind} replaces its pods", "warn")


def _argo_rollout(found: Json) -> PodReplacement:
    total = replicas_in_spec(found)
    if flag(found, "spec", "paused"):
        return PodReplacement("Nothing happens to the pods until it is resumed: it is paused", "warn")
    if total == 0:
        return PodReplacement("It is scaled to 0: there is no pod to replace")
    if has(found, "spec", "strategy", "blueGreen"):
        promotes = at(found, "spec", "strategy", "blueGreen", "autoPromotionEnabled") is not False
        then = "takes the traffic when it is ready" if promotes else "waits for somebody to promote it"
        return PodReplacement(
            f"Blue-green: {pod_count_text(total)} more start beside the old ones, and the new set {then}",
            "plain", total, total,
        )  # fmt: skip
    steps = objects(found, "spec", "strategy", "canary", "steps")
    waits = sum(has(one, "pause") and not has(one, "pause", "duration") for one in steps)
    if not steps:
        return PodReplacement(f"Canary without steps: step by step; {pod_count_text(total)}", "plain", total)
    held = f"; {waits} of them wait{'s' if waits == 1 else ''} for somebody to promote it" if waits else ""
    return PodReplacement(
        f"Canary in {len(steps)} steps{held}; {pod_count_text(total)}", "warn" if waits else "plain", total
    )


def _clone_set(found: Json) -> PodReplacement:
    total, update = replicas_in_spec(found), mapping(found, "spec", "updateStrategy")
    if flag(update, "paused"):
        return PodReplacement("Nothing happens to the pods until it is resumed: it is paused", "warn")
    if total == 0:
        return PodReplacement("It is scaled to 0: there is no pod to replace")
    kept = int_or_percent(at(update, "partition"), total, 0, up=True)
    moved = max(0, total - kept)
    if not moved:
        return PodReplacement(f"Nothing happens to the pods: the partition holds back all {total}", "warn")
    surge = int_or_percent(at(update, "maxSurge"), total, 0, up=True)
    unavailable = int_or_percent(at(update, "maxUnavailable"), total, "20%", up=not surge)
    how = {
        "InPlaceIfPossible": "In place where only images change (the pods stay), else new pods",
        "InPlaceOnly": "In place only: containers restart, pods stay; all else is refused",
    }.get(text(update, "type"), "New pods in place of the old")
    held = f"; the partition holds back {kept}" if kept else ""
    bounds = f"{f'{surge} extra, ' if surge else ''}at most {unavailable} unavailable"
    return PodReplacement(
        f"{how}: {bounds}; {pod_count_text(moved)}{held}", "warn" if kept else "plain", moved, surge
    )


def replicas_in_spec(found: Json) -> int:
    """How many pods a Deployment or StatefulSet asks for; one where it does not say."""
    asked = number(found, "spec", "replicas")
    return 1 if asked is None else asked


def rolling_bounds(found: Json) -> tuple[int, int]:
    """How many pods a Deployment may have too many and too few while it rolls (surge, unavailable)."""
    total = replicas_in_spec(found)
    rolling = mapping(found, "spec", "strategy", "rollingUpdate")
    surge = int_or_percent(at(rolling, "maxSurge"), total, "25%", up=True)
    unavailable = int_or_percent(at(rolling, "maxUnavailable"), total, "25%", up=False)
    return surge, min(total, max(unavailable, 1 if surge == 0 else 0))


def int_or_percent(amount: object, total: int, default: int | str, *, up: bool) -> int:
    """A number of pods that may be written as a share such as ``25%``.

    Args:
        amount: As the API has it; None for the default.
        total: What the share is of.
        default: What counts where there is none.
        up: Whether a fraction counts as a whole pod.
    """
    amount = default if amount is None else amount
    if isinstance(amount, str):
        share = parse_whole(amount.removesuffix("%"))
        if share is None:
            return 0
        part = share * total / 100
        return math.ceil(part) if up else math.floor(part)
    return int(amount) if isinstance(amount, int | float) else 0


def pod_count_text(count: int) -> str:
    """``1 pod``, ``3 pods``."""
    return f"{count} pod{'' if count == 1 else 's'}"


def _deployment(found: Json) -> PodReplacement:
    total = replicas_in_spec(found)
    if flag(found, "spec", "paused"):
        return PodReplacement(
            "Nothing happens to the pods until it is resumed: its rollouts are paused", "warn"
        )
    if total == 0:
        return PodReplacement("It is scaled to 0: there is no pod to replace")
    if text(found, "spec", "strategy", "type") == "Recreate":
        stopped = (
            "The pod stops first, then a new one starts"
            if total == 1
            else (f"All {total} pods stop first, then {total} new ones start")
        )
        return PodReplacement(f"Recreate: {stopped[0].lower()}{stopped[1:]}: downtime", "critical", total)
    surge, unavailable = rolling_bounds(found)
    bounds = ([f"{surge} extra"] if surge else []) + [
        f"at most {unavailable} unavailable" if unavailable else "none unavailable"
    ]
    if total == 1:
        words = (
            "Rolling: the pod stops before a new one is ready: downtime"
            if unavailable
            else "Rolling: the old pod stops when the new one is ready"
        )
        weight: LineWeight = "critical" if unavailable else "plain"
    else:
        pace = "one by one" if max(surge, unavailable) == 1 else "step by step"
        words, weight = f"Rolling, {pace}: {', '.join(bounds)}; {pod_count_text(total)}", "plain"
        if unavailable == total:
            words, weight = _all_at_once(total), "critical"
    return PodReplacement(words + _deadline_text(found), weight, total, surge)


def _all_at_once(total: int) -> str:
    return f"Rolling, but all {total} pods may be unavailable at once: downtime"


def _deadline_text(found: Json) -> str:
    ready = number(found, "spec", "minReadySeconds")
    deadline = number(found, "spec", "progressDeadlineSeconds") or _PROGRESS_DEADLINE_SECONDS
    counted = f"; each counts when ready for {duration(ready)}" if ready else ""
    return f"{counted}; it counts as failed after {duration(deadline)} without progress"


def _stateful_set(found: Json) -> PodReplacement:
    total = replicas_in_spec(found)
    update = mapping(found, "spec", "updateStrategy")
    if text(update, "type") == "OnDelete":
        return _on_delete(total)
    if total == 0:
        return PodReplacement("It is scaled to 0: there is no pod to replace")
    first = number(update, "rollingUpdate", "partition") or 0
    moved = max(0, total - first)
    if not moved:
        return PodReplacement(
            f"Nothing happens to the pods: the partition {first} holds back all {total}", "warn"
        )
    if total == 1:
        return PodReplacement("Rolling: the pod stops before a new one starts: downtime", "critical", 1)
    # The controller rounds down, but not to none (pkg/controller/statefulset/stateful_set_utils.go).
    unavailable = max(1, int_or_percent(at(update, "rollingUpdate", "maxUnavailable"), total, 1, up=False))
    together = min(unavailable, moved)
    if together == total:
        return PodReplacement(_all_at_once(total), "critical", total)
    from_to = f"from number {total - 1} down to {first}"
    order = (
        f"one by one, {from_to}; each stops first, and the next waits for it"
        if together == 1
        else f"up to {together} at a time, {from_to}; they stop first, and the next wait for them"
    )
    if first:
        keep = "keeps" if first == 1 else "keep"
        held = f"{pod_count_text(first)} below the partition {first} {keep} the old template"
        return PodReplacement(f"Rolling, {order}; {held}", "warn", moved)
    return PodReplacement(f"Rolling, {order}", "plain", moved)


def _daemon_set(found: Json) -> PodReplacement:
    total = number(found, "status", "desiredNumberScheduled") or 0
    update = mapping(found, "spec", "updateStrategy")
    if text(update, "type") == "OnDelete":
        return _on_delete(total)
    if total == 0:
        return PodReplacement("No node has a pod of it")
    rolling = mapping(update, "rollingUpdate")
    surge = int_or_percent(at(rolling, "maxSurge"), total, 0, up=True)
    unavailable = int_or_percent(at(rolling, "maxUnavailable"), total, 1 if not surge else 0, up=True)
    if surge:
        return PodReplacement(
            f"Rolling: on up to {surge} of {total} nodes at a time a new pod starts before the old one stops",
            "plain",
            total,
            surge,
        )
    return PodReplacement(
        f"Rolling: on {max(1, unavailable)} of {total} node{'' if total == 1 else 's'} at a time the pod "
        "stops before a new one starts",
        "plain",
        total,
    )


def _on_delete(total: int) -> PodReplacement:
    return PodReplacement(
        f"OnDelete: nothing happens to the {pod_count_text(total)} until somebody deletes them", "warn"
    )


def _cron_job(found: Json) -> PodReplacement:
    schedule = text(found, "spec", "schedule")
    if flag(found, "spec", "suspend"):
        return PodReplacement("It is suspended: nothing happens until it is resumed", "warn")
    return PodReplacement(f"The next run ({schedule}) is the first with it; runs under way go on as they are")
