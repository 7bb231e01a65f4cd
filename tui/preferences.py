"""What memtop remembers of how someone likes to look at things: a small file in the state folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from config.private_files import replace_file
from memtop.observe.view import DEFAULT_SORTS, Column, Pane, Sort


def path(*, demo: bool = False) -> Path:
    """Where it is kept: the platform's state folder; what someone tries in the demo stays there."""
    return user_state_path("memtop") / ("preferences-demo.json" if demo else "preferences.json")


def load_sorts(file: Path) -> dict[Pane, Sort]:
    """The remembered order of each pane; the default one for what is missing, unreadable or unknown."""
    try:
        kept: Any = json.loads(file.read_text(encoding="utf-8"))["sorts"]
        return {pane: _sort(kept.get(pane)) or DEFAULT_SORTS[pane] for pane in Pane}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return dict(DEFAULT_SORTS)


def save_sorts(file: Path, sorts: Mapping[Pane, Sort]) -> None:
    """Remembers the order of each pane. A state folder that cannot be written loses nothing but this."""
    kept = {"sorts": {pane: [sort.column, sort.descending] for pane, sort in sorts.items()}}
    try:
        replace_file(file, json.dumps(kept).encode())
    except OSError:
        return


def _sort(kept: object) -> Sort | None:
    match kept:
        case [str(column), bool(descending)] if column in set(Column):
            return Sort(Column(column), descending)
        case _:
            return None
