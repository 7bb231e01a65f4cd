"""What we may do, asked of the API server before it is tried."""

from __future__ import annotations

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


async def allowed(
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
        answer = await client.request("POST", PATH, body=msgspec.json.encode(review))
        return msgspec.json.decode(answer.body, type=_Review).status.allowed
    except (ApiError, Unreachable, msgspec.MsgspecError):
        return None
