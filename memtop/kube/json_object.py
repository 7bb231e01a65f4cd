"""An object as decoded JSON, read without trusting its shape, and shown as YAML.

What is missing or of another type is absent. The YAML is that of ``kubectl get -o yaml``, with the managed
fields folded into one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import msgspec
import yaml

from memtop.kube.api_errors import Unreachable
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.sanitize import sanitize_text

Json = Mapping[str, object]
"""A decoded JSON object."""

_NOTHING: Json = {}


def decode_object(raw: bytes, what: str = "the answer") -> Json:
    """Decodes a JSON object, every text in it free of what a terminal would act upon.

    Raises:
        Unreachable: It is no JSON object.
    """
    try:
        found = msgspec.json.decode(raw)
    except JSON_ERRORS as error:
        raise Unreachable(f"{what} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Unreachable(f"{what} is not an object")
    return mapping(sanitize_tree(found))


def sanitize_tree(value: object) -> object:
    """The same value with every text in it sanitised; newlines and tabs stay."""
    if isinstance(value, str):
        return sanitize_text(value)
    if isinstance(value, Mapping):
        return {sanitize_text(str(key)): sanitize_tree(part) for key, part in value.items()}
    if isinstance(value, list):
        return [sanitize_tree(part) for part in value]
    return value


def at(value: object, *path: str) -> object:
    """What lies at the end of a path of keys; None where a step is missing."""
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def text(value: object, *path: str) -> str:
    """A text, or a number or boolean as Go prints it; empty where there is none."""
    found = at(value, *path)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found) if isinstance(found, str | int | float) else ""


def number(value: object, *path: str) -> int | None:
    """A whole number, or None."""
    found = at(value, *path)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool:
    """Whether a boolean is there and true."""
    return at(value, *path) is True


def has(value: object, *path: str) -> bool:
    """Whether there is anything but null."""
    return at(value, *path) is not None


def mapping(value: object, *path: str) -> Json:
    """An object, empty where there is none."""
    found = at(value, *path)
    return cast("Json", found) if isinstance(found, Mapping) else _NOTHING


def objects(value: object, *path: str) -> list[Json]:
    """A list of objects, without what in it is none."""
    found = at(value, *path)
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []


def texts(value: object, *path: str) -> list[str]:
    """A list of texts."""
    found = at(value, *path)
    return [str(part) for part in found if part is not None] if isinstance(found, list) else []


def labels(value: object, *path: str) -> dict[str, str]:
    """An object whose values are texts, sorted by key."""
    found = mapping(value, *path)
    return {key: text(found, key) for key in sorted(found)}


def name_of(value: object) -> str:
    """``metadata.name``."""
    return text(value, "metadata", "name")


def namespace_of(value: object) -> str:
    """``metadata.namespace``."""
    return text(value, "metadata", "namespace")


def uid_of(value: object) -> str:
    """``metadata.uid``."""
    return text(value, "metadata", "uid")


def controller_of(value: object) -> Json:
    """The owner reference of the controller, empty where there is none."""
    owners = objects(value, "metadata", "ownerReferences")
    return next((owner for owner in owners if flag(owner, "controller")), _NOTHING)


MANAGED_FIELDS = "managedFields"
_MAX_WIDTH = 1 << 20


def selector_words(selector: Json) -> str:
    """A label selector in one line: ``app=a,tier in (b,c),!d``; empty if it selects everything."""
    parts = [(key, f"{key}={value}") for key, value in labels(selector, "matchLabels").items()]
    for expression in objects(selector, "matchExpressions"):
        key, values = text(expression, "key"), ",".join(sorted(texts(expression, "values")))
        words = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(text(expression, "operator"))
        if words is not None:
            parts.append((key, words))
    return ",".join(words for _, words in sorted(parts, key=lambda part: part[0]))


def parse_timestamp(text: str) -> datetime | None:
    """An API time stamp (RFC 3339, with or without fractions); None for none, zero time and nonsense."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time if time.year > 1 else None


class _KubectlDumper(yaml.SafeDumper):
    """Keeps to kubectl's habits: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Never writes a reference, however often a value comes back."""
        return True


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and not any(line.endswith(" ") for line in value.split("\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_KubectlDumper.add_representer(str, _represent_text)


def yaml_lines(value: Mapping[str, object]) -> list[str]:
    """The object's YAML, keys in the order the API gave them.

    Args:
        value: A decoded object, sanitised.

    Returns:
        The lines, without newlines; the managed fields are one comment that counts their managers.
    """
    metadata = value.get("metadata")
    fields = metadata.get(MANAGED_FIELDS) if isinstance(metadata, Mapping) else None
    folded: dict[str, object] = dict(value)
    if isinstance(metadata, Mapping) and fields is not None:
        folded["metadata"] = {key: part for key, part in metadata.items() if key != MANAGED_FIELDS}
    text: str = yaml.dump(
        folded,
        Dumper=_KubectlDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=_MAX_WIDTH,
    )
    lines = text.splitlines()
    if isinstance(fields, list) and "metadata:" in lines:
        lines.insert(lines.index("metadata:") + 1, f"  # {MANAGED_FIELDS}: {_manager_words(fields)}")
    return lines


def _manager_words(fields: list[object]) -> str:
    names = [str(field.get("manager", "")) for field in fields if isinstance(field, Mapping)]
    unlike = list(dict.fromkeys(name for name in names if name))
    count = f"{len(fields)} {'entry' if len(fields) == 1 else 'entries'}"
    managers = f"{len(unlike)} {'manager' if len(unlike) == 1 else 'managers'}"
    return f"{count} of {managers} folded away ({', '.join(unlike)})"
