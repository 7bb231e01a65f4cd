"""Errors of the API: `Status` objects, with the messages of a real API server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from memtop.demo.api_resources import Resource

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiStatusError(Exception):
    """A request the API answers with a `Status`."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def document(self) -> dict[str, Any]:
        """Return the Status object."""
        document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": REASONS[self.code],
        }
        if self.details is not None:
            document["details"] = self.details
        return {**document, "code": self.code}

    def response(self) -> web.Response:
        """Return the HTTP response."""
        return json_response(self.document(), self.code)


def json_response(document: object, code: int = 200) -> web.Response:
    """Return a JSON response; like the API server's, it ends with a newline."""
    return web.Response(
        body=msgspec.json.encode(document) + b"\n", status=code, content_type="application/json"
    )


def details_of(resource: Resource, name: str = "") -> dict[str, Any]:
    """Return the `details` of an error about a resource."""
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiStatusError:
    """Return the error for an object that does not exist."""
    return ApiStatusError(404, f'{resource.qualified} "{name}" not found', details=details_of(resource, name))


def gone(version: int, current: int) -> ApiStatusError:
    """Return the error for a watch from a version that is no longer known."""
    return ApiStatusError(410, f"too old resource version: {version} ({current})")


def number_of(query: Mapping[str, str], name: str) -> int:
    """Return a whole-number parameter, 0 without it; raises ApiStatusError (400) for anything else."""
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise ApiStatusError(400, f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})') from None


def page_not_found() -> web.Response:
    """Return the plain-text answer to a path the API server does not know."""
    return web.Response(text="404 page not found\n", status=404)


_PROTOBUF = b"k8s\0"
"""How the API's protobuf begins, in which kubectl create speaks."""


def decoded(body: bytes) -> Any:  # noqa: ANN401  any JSON
    """Return the JSON of a request's body; raises ApiStatusError (400 or 415)."""
    if body.startswith(_PROTOBUF):
        raise ApiStatusError(
            415,
            "the demo cluster reads JSON and no protobuf: apply a manifest with --validate=false",
        )
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ApiStatusError(400, f"error decoding patch: {error}") from None
