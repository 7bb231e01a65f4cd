"""Image references: the grammar of the distribution project, with a sentence for whatever is wrong.

``[host[:port]/]path[:tag][@digest]``, as github.com/distribution/reference has it: lower-case path components
joined by ``/``, separators ``.``, ``_``, ``__`` and dashes, a tag of at most 128 characters, a digest
``algorithm:hex``. The first component is a host if it has a dot or a colon, or is ``localhost``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST_NAME = 255
LONGEST_TAG = 128
MUTABLE: Final = frozenset(
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


class ReferenceProblemError(ValueError):
    """The text is no image reference; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reference:
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
        return not self.digest and (not self.tag or self.tag.lower() in MUTABLE)


def parse(text: str) -> Reference:
    """Takes an image reference apart.

    Args:
        text: As it stands in a pod template.

    Raises:
        ReferenceProblemError: It is not one.
    """
    if not text:
        raise ReferenceProblemError("the image is empty")
    if text != text.strip():
        raise ReferenceProblemError(f"{text!r} has white space around it")
    for character in text:
        if not character.isascii() or not character.isprintable() or character == " ":
            raise ReferenceProblemError(
                f"{text!r} has {character!r} in it, which no image reference may have"
            )
    if "://" in text:
        raise ReferenceProblemError(
            f"{text!r} is a URL: an image is named without {text.partition('://')[0]}://"
        )
    rest, at, digest = text.partition("@")
    if at:
        _check_digest(text, digest)
    host, rest = _host(text, rest)
    path, colon, tag = rest.partition(":")
    if colon:
        _check_tag(text, tag)
    _check_path(text, path)
    if len(path) + len(host) + bool(host) > LONGEST_NAME:
        raise ReferenceProblemError(
            f"the name has {len(path) + len(host) + bool(host)} characters, and {LONGEST_NAME} is the most"
        )
    if not host and "/" not in path and re.fullmatch(r"[0-9a-f]{64}", path):
        raise ReferenceProblemError(f"{text!r} is an image's identifier and not its name")
    return Reference(host, path, tag, digest)


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


def _host(whole: str, text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or not (
        any(sign in first for sign in ".:[") or first == "localhost" or first.lower() != first
    ):
        return "", text
    name, colon, port = first, "", ""
    if not first.endswith("]"):
        name, colon, port = first.rpartition(":") if ":" in first else (first, "", "")
    if not _HOST.fullmatch(name):
        raise ReferenceProblemError(f"{name!r} in {whole!r} is no host name")
    if colon and not (port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ReferenceProblemError(f"{port!r} in {whole!r} is no port: a number from 1 to 65535 is")
    return first, rest


def _check_path(whole: str, path: str) -> None:
    if not path:
        raise ReferenceProblemError(f"{whole!r} names no image: there is nothing where its name should be")
    for component in path.split("/"):
        if _COMPONENT.fullmatch(component):
            continue
        if not component:
            raise ReferenceProblemError(f"{whole!r} has nothing between two slashes or at an end")
        if component != component.lower():
            raise ReferenceProblemError(
                f"{component!r} in {whole!r} has capital letters; a name must be in lower case"
            )
        raise ReferenceProblemError(
            f"{component!r} in {whole!r} is no name: lower-case letters and digits are, joined by '.', '_', "
            "'__' or dashes"
        )


def _check_tag(whole: str, tag: str) -> None:
    if not tag:
        raise ReferenceProblemError(f"{whole!r} ends where its tag should be")
    if len(tag) > LONGEST_TAG:
        raise ReferenceProblemError(f"the tag has {len(tag)} characters, and {LONGEST_TAG} is the most")
    if not _TAG.fullmatch(tag):
        raise ReferenceProblemError(
            f"{tag!r} in {whole!r} is no tag: letters, digits, '_', '.' and '-' make one, which does not "
            "begin with '.' or '-'"
        )


def _check_digest(whole: str, digest: str) -> None:
    algorithm, colon, encoded = digest.partition(":")
    if not digest:
        raise ReferenceProblemError(f"{whole!r} ends where its digest should be")
    if not colon or not _ALGORITHM.fullmatch(algorithm):
        raise ReferenceProblemError(f"{digest!r} is no digest: sha256: and 64 hexadecimal digits is one")
    wanted = _HEX_LENGTHS.get(algorithm)
    if wanted is None and (len(encoded) < 32 or not re.fullmatch(r"[0-9a-fA-F]+", encoded)):
        raise ReferenceProblemError(
            f"{digest!r} is no digest: hexadecimal digits, at least 32, follow the colon"
        )
    if wanted is not None and not re.fullmatch(rf"[0-9a-f]{{{wanted}}}", encoded):
        raise ReferenceProblemError(
            f"the digest needs {wanted} hexadecimal digits after {algorithm}: and has {len(encoded)} "
            "characters there"
        )
