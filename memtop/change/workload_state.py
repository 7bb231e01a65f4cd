"""The present state of a workload, read once or followed: containers, replicas, revisions, memory in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from memtop.change.change_request import pod_template
from memtop.change.rollout_strategy import pod_replacement, replicas_in_spec
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreachable
from memtop.kube.api_objects import ACCEPT_METADATA_LIST, METRICS_PATH, PartialObjectMetadata, PodMetricsList
from memtop.kube.client import Client
from memtop.kube.custom_workloads import custom_workload, is_paused
from memtop.kube.json_object import Json, flag, mapping, number, objects, selector_words, text
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.list_watch import await_change
from memtop.kube.object_ref import ObjectRef, fetch_object
from memtop.kube.pod_facts import unix_seconds
from memtop.kube.workload_revisions import Revision, list_revisions
from memtop.quantity import bytes_or_none
from memtop.retry import Backoff
from memtop.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class TemplateContainer:
    """One container of a pod template.

    Attributes:
        name: Its name.
        image: Its image as it is written there.
        init: Whether it runs before the others.
        limit: Its memory limit as it is written; empty without one.
        request: Its memory request as it is written; empty without one.
        sidecar: Whether it is an init container that goes on running beside the others.
    """

    name: str
    image: str
    init: bool
    limit: str
    request: str
    sidecar: bool = False

    @property
    def limit_bytes(self) -> int | None:
        """The limit in bytes; None without one."""
        return bytes_or_none(self.limit)

    @property
    def request_bytes(self) -> int | None:
        """The request in bytes; None without one."""
        return bytes_or_none(self.request)


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """A workload (or pod) as it is now.

    Attributes:
        ref: Which.
        object: All of it, sanitised.
        containers: Those of its template, ordinary ones first.
        replicas: How many pods it asks for; None where the kind has no such number.
        paused: Whether its changes wait (Deployments, and workloads of Argo Rollouts and OpenKruise).
        strategy: How it replaces its pods, in words.
        revisions: What it can go back to, the newest first.
        revisions_note: Why those are not known; empty if they are.
    """

    ref: ObjectRef
    object: Json
    containers: tuple[TemplateContainer, ...]
    replicas: int | None
    paused: bool
    strategy: str
    revisions: tuple[Revision, ...] = ()
    revisions_note: str = ""

    @property
    def resource_version(self) -> str:
        """The version of the object."""
        return text(self.object, "metadata", "resourceVersion")

    def container(self, name: str) -> TemplateContainer | None:
        """One of its containers."""
        return next((one for one in self.containers if one.name == name), None)


async def read_workload(client: Client, ref: ObjectRef) -> WorkloadState:
    """Asks for a workload and its revisions.

    Raises:
        ApiError: It is not there or may not be read.
        Unreachable: No whole answer came.
    """
    _, found = await fetch_object(client, ref)
    try:
        return workload_from_object(ref, found, await list_revisions(client, ref, found))
    except (ApiError, Unreachable) as error:
        return workload_from_object(ref, found, (), str(error))


def workload_from_object(
    ref: ObjectRef, found: Json, known: tuple[Revision, ...] = (), note: str = ""
) -> WorkloadState:
    """The subject that an object makes.

    Args:
        ref: Which object.
        found: The object, sanitised.
        known: Its revisions.
        note: Why those are not known.
    """
    return WorkloadState(
        ref=ref,
        object=found,
        containers=tuple(template_containers(pod_template(ref.kind, found))),
        replicas=desired_pods(ref.kind, found),
        paused=_is_paused(ref, found),
        strategy=pod_replacement(ref.kind, found).words,
        revisions=known,
        revisions_note=note,
    )


def _is_paused(ref: ObjectRef, found: Json) -> bool:
    if (custom := custom_workload(ref.kind, ref.api_version)) is not None:
        return is_paused(custom, found)
    return ref.kind == "Deployment" and flag(found, "spec", "paused")


def template_containers(template: Json) -> Iterator[TemplateContainer]:
    """The containers of a pod template, ordinary ones first."""
    for key in ("containers", "initContainers"):
        for one in objects(template, "spec", key):
            resources = mapping(one, "resources")
            yield TemplateContainer(
                text(one, "name"),
                text(one, "image"),
                key == "initContainers",
                text(resources, "limits", "memory"),
                text(resources, "requests", "memory"),
                text(one, "restartPolicy") == "Always" and key == "initContainers",
            )


_KINDS_WITH_REPLICAS = frozenset({"Deployment", "StatefulSet", "Rollout", "CloneSet"})


def desired_pods(kind: str, found: Json) -> int | None:
    """How many pods a workload asks for; None where its kind has no such number."""
    if kind == "DaemonSet":
        return number(found, "status", "desiredNumberScheduled")
    return replicas_in_spec(found) if kind in _KINDS_WITH_REPLICAS else None


FOLLOW_PAUSE = 1.0
"""Seconds between two looks at a workload that changes all the time."""
FOLLOW_RETRY = 15.0
"""Seconds between two looks after a failure, or where watching is forbidden."""
FOLLOW_REVIEW = 60.0
"""Seconds after which it is looked at again though nothing was heard of a change."""


class _PodMetadataList(msgspec.Struct):
    items: list[PartialObjectMetadata] | None = None


@dataclass(frozen=True, slots=True)
class WorkloadUpdate:
    """How a workload stands.

    Attributes:
        subject: The workload with its revisions.
        pods_created: When each of its pods was created, Unix seconds by name; those not known are missing.
    """

    subject: WorkloadState
    pods_created: Mapping[str, float] = field(default_factory=dict)


async def follow_workload(
    client: Client, ref: ObjectRef, publish: Callable[[WorkloadUpdate | str], None]
) -> None:
    """Tells how a workload stands, and again after every change, until it is cancelled.

    Args:
        client: The connection.
        ref: The workload.
        publish: Gets how it stands, or why that is not known; must return at once.
    """
    backoff, of_watch = Backoff(), Backoff()
    while True:
        try:
            found = await read_workload(client, ref)
            publish(WorkloadUpdate(found, await _pod_creation_times(client, found)))
            backoff.reset()
            await _wait_for_change(client, ref, found.resource_version, of_watch)
            await asyncio.sleep(FOLLOW_PAUSE)
        except CLUSTER_FAILURES as error:
            publish(str(error))
            await backoff.wait(error, at_least=FOLLOW_RETRY)


async def _pod_creation_times(client: Client, found: WorkloadState) -> dict[str, float]:
    """The ages of its pods are worth a word, and no failure if they can't be had."""
    selector = selector_words(mapping(found.object, "spec", "selector"))
    if not selector:
        return {}
    path = f"/api/v1/namespaces/{found.ref.namespace}/pods"
    try:
        raw = await client.request("GET", path, {"labelSelector": selector}, accept=ACCEPT_METADATA_LIST)
        items = decode_lenient(raw.body, _PodMetadataList, "the list of pods").items or []
    except (ApiError, Unreachable):
        return {}
    ages = {sanitize(item.metadata.name): unix_seconds(item.metadata.creation_timestamp) for item in items}
    return {name: age for name, age in ages.items() if age is not None}


async def _wait_for_change(client: Client, ref: ObjectRef, version: str, backoff: Backoff) -> None:
    """Returns when the workload has changed, or after a while."""
    params = {
        "fieldSelector": f"metadata.name={ref.name}",
        "resourceVersion": version,
        "timeoutSeconds": str(round(FOLLOW_REVIEW)),
    }
    silence = FOLLOW_REVIEW + FOLLOW_RETRY
    if not ref.collections():  # of a kind that only discovery knows: it is looked at again and again
        await asyncio.sleep(FOLLOW_RETRY)
        return
    path = ref.collections()[0]
    await await_change(client, path, params, backoff, at_least=FOLLOW_RETRY, idle_timeout=silence)


async def memory_in_use(client: Client, subject: WorkloadState) -> Mapping[str, float]:
    """Working set in bytes by container, the most that any pod has; empty where it is not to be had."""
    path = f"{METRICS_PATH}/namespaces/{subject.ref.namespace}/pods"
    if subject.ref.kind == "Pod":
        query = {"fieldSelector": f"metadata.name={subject.ref.name}"}
    elif selector := selector_words(mapping(subject.object, "spec", "selector")):
        query = {"labelSelector": selector}
    else:
        return {}
    try:
        raw = await client.get(path, query)
        listed = decode_lenient(raw, PodMetricsList, "the list of samples")
    except (ApiError, Unreachable):
        return {}
    most: dict[str, float] = {}
    for pod in listed.items or ():
        for container in pod.containers:
            size = bytes_or_none(container.usage.memory)
            if size is not None:
                most[container.name] = max(most.get(container.name, 0.0), float(size))
    return most
