"""The three sources of settings, each read into a layer that knows the place of every value.

Strongest first: flags, ``MEMTOP_*`` variables, the TOML file. `config.invocation` merges and checks them;
what is set nowhere keeps its default.

The sources of pydantic-settings are not used for this. They keep no place (line of the file, spelling of the
flag) for an error to name, ignore a variable with a typing mistake, want the section in each variable
(``MEMTOP_OBSERVE__INTERVAL``), and have to be imported at each start; ARCHITECTURE.md has the figures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from config import values
from config.errors import ConfigError, did_you_mean
from config.options import Option, options, sections
from config.private_files import read_file

CONFIG_VARIABLE = "MEMTOP_CONFIG"
MAX_FILE = 1 << 20
"""Bytes of a settings file; the longest one imaginable has some thousands."""
DEFAULT = "default"
"""The source of a value that is set nowhere."""
# Not settings: where the tests find their cluster, and what Kubernetes puts into every container of a
# namespace with a Service whose name is memtop or starts with it.
_FOREIGN_VARIABLE = (
    r"MEMTOP_(CLUSTER_HOME|(\w+_)?SERVICE_(HOST|PORT(_\w+)?)|(\w+_)?PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
_TOML_POSITION = r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$"


@dataclass(frozen=True)
class GivenValue:
    """A value as one source gives it.

    Attributes:
        value: As it was written.
        source: Where, such as ``flag --interval`` or ``file /etc/memtop.toml, line 3``.
    """

    value: Any
    source: str


class Layer:
    """The values of one source: option by option, and for tables item by item."""

    def __init__(self, given: Mapping[tuple[str, ...], GivenValue]) -> None:
        self.given = dict(given)
        """By section, field and, in a table, the item's name."""

    def tables(self) -> dict[str, Any]:
        """The values as nested tables."""
        tables: dict[str, Any] = {}
        for (*parents, last), given in self.given.items():
            table = tables
            for name in parents:
                table = table.setdefault(name, {})
            table[last] = given.value
        return tables

    def settle_scope(self) -> None:
        """Lets a source that names namespaces, or asks for all, overrule what weaker ones say of the other.

        Within one source all namespaces win, as with kubectl.
        """
        named = self.given.get(("cluster", "namespaces"))
        everything = self.given.get(("cluster", "all_namespaces"))
        if everything is not None and _is_on(everything.value):
            self.given["cluster", "namespaces"] = GivenValue((), everything.source)
        elif named is not None and named.value and everything is None:
            self.given["cluster", "all_namespaces"] = GivenValue(False, named.source)


def source(path: tuple[str, ...], layers: Iterable[Layer]) -> str:
    """Where the value that counts comes from: the first of the layers that has it."""
    return next((layer.given[path].source for layer in layers if path in layer.given), DEFAULT)


def place(source: str, key: str) -> str:
    """The source of a mistake; a file needs the key as well, since flags and variables are named after it."""
    if source == DEFAULT:
        return f"setting {key}"
    return f"{source}, {key}" if source.startswith("file ") else source


def _is_on(value: object) -> bool:
    try:
        return values.switch(value)
    except ValueError:
        return False  # the check of the settings will say so


def flag_layer(flags: Iterable[tuple[Option, str, str]]) -> Layer:
    """Reads the flags that set options.

    Args:
        flags: Option, text and spelling (``-n``), in the order they were given.

    Raises:
        ConfigError: An item of a table has no ``=``.
    """
    given: dict[tuple[str, ...], GivenValue] = {}
    for option, text, spelling in flags:
        path = (option.section, option.field)
        source = f"flag {spelling}"
        if option.kind == "list" and path in given:
            given[path] = GivenValue(f"{given[path].value},{text}", source)
        else:
            given.update(_from_text(option, text, source))
    return Layer(given)


def variable_layer(environ: Mapping[str, str]) -> Layer:
    """Reads the ``MEMTOP_*`` variables; an empty one counts as not set.

    Raises:
        ConfigError: A variable sets no option, or an item of a table has no ``=``.
    """
    known = {option.variable: option for option in options()}
    given: dict[tuple[str, ...], GivenValue] = {}
    for name, text in environ.items():
        if not name.startswith("MEMTOP_") or name == CONFIG_VARIABLE or re.fullmatch(_FOREIGN_VARIABLE, name):
            continue
        if name not in known:
            meant = did_you_mean(name, [*known, CONFIG_VARIABLE])
            raise ConfigError(f"variable {name} is not one that memtop knows{meant}")
        if text.strip():
            given.update(_from_text(known[name], text, f"variable {name}"))
    return Layer(given)


def _from_text(option: Option, text: str, source: str) -> dict[tuple[str, ...], GivenValue]:
    path = (option.section, option.field)
    if option.kind != "table":
        return {path: GivenValue(text, source)}
    items: dict[tuple[str, ...], GivenValue] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            shown = "" if option.field == "headers" else f" {line!r}"  # a header can be a credential
            raise ConfigError(f"{source}:{shown} is not {option.details.metavar}")
        items[*path, name.strip()] = GivenValue(value.strip(), source)
    return items


def config_path(flag: str | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """Where the settings file is, and whether it was named.

    Args:
        flag: The value of ``--config``.
        environ: The environment.

    Raises:
        ConfigError: The flag's value is empty.
    """
    if flag is not None and not flag.strip():
        raise ConfigError("flag --config: '' is empty")
    named = flag or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser(), True
    return config_folder(environ) / "config.toml", False


def require_home(environ: Mapping[str, str]) -> None:
    """Says at once what would fail somewhere later: where there is no home, no path below it is known.

    Args:
        environ: The environment.

    Raises:
        ConfigError: ``HOME`` is not set, and the user has no entry in passwd.
    """
    if environ.get("HOME") or os.path.expanduser("~") != "~":  # noqa: PTH111  (which raises)
        return
    raise ConfigError(
        f"variable HOME is not set, and user {os.getuid()} has no entry in passwd: "
        "set it to a folder of yours, for the kubeconfig, the settings and what memtop keeps"
    )


def config_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for memtop's configuration, such as ``~/.config/memtop``.

    Args:
        environ: The environment; ``XDG_CONFIG_HOME`` counts on every platform.
    """
    return _platform_folder("config", environ)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for what memtop can make again, such as ``~/.cache/memtop``.

    Args:
        environ: The environment; ``XDG_CACHE_HOME`` counts on every platform.
    """
    return _platform_folder("cache", environ)


def state_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for what memtop keeps between runs, such as ``~/.local/state/memtop``.

    Args:
        environ: The environment; ``XDG_STATE_HOME`` counts on every platform.
    """
    return _platform_folder("state", environ)


def _platform_folder(kind: Literal["config", "cache", "state"], environ: Mapping[str, str]) -> Path:
    if chosen := environ.get(f"XDG_{kind.upper()}_HOME"):
        return Path(chosen) / "memtop"
    from platformdirs import PlatformDirs  # noqa: PLC0415 - not needed where the variable is set

    folders = PlatformDirs("memtop", appauthor=False)
    match kind:
        case "config":
            return folders.user_config_path
        case "cache":
            return folders.user_cache_path
        case "state":
            return folders.user_state_path


def file_layer(path: Path, *, required: bool) -> Layer:
    """Reads the settings file.

    Args:
        path: Where it is.
        required: Whether it is a mistake when it is not there, because it was named.

    Raises:
        ConfigError: It cannot be read, is no TOML, or holds a key that is no option.
    """
    try:
        content = read_file(path, MAX_FILE).decode()
    except FileNotFoundError:
        if required:
            raise ConfigError(f"file {path} does not exist") from None
        return Layer({})
    except UnicodeDecodeError:
        raise ConfigError(f"file {path} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"file {path} cannot be read: {error.strerror}") from None
    import tomllib  # noqa: PLC0415  (only where there is a file)

    try:
        tables = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_toml_sentence(path, error, content)) from None
    return Layer(_from_tables(path, tables, content))


def _toml_sentence(path: Path, error: ValueError, content: str) -> str:
    match = re.match(_TOML_POSITION, str(error))
    if match is None:
        return f"file {path} is not TOML: {error}"
    line = match["line"] or str(len(content.splitlines()))
    column = f", column {match['column']}" if match["column"] else ""
    what = match["what"]
    return f"file {path}, line {line}{column}: not TOML: {what[:1].lower()}{what[1:]}"


def _from_tables(path: Path, tables: Mapping[str, Any], content: str) -> dict[tuple[str, ...], GivenValue]:
    lines = key_lines(content)
    known = {(option.section, option.field): option for option in options()}
    given: dict[tuple[str, ...], GivenValue] = {}

    def where(*names: str) -> str:
        found = [lines[names[:depth]] for depth in range(len(names), 0, -1) if names[:depth] in lines]
        return f"file {path}" + (f", line {found[0]}" if found else "")

    for section, table in tables.items():
        if section not in sections():
            near = [option.key for option in options() if option.field == section]
            meant = f"; did you mean {near[0]}?" if near else did_you_mean(section, sections())
            raise ConfigError(f"{where(section)}: {section!r} is not a table of settings{meant}")
        if not isinstance(table, dict):
            raise ConfigError(
                f"{where(section)}: {section!r} is a table; write its settings under [{section}]"
            )
        for field, value in table.items():
            option = known.get((section, field))
            if option is None:
                fields = {name: f"{table}.{name}" for table, name in known}
                elsewhere = f"; did you mean {fields[field]}?" if field in fields else ""
                meant = elsewhere or did_you_mean(f"{section}.{field}", fields.values())
                raise ConfigError(f"{where(section, field)}: unknown key {section}.{field}{meant}")
            if option.kind == "table" and isinstance(value, dict):
                for item, text in value.items():
                    given[section, field, item] = GivenValue(text, where(section, field, item))
            else:
                given[section, field] = GivenValue(value, where(section, field))
    return given


_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = rf"\s*\[\[?\s*({_NAMES})\s*\]"
_KEY = rf"\s*({_NAMES})\s*="


def key_lines(content: str) -> dict[tuple[str, ...], int]:
    """The line, counted from 1, of each table and key that stands at the start of a line of TOML.

    `tomllib` does not tell the lines, and a mistake is found sooner with a line. Keys inside inline tables
    are not found; their table is.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(content.splitlines(), start=1):
        if header := re.match(_HEADER, line):
            table = _split(header[1])
            lines.setdefault(table, number)
        elif key := re.match(_KEY, line):
            lines.setdefault(table + _split(key[1]), number)
    return lines


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, names))
