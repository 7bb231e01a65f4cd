"""What a table shows: rows that are asked only for what is visible of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from rich.text import Text

from widgets.columns import Placed

Cell = str | Text
"""What one column of one row shows. The styles of a `Text` are roles (see `widgets.palette`)."""


class Rows(Protocol):
    """The data of a table. It must not change once it is shown; show another one instead."""

    def __len__(self) -> int:
        """Counts the rows."""
        ...

    def key(self, i: int) -> Hashable:
        """Names row ``i`` in a way that stays the same when it moves."""
        ...

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """Returns row ``i``, a cell for each of ``columns``; called for visible rows only."""
        ...

    def index(self, key: Hashable) -> int | None:
        """Finds a row by its key; ``None`` when it is gone. Must not take time in proportion to the rows."""
        ...


class NoRows:
    """The data of a table that has none."""

    def __len__(self) -> int:
        return 0

    def key(self, i: int) -> Hashable:
        """Never has one."""
        raise IndexError(i)

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """Never has any."""
        raise IndexError(i)

    def index(self, key: Hashable) -> int | None:
        """Never finds any."""
        return None
