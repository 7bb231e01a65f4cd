"""What changed around a workload, read from its objects: rollouts, configuration, scale, nodes, ends.

Pure functions from what the API answered to `ClusterChange`s; who asks is `memtop.timeline.change_sources`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from memtop.analysis.memory_series import Series
from memtop.change.audit_log import AuditEntry
from memtop.change.change_plan import field_label
from memtop.change.rollout_status import rollout_status, workload_condition
from memtop.history.past_series import match_times
from memtop.kube.json_object import Json, at, mapping, name_of, objects, parse_timestamp, text
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef
from memtop.kube.workload_revisions import Revision
from memtop.wording import bytes_, counted, duration

SAME_ROLLOUT_SECONDS = 900.0
"""Seconds after a rollout began within which new pods are its own, and who wrote the template its author."""
NOTICED_LATE = 1300.0
"""Seconds between an OOM kill and the restart after it: two steps of a week's grid, and scrapes."""
TOGETHER_SECONDS = 120.0
"""Seconds within which pods that were made count as made together."""


class TimelineKind(StrEnum):
    """What kind of change it was."""

    ROLLOUT = "rollout"
    CONFIG = "config"
    SCALE = "scale"
    AUTOSCALER = "autoscaler"
    NODE = "node"
    MEMTOP = "memtop"
    END = "end"

    @property
    def may_cause(self) -> bool:
        """Whether a leak may begin with it; ends follow from one."""
        return self is not TimelineKind.END


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """Something that changed.

    Attributes:
        time: When, Unix seconds.
        kind: What kind of change.
        words: What, in a line; names only, never values of secrets.
        actor: Who did it, as far as the cluster tells; empty where it does not.
        revision: The number of the revision that came with it; 0 for none.
        short: What a sentence calls it: ``revision 12 (image v2.0.0)``.
    """

    time: float
    kind: TimelineKind
    words: str
    actor: str = ""
    revision: int = 0
    short: str = ""

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return self.short or self.words


def unix_time(written: str) -> float | None:
    """An API time stamp as Unix seconds; None for none."""
    moment = parse_timestamp(written)
    return None if moment is None else moment.timestamp()


def rollout_changes(
    revisions: Sequence[Revision], workload: Json, began: Mapping[int, float]
) -> Iterator[ClusterChange]:
    """Each revision as a change of the one before it.

    Args:
        revisions: The newest first.
        workload: The workload, whose ``managedFields`` may tell who wrote the template last.
        began: When revisions were rolled out where that is better known than by their creation, Unix seconds
            by number.
    """
    for place, new in enumerate(revisions):
        old = revisions[place + 1] if place + 1 < len(revisions) else None
        time = began.get(new.number, new.created)
        if not time:
            continue
        again = f", which it had been before ({', '.join(map(str, new.earlier))})" if new.earlier else ""
        what = list(_template_changes(old, new)) if old is not None else ["the first that is still known"]
        what = what or ["the same pod template"]
        short = what[0].partition(", before")[0]
        short = short if len(what) == 1 or short.startswith("image") else f"{short} and more"
        cause = f" – {new.change_cause}" if new.change_cause else ""
        yield ClusterChange(
            time,
            TimelineKind.ROLLOUT,
            f"revision {new.number}{again}: {', '.join(what)}{cause}",
            template_writer(workload, time),
            new.number,
            f"revision {new.number} ({short})",
        )


def _template_changes(old: Revision, new: Revision) -> Iterator[str]:
    """What differs between two pod templates, in words; images first."""
    several = len(new.images) > 1
    for name, image in new.images.items():
        before = old.images.get(name)
        whose = f" of {name}" if several else ""
        if before is None:
            yield f"container {name} added (image {_tag(image)})"
        elif before != image:
            yield f"image {_tag(image)}{whose}, before {_tag(before)}"
    for name in old.images:
        if name not in new.images:
            yield f"container {name} removed"
    for what, before_all, after_all in (
        ("limit", old.limits, new.limits),
        ("request", old.requests, new.requests),
    ):
        for name, after in after_all.items():
            before_size = before_all.get(name)
            if name in before_all and before_size != after:
                whose = f" of {name}" if several else ""
                yield f"memory {what}{whose} {_size(before_size)} → {_size(after)}"
    yield from _other_changes(old, new)


def _other_changes(old: Revision, new: Revision) -> Iterator[str]:
    """Environment by name only, commands, and whatever else differs."""
    told = False
    for after in objects(new.template, "spec", "containers"):
        before = next(
            (
                one
                for one in objects(old.template, "spec", "containers")
                if text(one, "name") == text(after, "name")
            ),
            None,
        )
        if before is None:
            continue
        variables = [
            {text(one, "name"): one for one in objects(side, "env") if text(one, "name")}
            for side in (before, after)
        ]
        differing = sorted(
            name
            for name in {*variables[0], *variables[1]}
            if variables[0].get(name) != variables[1].get(name)
        )
        if differing:
            told = True
            yield f"variables {', '.join(differing[:4])}{' …' if len(differing) > 4 else ''}"
        if any(at(before, key) != at(after, key) for key in ("command", "args")):
            told = True
            yield f"command of {text(after, 'name')}"
    same_parts = (old.images, old.limits, old.requests) == (new.images, new.limits, new.requests)
    annotations = [mapping(side.template, "metadata", "annotations") for side in (old, new)]
    if "kubectl.kubernetes.io/restartedAt" in annotations[1] and annotations[0] != annotations[1]:
        told = True
        yield "restarted"
    if same_parts and not told and old.template != new.template:
        yield "the pod template, but neither image nor memory"


def _tag(image: str) -> str:
    """The tag of an image, or its digest cut short, or its name where it has neither."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or (digest[:19] if digest else name.rpartition("/")[2])


def _size(size: float | None) -> str:
    return "none" if size is None else bytes_(size)


def template_writer(workload: Json, time: float) -> str:
    """Who wrote the pod template last, if that was when a rollout began; empty where nobody tells."""
    writers = [
        (written, text(entry, "manager"))
        for entry in objects(workload, "metadata", "managedFields")
        if mapping(entry, "fieldsV1", "f:spec", "f:template")
        and (written := unix_time(text(entry, "time"))) is not None
        and -60.0 <= time - written <= SAME_ROLLOUT_SECONDS
    ]
    return max(writers)[1] if writers else ""


def scale_changes(workload: Json, found: ObjectRef) -> Iterator[ClusterChange]:
    """When the number of pods was set last, by the scale subresource."""
    for entry in objects(workload, "metadata", "managedFields"):
        if text(entry, "subresource") != "scale":
            continue
        time = unix_time(text(entry, "time"))
        if time is not None:
            replicas = text(workload, "spec", "replicas")
            yield ClusterChange(
                time, TimelineKind.SCALE, f"{found} scaled (to {replicas} pods now)", text(entry, "manager")
            )


def configuration_names(template: Json) -> dict[tuple[str, str], str]:
    """The ConfigMaps and Secrets that a pod template uses, by kind and name: how it uses them.

    Args:
        template: The pod template.
    """
    found: dict[tuple[str, str], str] = {}

    def keep(kind: str, name: str, how: str) -> None:
        if name:
            found.setdefault((kind, name), how)

    for volume in objects(template, "spec", "volumes"):
        keep("ConfigMap", text(volume, "configMap", "name"), "mounted")
        keep("Secret", text(volume, "secret", "secretName"), "mounted")
        for source in objects(volume, "projected", "sources"):
            keep("ConfigMap", text(source, "configMap", "name"), "mounted")
            keep("Secret", text(source, "secret", "name"), "mounted")
    for part in ("containers", "initContainers"):
        for container in objects(template, "spec", part):
            for source in objects(container, "envFrom"):
                keep("ConfigMap", text(source, "configMapRef", "name"), "in the environment")
                keep("Secret", text(source, "secretRef", "name"), "in the environment")
            for variable in objects(container, "env"):
                keep(
                    "ConfigMap", text(variable, "valueFrom", "configMapKeyRef", "name"), "in the environment"
                )
                keep("Secret", text(variable, "valueFrom", "secretKeyRef", "name"), "in the environment")
    return {key: how for key, how in found.items() if key[1] != "kube-root-ca.crt"}


def configuration_changes(kind: str, name: str, how: str, metadata: Json) -> Iterator[ClusterChange]:
    """When a ConfigMap or Secret was made and written, by its metadata; its contents are never read.

    Args:
        kind: ``ConfigMap`` or ``Secret``.
        name: Its name.
        how: How the workload uses it.
        metadata: The object as ``PartialObjectMetadata``.
    """
    made = unix_time(text(metadata, "metadata", "creationTimestamp"))
    later = "" if how == "mounted" else "; pods see it when they start again"
    if made is not None:
        yield ClusterChange(made, TimelineKind.CONFIG, f"{kind} {name} made ({how})", short=f"{kind} {name}")
    for entry in objects(metadata, "metadata", "managedFields"):
        time = unix_time(text(entry, "time"))
        if time is None or (made is not None and abs(time - made) < 1.5):
            continue
        yield ClusterChange(
            time,
            TimelineKind.CONFIG,
            f"{kind} {name} changed ({how}{later})",
            text(entry, "manager"),
            short=f"{kind} {name} was changed",
        )


@dataclass(frozen=True, slots=True)
class RolloutSpan:
    """From when to when new pods belong to a rollout, Unix seconds.

    Attributes:
        begin: When it began.
        end: When it was through at the earliest.
        told: Whether the cluster tells the end, so that no pod after it belongs to it.
    """

    begin: float
    end: float
    told: bool = False


def rollout_spans(workload: Json, kind: str, began: Sequence[float]) -> list[RolloutSpan]:
    """From when to when pods that are made belong to a rollout.

    A Deployment says when its last rollout was through; until then, and of the other kinds as long as one is
    under way, each new pod is the rollout's. Of earlier ones, and where no end is told, pods that came no
    more than a quarter of an hour after one another do (`pod_changes`): many pods come one by one.

    Args:
        workload: The object.
        kind: Its kind.
        began: When its rollouts began.
    """
    spans = [RolloutSpan(at - 30.0, at + SAME_ROLLOUT_SECONDS) for at in sorted(began)]
    if not spans or kind not in ROLLING_KINDS:
        return spans
    newest = spans[-1]
    if not rollout_status(workload, kind).done:
        newest = replace(newest, end=math.inf)
    elif kind == "Deployment":
        said = workload_condition(workload, "Progressing")
        through = unix_time(text(said, "lastUpdateTime"))
        if text(said, "reason") == "NewReplicaSetAvailable" and through is not None:
            newest = replace(newest, end=max(newest.end, through), told=True)
    return [*spans[:-1], newest]


def pod_changes(pods: Sequence[Json], rollouts: Sequence[RolloutSpan]) -> Iterator[ClusterChange]:
    """Pods that were made again without a rollout: deleted, evicted, or moved to another node.

    Args:
        pods: Those there are.
        rollouts: From when to when rollouts made pods; see `rollout_spans`.
    """
    made = sorted(
        (time, name_of(pod), text(pod, "spec", "nodeName"))
        for pod in pods
        if (time := unix_time(text(pod, "metadata", "creationTimestamp"))) is not None
    )
    alone: list[tuple[float, str, str]] = []
    spans = list(rollouts)
    for one in made:
        inside = next((place for place, span in enumerate(spans) if span.begin <= one[0] <= span.end), None)
        if inside is None:
            alone.append(one)
        elif not spans[inside].told:
            end = max(spans[inside].end, one[0] + SAME_ROLLOUT_SECONDS)
            spans[inside] = replace(spans[inside], end=end)
    groups: list[list[tuple[float, str, str]]] = []
    for one in alone:
        if groups and one[0] - groups[-1][-1][0] <= TOGETHER_SECONDS:
            groups[-1].append(one)
        else:
            groups.append([one])
    for group in groups:
        nodes = sorted({node for _, _, node in group if node})
        where = f" on {', '.join(nodes[:3])}{' …' if len(nodes) > 3 else ''}" if nodes else ""
        what = f"pod {group[0][1]} made" if len(group) == 1 else f"{counted(len(group), 'pod')} made"
        yield ClusterChange(group[0][0], TimelineKind.NODE, f"{what}{where}, without a rollout")


def node_changes(node: Json) -> Iterator[ClusterChange]:
    """Conditions of a node that a pod runs on and that turned bad, or became ready."""
    for condition in objects(node, "status", "conditions"):
        name, value = text(condition, "type"), text(condition, "status")
        time = unix_time(text(condition, "lastTransitionTime"))
        if time is not None and name == "MemoryPressure" and value == "True":
            yield ClusterChange(time, TimelineKind.NODE, f"node {name_of(node)}: memory pressure since then")
        elif time is not None and name == "Ready" and value != "True":
            yield ClusterChange(time, TimelineKind.NODE, f"node {name_of(node)}: not ready since then")


_EVENT_KINDS = {
    "SuccessfulRescale": TimelineKind.AUTOSCALER,
    "EvictedByVPA": TimelineKind.AUTOSCALER,
    "ScalingReplicaSet": TimelineKind.SCALE,
    "SuccessfulCreate": None,
    "Evicted": TimelineKind.NODE,
    "Preempted": TimelineKind.NODE,
    "TaintManagerEviction": TimelineKind.NODE,
    "NodeNotReady": TimelineKind.NODE,
}
"""Reasons of events that tell of a change of something."""


def event_changes(events: Iterable[Json]) -> Iterator[ClusterChange]:
    """Events that tell of a change: an autoscaler's step, an eviction, a scale.

    Args:
        events: As the API has them; it keeps them for an hour, unless told otherwise.
    """
    for event in events:
        kind = _EVENT_KINDS.get(text(event, "reason"))
        time = next(
            (
                found
                for path in (("firstTimestamp",), ("eventTime",), ("lastTimestamp",))
                if (found := unix_time(text(event, *path))) is not None
            ),
            None,
        )
        if kind is None or time is None:
            continue
        about = f"{text(event, 'involvedObject', 'kind')}/{text(event, 'involvedObject', 'name')}"
        words = " ".join(text(event, "message").split())
        actor = text(event, "source", "component") or text(event, "reportingComponent")
        yield ClusterChange(time, kind, f"{about}: {words}", actor)


def audit_changes(entries: Iterable[AuditEntry], ref: ObjectRef, server: str) -> Iterator[ClusterChange]:
    """What memtop itself changed of a workload, from this machine.

    Args:
        entries: The audit log.
        ref: The workload.
        server: The API server's address; entries of other clusters do not count.
    """
    for entry in entries:
        same = (entry.kind, entry.namespace, entry.name) == (ref.kind, ref.namespace, ref.name)
        time = unix_time(entry.time)
        if not same or entry.outcome != "applied" or time is None or (server and entry.server != server):
            continue
        fields = "; ".join(
            f"{field_label(one.path)}: {one.old or 'none'} → {one.new or 'none'}" for one in entry.changes
        )
        words = f"memtop: {entry.action}{f' ({fields})' if fields else ''}"
        yield ClusterChange(time, TimelineKind.MEMTOP, words, entry.user, short=f"memtop's {entry.action}")


def end_changes(series: Mapping[str, Series], between: Sequence[float]) -> Iterator[ClusterChange]:
    """OOM kills and restarts, those between two other changes in one line.

    Args:
        series: Of each pod, by a name for people.
        between: When other changes were, Unix seconds.
    """
    kills = sorted((float(time), who) for who, one in series.items() for time in one.oom_kills)
    starts = [
        (float(time), who)
        for who, one in series.items()
        for time in one.restarts[match_times(one.restarts, one.oom_kills, NOTICED_LATE) < 0]
    ]
    for word, moments in (("OOM kill", kills), ("other restart", sorted(starts))):
        cuts = sorted(between)
        runs: dict[int, list[tuple[float, str]]] = {}
        for moment in moments:
            runs.setdefault(sum(cut <= moment[0] for cut in cuts), []).append(moment)
        for run in runs.values():
            whose = sorted({who for _, who in run})
            of = f" of {whose[0]}" if len(whose) == 1 else f" of {counted(len(whose), 'container')}"
            span = f" in {duration(run[-1][0] - run[0][0])}" if len(run) > 1 else ""
            yield ClusterChange(run[0][0], TimelineKind.END, f"{counted(len(run), word)}{of}{span}")
