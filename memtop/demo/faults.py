"""Faults on demand: the embedded cluster fails in the ways real ones do."""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from memtop.demo.api.status_errors import ApiStatusError

ENDLESS_CHUNK = b"x" * 65536


class Harm(enum.Enum):
    """The kinds of faults."""

    ANSWER = "answer"  # with another status, body and headers
    DELAY = "delay"  # and then answer as usual
    CUT = "cut"  # half of the body, then the connection is dropped
    HANG = "hang"  # no answer until the client gives up
    DROP = "drop"  # the connection is closed without an answer
    ENDLESS_LINE = "endless line"  # a body that never ends and has no newline


@dataclass(slots=True)
class Fault:
    """One fault rule.

    Attributes:
        harm: what to do.
        path: regular expression searched in the path with its query.
        method: HTTP method, any if empty.
        times: how often it applies; None for always.
        status: status of an `ANSWER`.
        body: body of an `ANSWER`; a Status object fitting the status when None.
        headers: headers of an `ANSWER`.
        seconds: real seconds of a `DELAY`.
        hits: how often it has applied.
    """

    harm: Harm
    path: str = ""
    method: str = ""
    times: int | None = None
    status: int = 500
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hits: int = 0

    def applies(self, method: str, path: str) -> bool:
        """Return whether the rule is meant for a request."""
        if self.times is not None and self.hits >= self.times:
            return False
        return (not self.method or self.method == method) and re.search(self.path, path) is not None


class Faults:
    """The rules in force; the first that matches a request is applied.

    A list may be changed from another thread while requests are served: rules are only appended or cleared.
    """

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Add a rule and return it; its `hits` count the requests it was applied to."""
        self._rules.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the rule that applies to a request, counting it."""
        for fault in tuple(self._rules):
            if fault.applies(method, path):
                fault.hits += 1
                return fault
        return None


async def apply_fault(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """Apply a fault; None if the request is then answered as usual."""
    if fault.harm is Harm.DELAY:
        await asyncio.sleep(fault.seconds)
    elif fault.harm is Harm.ANSWER:
        if fault.body is not None:
            return web.Response(body=fault.body, status=fault.status, headers=dict(fault.headers))
        response = ApiStatusError(fault.status, f"{request.method} {request.path}: made to fail").response()
        response.headers.update(fault.headers)
        return response
    elif fault.harm is Harm.HANG:
        await asyncio.Event().wait()
    elif fault.harm is Harm.DROP:
        _abort(request)
        return web.Response()
    elif fault.harm is Harm.ENDLESS_LINE:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        while True:
            await stream.write(ENDLESS_CHUNK)
    return None


async def cut_response(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send half of a response, then drop the connection."""
    body = bytes(response.body) if isinstance(response.body, bytes) else b""
    stream = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    stream.content_length = len(body)
    await stream.prepare(request)
    await stream.write(body[: len(body) // 2])
    _abort(request)
    return stream


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
