"""What ``memtop config`` prints: the effective settings, each with the place that it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.invocation import Invocation
from config.options import Option, options, printed

_COLUMN_WIDTH = 35
"""Letters of a value that the table of ``memtop config`` shows."""


@dataclass(frozen=True)
class EffectiveValue:
    """One effective value.

    Attributes:
        option: Which setting.
        item: The name in the setting's table, if it is one.
        value: The value; `MASK` in place of what must not be shown.
        masked: Whether it is not shown.
        source: Where it comes from.
    """

    option: Option
    item: str
    value: Any
    masked: bool
    source: str

    @property
    def key(self) -> str:
        """The dotted key, such as ``observe.interval`` or ``logs.presets.gc``."""
        return f"{self.option.key}.{self.item}" if self.item else self.option.key


def effective_values(invocation: Invocation) -> Iterator[EffectiveValue]:
    """All effective values, in the order of the settings; secrets are masked."""
    for option in options():
        value = getattr(getattr(invocation.settings, option.section), option.field)
        items = value.items() if option.kind == "table" and value else [("", value)]
        for item, one in items:
            key = f"{option.key}.{item}" if item else option.key
            shown = option.shown(one)
            yield EffectiveValue(option, item, shown, shown != one, invocation.provenance[key])


def show(invocation: Invocation, form: str) -> str:
    """The effective settings as text.

    Args:
        invocation: What was parsed.
        form: ``table``, ``toml`` or ``json``.
    """
    forms = {"table": _table, "toml": _toml, "json": _json}
    return forms[form](invocation)


def _table(invocation: Invocation) -> str:
    path = invocation.config_file
    there = "" if path is None or path.is_file() else " (not there)"
    cells = [("SETTING", "VALUE", "FROM")]
    cells += [
        (row.key, _clipped(printed(row.option, row.value)), row.source)
        for row in effective_values(invocation)
    ]
    widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    lines = [f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}" for key, value, source in cells]
    return "\n".join([f"settings file: {path}{there}", "", *lines])


def _clipped(text: str) -> str:
    """The start of a long value; the other two forms have all of it."""
    return text if len(text) <= _COLUMN_WIDTH else f"{text[: _COLUMN_WIDTH - 1]}…"


def _json(invocation: Invocation) -> str:
    settings = {row.key: {"value": row.value, "source": row.source} for row in effective_values(invocation)}
    document = {"file": str(invocation.config_file), "settings": settings}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _toml(invocation: Invocation) -> str:
    """As a settings file that gives the same settings again; what is unset or secret is a comment in it."""
    tables: dict[str, list[str]] = {}
    for row in effective_values(invocation):
        if row.option.kind == "table" and not row.item:
            continue  # an empty table
        key = row.item or row.option.field
        if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            key = _quoted(key)
        if row.value is None:
            line = f"# {key} is not set"
        elif row.masked:
            line = f"# {key} is set by {row.source}"
        else:
            line = f"{key} = {_toml_value(row.value)}  # {row.source}"
        tables.setdefault(row.option.key if row.item else row.option.section, []).append(line)
    return "\n\n".join("\n".join([f"[{table}]", *lines]) for table, lines in tables.items())


def _toml_value(value: Any) -> str:  # noqa: ANN401 - each setting has its own type
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_quoted(item) for item in value)}]"
    return str(int(value)) if value == int(value) else repr(value)


def _quoted(text: str) -> str:
    """A string of TOML: as it is where it holds backslashes, else with JSON's escapes and one more."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
