"""What the API server offers us: where it keeps a kind, and whether we may do something with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import msgspec

from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, objects, text
from memtop.kube.lenient_decoding import JSON_ERRORS

ACCESS_REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class _ReviewStatus(msgspec.Struct):
    allowed: bool = False


class _AccessReview(msgspec.Struct):
    status: _ReviewStatus = msgspec.field(default_factory=_ReviewStatus)


async def is_allowed(
    client: Client, namespace: str, verb: str, resource: str, subresource: str = "", group: str = ""
) -> bool | None:
    """Whether we may do something in a namespace.

    Args:
        client: As whom.
        namespace: Where.
        verb: ``get``, ``create``, ``patch`` and so on.
        resource: The plural, such as ``pods``.
        subresource: Such as ``exec``; empty for the resource itself.
        group: The API group; empty for the core one.

    Returns:
        None where the server does not let us ask, or does not answer.
    """
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = await client.request("POST", ACCESS_REVIEW_PATH, body=msgspec.json.encode(review))
        return msgspec.json.decode(answer.body, type=_AccessReview).status.allowed
    except (ApiError, Unreachable, *JSON_ERRORS):
        return None


MAX_GROUPS = 200
"""API groups that are asked one by one where the server knows no answer for all of them (before 1.26)."""
_AGGREGATED_DISCOVERY = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


async def find_collections(
    client: Client, kind: str, namespace: str, api_version: str = ""
) -> AsyncIterator[str]:
    """The paths under which objects of a kind may be; of several the groups of others come first.

    Args:
        client: The connection.
        kind: Such as ``Rollout``.
        namespace: Of the object; empty where it has none.
        api_version: Such as ``argoproj.io/v1alpha1``; empty where it is not known.

    Raises:
        ApiError: Discovery is refused.
        Unreachable: No whole answer came.
    """
    if api_version:
        for path in await _collections_in_version(client, kind, namespace, api_version):
            yield path
        return
    try:
        answer = decode_object(await client.get("/apis", accept=_AGGREGATED_DISCOVERY), "the API's groups")
    except ApiError as error:
        words = f"where the API keeps a {kind} cannot be found out: {error}"
        raise ApiError(error.status, error.reason, words, error.retry_after) from error
    if text(answer, "kind") == "APIGroupDiscoveryList":
        for path in _collections_in_groups(answer, kind, namespace):
            yield path
        return
    versions = [text(group, "preferredVersion", "groupVersion") for group in objects(answer, "groups")]
    # What Kubernetes brings itself is known without discovery; custom kinds are in groups of others.
    for version in sorted(filter(None, versions), key=_is_builtin_group)[:MAX_GROUPS]:
        for path in await _collections_in_version(client, kind, namespace, version):
            yield path


async def _collections_in_version(client: Client, kind: str, namespace: str, version: str) -> list[str]:
    try:
        answer = decode_object(await client.get(_version_root(version)), version)
    except (ApiError, Unreachable):
        return []  # an aggregated API whose server is down must not hide the others
    return [
        _collection_path(version, text(resource, "name"), namespace)
        for resource in objects(answer, "resources")
        if text(resource, "kind") == kind
        and "/" not in text(resource, "name")  # a subresource
        and (text(resource, "namespaced") == "true") == bool(namespace)
    ]


def _collections_in_groups(answer: Json, kind: str, namespace: str) -> Iterator[str]:
    scope = "Namespaced" if namespace else "Cluster"
    groups = {text(group, "metadata", "name"): group for group in objects(answer, "items")}
    for name in sorted(groups, key=_is_builtin_group):
        for version in objects(groups[name], "versions")[:1]:  # the preferred one
            for resource in objects(version, "resources"):
                if text(resource, "responseKind", "kind") == kind and text(resource, "scope") == scope:
                    yield _collection_path(
                        f"{name}/{text(version, 'version')}", text(resource, "resource"), namespace
                    )


def _is_builtin_group(group: str) -> bool:
    """Whether Kubernetes brings the group itself."""
    name = group.partition("/")[0]
    return name.endswith(".k8s.io") or "." not in name


def _version_root(version: str) -> str:
    return f"/apis/{quote(version)}" if "/" in version else f"/api/{quote(version, safe='')}"


def _collection_path(version: str, plural: str, namespace: str) -> str:
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{_version_root(version)}{scope}/{quote(plural, safe='')}"
