"""An object as YAML, as ``kubectl get -o yaml`` shows it, with the managed fields folded into one line."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

MANAGED = "managedFields"
_WIDEST = 1 << 20


class _Dumper(yaml.SafeDumper):
    """Keeps to kubectl's habits: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Never writes a reference, however often a value comes back."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and not any(line.endswith(" ") for line in value.split("\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_lines(value: Mapping[str, object]) -> list[str]:
    """The object's YAML, keys in the order the API gave them.

    Args:
        value: A decoded object, sanitised.

    Returns:
        The lines, without newlines; the managed fields are one comment that counts their managers.
    """
    metadata = value.get("metadata")
    fields = metadata.get(MANAGED) if isinstance(metadata, Mapping) else None
    folded: dict[str, object] = dict(value)
    if isinstance(metadata, Mapping) and fields is not None:
        folded["metadata"] = {key: part for key, part in metadata.items() if key != MANAGED}
    text: str = yaml.dump(
        folded, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDEST
    )
    lines = text.splitlines()
    if isinstance(fields, list) and "metadata:" in lines:
        lines.insert(lines.index("metadata:") + 1, f"  # {MANAGED}: {_managers(fields)}")
    return lines


def _managers(fields: list[object]) -> str:
    names = [str(field.get("manager", "")) for field in fields if isinstance(field, Mapping)]
    unlike = list(dict.fromkeys(name for name in names if name))
    count = f"{len(fields)} {'entry' if len(fields) == 1 else 'entries'}"
    managers = f"{len(unlike)} {'manager' if len(unlike) == 1 else 'managers'}"
    return f"{count} of {managers} folded away ({', '.join(unlike)})"
