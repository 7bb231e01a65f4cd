"""The names of each setting as a flag, as a variable and in the file, and how its value is printed.

The rules: a flag is the field's name with dashes (``--read-only``), after the section's name where the word
alone would be unclear (``--prometheus-url``); a list's or a table's flag is its singular and can be
repeated (``--namespace``); a switch also has its negation (``--no-keep-history``); a field named ``enabled``
is its section's switch (``--no-prometheus``). A variable is ``MEMTOP_`` and the flag's name. The key in the
file is the section and the field (``[safety]``, ``read_only``).

`markdown_table` is what the README says.
"""

from __future__ import annotations

import ast
import json
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from config import settings as definitions
from config.settings import OptionDetails, Settings
from config.values import MASK, mask_addresses

PREFIXED = {"prometheus": "prometheus", "demo": "demo", "logs": "log", "watch": "watch", "alerts": "alert"}
GROUPS = {
    "cluster": "Connecting",
    "observe": "What to show",
    "prometheus": "Prometheus",
    "logs": "What to show",
    "safety": "Safety",
    "watch": "Watching a change",
    "alerts": "Alert rules",
    "ui": "Screen",
    "diagnostics": "Diagnostics",
    "demo": "Demo",
}
Kind = Literal["value", "list", "table", "switch"]


@dataclass(frozen=True)
class Option:
    """One field of the settings under all its names.

    Attributes:
        section: The table in the file.
        field: The key in that table.
        name: The flag without its dashes.
        kind: How often and how it is written: a value, a list, a table of names and values, or a switch.
        details: What else the field says about itself.
        choices: The only values allowed, where there are few.
        default: Its value when it is set nowhere.
    """

    section: str
    field: str
    name: str
    kind: Kind
    details: OptionDetails
    choices: tuple[str, ...]
    default: object

    @property
    def key(self) -> str:
        """The dotted key in the file, such as ``observe.interval``."""
        return f"{self.section}.{self.field}"

    @property
    def flag(self) -> str:
        """The long flag, such as ``--interval``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """The variable, such as ``MEMTOP_INTERVAL``."""
        return "MEMTOP_" + self.name.upper().replace("-", "_")

    @property
    def group(self) -> str:
        """The heading it stands under in the help."""
        return self.details.group or GROUPS[self.section]

    @property
    def is_secret(self) -> bool:
        """Whether its value, or in a table each item's, must not be shown."""
        return self.details.secret or self.field == "headers"

    def shown(self, value: Any) -> Any:  # noqa: ANN401 - each option has its own type
        """What of a value, or of an item's in a table, may be shown: no secret, no password in an address."""
        if self.is_secret and value:
            return MASK
        if self.field == "url" and isinstance(value, str):
            return mask_addresses(value)
        return value

    @property
    def help(self) -> str:
        """The text under the field, as one paragraph."""
        return documentation()[self.section, self.field]


@cache
def options() -> tuple[Option, ...]:
    """All options, in the order of the settings."""
    return tuple(
        _option(section, field, hints[field.name])
        for section, model in sections().items()
        for hints in (get_type_hints(model, include_extras=True),)
        for field in fields(model)
    )


@cache
def sections() -> dict[str, type[Any]]:
    """The tables of the settings file and the classes of their settings."""
    hints = get_type_hints(Settings)
    return {field.name: hints[field.name] for field in fields(Settings)}


def _option(section: str, field: Field[Any], hint: object) -> Option:
    details = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, OptionDetails)]
    annotation = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = _kind(annotation)
    name = field.name
    singular = name.removesuffix("s") if kind in {"list", "table"} else name
    prefix = PREFIXED.get(section, "")
    words = [prefix] if name == "enabled" else [prefix, singular]
    return Option(
        section=section,
        field=name,
        name="-".join(word for word in words if word).replace("_", "-"),
        kind=kind,
        details=details[0] if details else OptionDetails(),
        choices=get_args(annotation) if get_origin(annotation) is Literal else (),
        default=field.default if field.default_factory is MISSING else field.default_factory(),
    )


def _kind(annotation: Any) -> Kind:  # noqa: ANN401 - an annotation can be anything
    if annotation is bool:
        return "switch"
    shapes: dict[Any, Kind] = {tuple: "list", dict: "table"}
    return shapes.get(get_origin(annotation), "value")


@cache
def documentation() -> dict[tuple[str, str], str]:
    """The text under each field, by section and field.

    Read from the source only when it is needed, because each start would pay for it otherwise.
    """
    import inspect  # noqa: PLC0415  (only help and the README's table need it)

    classes = {model.__name__: name for name, model in sections().items()}
    texts: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(definitions)).body:
        if isinstance(node, ast.ClassDef) and node.name in classes:
            for statement, following in zip(node.body, node.body[1:], strict=False):
                match statement, following:
                    case (
                        ast.AnnAssign(target=ast.Name(id=field)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        texts[classes[node.name], field] = inspect.cleandoc(text).replace("\n", " ")
    return texts


def printed(option: Option, value: Any) -> str:  # noqa: ANN401 - each setting has its own type
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
        number = value * 100 if option.details.unit == "%" else value
        return f"{number:g}{option.details.unit}"
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def markdown_table() -> str:
    """All options as a Markdown table for the README."""
    lines = ["| Flag | Variable | Key | Default | What it is |", "|---|---|---|---|---|"]
    for option in options():
        flag = "" if option.details.secret else f"`{option.flag}`"
        if option.details.short:
            flag = f"`{option.details.short}`, {flag}"
        if option.kind == "switch" and option.default is True:
            flag = f"`--[no-]{option.name}`"
        default = "built in" if option.field == "presets" else printed(option, option.default)
        default = default if default == "–" or option.field == "presets" else f"`{default}`"
        choices = (
            f" One of {', '.join(f'`{choice}`' for choice in option.choices)}." if option.choices else ""
        )
        cells = (flag, f"`{option.variable}`", f"`{option.key}`", default, f"{option.help}{choices}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
