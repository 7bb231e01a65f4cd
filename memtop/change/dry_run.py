"""The server's own answer to a change, without making it (``dryRun=All``): admission included."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from memtop.change.fields import differences, equal, written
from memtop.change.owners import MEMTOP
from memtop.change.patch import Request
from memtop.change.plan import Line
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError
from memtop.cluster.tree import Json, decode, number

LABEL = "dry run"
MOST_OTHERS = 6
"""Fields beside the wanted ones that are named."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says of a request.

    Attributes:
        lines: In words.
        refused: Why it would refuse it; empty if it would not.
        after: The object as it would be; None where the server does not say.
    """

    lines: tuple[Line, ...]
    refused: str = ""
    after: Json | None = None


async def dry_run(client: Client, request: Request, before: Json) -> Answer:
    """Asks the server what it would make of a request.

    Args:
        client: The connection.
        request: The request.
        before: The object as it is.

    Raises:
        ApiError: 409: the object is another by now.
        Unreachable: No whole answer came.
    """
    body: dict[str, Any] = dict(request.body)
    params = {"dryRun": "All"}
    if request.method == "DELETE":  # of a deletion with a body the server reads no query
        body["dryRun"] = ["All"]
    else:
        params["fieldManager"] = MEMTOP
    try:
        answer = await client.request(
            request.method,
            request.path,
            params,
            body=msgspec.json.encode(body),
            content_type=request.content_type,
        )
    except ApiError as error:
        if error.status == 409:
            raise
        if "does not support dry run" in error.message:
            words = f"this cluster can't try it ({error.message}): whether it is accepted shows when applied"
            return Answer((Line(LABEL, words, "warn"),))
        refused = f"the server refuses it: {error.message}"
        return Answer((Line(LABEL, refused, "critical"),), refused)
    after = decode(answer.body, "the dry run's answer")
    if request.method == "DELETE":
        return Answer((_accepted(),))
    if request.path.endswith("/scale"):
        return _scale(request, after)
    return _patched(request, before, after)


def _accepted() -> Line:
    return Line(LABEL, "the server accepts it, admission included")


def _scale(request: Request, after: Json) -> Answer:
    wanted, would = request.body["spec"]["replicas"], number(after, "spec", "replicas") or 0
    if wanted == would:
        return Answer((_accepted(),))
    words = f"the server would scale it to {would} and not to {wanted}"
    return Answer((Line(LABEL, words, "critical"),), words)


def _patched(request: Request, before: Json, after: Json) -> Answer:
    """What the server would change, against what was meant to change."""
    would = {
        written(steps): (old, new)
        for steps, old, new in differences(before.get("spec"), after.get("spec"), ("spec",))
    }
    meant: dict[str, str] = {written(steps): new for steps, _, new in request.changed}
    if request.changed and not would:
        words = "the server would change nothing: it takes this for what the object has, or puts it back"
        return Answer((Line(LABEL, words, "critical"),), words, after)
    other = [
        f"{path} to {would[path][1] or 'nothing'}" if path in would else f"{path} to what it has"
        for path, new in meant.items()
        if path not in would or not equal(would[path][1], new)
    ]
    lines = [_accepted()]
    if other:
        lines = [Line(LABEL, f"the server would set {'; '.join(other)}", "critical")]
    return Answer((*lines, *_others(would, meant.keys())), "", after)


def _others(would: Mapping[str, tuple[str, str]], meant: Collection[str]) -> Iterator[Line]:
    others = [path for path in would if path not in meant]
    for path in others[:MOST_OTHERS]:
        old, new = would[path]
        yield Line(LABEL, f"the server would also change {path}: {old or 'none'} → {new or 'none'}", "warn")
    if len(others) > MOST_OTHERS:
        yield Line(LABEL, f"and {len(others) - MOST_OTHERS} other fields", "warn")
