"""Access reviews in protobuf, which kubectl 1.33 and newer send.

The field numbers are those of `generated.proto` in k8s.io/api/authorization/v1 and
k8s.io/apimachinery/pkg/runtime; the wire format is that of the Protocol Buffers encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memtop.demo.api.status_errors import ApiStatusError

MAGIC = b"k8s\0"
"""What a body in Kubernetes' protobuf envelope begins with."""
_TYPE, _RAW = 1, 2  # of runtime.Unknown
_SPEC = 2  # of the reviews
_RESOURCE_ATTRIBUTES = 1  # of SelfSubjectAccessReviewSpec
_ATTRIBUTES = {
    1: "namespace",
    2: "verb",
    3: "group",
    4: "version",
    5: "resource",
    6: "subresource",
    7: "name",
}
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types


def decoded_review(body: bytes) -> dict[str, Any]:
    """Return a review as its JSON would be, as far as the demo reads it.

    Raises:
        ApiStatusError: 400 for anything else.
    """
    try:
        envelope = _fields(body[len(MAGIC) :])
        kind = _fields(envelope.get(_TYPE, b""))
        spec = _fields(_fields(envelope.get(_RAW, b"")).get(_SPEC, b""))
        review: dict[str, Any] = {"apiVersion": kind.get(1, b"").decode(), "kind": kind.get(2, b"").decode()}
        if review["kind"] == "SelfSubjectRulesReview":
            review["spec"] = {"namespace": spec.get(1, b"").decode()}
        elif _RESOURCE_ATTRIBUTES in spec:
            asked = _fields(spec[_RESOURCE_ATTRIBUTES])
            attributes = {
                name: asked[number].decode() for number, name in _ATTRIBUTES.items() if number in asked
            }
            review["spec"] = {"resourceAttributes": attributes}
    except (IndexError, ValueError) as error:
        raise ApiStatusError(400, f"error decoding the request as protobuf: {error}") from None
    return review


def _fields(message: bytes) -> dict[int, bytes]:
    """The fields of a message that hold bytes, by number; the last of several counts."""
    return dict(_read_fields(message))


def _read_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, place = _varint(message, place)
        elif wire == _BYTES:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ValueError("a field is cut short")
            yield number, message[place : place + length]
            place += length
        elif wire in {_FIXED_32, _FIXED_64}:
            place += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError(f"unknown wire type {wire}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
