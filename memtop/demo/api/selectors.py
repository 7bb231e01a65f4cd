"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from memtop.demo.api.status import ApiStatusError
from memtop.demo.resources import Resource
from memtop.demo.store import Entry

Test = Callable[[Entry], bool]

_SET = re.compile(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*")
_COMMAS = re.compile(r",(?![^(]*\))")
_EQUALITY = re.compile(r"\s*([^\s=!]+)\s*(==|!=|=)\s*([^\s=!]*)\s*")

_FIELDS = {
    "Pod": {
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "status.phase",
        "status.podIP",
    },
    "Event": {
        "metadata.name",
        "metadata.namespace",
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "reason",
        "type",
        "source",
    },
}


def label_test(selector: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a test of labels for a selector such as `app=a,tier in (b,c),!d`.

    Raises:
        ApiStatusError: 400, the selector cannot be parsed.
    """
    tests = [_requirement(part) for part in _COMMAS.split(selector) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(part):
        key, operator, listed = match[1], match[2], {value.strip() for value in match[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in listed
        return lambda labels: labels.get(key) not in listed
    if match := _EQUALITY.fullmatch(part):
        key, operator, value = match[1], match[2], match[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    key = part.strip()
    if key.startswith("!"):
        return lambda labels: key[1:] not in labels
    if " " in key:
        raise ApiStatusError(
            400, f"unable to parse requirement: found '{key}', expected: in, notin, =, ==, !="
        )
    return lambda labels: key in labels


def field_test(resource: Resource, selector: str) -> Test:
    """Return a test of entries for a field selector such as `spec.nodeName=a,status.phase!=Failed`.

    Raises:
        ApiStatusError: 400, the resource has no such field selector.
    """
    tests: list[Test] = []
    allowed = _FIELDS.get(resource.kind, {"metadata.name", "metadata.namespace"})
    for part in filter(None, (part.strip() for part in selector.split(","))):
        match = _EQUALITY.fullmatch(part)
        if match is None:
            raise ApiStatusError(400, f"invalid field selector: {part!r}")
        if match[1] not in allowed:
            message = (
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label '
                f'selector "", field selector "{selector}": field label not supported: {match[1]}'
            )
            raise ApiStatusError(400, message)
        tests.append(_field(tuple(match[1].split(".")), match[2] == "!=", match[3]))
    return lambda entry: all(test(entry) for test in tests)


def _field(path: tuple[str, ...], negated: bool, value: str) -> Test:
    def test(entry: Entry) -> bool:
        found: Any = entry.object
        for step in path:
            found = found.get(step, "") if isinstance(found, dict) else ""
        return (found == value) is not negated

    return test


def selection(resource: Resource, query: Mapping[str, str]) -> Test | None:
    """Return the test for a request's `labelSelector` and `fieldSelector`, None when it has neither."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    by_label, by_field = label_test(labels), field_test(resource, fields)
    return lambda entry: by_label(entry.labels) and by_field(entry)
