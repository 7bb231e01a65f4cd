"""``memtop config``: the effective settings and where each comes from; and the README's table of options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.options import Option, options

if TYPE_CHECKING:
    from config.invocation import Invocation

_VALUE_WIDTH = 35


@dataclass(frozen=True)
class Row:
    """One effective value.

    Attributes:
        option: Which setting.
        item: The name in the setting's table, if it is one.
        value: The value; `config.options.MASK` in place of what must not be shown.
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


def rows(invocation: Invocation) -> Iterator[Row]:
    """All effective values, in the order of the settings; secrets are masked."""
    for option in options():
        value = getattr(getattr(invocation.settings, option.section), option.field)
        items = value.items() if option.kind == "table" and value else [("", value)]
        for item, one in items:
            key = f"{option.key}.{item}" if item else option.key
            shown = option.shown(one)
            yield Row(option, item, shown, shown != one, invocation.provenance[key])


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
    cells += [(row.key, _clipped(said(row.option, row.value)), row.source) for row in rows(invocation)]
    widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    lines = [f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}" for key, value, source in cells]
    return "\n".join([f"settings file: {path}{there}", "", *lines])


def _clipped(text: str) -> str:
    """The start of a long value; the other two forms have all of it."""
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"


def _json(invocation: Invocation) -> str:
    settings = {row.key: {"value": row.value, "source": row.source} for row in rows(invocation)}
    document = {"file": str(invocation.config_file), "settings": settings}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _toml(invocation: Invocation) -> str:
    """As a settings file that gives the same settings again; what is unset or secret is a comment in it."""
    tables: dict[str, list[str]] = {}
    for row in rows(invocation):
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


def said(option: Option, value: Any) -> str:  # noqa: ANN401 - each setting has its own type
    """A value as a person would write it: ``15s``, ``70%``, ``shop,billing``; a dash for none.

    Args:
        option: The setting.
        value: Its value, or one item's of a table.
    """
    if value is None or value in ((), {}):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float):
        number = value * 100 if option.mark.unit == "%" else value
        return f"{number:g}{option.mark.unit}"
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def markdown_table() -> str:
    """All options as a Markdown table for the README."""
    lines = ["| Flag | Variable | Key | Default | What it is |", "|---|---|---|---|---|"]
    for option in options():
        flag = "" if option.mark.secret else f"`{option.flag}`"
        if option.mark.short:
            flag = f"`{option.mark.short}`, {flag}"
        if option.kind == "switch" and option.default is True:
            flag = f"`--[no-]{option.name}`"
        default = "built in" if option.field == "presets" else said(option, option.default)
        default = default if default == "–" or option.field == "presets" else f"`{default}`"
        choices = (
            f" One of {', '.join(f'`{choice}`' for choice in option.choices)}." if option.choices else ""
        )
        cells = (flag, f"`{option.variable}`", f"`{option.key}`", default, f"{option.help}{choices}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
