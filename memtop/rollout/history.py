"""The revisions of a workload, printed: what ``kubectl rollout history`` tells, and what was in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from memtop.cluster.refs import ObjectRef
from memtop.cluster.revisions import Revision
from memtop.cluster.tree import clean, mapping
from memtop.cluster.yaml_view import yaml_lines
from memtop.wording import UNKNOWN, ago, bytes_

GAP = "  "
_TITLES = ("REVISION", "NOW", "CREATED", "PODS", "IMAGES", "MEMORY LIMITS", "CHANGE-CAUSE")


def as_table(revisions: Sequence[Revision], now: float) -> str:
    """A line for each revision, the newest last, as kubectl orders them; ``*`` marks the one in force.

    Args:
        revisions: The revisions, the newest first.
        now: The cluster's time, Unix seconds.
    """
    lines = [_TITLES, *(_cells(one, now) for one in reversed(revisions))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES) - 1)]
    return "\n".join(
        GAP.join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def as_json(ref: ObjectRef, revisions: Sequence[Revision]) -> str:
    """The revisions as an indented JSON document, the newest first; what is unknown is null."""
    document = {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "revisions": [_document(one) for one in revisions],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_details(ref: ObjectRef, revision: Revision, now: float) -> str:
    """One revision with its whole pod template."""
    facts = {
        "Created": f"{_stamp(revision.created)} ({_age(revision, now)})",
        "Change cause": revision.change_cause or "<none>",
        "Pods now": UNKNOWN if revision.replicas is None else str(revision.replicas),
        "In force": "yes" if revision.current else "no",
        "Kept as": revision.name,
    }
    if revision.earlier:
        facts["Was before"] = ", ".join(f"revision {number}" for number in revision.earlier)
    for name, image in revision.images.items():
        limit, request = bytes_(revision.limits[name]), bytes_(revision.requests[name])
        facts[f"Container {name}"] = f"{image}, memory limit {limit}, request {request}"
    wide = max(len(label) for label in facts) + 1
    return "\n".join(
        [
            f"{ref.kind.lower()}.apps/{ref.name} with revision #{revision.number}",
            *(f"{label + ':':<{wide}} {words}" for label, words in facts.items()),
            "Pod template:",
            *(f"  {line}" for line in yaml_lines(mapping(clean(revision.template)))),
        ]
    )


def _cells(revision: Revision, now: float) -> tuple[str, ...]:
    return (
        str(revision.number) if revision.number else UNKNOWN,
        "*" if revision.current else "",
        _age(revision, now),
        UNKNOWN if revision.replicas is None else str(revision.replicas),
        _each(revision.images),
        _each({name: bytes_(limit) for name, limit in revision.limits.items()}),
        revision.change_cause or "<none>",
    )


def _each(values: Mapping[str, str]) -> str:
    """The value of the only container, or each with its container's name."""
    if len(values) == 1:
        return next(iter(values.values()))
    return ",".join(f"{name}={value}" for name, value in values.items())


def _age(revision: Revision, now: float) -> str:
    return ago(now - revision.created) if revision.created else UNKNOWN


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else UNKNOWN


def _document(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number or None,
        "name": revision.name,
        "created": _stamp(revision.created) if revision.created else None,
        "current": revision.current,
        "pods": revision.replicas,
        "change_cause": revision.change_cause or None,
        "containers": [
            {
                "name": name,
                "image": image,
                "limit_bytes": revision.limits[name],
                "request_bytes": revision.requests[name],
            }
            for name, image in revision.images.items()
        ],
        "earlier_revisions": list(revision.earlier),
    }
