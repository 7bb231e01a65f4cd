"""The controllers that own pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and CronJob."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from memtop.describe.formatting import (
    ZonedNow,
    align_columns,
    annotation_lines,
    event_lines,
    human_duration,
    label_lines,
    or_none,
    seconds_between,
)
from memtop.describe.pod_description import controlled_by, template_lines
from memtop.describe.volume_sections import claim_template_lines
from memtop.kube.json_object import (
    Json,
    controller_of,
    has,
    labels,
    mapping,
    name_of,
    namespace_of,
    number,
    objects,
    selector_words,
    text,
    uid_of,
)

MAX_INDEXES = 50


def describe_workload(
    kind: str,
    workload: Json,
    related: Sequence[Json] | str,
    events: Sequence[Json] | None,
    moment: ZonedNow,
) -> list[str]:
    """A workload as ``kubectl describe`` prints it.

    Args:
        kind: Its kind.
        workload: The object, sanitised.
        related: The ReplicaSets of a Deployment; of the other kinds the pods its selector finds. Where they
            could not be had: why.
        events: Its events; None where they could not be had.
        moment: When, and in which time zone.

    Raises:
        KeyError: There is no description of that kind.
    """
    return align_columns([*DESCRIBED_KINDS[kind](workload, related, moment), *event_lines(events, moment)])


def _name_lines(workload: Json) -> Iterator[str]:
    yield f"Name:\t{name_of(workload)}"
    yield f"Namespace:\t{namespace_of(workload)}"


def _metadata_lines(workload: Json) -> Iterator[str]:
    yield from label_lines("Labels", labels(workload, "metadata", "labels"))
    yield from annotation_lines("Annotations", labels(workload, "metadata", "annotations"))


def _created(workload: Json, moment: ZonedNow) -> str:
    return f"CreationTimestamp:\t{moment.stamp(text(workload, 'metadata', 'creationTimestamp'))}"


def _selector(workload: Json) -> str:
    return f"Selector:\t{selector_words(mapping(workload, 'spec', 'selector'))}"


def _count(workload: Json, *path: str) -> int:
    return number(workload, *path) or 0


def _template(workload: Json, moment: ZonedNow) -> Iterator[str]:
    return template_lines(mapping(workload, "spec", "template"), moment)


def _conditions(workload: Json) -> Iterator[str]:
    conditions = objects(workload, "status", "conditions")
    if conditions:
        yield "Conditions:"
        yield "  Type\tStatus\tReason"
        yield "  ----\t------\t------"
    for condition in conditions:
        yield f"  {text(condition, 'type')} \t{text(condition, 'status')}\t{text(condition, 'reason')}"


def _pods_status(workload: Json, pods: Sequence[Json] | str) -> str:
    if isinstance(pods, str):
        return f"Pods Status:\terror in fetching pods: {pods}"
    own = uid_of(workload)
    phases = Counter(text(pod, "status", "phase") for pod in pods if text(controller_of(pod), "uid") == own)
    return (
        f"Pods Status:\t{phases['Running']} Running / {phases['Pending']} Waiting / "
        f"{phases['Succeeded']} Succeeded / {phases['Failed']} Failed"
    )


def _deployment(deployment: Json, replica_sets: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    status = mapping(deployment, "status")
    yield from _name_lines(deployment)
    yield _created(deployment, moment)
    yield from _metadata_lines(deployment)
    yield _selector(deployment)
    yield (
        f"Replicas:\t{_count(deployment, 'spec', 'replicas')} desired | "
        f"{_count(status, 'updatedReplicas')} updated | {_count(status, 'replicas')} total | "
        f"{_count(status, 'availableReplicas')} available | "
        f"{_count(status, 'unavailableReplicas')} unavailable"
    )
    yield f"StrategyType:\t{text(deployment, 'spec', 'strategy', 'type')}"
    yield f"MinReadySeconds:\t{_count(deployment, 'spec', 'minReadySeconds')}"
    rolling = mapping(deployment, "spec", "strategy", "rollingUpdate")
    if rolling:
        unavailable, surge = text(rolling, "maxUnavailable"), text(rolling, "maxSurge")
        yield f"RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge"
    yield from _template(deployment, moment)
    yield from _conditions(deployment)
    if not isinstance(replica_sets, str):
        old, new = split_replica_sets(deployment, replica_sets)
        if old or new:
            yield f"OldReplicaSets:\t{_replica_sets(old)}"
            yield f"NewReplicaSet:\t{_replica_sets(new)}"


def split_replica_sets(deployment: Json, replica_sets: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """A Deployment's old ReplicaSets and the new one, oldest first.

    The new one has the Deployment's pod template but for the label ``pod-template-hash``; of several it is
    the oldest.
    """
    own = [
        replica_set
        for replica_set in replica_sets
        if text(controller_of(replica_set), "uid") == uid_of(deployment)
    ]
    own.sort(key=lambda found: (text(found, "metadata", "creationTimestamp"), name_of(found)))
    wanted = _comparable_template(mapping(deployment, "spec", "template"))
    new = [found for found in own if _comparable_template(mapping(found, "spec", "template")) == wanted][:1]
    return [found for found in own if found not in new], new


def _comparable_template(value: object, key: str = "") -> object:
    """A pod template without what does not count in a comparison: its hash, and everything empty."""
    if isinstance(value, Mapping):
        parts = {name: _comparable_template(part, name) for name, part in value.items()}
        if key == "labels":
            parts.pop("pod-template-hash", None)
        return {name: part for name, part in parts.items() if part not in (None, {}, [], "")}
    return [_comparable_template(part) for part in value] if isinstance(value, list) else value


def _replica_sets(found: Sequence[Json]) -> str:
    return or_none(
        ", ".join(
            f"{name_of(one)} ({_count(one, 'status', 'replicas')}/{_count(one, 'spec', 'replicas')} "
            "replicas created)"
            for one in found
        )
    )


def _replica_set(replica_set: Json, pods: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    yield from _name_lines(replica_set)
    yield f"Selector:\t{or_none(selector_words(mapping(replica_set, 'spec', 'selector')))}"
    yield from _metadata_lines(replica_set)
    yield from controlled_by(replica_set)
    current, desired = _count(replica_set, "status", "replicas"), _count(replica_set, "spec", "replicas")
    yield f"Replicas:\t{current} current / {desired} desired"
    yield _pods_status(replica_set, pods)
    yield from _template(replica_set, moment)
    yield from _conditions(replica_set)


def _stateful_set(stateful_set: Json, pods: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    spec = mapping(stateful_set, "spec")
    yield from _name_lines(stateful_set)
    yield _created(stateful_set, moment)
    yield _selector(stateful_set)
    yield from _metadata_lines(stateful_set)
    total = _count(stateful_set, "status", "replicas")
    yield f"Replicas:\t{_count(spec, 'replicas')} desired | {total} total"
    yield f"Update Strategy:\t{text(spec, 'updateStrategy', 'type')}"
    rolling = mapping(spec, "updateStrategy", "rollingUpdate")
    if has(rolling, "partition"):
        yield f"  Partition:\t{_count(rolling, 'partition')}"
        if has(rolling, "maxUnavailable"):
            yield f"  MaxUnavailable:\t{text(rolling, 'maxUnavailable')}"
    yield _pods_status(stateful_set, pods)
    yield from _template(stateful_set, moment)
    yield from claim_template_lines(objects(spec, "volumeClaimTemplates"))


def _daemon_set(daemon_set: Json, pods: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    status = mapping(daemon_set, "status")
    yield from _name_lines(daemon_set)
    yield _selector(daemon_set)
    nodes = labels(daemon_set, "spec", "template", "spec", "nodeSelector")
    yield f"Node-Selector:\t{or_none(','.join(f'{key}={value}' for key, value in nodes.items()))}"
    yield from _metadata_lines(daemon_set)
    yield f"Desired Number of Nodes Scheduled: {_count(status, 'desiredNumberScheduled')}"
    yield f"Current Number of Nodes Scheduled: {_count(status, 'currentNumberScheduled')}"
    yield f"Number of Nodes Scheduled with Up-to-date Pods: {_count(status, 'updatedNumberScheduled')}"
    yield f"Number of Nodes Scheduled with Available Pods: {_count(status, 'numberAvailable')}"
    yield f"Number of Nodes Misscheduled: {_count(status, 'numberMisscheduled')}"
    yield _pods_status(daemon_set, pods)
    yield from _template(daemon_set, moment)


def _job(job: Json, _pods: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    spec, status = mapping(job, "spec"), mapping(job, "status")
    yield from _name_lines(job)
    yield _selector(job)
    yield from _metadata_lines(job)
    yield from controlled_by(job)
    if has(spec, "parallelism"):
        yield f"Parallelism:\t{_count(spec, 'parallelism')}"
    yield f"Completions:\t{text(spec, 'completions') or '<unset>'}"
    for key, title in (
        ("completionMode", "Completion Mode"),
        ("suspend", "Suspend"),
        ("backoffLimit", "Backoff Limit"),
        ("ttlSecondsAfterFinished", "TTL Seconds After Finished"),
    ):
        if has(spec, key):
            yield f"{title}:\t{text(spec, key)}"
    started, completed = text(status, "startTime"), text(status, "completionTime")
    if started:
        yield f"Start Time:\t{moment.stamp(started)}"
    if completed:
        yield f"Completed At:\t{moment.stamp(completed)}"
    seconds = seconds_between(started, completed)
    if seconds is not None:
        yield f"Duration:\t{human_duration(seconds)}"
    if has(spec, "activeDeadlineSeconds"):
        yield f"Active Deadline Seconds:\t{_count(spec, 'activeDeadlineSeconds')}s"
    ready = f" ({_count(status, 'ready')} Ready)" if has(status, "ready") else ""
    yield (
        f"Pods Statuses:\t{_count(status, 'active')} Active{ready} / "
        f"{_count(status, 'succeeded')} Succeeded / {_count(status, 'failed')} Failed"
    )
    if text(spec, "completionMode") == "Indexed":
        yield f"Completed Indexes:\t{or_none(_indexes(text(status, 'completedIndexes')))}"
    yield from _template(job, moment)


def _indexes(listed: str) -> str:
    """A list of indexes, cut after the first one beyond a length that a line can take."""
    end = listed.find(",", MAX_INDEXES)
    return listed if end < 0 else f"{listed[: end + 1]}..."


def _cron_job(cron_job: Json, _pods: Sequence[Json] | str, moment: ZonedNow) -> Iterator[str]:
    spec, unset = mapping(cron_job, "spec"), "<unset>"
    yield from _name_lines(cron_job)
    yield from _metadata_lines(cron_job)
    yield f"Schedule:\t{text(spec, 'schedule')}"
    yield f"Concurrency Policy:\t{text(spec, 'concurrencyPolicy')}"
    yield f"Suspend:\t{text(spec, 'suspend').capitalize() or unset}"
    if moment.modern:
        yield f"Time Zone:\t{text(spec, 'timeZone') or unset}"
    for key, title in (
        ("successfulJobsHistoryLimit", "Successful Job History Limit"),
        ("failedJobsHistoryLimit", "Failed Job History Limit"),
    ):
        yield f"{title}:\t{text(spec, key) or unset}"
    deadline = text(spec, "startingDeadlineSeconds")
    yield f"Starting Deadline Seconds:\t{f'{deadline}s' if deadline else unset}"
    job = mapping(spec, "jobTemplate", "spec")
    yield f"Selector:\t{selector_words(mapping(job, 'selector')) if has(job, 'selector') else unset}"
    yield f"Parallelism:\t{text(job, 'parallelism') or unset}"
    yield f"Completions:\t{text(job, 'completions') or unset}"
    if has(job, "activeDeadlineSeconds"):
        yield f"Active Deadline Seconds:\t{_count(job, 'activeDeadlineSeconds')}s"
    yield from template_lines(mapping(job, "template"), moment)
    last = text(cron_job, "status", "lastScheduleTime")
    yield f"Last Schedule Time:\t{moment.stamp(last) if last else unset}"
    active = ", ".join(text(one, "name") for one in objects(cron_job, "status", "active"))
    yield f"Active Jobs:\t{or_none(active)}"


DESCRIBED_KINDS: Final[Mapping[str, Callable[[Json, Sequence[Json] | str, ZonedNow], Iterator[str]]]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
}
"""The kinds there is a description of."""
