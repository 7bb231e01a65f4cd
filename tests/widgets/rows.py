"""Rows for the tests of tables, which count how often they are asked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from widgets.table_parts import Cell, PlacedColumn


class Pods:
    """Pods by name with a figure each, in the order given."""

    def __init__(self, pods: Sequence[tuple[str, Cell]]) -> None:
        self.pods = list(pods)
        self.asked: list[int] = []
        self._index = {name: i for i, (name, _) in enumerate(self.pods)}

    @classmethod
    def many(cls, count: int, figure: str = "1 MiB") -> Pods:
        return cls([(f"pod-{i}", figure) for i in range(count)])

    def changed(self, *rows: int) -> Pods:
        return Pods([(name, "2 MiB" if i in rows else cell) for i, (name, cell) in enumerate(self.pods)])

    def __len__(self) -> int:
        return len(self.pods)

    def key(self, i: int) -> Hashable:
        return self.pods[i][0]

    def index(self, key: Hashable) -> int | None:
        return self._index.get(str(key))

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        self.asked.append(i)
        return [self.pods[i][column.key == "memory"] for column, _ in columns]
