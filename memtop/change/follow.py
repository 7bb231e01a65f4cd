"""A workload, its revisions and how old its pods are, told again whenever the workload has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from memtop.change.subject import Subject, subject
from memtop.cluster.client import Client
from memtop.cluster.containers import epoch
from memtop.cluster.describe.labels import selector_words
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.objects import METADATA_LIST, PartialObject
from memtop.cluster.reflector import await_change
from memtop.cluster.refs import ObjectRef
from memtop.cluster.sanitize import sanitize
from memtop.cluster.tree import mapping
from memtop.retry import Backoff

PAUSE = 1.0
"""Seconds between two looks at a workload that changes all the time."""
RETRY = 15.0
"""Seconds between two looks after a failure, or where watching is forbidden."""
REVIEW = 60.0
"""Seconds after which it is looked at again though nothing was heard of a change."""


class _List(msgspec.Struct):
    items: list[PartialObject] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a workload stands.

    Attributes:
        subject: The workload with its revisions.
        born: When each of its pods was created, Unix seconds by name; those not known are missing.
    """

    subject: Subject
    born: Mapping[str, float] = field(default_factory=dict)


async def follow(client: Client, ref: ObjectRef, publish: Callable[[Standing | str], None]) -> None:
    """Tells how a workload stands, and again after every change, until it is cancelled.

    Args:
        client: The connection.
        ref: The workload.
        publish: Gets how it stands, or why that is not known; must return at once.
    """
    backoff, of_watch = Backoff(), Backoff()
    while True:
        try:
            found = await subject(client, ref)
            publish(Standing(found, await _born(client, found)))
            backoff.reset()
            await _changed(client, ref, found.resource_version, of_watch)
            await asyncio.sleep(PAUSE)
        except (ApiError, Unreachable, CredentialError, KubeconfigError) as error:
            publish(str(error))
            await backoff.rest(error, at_least=RETRY)


async def _born(client: Client, found: Subject) -> dict[str, float]:
    """The ages of its pods are worth a word, and no failure if they can't be had."""
    selector = selector_words(mapping(found.object, "spec", "selector"))
    if not selector:
        return {}
    path = f"/api/v1/namespaces/{found.ref.namespace}/pods"
    try:
        raw = await client.request("GET", path, {"labelSelector": selector}, accept=METADATA_LIST)
        items = msgspec.json.decode(raw.body, type=_List).items or []
    except (ApiError, Unreachable, msgspec.MsgspecError):
        return {}
    ages = {sanitize(item.metadata.name): epoch(item.metadata.creation_timestamp) for item in items}
    return {name: age for name, age in ages.items() if age is not None}


async def _changed(client: Client, ref: ObjectRef, version: str, backoff: Backoff) -> None:
    """Returns when the workload has changed, or after a while."""
    params = {
        "fieldSelector": f"metadata.name={ref.name}",
        "resourceVersion": version,
        "timeoutSeconds": str(round(REVIEW)),
    }
    path, silence = ref.collections()[0], REVIEW + RETRY
    await await_change(client, path, params, backoff, at_least=RETRY, idle_timeout=silence)
