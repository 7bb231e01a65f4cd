"""The form that asks for an image."""

from __future__ import annotations

import re
from typing import Final

from memtop.change.check import problem
from memtop.change.reference import MUTABLE, tag_span
from memtop.change.subject import Container, Subject
from memtop.change.wish import SetImage
from memtop.cluster.revisions import Revision
from memtop.wording import ago
from tui.change.asked import Asked
from widgets.confirm import PlanLine
from widgets.form import Choice, Field, Said, Values

_VERSION: Final = re.compile(r"v?\d+(?:\.\d+)*(?:[._-][\w.-]*)?")


def asked(subject: Subject, container: Container, now: float) -> Asked:
    """What to ask: the image as it is, its tag selected; the images that ran here before are offered.

    Args:
        subject: The workload.
        container: Which of its containers.
        now: The cluster's time, Unix seconds.
    """
    ran = _images(subject, container.name)

    def wish(values: Values) -> SetImage:
        return SetImage(subject.ref, container.name, values["image"])

    def check(values: Values) -> Said:
        image = values["image"]
        why = _only_a_tag(image, container.image) or problem(wish(values), subject)
        return Said(why, "image", _past(ran, image, now))

    start, end = tag_span(container.image)
    return Asked(
        title=f"Image of {container.name} in {subject.ref}",
        fields=(Field("image", "image", container.image, selected=(start, end)),),
        check=check,
        wish=wish,
        facts=(
            PlanLine("runs now", container.image),
            PlanLine("pods", subject.strategy),
            *([PlanLine("", subject.revisions_note, "warn")] if subject.revisions_note else []),
        ),
        choices=tuple(
            Choice({"image": image}, image, note(revision, now)) for image, revision in ran.items()
        ),
        offers="Images of its revisions",
    )


def _only_a_tag(image: str, present: str) -> str:
    """What is wrong with a tag where an image belongs; an image of that name must be named in full."""
    if image == present or not (_VERSION.fullmatch(image) or image in MUTABLE):
        return ""
    repository = present[: tag_span(present)[0]].rstrip(":")
    return f"that is an image named {image}; {repository}:{image}?" if repository else ""


def _images(subject: Subject, container: str) -> dict[str, Revision]:
    """Every image that a revision has for a container, with the newest revision that has it."""
    found: dict[str, Revision] = {}
    for revision in subject.revisions:
        if image := revision.images.get(container):
            found.setdefault(image, revision)
    return found


def note(revision: Revision, now: float) -> str:
    """A revision in a few words."""
    return f"revision {revision.number}, {past(revision, now)}"


def past(revision: Revision, now: float) -> str:
    """What became of a revision, and why it was made."""
    age = "runs now" if revision.current else f"made {_age(revision, now)}"
    return f"{age}, {revision.change_cause}" if revision.change_cause else age


def _age(revision: Revision, now: float) -> str:
    return ago(now - revision.created) if revision.created else "at a time the API does not say"


def _past(ran: dict[str, Revision], image: str, now: float) -> list[PlanLine]:
    if (revision := ran.get(image)) is not None:
        return (
            [PlanLine("known", f"it ran here before: {note(revision, now)}")] if not revision.current else []
        )
    return [PlanLine("new", "no revision that is kept had this image")] if image else []
