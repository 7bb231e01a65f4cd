"""``memtop --debug``: versions and paths, as a report of a fault needs them. It asks no server."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from config.sources import cache_folder, config_folder, state_folder
from config.values import mask_addresses
from memtop import __version__
from memtop.change.audit_log import audit_log_path
from memtop.kube.kubeconfig import kubeconfig_paths
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.invocation import Invocation

PACKAGES = (
    "textual",
    "rich",
    "kubernetes",
    "aiohttp",
    "prometheus-api-client",
    "requests",
    "msgspec",
    "numpy",
    "textual-plotext",
    "plotext",
    "pydantic-settings",
    "platformdirs",
    "PyYAML",
    "shtab",
)
"""What memtop is built on (see ARCHITECTURE.md)."""
VARIABLES = (
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TMUX",
    "LANG",
    "LC_ALL",
    "KUBECONFIG",
    "HTTPS_PROXY",
    "NO_PROXY",
)
"""What of the environment changes what memtop does, and holds no secret but in an address."""
_NAME_WIDTH = 24


def debug_text(invocation: Invocation, environ: Mapping[str, str]) -> str:
    """Versions and paths, a line each.

    Args:
        invocation: What was asked for; its settings say which paths count.
        environ: The environment.
    """
    lines = [
        f"{name:<{_NAME_WIDTH}}{sanitize(mask_addresses(value))}"
        for part in (_versions(), _paths(invocation, environ), _surroundings(environ))
        for name, value in part
    ]
    return "\n".join(lines)


def _versions() -> Iterator[tuple[str, str]]:
    yield "memtop", f"{__version__} ({Path(__file__).parents[1]})"
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", platform.platform()
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"


def _paths(invocation: Invocation, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    settings_file = invocation.config_file or config_folder(environ) / "config.toml"
    yield "settings file", _with_state(settings_file)
    if invocation.problem:
        yield "settings", f"cannot be used: {invocation.problem}"
    state = state_folder(environ)
    yield "state folder", _with_state(state)
    yield "samples", _with_state(state / "samples")
    try:
        yield "audit log", _with_state(audit_log_path(environ))
        files, _ = kubeconfig_paths(invocation.settings.cluster.kubeconfig, environ)
        yield (
            "kubeconfig",
            ", ".join(map(_with_state, files)) or "none; the pod's own account, if there is one",
        )
    except Exception as error:  # noqa: BLE001  (what is wrong is what this is for)
        yield "paths", f"cannot be told: {error}"
    yield "cache folder", _with_state(cache_folder(environ))
    log = invocation.log_file
    yield "log file", _with_state(Path(log)) if log else "none; --log-file FILE or MEMTOP_LOG_FILE names one"


def _surroundings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    columns, lines = shutil.get_terminal_size()
    terminal = "a terminal" if sys.stdout is not None and sys.stdout.isatty() else "no terminal"
    yield "output", f"{terminal}, {columns} columns, {lines} lines"
    yield "encoding", f"{getattr(sys.stdout, 'encoding', 'none')}, {locale.getpreferredencoding(False)}"
    for name in VARIABLES:
        if name in environ:
            yield name, environ[name]


def _with_state(path: Path) -> str:
    """A path, and whether it is there and may be read."""
    try:
        path.stat()
    except FileNotFoundError:
        return f"{path} (not there)"
    except OSError as error:
        return f"{path} ({(error.strerror or str(error)).lower()})"
    return str(path) if os.access(path, os.R_OK) else f"{path} (cannot be read)"
