"""Values that were found right before are not checked again.

Importing pydantic takes longer than all else that memtop does before its first paint, and from one start to
the next hardly anybody gives other values. So the settings that the same values added up to last time are
kept in the cache folder. A mistake is never kept, nor is anything secret.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from platformdirs import user_cache_path

from config.layers import Layer
from config.options import options
from config.private_files import private_folder, replace_file
from config.settings import Settings

MOST = 16
"""Settings kept at a time."""
_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


def checked(layers: Sequence[Layer], environ: Mapping[str, str]) -> Settings:
    """The settings that several places add up to.

    Args:
        layers: The strongest first.
        environ: The environment, for the cache folder.

    Raises:
        ConfigError: A value in any of them is wrong.
    """
    if any(_is_secret(layer) for layer in layers):
        return _check(layers)
    path = _folder(environ) / f"{_fingerprint(layers)}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        settings = _check(layers)
    # No home, no space, a path that is not UTF-8 and so not JSON: then it is checked again next time.
    with suppress(OSError, UnicodeEncodeError):
        _keep(path, msgspec.json.encode(settings))
    return settings


def _check(layers: Sequence[Layer]) -> Settings:
    with _no_plugins():
        from config.check import check  # noqa: PLC0415  (this is what takes so long)

        return check(layers)


def _is_secret(layer: Layer) -> bool:
    """Whether anything in a layer must not be written down."""
    by_path = {(option.section, option.field): option for option in options()}
    return any(
        by_path[path[0], path[1]].shown(given.value) != given.value for path, given in layer.given.items()
    )


def _fingerprint(layers: Sequence[Layer]) -> str:
    """The same for the same values, given to the same checks, for the same user."""
    code = [(path.name, path.stat().st_mtime_ns) for path in sorted(Path(__file__).parent.glob("*.py"))]
    given = [[(path, one.value) for path, one in layer.given.items()] for layer in layers]
    return hashlib.sha256(
        repr((code, str(Path.home()), given)).encode("utf-8", "surrogateescape")
    ).hexdigest()


def _folder(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("XDG_CACHE_HOME")
    return (Path(chosen) / "memtop" if chosen else user_cache_path("memtop", appauthor=False)) / "settings"


def _keep(path: Path, content: bytes) -> None:
    private_folder(path.parent)
    others = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime_ns)
    for old in others[: max(len(others) - MOST + 1, 0)]:
        old.unlink(missing_ok=True)
    replace_file(path, content)


@contextmanager
def _no_plugins() -> Iterator[None]:
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
