"""Every option once: flags, MEMTOP_* variables and a TOML file.

`parse` turns a command line and its environment into an `Invocation`. Importing this package costs next to
nothing, and pydantic is imported only where a value has to be checked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from config.check import settings_from
    from config.invocation import Invocation, parse
    from config.settings import Settings

__all__ = ["ConfigError", "Invocation", "Settings", "parse", "settings_from"]

_HOMES = {
    "Invocation": "config.invocation",
    "parse": "config.invocation",
    "Settings": "config.settings",
    "settings_from": "config.check",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
