"""Image references: their grammar, and whether an image has run in a workload before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from memtop.change.change_plan import ChangePlanLine
from memtop.change.change_request import SetImage, pod_template
from memtop.change.workload_state import WorkloadState
from memtop.kube.json_object import mapping, number, objects, text
from memtop.kube.workload_revisions import Revision
from memtop.quantity import parse_whole

LONGEST_IMAGE_NAME = 255
LONGEST_TAG = 128
MUTABLE_TAGS: Final = frozenset(
    {"latest", "stable", "edge", "main", "master", "dev", "develop", "nightly", "snapshot", "canary"}
)
"""Tags that are meant to be moved to other images."""
_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ALGORITHM = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*")


class ImageReferenceError(ValueError):
    """The text is no image reference; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image reference in its parts; those that are not there are empty.

    Attributes:
        host: With its port, such as ``registry.example:5000``.
        path: Such as ``shop/user-service``.
        tag: Such as ``v2.1.0``.
        digest: Such as ``sha256:…``.
    """

    host: str
    path: str
    tag: str
    digest: str

    @property
    def mutable(self) -> bool:
        """Whether it may name another image tomorrow, by the look of it."""
        return not self.digest and (not self.tag or self.tag.lower() in MUTABLE_TAGS)


def parse_image(text: str) -> ImageReference:
    """Takes an image reference apart.

    Args:
        text: As it stands in a pod template.

    Raises:
        ReferenceProblemError: It is not one.
    """
    if not text:
        raise ImageReferenceError("the image is empty")
    if text != text.strip():
        raise ImageReferenceError(f"{text!r} has white space around it")
    for character in text:
        if not character.isascii() or not character.isprintable() or character == " ":
            raise ImageReferenceError(f"{text!r} has {character!r} in it, which no image reference may have")
    if "://" in text:
        raise ImageReferenceError(
            f"{text!r} is a URL: an image is named without {text.partition('://')[0]}://"
        )
    rest, at, digest = text.partition("@")
    if at:
        _check_digest(text, digest)
    host, rest = _split_host(text, rest)
    path, colon, tag = rest.partition(":")
    if colon:
        _check_tag(text, tag)
    _check_path(text, path)
    if len(path) + len(host) + bool(host) > LONGEST_IMAGE_NAME:
        raise ImageReferenceError(
            f"the name has {len(path) + len(host) + bool(host)} characters,"
            f" and {LONGEST_IMAGE_NAME} is the most"
        )
    if not host and "/" not in path and re.fullmatch(r"[0-9a-f]{64}", path):
        raise ImageReferenceError(f"{text!r} is an image's identifier and not its name")
    return ImageReference(host, path, tag, digest)


def tag_span(text: str) -> tuple[int, int]:
    """Where in a reference its tag is, for an editor to select; the end of the text where it has none.

    Args:
        text: The reference, however well it is formed.

    Returns:
        The first index and the one after the last.
    """
    name = text.partition("@")[0]
    colon = name.rfind(":")
    if colon < 0 or "/" in name[colon:]:  # a port
        return len(name), len(name)
    return colon + 1, len(name)


def _split_host(whole: str, text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or not (
        any(sign in first for sign in ".:[") or first == "localhost" or first.lower() != first
    ):
        return "", text
    name, colon, port = first, "", ""
    if not first.endswith("]"):
        name, colon, port = first.rpartition(":") if ":" in first else (first, "", "")
    if not _HOST.fullmatch(name):
        raise ImageReferenceError(f"{name!r} in {whole!r} is no host name")
    if colon and not 0 < (parse_whole(port) or 0) < 65536:
        raise ImageReferenceError(f"{port!r} in {whole!r} is no port: a number from 1 to 65535 is")
    return first, rest


def _check_path(whole: str, path: str) -> None:
    if not path:
        raise ImageReferenceError(f"{whole!r} names no image: there is nothing where its name should be")
    for component in path.split("/"):
        if _COMPONENT.fullmatch(component):
            continue
        if not component:
            raise ImageReferenceError(f"{whole!r} has nothing between two slashes or at an end")
        if component != component.lower():
            raise ImageReferenceError(
                f"{component!r} in {whole!r} has capital letters; a name must be in lower case"
            )
        raise ImageReferenceError(
            f"{component!r} in {whole!r} is no name: lower-case letters and digits are, joined by '.', '_', "
            "'__' or dashes"
        )


def _check_tag(whole: str, tag: str) -> None:
    if not tag:
        raise ImageReferenceError(f"{whole!r} ends where its tag should be")
    if len(tag) > LONGEST_TAG:
        raise ImageReferenceError(f"the tag has {len(tag)} characters, and {LONGEST_TAG} is the most")
    if not _TAG.fullmatch(tag):
        raise ImageReferenceError(
            f"{tag!r} in {whole!r} is no tag: letters, digits, '_', '.' and '-' make one, which does not "
            "begin with '.' or '-'"
        )


def _check_digest(whole: str, digest: str) -> None:
    algorithm, colon, encoded = digest.partition(":")
    if not digest:
        raise ImageReferenceError(f"{whole!r} ends where its digest should be")
    if not colon or not _ALGORITHM.fullmatch(algorithm):
        raise ImageReferenceError(f"{digest!r} is no digest: sha256: and 64 hexadecimal digits is one")
    wanted = _HEX_LENGTHS.get(algorithm)
    if wanted is None and (len(encoded) < 32 or not re.fullmatch(r"[0-9a-fA-F]+", encoded)):
        raise ImageReferenceError(
            f"{digest!r} is no digest: hexadecimal digits, at least 32, follow the colon"
        )
    if wanted is not None and not re.fullmatch(rf"[0-9a-f]{{{wanted}}}", encoded):
        raise ImageReferenceError(
            f"the digest needs {wanted} hexadecimal digits after {algorithm}: and has {len(encoded)} "
            "characters there"
        )


IMAGE_LABEL = "image"


def image_lines(change: SetImage, subject: WorkloadState) -> Iterator[ChangePlanLine]:
    """What is known of the new image.

    Args:
        change: With a well-formed image.
        subject: The workload.
    """
    if subject.ref.kind != "CronJob":
        yield _history_line(change, subject)
    reference = parse_image(change.image)
    if reference.mutable:
        tag = f"the tag {reference.tag}" if reference.tag else "no tag, which means latest,"
        yield ChangePlanLine(
            IMAGE_LABEL,
            f"{tag} is moved to other images over time: pods may differ, and undoing may not bring back what "
            "runs now",
            "warn",
        )
    if _pull_policy(change, subject) == "Never":
        yield ChangePlanLine(
            IMAGE_LABEL,
            "its pull policy is Never: nodes that don't have the image already can't run it",
            "warn",
        )


def _history_line(change: SetImage, subject: WorkloadState) -> ChangePlanLine:
    known = subject.revisions
    if not known:
        return ChangePlanLine(
            IMAGE_LABEL, f"whether it has run here before is not known{_why_unknown(subject)}"
        )
    tried = [one for one in known if one.images.get(change.container) == change.image]
    if not tried:
        oldest = min(known, key=lambda one: one.created)
        since = f"since {utc_minute(oldest.created)}" if oldest.created else "that are known"
        return ChangePlanLine(
            IMAGE_LABEL, f"it has not run here before, as far as {_revision_count(known)} {since} can tell"
        )
    proven = [one for one in tried if became_ready(one, subject)]
    return ChangePlanLine(
        IMAGE_LABEL, "; ".join(_revision_story(one, subject, change.container) for one in proven or tried)
    )


def became_ready(revision: Revision, subject: WorkloadState) -> bool:
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


def _revision_story(ran: Revision, subject: WorkloadState, container: str) -> str:
    """When a revision came, what followed on it, and whether it is known to have run."""
    known, certain = subject.revisions, became_ready(ran, subject)
    named = f"revision {ran.number}" if ran.number else "the newest revision"
    how = "it has run here before" if certain else "it was tried here before"
    words = f"{how}: {named}, first on {utc_minute(ran.created)}"
    after = [one for one in known if one.created > ran.created]
    if after:
        follower = min(after, key=lambda one: one.created)
        image = follower.images.get(container, "")
        other = f" with {image}" if image and image != ran.images.get(container) else ""
        words += f", followed on {utc_minute(follower.created)} by revision {follower.number}{other}"
        if follower.change_cause:
            words += f" ({follower.change_cause})"
    elif ran.current:
        words += ", which is what it has now"
    if ran.replicas:
        words += f"; it still has {ran.replicas} pod{'' if ran.replicas == 1 else 's'}"
    return words if certain else f"{words}; whether it ever ran is not known"


def _revision_count(known: tuple[Revision, ...]) -> str:
    return "one revision" if len(known) == 1 else f"{len(known)} revisions"


def _why_unknown(subject: WorkloadState) -> str:
    return f": {subject.revisions_note}" if subject.revisions_note else ""


def utc_minute(created: float) -> str:
    """``2026-01-31 03:12 UTC``."""
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _pull_policy(change: SetImage, subject: WorkloadState) -> str:
    spec = pod_template(subject.ref.kind, subject.object).get("spec")
    for key in ("containers", "initContainers"):
        for one in objects(spec, key):
            if text(one, "name") == change.container:
                return text(one, "imagePullPolicy")
    return ""
