"""How the code is laid out: modules, lines, importers, names that exist twice, circles.

    .venv/bin/python -m benchmarks.structure

Counts the product alone, with and without the embedded cluster (`memtop.demo`). A module that only holds the
docstring of its package is not counted.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.test_structure import PACKAGES, duplicates, imports, modules, public_classes


def main() -> None:
    """Prints the figures."""
    known = modules()
    text = {name: path.read_text(encoding="utf-8") for name, path in known.items()}
    trees = {name: ast.parse(source) for name, source in text.items()}
    full = [name for name, tree in trees.items() if len(tree.body) > 1]
    classes = duplicates((name, module) for module, path in known.items() for name in public_classes(path))
    importers = Counter(target for name, path in known.items() for target in imports(path, known) - {name})
    for title, chosen in (
        ("all", full),
        ("without the demo", [name for name in full if not name.startswith("memtop.demo")]),
    ):
        lines = sum(text[name].count("\n") for name in chosen)
        single = sum(importers[name] == 1 for name in chosen)
        print(
            f"{title}: {len(chosen)} modules, {lines} lines, {lines // len(chosen)} a module, "
            f"{single} with one importer"
        )
    for package in PACKAGES:
        for folder in sorted({Path(*name.split(".")[:2]) for name in full if name.startswith(f"{package}.")}):
            prefix = ".".join(folder.parts)
            inside = [name for name in full if name == prefix or name.startswith(f"{prefix}.")]
            if len(inside) > 1:
                lines = sum(text[name].count("\n") for name in inside)
                print(f"  {prefix}: {len(inside)} modules, {lines} lines")
    print(f"public class names that exist more than once: {len(classes)} {' '.join(classes)}")


if __name__ == "__main__":
    main()
