"""The forms for a change as data: an image, a number of pods."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from memtop.change.change_request import ChangeRequest, Scale, SetImage
from memtop.change.images import MUTABLE_TAGS, tag_span
from memtop.change.validation import parse_replicas, request_problem
from memtop.change.workload_state import TemplateContainer, WorkloadState
from memtop.kube.workload_revisions import Revision
from memtop.wording import ago
from widgets.confirm import PlanLine
from widgets.form import FormChoice, FormField, FormNote, FormValues


@dataclass(frozen=True, slots=True)
class ChangeForm:
    """A form as data.

    Attributes:
        title: What it is for.
        fields: What to type.
        check: What is said of what is typed.
        to_request: Makes the request that is meant; only for values that `check` has no problem with.
        facts: What is to be known before one types.
        choices: What is offered.
        offers: What the choices are, in a few words.
    """

    title: str
    fields: tuple[FormField, ...]
    check: Callable[[FormValues], FormNote]
    to_request: Callable[[FormValues], ChangeRequest]
    facts: tuple[PlanLine, ...] = ()
    choices: tuple[FormChoice, ...] = ()
    offers: str = ""


_VERSION_TAG: Final = re.compile(r"v?\d+(?:\.\d+)*(?:[._-][\w.-]*)?")


def image_form(subject: WorkloadState, container: TemplateContainer, now: float) -> ChangeForm:
    """What to ask: the image as it is, its tag selected; the images that ran here before are offered.

    Args:
        subject: The workload.
        container: Which of its containers.
        now: The cluster's time, Unix seconds.
    """
    ran = _images_of_revisions(subject, container.name)

    def to_request(values: FormValues) -> SetImage:
        return SetImage(subject.ref, container.name, values["image"])

    def check(values: FormValues) -> FormNote:
        image = values["image"]
        why = _problem_of_bare_tag(image, container.image) or request_problem(to_request(values), subject)
        return FormNote(why, "image", _image_history(ran, image, now))

    start, end = tag_span(container.image)
    return ChangeForm(
        title=f"Image of {container.name} in {subject.ref}",
        fields=(FormField("image", "image", container.image, selected=(start, end)),),
        check=check,
        to_request=to_request,
        facts=(
            PlanLine("runs now", container.image),
            PlanLine("pods", subject.strategy),
            *([PlanLine("", subject.revisions_note, "warn")] if subject.revisions_note else []),
        ),
        choices=tuple(
            FormChoice({"image": image}, image, revision_note(revision, now))
            for image, revision in ran.items()
        ),
        offers="Images of its revisions",
    )


def _problem_of_bare_tag(image: str, present: str) -> str:
    """What is wrong with a tag where an image belongs; an image of that name must be named in full."""
    if image == present or not (_VERSION_TAG.fullmatch(image) or image in MUTABLE_TAGS):
        return ""
    repository = present[: tag_span(present)[0]].rstrip(":")
    return f"that is an image named {image}; {repository}:{image}?" if repository else ""


def _images_of_revisions(subject: WorkloadState, container: str) -> dict[str, Revision]:
    """Every image that a revision has for a container, with the newest revision that has it."""
    found: dict[str, Revision] = {}
    for revision in subject.revisions:
        if image := revision.images.get(container):
            found.setdefault(image, revision)
    return found


def revision_note(revision: Revision, now: float) -> str:
    """A revision in a few words."""
    return f"revision {revision.number}, {revision_summary(revision, now)}"


def revision_summary(revision: Revision, now: float) -> str:
    """What became of a revision, and why it was made."""
    age = "runs now" if revision.current else f"made {_revision_age(revision, now)}"
    return f"{age}, {revision.change_cause}" if revision.change_cause else age


def _revision_age(revision: Revision, now: float) -> str:
    return ago(now - revision.created) if revision.created else "at a time the API does not say"


def _image_history(ran: dict[str, Revision], image: str, now: float) -> list[PlanLine]:
    if (revision := ran.get(image)) is not None:
        return (
            [PlanLine("known", f"it ran here before: {revision_note(revision, now)}")]
            if not revision.current
            else []
        )
    return [PlanLine("new", "no revision that is kept had this image")] if image else []


def scale_form(subject: WorkloadState) -> ChangeForm:
    """What to ask of a workload."""
    now = "" if subject.replicas is None else str(subject.replicas)

    def to_request(values: FormValues) -> Scale:
        return Scale(subject.ref, parse_replicas(values["replicas"]))

    def check(values: FormValues) -> FormNote:
        if not values["replicas"]:
            return FormNote("how many pods?", "replicas")
        try:
            wanted = to_request(values)
        except ValueError as error:
            return FormNote(str(error), "replicas")
        why = request_problem(wanted, subject)
        lines = [PlanLine("means", _scale_meaning(wanted.replicas, subject.replicas))] if not why else []
        return FormNote(why, "replicas", lines)

    return ChangeForm(
        title=f"Number of pods of {subject.ref}",
        fields=(FormField("replicas", "pods", now, selected=(0, len(now))),),
        check=check,
        to_request=to_request,
        facts=(PlanLine("now", now or "not known"),),
    )


def _scale_meaning(wanted: int, now: int | None) -> str:
    if not wanted:
        return "all pods stop: nothing answers any more"
    if now is None:
        return f"{wanted} pods"
    more = wanted - now
    return f"{abs(more)} pod{'' if abs(more) == 1 else 's'} {'more' if more > 0 else 'fewer'}"
