"""Every option once: flags, MEMTOP_* variables and a TOML file.

`parse` turns a command line and its environment into an `Invocation`. Importing this package costs next to
nothing: pydantic is imported when the first of these names is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from config.invocation import Invocation, parse
    from config.settings import Settings

__all__ = ["ConfigError", "Invocation", "Settings", "parse"]

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
_HOMES = {"Invocation": "config.invocation", "parse": "config.invocation", "Settings": "config.settings"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _no_plugins():
        return getattr(import_module(_HOMES[name]), name)


@contextmanager
def _no_plugins() -> Iterator[None]:
    """Keeps pydantic from searching every installed package for plugins: 10 ms of every start."""
    before = os.environ.get(_PLUGINS)
    os.environ[_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PLUGINS]
        else:
            os.environ[_PLUGINS] = before
