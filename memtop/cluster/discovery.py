"""Where the API keeps a kind that is not built in: asked of its discovery, as kubectl does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.tree import Json, decode, objects, text

MOST_GROUPS = 200
"""API groups that are asked one by one where the server knows no answer for all of them (before 1.26)."""
_ALL_AT_ONCE = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


async def collections_of(
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
        for path in await _in_version(client, kind, namespace, api_version):
            yield path
        return
    try:
        answer = decode(await client.get("/apis", accept=_ALL_AT_ONCE), "the API's groups")
    except ApiError as error:
        words = f"where the API keeps a {kind} cannot be found out: {error}"
        raise ApiError(error.status, error.reason, words, error.retry_after) from error
    if text(answer, "kind") == "APIGroupDiscoveryList":
        for path in _among_all(answer, kind, namespace):
            yield path
        return
    versions = [text(group, "preferredVersion", "groupVersion") for group in objects(answer, "groups")]
    # What Kubernetes brings itself is known without discovery; custom kinds are in groups of others.
    for version in sorted(filter(None, versions), key=_own)[:MOST_GROUPS]:
        for path in await _in_version(client, kind, namespace, version):
            yield path


async def _in_version(client: Client, kind: str, namespace: str, version: str) -> list[str]:
    try:
        answer = decode(await client.get(_root(version)), version)
    except (ApiError, Unreachable):
        return []  # an aggregated API whose server is down must not hide the others
    return [
        _path(version, text(resource, "name"), namespace)
        for resource in objects(answer, "resources")
        if text(resource, "kind") == kind
        and "/" not in text(resource, "name")  # a subresource
        and (text(resource, "namespaced") == "true") == bool(namespace)
    ]


def _among_all(answer: Json, kind: str, namespace: str) -> Iterator[str]:
    scope = "Namespaced" if namespace else "Cluster"
    groups = {text(group, "metadata", "name"): group for group in objects(answer, "items")}
    for name in sorted(groups, key=_own):
        for version in objects(groups[name], "versions")[:1]:  # the preferred one
            for resource in objects(version, "resources"):
                if text(resource, "responseKind", "kind") == kind and text(resource, "scope") == scope:
                    yield _path(f"{name}/{text(version, 'version')}", text(resource, "resource"), namespace)


def _own(group: str) -> bool:
    """Whether Kubernetes brings the group itself."""
    name = group.partition("/")[0]
    return name.endswith(".k8s.io") or "." not in name


def _root(version: str) -> str:
    return f"/apis/{quote(version)}" if "/" in version else f"/api/{quote(version, safe='')}"


def _path(version: str, plural: str, namespace: str) -> str:
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{_root(version)}{scope}/{quote(plural, safe='')}"
