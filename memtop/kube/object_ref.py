"""Names one object, reads a name as a person types it, finds it in the API, and climbs to its workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from memtop.kube.api_discovery import find_collections
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.custom_workloads import custom_api_version, custom_workload, named_custom_workload
from memtop.kube.json_object import (
    Json,
    controller_of,
    decode_object,
    labels,
    name_of,
    namespace_of,
    text,
    uid_of,
)

ROLLING_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet")
"""The kinds that replace their pods when their template changes, and keep what it was as revisions."""
CUSTOM_KINDS: Final = ("Rollout", "CloneSet")
"""Kinds of Argo Rollouts and OpenKruise; where they make sense, so do OpenKruise's own StatefulSets."""
MAX_OWNERS = 5
"""Owners above one another before something must be wrong."""

_RESOURCES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "Pod": (("/api/v1",), "pods"),
    "Node": (("/api/v1",), "nodes"),
    "ReplicationController": (("/api/v1",), "replicationcontrollers"),
    "Deployment": (("/apis/apps/v1",), "deployments"),
    "ReplicaSet": (("/apis/apps/v1",), "replicasets"),
    "StatefulSet": (("/apis/apps/v1",), "statefulsets"),
    "DaemonSet": (("/apis/apps/v1",), "daemonsets"),
    "Job": (("/apis/batch/v1",), "jobs"),
    "CronJob": (("/apis/batch/v1", "/apis/batch/v1beta1"), "cronjobs"),
}


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names one object.

    Attributes:
        kind: Such as ``Deployment``.
        namespace: Its namespace; empty for a node.
        name: Its name.
        uid: Its uid, empty where it is not known.
        api_version: Such as ``argoproj.io/v1alpha1``; needed only for kinds that are not Kubernetes' own.
    """

    kind: str
    namespace: str
    name: str
    uid: str = ""
    api_version: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def is_builtin(self) -> bool:
        """Whether it is of a kind that comes with Kubernetes, and not of one that is only called so."""
        return self.kind in _RESOURCES and not custom_api_version(self.api_version)

    def collections(self) -> tuple[str, ...]:
        """The paths its collection may have, the newest API first; none where the kind is not known."""
        custom = custom_workload(self.kind, self.api_version)
        if self.is_builtin:
            groups, plural = _RESOURCES[self.kind]
        elif custom is not None and custom_api_version(self.api_version):
            groups, plural = (f"/apis/{self.api_version}",), custom.plural
        elif "/" in self.api_version:
            groups, plural = (f"/apis/{self.api_version}",), _plural(self.kind)
        else:
            return ()
        scope = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        return tuple(f"{group}{scope}/{plural}" for group in groups)


async def fetch_object(client: Client, ref: ObjectRef) -> tuple[str, Json]:
    """Gets an object; of a kind that is not built in, from wherever the API's discovery says it is.

    Returns:
        The path of its collection, and the object, sanitised.

    Raises:
        ApiError: It is not there, the API refused, or its kind is not known.
        Unreachable: No whole answer came.
    """
    refusal: ApiError | None = None
    for collection in ref.collections():
        try:
            return collection, await _get_object(client, ref, collection)
        except ApiError as error:
            if error.status != 404:
                raise
            refusal = refusal or error
    if not ref.is_builtin:
        async for collection in find_collections(client, ref.kind, ref.namespace, ref.api_version):
            try:
                return collection, await _get_object(client, ref, collection)
            except ApiError as error:
                if error.status != 404:
                    raise
                refusal = refusal or error
    raise refusal or ApiError(404, "NotFound", f"this cluster's API has no {ref.kind}")


async def _get_object(client: Client, ref: ObjectRef, collection: str) -> Json:
    return decode_object(await client.get(f"{collection}/{quote(ref.name, safe='')}"), str(ref))


def _plural(kind: str) -> str:
    """What a kind's collection is called as a rule; where that is wrong, discovery knows better."""
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def reference_to(found: Json, kind: str) -> ObjectRef:
    """Names an object that is at hand."""
    return ObjectRef(kind, namespace_of(found), name_of(found), uid_of(found), text(found, "apiVersion"))


def owner_of(found: Json) -> ObjectRef | None:
    """The controller of an object, or None."""
    owner = controller_of(found)
    if not owner:
        return None
    return ObjectRef(
        text(owner, "kind"),
        namespace_of(found),
        text(owner, "name"),
        text(owner, "uid"),
        text(owner, "apiVersion"),
    )


async def owner_chain(client: Client, found: Json) -> tuple[tuple[ObjectRef, ...], str]:
    """The controllers above an object, the nearest first.

    Where a ReplicaSet cannot be read its Deployment follows from the pod's ``pod-template-hash``.

    Returns:
        The chain, and why it may end too early; empty where it does not.
    """
    chain: list[ObjectRef] = []
    while (owner := owner_of(found)) is not None and len(chain) < MAX_OWNERS:
        chain.append(owner)
        try:
            _, above = await fetch_object(client, owner)
        except (ApiError, Unreachable) as error:
            template = labels(found, "metadata", "labels").get("pod-template-hash")
            if owner.kind == "ReplicaSet" and template and owner.name.endswith(f"-{template}"):
                name = owner.name.removesuffix(f"-{template}")
                chain.append(ObjectRef("Deployment", owner.namespace, name))
            return tuple(chain), str(error)
        found = above
    return tuple(chain), ""


_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "Deployment": ("deployment", "deployments", "deploy"),
    "StatefulSet": ("statefulset", "statefulsets", "sts"),
    "DaemonSet": ("daemonset", "daemonsets", "ds"),
    "CronJob": ("cronjob", "cronjobs", "cj"),
    "Job": ("job", "jobs"),
    "ReplicaSet": ("replicaset", "replicasets", "rs"),
    "Pod": ("pod", "pods", "po"),
    "Rollout": ("rollout", "rollouts", "ro"),
    "CloneSet": ("cloneset", "clonesets", "clone"),
}
_KINDS = {spelling: kind for kind, spellings in _SPELLINGS.items() for spelling in spellings}


def parse_object_name(words: Sequence[str], namespace: str, kinds: Sequence[str]) -> ObjectRef:
    """Reads ``deployment/NAME``, or ``deployment NAME``; the kind may be short, plural or with its group.

    Args:
        words: What was typed: one word with a slash, or kind and name.
        namespace: Where the object is.
        kinds: Which kinds make sense here, such as ``("Deployment", "StatefulSet")``.

    Raises:
        ValueError: It names no object of these kinds. The message is the end of a sentence that begins with
            what was typed.
    """
    kind_word, slash, name = words[0].partition("/")
    if not slash and len(words) == 2:
        name = words[1]
    known = ", ".join(f"{_SPELLINGS[kind][0]}/NAME" for kind in kinds)
    if not kind_word or not name or "/" in name or len(words) > (1 if slash else 2):
        raise ValueError(f"does not name a workload; write it as {known}")
    resource, _, group = kind_word.lower().partition(".")
    kind = _KINDS.get(resource)
    custom = named_custom_workload(kind, group) if kind is not None and CUSTOM_KINDS[0] in kinds else None
    if kind is not None and custom is not None:
        return ObjectRef(kind, namespace, name, api_version=custom.api_version)
    if kind is None or group not in {"", "apps", "v1.apps", "batch", "v1.batch"}:
        raise ValueError(f"is of a kind that memtop does not know; it knows {known}")
    if kind not in kinds:
        raise ValueError(f"is a {kind}, which this cannot be done with; it can with {known}")
    return ObjectRef(kind, namespace, name)
