"""Every option once: flags, MEMTOP_* variables and a TOML file.

`parse` turns a command line and its environment into an `Invocation`. Importing this package is cheap:
pydantic is imported only where a value has to be checked, and argparse only where a word has to be read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from config.invocation import Invocation, parse, settings_from
    from config.settings import Settings

__all__ = ["ConfigError", "Invocation", "Settings", "parse", "settings_from"]

_MODULES = {
    "Invocation": "config.invocation",
    "parse": "config.invocation",
    "settings_from": "config.invocation",
    "Settings": "config.settings",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
