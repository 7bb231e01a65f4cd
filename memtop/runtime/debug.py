"""Images without a shell: the ephemeral container that could look into one, as a command for kubectl."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.exec import Place
from memtop.cluster.sanitize import sanitize

IMAGE = "busybox:1.36"
OLDEST = (1, 23)
"""Kubernetes has ephemeral containers on by default since then."""


@dataclass(frozen=True, slots=True)
class Debugging:
    """How to look into a container that has no shell.

    Attributes:
        command: The kubectl command; it adds a container to the pod, which stays until the pod is gone.
        obstacle: Why this cluster can't; empty if it can, as far as is known.
        notes: What to know.
    """

    command: str
    obstacle: str
    notes: tuple[str, ...]


class _Version(msgspec.Struct, rename="camel"):
    major: str = ""
    minor: str = ""
    git_version: str = ""


async def debugging(client: Client, place: Place, image: str = IMAGE) -> Debugging:
    """Proposes an ephemeral container; nothing is changed.

    Args:
        client: As whom.
        place: The container without a shell.
        image: What to look with.
    """
    words = ("kubectl", "debug", "-it", place.pod, "-n", place.namespace)
    command = shlex.join((*words, f"--image={image}", f"--target={place.container}", "--", "sh"))
    return Debugging(
        command,
        await _obstacle(client),
        (
            "It changes the pod: the container that is added can't be removed again while the pod lives.",
            "It counts against the pod, not against the container's own limit.",
            f"There, /proc/1/root is the file system of {place.container}, and its processes are in sight.",
            "For a JVM take an image with the same JDK: jcmd 1 GC.heap_dump /tmp/heap.hprof writes into the "
            "target's own file system.",
        ),
    )


async def _obstacle(client: Client) -> str:
    try:
        said = msgspec.json.decode(await client.get("/version"), type=_Version)
    except (ApiError, Unreachable, msgspec.MsgspecError):
        return ""
    numbers = [re.match(r"\d+", text) for text in (said.major, said.minor)]
    version = tuple(int(number[0]) for number in numbers if number is not None)
    if len(version) == 2 and version < OLDEST:
        return (
            f"this cluster runs Kubernetes {sanitize(said.git_version)}, "
            f"and ephemeral containers need {OLDEST[0]}.{OLDEST[1]}"
        )
    return ""
