"""From a command line and its environment to one checked value that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from config import commandline
from config.errors import ConfigError
from config.layers import (
    CONFIG_VARIABLE,
    DEFAULT,
    Layer,
    file_layer,
    flag_layer,
    place,
    source,
    variable_layer,
)
from config.options import options
from config.settings import Settings


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
    """

    command: str
    arguments: tuple[str, ...]
    options: Mapping[str, Any]
    settings: Settings
    provenance: Mapping[str, str]
    config_file: Path | None

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
    line = commandline.read(argv)
    if not line.command.needs_settings:
        return Invocation(
            line.command.name,
            line.arguments,
            MappingProxyType(line.options),
            Settings(),
            MappingProxyType({}),
            None,
        )
    path, named = config_path(line.config, environ)
    layers = (flag_layer(line.settings), variable_layer(environ), file_layer(path, required=named))
    settings, provenance = _settle(layers, environ)
    return Invocation(
        line.command.name,
        line.arguments,
        MappingProxyType(line.options),
        settings,
        MappingProxyType(provenance),
        path,
    )


def config_path(flag: str | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """Where the settings file is, and whether someone named it.

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


def config_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for memtop's configuration, such as ``~/.config/memtop``.

    Args:
        environ: The environment; ``XDG_CONFIG_HOME`` counts on every platform.
    """
    if chosen := environ.get("XDG_CONFIG_HOME"):
        return Path(chosen) / "memtop"
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed where the variable is set

    return user_config_path("memtop", appauthor=False)


def _settle(layers: Sequence[Layer], environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Merges the layers, strongest first, checks the result, and says where each value comes from."""
    for layer in layers:
        layer.settle_scope()
    settings = _checked(layers, environ) if any(layer.given for layer in layers) else Settings()
    provenance = {".".join(path): source(path, layers) for path in _paths(settings)}
    _check_together(settings, provenance)
    return settings, provenance


def _checked(layers: Sequence[Layer], environ: Mapping[str, str]) -> Settings:
    from config.remembered import checked  # noqa: PLC0415  (defaults need no check)

    return checked(layers, environ)


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
    """Finds settings that are fine alone and wrong together."""

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
