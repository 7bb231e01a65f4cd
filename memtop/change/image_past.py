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
from memtop.cluster.tree import objects, text

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
    ran = [one for one in known if one.images.get(wish.container) == wish.image]
    if not ran:
        oldest = min(known, key=lambda one: one.created)
        since = f"since {day(oldest.created)}" if oldest.created else "that are known"
        return Line(LABEL, f"it has not run here before, as far as {_count(known)} {since} can tell")
    return Line(LABEL, "; ".join(_told(one, known, wish.container) for one in ran))


def _told(ran: Revision, known: tuple[Revision, ...], container: str) -> str:
    """When a revision came, and what followed on it."""
    number = f"revision {ran.number}" if ran.number else "the newest revision"
    words = f"it has run here before: {number}, first on {day(ran.created)}"
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
        words += f"; {ran.replicas} of its pods still run"
    return words


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
