"""The program under test, as a user has it."""

from __future__ import annotations

import compileall
import sys
from pathlib import Path

_PACKAGES = ("config", "memtop", "widgets", "tui")


def installed_memtop() -> str:
    """The path of ``memtop``, once its modules are compiled as pip compiles what it installs."""
    root = Path(__file__).parents[1]
    for package in _PACKAGES:
        compileall.compile_dir(root / package, quiet=1)
    return str(Path(sys.executable).with_name("memtop"))
