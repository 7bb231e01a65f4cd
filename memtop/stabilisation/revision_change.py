"""The change that is watched: from which revision to which, when it was made, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, mapping, number, objects, parse_timestamp, selector_words, text
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.kube.workload_revisions import Revision, list_revisions
from memtop.wording import bytes_

MOST_EARLIER = 4
"""Revisions before a change that are looked at for one that ran: rarely are more stuck in a row."""


@dataclass(frozen=True)
class RevisionChange:
    """From one revision of a workload to the next.

    Attributes:
        ref: The workload.
        revision: The new revision.
        previous: The one it is compared with: the one it replaced, or the newest before that which really
            ran (`memtop.stabilisation.before_and_after.compare_with_last_run`); None where the cluster knows
            none.
        changed_at: When, Unix seconds.
        how_known: How that is known, in words.
        selector: Label selector of the workload's pods.
        desired_pods: How many pods there should be; None where not known.
        earlier: The revisions before the new one that `previous` may be, the newest first.
    """

    ref: ObjectRef
    revision: Revision
    previous: Revision | None
    changed_at: float
    how_known: str
    selector: str
    desired_pods: int | None
    earlier: tuple[Revision, ...] = ()

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """All that may be compared, the new one first."""
        previous = () if self.previous is None else (self.previous,)
        return (self.revision, *(self.earlier or previous))

    @property
    def previous_number(self) -> int | None:
        """The number of the revision that is compared with; None for none."""
        return None if self.previous is None else self.previous.number

    @property
    def previous_until(self) -> float:
        """When the revision that is compared with was replaced, Unix seconds."""
        between = [one.created for one in self.earlier if self.previous and one.number > self.previous.number]
        return min([self.changed_at, *between])

    def compared_with(self, number: int) -> RevisionChange:
        """The change as compared with another earlier revision.

        Raises:
            ApiError: There is none of that number among those before the new one.
        """
        old = next((one for one in self.earlier if number in (one.number, *one.earlier)), None)
        if old is None:
            known = ", ".join(str(one.number) for one in self.earlier) or "none"
            words = f"{self.ref}: there is no revision {number} before {self.revision.number} to compare with"
            raise ApiError(404, "NotFound", f"{words}; known are: {known}")
        return replace(self, previous=old)

    @property
    def lasting_containers(self) -> tuple[str, ...]:
        """The new revision's containers and sidecars; what ends before those start cannot be watched."""
        ending = {
            text(one, "name")
            for one in objects(self.revision.template, "spec", "initContainers")
            if text(one, "restartPolicy") != "Always"
        }
        return tuple(name for name in self.revision.limits if name not in ending)

    @property
    def key(self) -> tuple[int, str]:
        """Tells it from another change of the same workload."""
        return self.revision.number, self.revision.name

    @property
    def containers(self) -> tuple[str, ...]:
        """The containers whose image or memory changed; all of them where none did."""
        old, new = self.previous, self.revision
        if old is None:
            return self.lasting_containers
        changed = tuple(
            name
            for name in self.lasting_containers
            if (new.images.get(name), new.limits.get(name)) != (old.images.get(name), old.limits.get(name))
        )
        return changed or self.lasting_containers

    def words(self, container: str) -> str:
        """What changed for one container: ``v2.0.0 → v2.1.0``, ``limit 2 GiB → 4 GiB``."""
        old, new = self.previous, self.revision
        if old is None:
            return f"revision {new.number}, the first"
        parts = []
        before, after = old.images.get(container, ""), new.images.get(container, "")
        if before != after:
            parts.append(f"{_short_image(before, after)} → {_short_image(after, before)}")
        was, now = old.limits.get(container), new.limits.get(container)
        if was != now:
            parts.append(f"limit {bytes_(was) if was else 'none'} → {bytes_(now) if now else 'none'}")
        return ", ".join(parts) or f"revision {old.number} → {new.number}, same image and limit"


async def find_change(client: Client, ref: ObjectRef, wanted: int | None = None) -> RevisionChange:
    """Finds a change of a workload.

    Args:
        client: The connection.
        ref: The workload.
        wanted: The number of the new revision; by default the newest.

    Raises:
        ApiError: It is not there, may not be read, or has no such revision.
        Unreachable: No whole answer came.
    """
    _, workload = await fetch_object(client, ref)
    found = await list_revisions(client, ref, workload)
    place = _revision_index(found, wanted)
    if place is None:
        said = f"has no revision {wanted}" if wanted is not None else "has no revisions to compare"
        raise ApiError(404, "NotFound", f"{ref} {said}")
    revision = found[place]
    previous = found[place + 1] if place + 1 < len(found) else None
    at, how = _change_time(revision, previous, workload)
    return RevisionChange(
        ref,
        revision,
        previous,
        at,
        how,
        selector_words(mapping(workload, "spec", "selector")),
        number(workload, "spec", "replicas") or number(workload, "status", "desiredNumberScheduled"),
        _earlier_candidates(revision, found[place + 1 :]),
    )


def _earlier_candidates(revision: Revision, older: Sequence[Revision]) -> tuple[Revision, ...]:
    """The older ones that a revision may have replaced: what came since it was there before, if it was."""
    return tuple(one for one in older if one.number > max(revision.earlier, default=0))[:MOST_EARLIER]


def belongs_to_replica_set(revision: Revision, pod: str) -> bool:
    """Whether a Deployment's pod is of a revision's ReplicaSet, by its name; long ones are cut."""
    return pod.startswith(f"{revision.name}-"[:58])


def _revision_index(found: Sequence[Revision], wanted: int | None) -> int | None:
    if wanted is not None:
        return next((place for place, one in enumerate(found) if wanted in (one.number, *one.earlier)), None)
    return next((place for place, one in enumerate(found) if one.current), 0 if found else None)


def is_rolled_back(revision: Revision, previous: Revision | None) -> bool:
    """Whether a revision is an old one that has been gone back to, so that its creation says nothing."""
    return previous is not None and revision.created < previous.created


def _change_time(revision: Revision, previous: Revision | None, workload: Json) -> tuple[float, str]:
    """When a change was made.

    The creation of the new ReplicaSet or ControllerRevision. One that was gone back to keeps its old time;
    then it is, as far as that is later than the revision it replaced, when the Deployment last said that its
    rollout made progress, and the first new pod corrects it (`earliest`).
    """
    if previous is None or not is_rolled_back(revision, previous):
        return revision.created, "the creation of its revision"
    for condition in objects(workload, "status", "conditions"):
        said = parse_timestamp(text(condition, "lastUpdateTime"))
        if text(condition, "type") == "Progressing" and said is not None:
            return max(said.timestamp(), previous.created), "the end of its rollout"
    return previous.created, "the creation of the revision before"


def change_time_from_pods(change: RevisionChange, created: Sequence[float]) -> tuple[float, str]:
    """When a change was made, by the creation times of its pods (Unix seconds) where those know better.

    A revision that was gone back to may have had pods in its earlier time; those are gone, unless the
    rollout away from it never ended.
    """
    if change.previous is None or not is_rolled_back(change.revision, change.previous):
        return change.changed_at, change.how_known
    since = [at for at in created if at > change.previous.created]
    if since and min(since) < change.changed_at:
        return min(since), "the creation of the oldest new pod"
    return change.changed_at, change.how_known


def _short_image(image: str, other: str) -> str:
    """The tag alone where both images have the same name."""
    name, _, tag = image.rpartition(":")
    return tag if name and name == other.rpartition(":")[0] else image or "none"
