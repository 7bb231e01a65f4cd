"""A plan: what one change would do, said before it is done, and the request that would do it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from memtop.change.wish import Wish
from memtop.cluster.refs import ObjectRef

Weight = Literal["plain", "warn", "critical", "command"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would change.

    Attributes:
        path: Such as ``spec.template.spec.containers[app].image``.
        old: Its value now; empty where it has none.
        new: Its value then; empty where it would have none.
    """

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plan, for a person.

    Attributes:
        label: What it is about, such as ``quota``.
        text: A sentence.
        weight: How much it asks for attention.
    """

    label: str
    text: str
    weight: Weight = "plain"


@dataclass(frozen=True, slots=True)
class Plan:
    """One change, ready to be shown and, after a yes, to be applied.

    Attributes:
        wish: What was asked for.
        context: The kubeconfig's context.
        ref: The object that is changed.
        title: The wish in a few words.
        changes: The fields that change.
        lines: All that there is to say about it, the fields included, in the order to be shown.
        kubectl: The command that does the same.
        method: Of the request, such as ``PATCH``.
        path: Of the request.
        content_type: Of its body.
        body: Carries the version, so that the server refuses it if the object is another by then.
        version: The resourceVersion of the object that the plan was made from.
        refused: Why it cannot be applied (the dry run's words, no such right); empty if it can.
        opens_rollout: Whether pods are replaced, so that there is a rollout to watch.
        essence: Stands for all of the object that the plan depends on; see `memtop.change.essence`.
        id: Names the plan in the audit log.
    """

    wish: Wish
    context: str
    ref: ObjectRef
    title: str
    changes: tuple[Change, ...]
    lines: tuple[Line, ...]
    kubectl: str
    method: str
    path: str
    content_type: str
    body: bytes
    version: str
    refused: str
    opens_rollout: bool
    essence: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12], compare=False)

    @property
    def params(self) -> Mapping[str, str]:
        """The request's query: who writes."""
        return {"fieldManager": "memtop"} if self.method == "PATCH" else {}

    def at_version(self, version: str) -> Plan:
        """The same plan for a newer version of the same object."""
        body: dict[str, Any] = msgspec.json.decode(self.body)
        holder = body["preconditions"] if self.method == "DELETE" else body["metadata"]
        holder["resourceVersion"] = version
        return replace(self, version=version, body=msgspec.json.encode(body))
