"""Whether an image has run in a workload before, and what there is to know of it by its name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from memtop.change.kinds import template_of
from memtop.change.plan import Line
from memtop.change.reference import parse
from memtop.change.subject import Subject
from memtop.change.wish import SetImage
from memtop.cluster.revisions import Revision
from memtop.cluster.tree import mapping, number, objects, text

LABEL = "image"


def image_lines(wish: SetImage, subject: Subject) -> Iterator[Line]:
    """What is known of the new image.

    Args:
        wish: With a well-formed image.
        subject: The workload.
    """
    if subject.ref.kind != "CronJob":
        yield _before(wish, subject)
    reference = parse(wish.image)
    if reference.mutable:
        tag = f"the tag {reference.tag}" if reference.tag else "no tag, which means latest,"
        yield Line(
            LABEL,
            f"{tag} is moved to other images over time: pods may differ, and undoing may not bring back what "
            "runs now",
            "warn",
        )
    if _pull_policy(wish, subject) == "Never":
        yield Line(
            LABEL, "its pull policy is Never: nodes that don't have the image already can't run it", "warn"
        )


def _before(wish: SetImage, subject: Subject) -> Line:
    known = subject.revisions
    if not known:
        return Line(LABEL, f"whether it has run here before is not known{_why(subject)}")
    tried = [one for one in known if one.images.get(wish.container) == wish.image]
    if not tried:
        oldest = min(known, key=lambda one: one.created)
        since = f"since {day(oldest.created)}" if oldest.created else "that are known"
        return Line(LABEL, f"it has not run here before, as far as {_count(known)} {since} can tell")
    proven = [one for one in tried if has_run(one, subject)]
    return Line(LABEL, "; ".join(_told(one, subject, wish.container) for one in proven or tried))


def has_run(revision: Revision, subject: Subject) -> bool:
    """Whether it is certain that pods of a revision became ready.

    Of what was replaced long ago the cluster keeps only that it was asked for, not what came of it.

    Args:
        revision: One of the subject's revisions.
        subject: The workload.
    """
    status = mapping(subject.object, "status")
    if revision.current and subject.ref.kind == "Deployment":
        seen = (number(status, "observedGeneration") or 0) >= (
            number(subject.object, "metadata", "generation") or 0
        )
        told = (text(one, "reason") for one in objects(status, "conditions"))
        if seen and "NewReplicaSetAvailable" in told:
            return True
    ready = number(status, "numberReady" if subject.ref.kind == "DaemonSet" else "readyReplicas") or 0
    others = [one.replicas for one in subject.revisions if one.name != revision.name]
    # More are ready than all others have: some of the ready ones are of this revision.
    return bool(revision.replicas) and ready > sum(count or 0 for count in others) and None not in others


def _told(ran: Revision, subject: Subject, container: str) -> str:
    """When a revision came, what followed on it, and whether it is known to have run."""
    known, certain = subject.revisions, has_run(ran, subject)
    named = f"revision {ran.number}" if ran.number else "the newest revision"
    how = "it has run here before" if certain else "it was tried here before"
    words = f"{how}: {named}, first on {day(ran.created)}"
    after = [one for one in known if one.created > ran.created]
    if after:
        follower = min(after, key=lambda one: one.created)
        image = follower.images.get(container, "")
        other = f" with {image}" if image and image != ran.images.get(container) else ""
        words += f", followed on {day(follower.created)} by revision {follower.number}{other}"
        if follower.change_cause:
            words += f" ({follower.change_cause})"
    elif ran.current:
        words += ", which is what it has now"
    if ran.replicas:
        words += f"; it still has {ran.replicas} pod{'' if ran.replicas == 1 else 's'}"
    return words if certain else f"{words}; whether it ever ran is not known"


def _count(known: tuple[Revision, ...]) -> str:
    return "one revision" if len(known) == 1 else f"{len(known)} revisions"


def _why(subject: Subject) -> str:
    return f": {subject.revisions_note}" if subject.revisions_note else ""


def day(created: float) -> str:
    """``2026-01-31 03:12 UTC``."""
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _pull_policy(wish: SetImage, subject: Subject) -> str:
    spec = template_of(subject.ref.kind, subject.object).get("spec")
    for key in ("containers", "initContainers"):
        for one in objects(spec, key):
            if text(one, "name") == wish.container:
                return text(one, "imagePullPolicy")
    return ""
