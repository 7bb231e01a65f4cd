"""What a workload is like now, as far as someone who wants to change it has to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memtop.change.kinds import template_of
from memtop.change.strategy import replicas_of, strategy
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.refs import ObjectRef, fetch
from memtop.cluster.revisions import Revision, revisions
from memtop.cluster.tree import Json, flag, mapping, number, objects, text
from memtop.quantity import bytes_or_none


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod template.

    Attributes:
        name: Its name.
        image: Its image as it is written there.
        init: Whether it runs before the others.
        limit: Its memory limit as it is written; empty without one.
        request: Its memory request as it is written; empty without one.
    """

    name: str
    image: str
    init: bool
    limit: str
    request: str

    @property
    def limit_bytes(self) -> int | None:
        """The limit in bytes; None without one."""
        return bytes_or_none(self.limit)

    @property
    def request_bytes(self) -> int | None:
        """The request in bytes; None without one."""
        return bytes_or_none(self.request)


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload (or pod) as it is now.

    Attributes:
        ref: Which.
        object: All of it, sanitised.
        containers: Those of its template, ordinary ones first.
        replicas: How many pods it asks for; None where the kind has no such number.
        paused: Whether its changes wait (Deployments).
        strategy: How it replaces its pods, in words.
        revisions: What it can go back to, the newest first.
        revisions_note: Why those are not known; empty if they are.
    """

    ref: ObjectRef
    object: Json
    containers: tuple[Container, ...]
    replicas: int | None
    paused: bool
    strategy: str
    revisions: tuple[Revision, ...] = ()
    revisions_note: str = ""

    @property
    def resource_version(self) -> str:
        """The version of the object."""
        return text(self.object, "metadata", "resourceVersion")

    def container(self, name: str) -> Container | None:
        """One of its containers."""
        return next((one for one in self.containers if one.name == name), None)


async def subject(client: Client, ref: ObjectRef) -> Subject:
    """Asks for a workload and its revisions.

    Raises:
        ApiError: It is not there or may not be read.
        Unreachable: No whole answer came.
    """
    _, found = await fetch(client, ref)
    try:
        return of(ref, found, await revisions(client, ref, found))
    except (ApiError, Unreachable) as error:
        return of(ref, found, (), str(error))


def of(ref: ObjectRef, found: Json, known: tuple[Revision, ...] = (), note: str = "") -> Subject:
    """The subject that an object makes.

    Args:
        ref: Which object.
        found: The object, sanitised.
        known: Its revisions.
        note: Why those are not known.
    """
    return Subject(
        ref=ref,
        object=found,
        containers=tuple(containers(template_of(ref.kind, found))),
        replicas=desired(ref.kind, found),
        paused=ref.kind == "Deployment" and flag(found, "spec", "paused"),
        strategy=strategy(ref.kind, found).words,
        revisions=known,
        revisions_note=note,
    )


def containers(template: Json) -> Iterator[Container]:
    """The containers of a pod template, ordinary ones first."""
    for key in ("containers", "initContainers"):
        for one in objects(template, "spec", key):
            resources = mapping(one, "resources")
            yield Container(
                text(one, "name"),
                text(one, "image"),
                key == "initContainers",
                text(resources, "limits", "memory"),
                text(resources, "requests", "memory"),
            )


def desired(kind: str, found: Json) -> int | None:
    """How many pods a workload asks for; None where its kind has no such number."""
    if kind == "DaemonSet":
        return number(found, "status", "desiredNumberScheduled")
    return replicas_of(found) if kind in {"Deployment", "StatefulSet"} else None
