"""From a command line and its environment to one checked value that says what to do.

The values that the sources give are merged and checked by pydantic-settings. Importing it takes longer than
everything else before the first paint, and from one start to the next the given values are mostly the same.
So the settings that the same values led to the last time are kept in the cache folder, and are not checked
again. A mistake is never kept, nor is a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from config import command_line
from config.errors import ConfigError, did_you_mean
from config.options import Option, options, sections
from config.private_files import private_folder, replace_file
from config.settings import Settings
from config.sources import (
    DEFAULT,
    GivenValue,
    Layer,
    cache_folder,
    config_path,
    file_layer,
    flag_layer,
    place,
    require_home,
    source,
    variable_layer,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# pydantic, msgspec and hashlib are imported only where a value is given: the defaults need none of them.
# ruff: noqa: PLC0415

_MOST_KEPT = 16
"""Checked settings kept in the cache folder."""
_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Invocation:
    """What one run of memtop is to do.

    Attributes:
        command: Its name: ``tui``, ``once``, ``config``, ``demo serve`` …
        arguments: The words after the command's.
        options: The values of the command's own flags, such as ``{"demo": True, "watch_for": 60.0}``.
        settings: The effective settings.
        provenance: For each setting (``observe.interval``; ``logs.presets.gc`` in a table) where its value
            comes from: ``flag --interval``, ``variable MEMTOP_INTERVAL``, ``file PATH, line 3`` or
            ``default``.
        config_file: The settings file that was read, or would have been were it there.
        log_file: Where to log to; None for nowhere. Also known for commands that need no settings.
        problem: Why the settings cannot be used, where the command is there to say so; empty if they can.
    """

    command: str
    arguments: tuple[str, ...]
    options: Mapping[str, Any]
    settings: Settings
    provenance: Mapping[str, str]
    config_file: Path | None
    log_file: str | None = None
    problem: str = ""

    def mistake(self, key: str, problem: str) -> ConfigError:
        """An error about a setting that turned out wrong only later, such as a context that does not exist.

        Args:
            key: The setting, such as ``cluster.context``.
            problem: The end of the sentence, such as ``'prod' is not a context of ~/.kube/config``.
        """
        return ConfigError(f"{place(self.provenance.get(key, DEFAULT), key)}: {problem}")

    def blame(self, error: Exception, setting: str | None) -> str:
        """An error in words; where a setting is to blame, it says where that was set.

        Args:
            error: The error.
            setting: The setting, such as ``cluster.context``, or None.
        """
        return str(error) if setting is None else str(self.mistake(setting, str(error)))


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Reads the command line, the variables and the settings file.

    Args:
        argv: The words after the program's name.
        environ: The environment; besides ``MEMTOP_*`` it says where the configuration folder is.

    Raises:
        ConfigError: Anything in any of them is wrong.
    """
    line = command_line.read(argv)
    settings, provenance, path, problem = Settings(), dict[str, str](), None, ""
    log_file = _log_file_alone(line, environ)
    if line.command.needs_settings:
        try:
            require_home(environ)
            path, named = config_path(line.config, environ)
            layers = (flag_layer(line.settings), variable_layer(environ), file_layer(path, required=named))
            settings, provenance = _merge(layers, environ)
            log_file = settings.diagnostics.log_file
        except ConfigError as error:
            if line.command.name != "debug":
                raise
            problem = str(error)
    return Invocation(
        line.command.name,
        line.arguments,
        MappingProxyType(line.options),
        settings,
        MappingProxyType(provenance),
        path,
        log_file,
        problem,
    )


def _log_file_alone(line: command_line.CommandLine, environ: Mapping[str, str]) -> str | None:
    """The log file that the command line or the variable names, whatever else the settings say."""
    option = next(option for option in options() if option.key == "diagnostics.log_file")
    typed = [text for given, text, _ in line.settings if given is option]
    named = (typed or [environ.get(option.variable, "")])[-1].strip()
    return os.path.expanduser(named) if named else None  # noqa: PTH111  (raises nothing without a home)


def settings_from(tables: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Settings from values in memory, as the file would give them.

    Args:
        tables: By section and field.

    Raises:
        ConfigError: A value is wrong.
    """
    known = {(option.section, option.field): option for option in options()}
    given: dict[tuple[str, ...], GivenValue] = {}
    for section, table in tables.items():
        for field, value in table.items():
            key = f"{section}.{field}"
            if known[section, field].kind == "table":
                given.update({(section, field, item): GivenValue(one, key) for item, one in value.items()})
            else:
                given[section, field] = GivenValue(value, key)
    return _checked([Layer(given)])


def _merge(layers: Sequence[Layer], environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Merges the layers, strongest first, checks the result, and says where each value comes from."""
    for layer in layers:
        layer.settle_scope()
    settings = _kept_or_checked(layers, environ) if any(layer.given for layer in layers) else Settings()
    provenance = {".".join(path): source(path, layers) for path in _paths(settings)}
    _check_together(settings, provenance)
    return settings, provenance


def _paths(settings: Settings) -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    for option in options():
        value = getattr(getattr(settings, option.section), option.field)
        if option.kind == "table" and value:
            paths += [(option.section, option.field, item) for item in value]
        else:
            paths.append((option.section, option.field))
    return paths


def _check_together(settings: Settings, provenance: Mapping[str, str]) -> None:
    """Refuses settings that are right alone and wrong together."""

    def clash(first: str, second: str, problem: str) -> ConfigError:
        places = [place(provenance[key], key) for key in (first, second)]
        return ConfigError(f"{places[0]} and {places[1]}: {problem}")

    observe, prometheus = settings.observe, settings.prometheus
    if observe.warn_ratio >= observe.critical_ratio:
        raise clash(
            "observe.warn_ratio",
            "observe.critical_ratio",
            f"a warning at {observe.warn_ratio:.0%} must precede critical at {observe.critical_ratio:.0%}",
        )
    ways = [
        key
        for key in ("username", "bearer_token", "bearer_token_file")
        if getattr(prometheus, key) is not None
    ]
    if len(ways) > 1:
        raise clash(
            f"prometheus.{ways[0]}", f"prometheus.{ways[1]}", "Prometheus can be given only one way to log in"
        )


def _kept_or_checked(layers: Sequence[Layer], environ: Mapping[str, str]) -> Settings:
    """The settings that the layers add up to: from the cache folder if they were right before."""
    import msgspec

    if any(_has_secret(layer) for layer in layers):
        return _checked(layers)
    path = cache_folder(environ) / "settings" / f"{_fingerprint(layers)}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        settings = _checked(layers)
    # No home, no space, a path that is not UTF-8 and so not JSON: then it is checked again next time.
    with suppress(OSError, UnicodeEncodeError):
        _keep(path, msgspec.json.encode(settings))
    return settings


def _has_secret(layer: Layer) -> bool:
    by_path = {(option.section, option.field): option for option in options()}
    return any(
        by_path[path[0], path[1]].shown(given.value) != given.value for path, given in layer.given.items()
    )


def _fingerprint(layers: Sequence[Layer]) -> str:
    """The same for the same values, given to the same version of the checks, for the same user."""
    import hashlib

    code = [(path.name, path.stat().st_mtime_ns) for path in sorted(Path(__file__).parent.glob("*.py"))]
    given = [[(path, one.value) for path, one in layer.given.items()] for layer in layers]
    home = os.path.expanduser("~")  # noqa: PTH111  (raises nothing without a home)
    return hashlib.sha256(repr((code, home, given)).encode("utf-8", "surrogateescape")).hexdigest()


def _keep(path: Path, content: bytes) -> None:
    private_folder(path.parent)
    others = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime_ns)
    for old in others[: max(len(others) - _MOST_KEPT + 1, 0)]:
        old.unlink(missing_ok=True)
    replace_file(path, content)


def _checked(layers: Sequence[Layer]) -> Settings:
    """Merges and checks the layers with pydantic-settings.

    Args:
        layers: The strongest first.

    Raises:
        ConfigError: A value in any layer is wrong, also one that a stronger layer replaces.
    """
    with _without_plugins():
        from pydantic import ValidationError

        for layer in layers:
            try:
                _validated(layer)  # each alone, so that no mistake hides behind a stronger value
            except ValidationError as error:
                raise _mistake(error.errors(include_url=False)[0], layer) from None
        return _validated(*layers)


def _validated(*layers: Layer) -> Settings:
    """Raises pydantic's ValidationError when a value is wrong."""
    from pydantic import create_model
    from pydantic_settings import (
        BaseSettings,
        InitSettingsSource,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
    )

    class Layered(BaseSettings):
        model_config = SettingsConfigDict(frozen=True, extra="forbid")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer.tables()) for layer in layers)

    defaults: dict[str, Any] = {name: (section, section()) for name, section in sections().items()}
    found = create_model("CheckedSettings", __base__=Layered, **defaults)()
    return Settings(**{field.name: getattr(found, field.name) for field in fields(Settings)})


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Keeps pydantic from searching every installed package for plugins: 10 ms."""
    before = os.environ.get(_PLUGINS)
    os.environ[_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PLUGINS]
        else:
            os.environ[_PLUGINS] = before


def _mistake(error: ErrorDetails, layer: Layer) -> ConfigError:
    """One sentence for one finding of pydantic."""
    location = tuple(str(part) for part in error["loc"])
    option = next(option for option in options() if (option.section, option.field) == location[:2])
    path = location[:3] if option.kind == "table" else location[:2]
    shown = "the value" if option.is_secret else repr(option.shown(error["input"]))
    return ConfigError(f"{place(source(path, [layer]), '.'.join(path))}: {shown} {_problem(error, option)}")


def _problem(error: ErrorDetails, option: Option) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "literal_error":
        given = error["input"]
        meant = did_you_mean(given, option.choices) if isinstance(given, str) else ""
        return f"is not one of {', '.join(option.choices)}{meant}"
    return f"is wrong: {error['msg'][:1].lower()}{error['msg'][1:]}"
