"""How the code is laid out: no circles of imports, no name that stands for two things."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("tui", "widgets", "memtop", "config")
PARALLEL_MODULES = ("__init__", "screen", "words", "keys")
"""Module names that may exist more than once: each screen's package has its screen, its texts and its keys
under the same names, so who knows one package knows the others."""


def modules() -> dict[str, Path]:
    """Every module by its name; a package is its ``__init__``."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """What a module imports of ours, wherever it does: also within functions, and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            whole = node.module or ""
            inside = {f"{whole}.{alias.name}" for alias in node.names}
            found |= {name if name in known else whole for name in inside}
    return found & known.keys()


def package_of(name: str) -> str:
    """The package inside ``memtop`` that a module belongs to; the module itself where it stands alone."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "memtop" else parts[0]


def test_no_packages_import_each_other_in_a_circle() -> None:
    known = modules()
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        package = package_of(name)
        graph.setdefault(package, set()).update(
            found for one in imports(path, known) if (found := package_of(one)) not in {package, "memtop"}
        )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise AssertionError(f"packages import each other in a circle: {circle}") from None


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    assert len(known) > 100
    graph = {name: imports(path, known) - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise AssertionError(f"modules import each other in a circle: {circle}") from None


def duplicates(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names that stand in more than one place; pairs are (name, place)."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for name, place in pairs:
        places[name].append(place)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def public_classes(path: Path) -> list[str]:
    """The public classes that a module defines at its top level."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def test_no_public_class_name_exists_twice() -> None:
    pairs = [(name, module) for module, path in modules().items() for name in public_classes(path)]
    assert len(pairs) > 100
    assert duplicates(pairs) == {}


def test_no_module_name_exists_twice() -> None:
    pairs = [(path.stem, module) for module, path in modules().items() if path.stem not in PARALLEL_MODULES]
    assert len(pairs) > 100
    assert duplicates(pairs) == {}
