"""The table of this project (`widgets.table.LiveTable`) beside Textual's ``DataTable``, with the same rows.

    python benchmarks/table_widgets.py [--rows 10000] [--repeats 5]

Both tables stand in an app of 180×50 without a terminal, in one process, in turns. Each figure is the CPU of
the process from the call until the app is idle again. It holds layout and rendering, and no waiting.

- first paint: the app starts with an empty table and is given all rows.
- new values in view: every figure of the rows in sight has changed.
- new values everywhere: every figure of every row has changed, as after each answer of the metrics API.
- another order: the rows are sorted by another column.
- one key: the cursor goes down one row.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from figures import machine, milliseconds
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn

FIGURES = ("memory", "limit", "share", "rate", "restarts", "hour")
COLUMNS = ("namespace", "pod", "container", "workload", "node", "state", *FIGURES)
SIZE = (180, 50)  # columns and rows of the terminal
IN_VIEW = 48  # rows that are in sight at that height, in either table


class Containers:
    """Rows as memtop has them: names as they are, figures as columns of numbers, an order over both."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.count = count
        self.figures = np.random.default_rng(seed).integers(0, 1 << 30, (len(FIGURES), count))
        self.order = np.arange(count)

    def sorted_by(self, figure: int) -> Containers:
        """The same rows in the order of a figure."""
        other = Containers.__new__(Containers)
        other.count, other.figures, other.order = self.count, self.figures, np.argsort(-self.figures[figure])
        return other

    def texts(self, at: int) -> list[str]:
        """What the cells of one container say."""
        names = [
            f"team-{at % 40}",
            f"service-{at % 900}-{at:05}",
            "app",
            f"service-{at % 900}",
            f"node-{at % 60}",
        ]
        return [*names, "Running", *(f"{value >> 20} MiB" for value in self.figures[:, at].tolist())]

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> Hashable:
        """The container of a row."""
        return int(self.order[i])

    def index(self, key: Hashable) -> int | None:
        """The row of a container."""
        found = np.flatnonzero(self.order == key)
        return int(found[0]) if len(found) else None

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one row that are in sight."""
        texts = dict(zip(COLUMNS, self.texts(int(self.order[i])), strict=True))
        return [texts[column.key] for column, _ in columns]


class Ours(App[None]):
    """The project's table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LiveTable([TableColumn(name, name, 12) for name in COLUMNS])

    def compose(self) -> ComposeResult:
        """The table alone."""
        yield self.table

    def fill(self, rows: Containers) -> None:
        """Gives it all rows."""
        self.table.show(rows)

    def renew_view(self, rows: Containers) -> None:
        """New values; the table asks for those that are in sight."""
        self.table.show(rows)

    def renew_all(self, rows: Containers) -> None:
        """New values everywhere; the same call."""
        self.table.show(rows)

    def reorder(self, rows: Containers, figure: int) -> None:
        """Another order."""
        self.table.show(rows.sorted_by(figure), sort=(FIGURES[figure], True))


class Theirs(App[None]):
    """Textual's table, used as its documentation says."""

    def __init__(self) -> None:
        super().__init__()
        self.table: DataTable[str] = DataTable(cursor_type="row")

    def compose(self) -> ComposeResult:
        """The table alone."""
        yield self.table

    def on_mount(self) -> None:
        """Columns of a fixed width, which spares it the measuring of all cells."""
        for name in COLUMNS:
            self.table.add_column(name, key=name, width=12)

    def fill(self, rows: Containers) -> None:
        """Gives it all rows."""
        for at in range(len(rows)):
            self.table.add_row(*rows.texts(at), key=str(at))

    def _renew(self, rows: Containers, keys: Sequence[int]) -> None:
        for at in keys:
            for name, text in zip(FIGURES, rows.texts(at)[-len(FIGURES) :], strict=True):
                self.table.update_cell(str(at), name, text)

    def renew_view(self, rows: Containers) -> None:
        """New values of the rows in sight; the others keep old ones."""
        first = int(self.table.scroll_y)
        keys = [int(row.key.value or 0) for row in self.table.ordered_rows[first : first + IN_VIEW]]
        self._renew(rows, keys)

    def renew_all(self, rows: Containers) -> None:
        """New values everywhere."""
        self._renew(rows, range(len(rows)))

    def reorder(self, rows: Containers, figure: int) -> None:
        """Another order."""
        self.table.sort(FIGURES[figure], key=lambda text: -int(text.split()[0]))


async def measured(app: Ours | Theirs, count: int, repeats: int) -> dict[str, float]:
    """Seconds of CPU of each step; the median where it was repeated."""
    found: dict[str, list[float]] = {}
    async with app.run_test(size=SIZE) as pilot:
        app.table.focus()
        await pilot.pause()

        async def step(name: str, work: Callable[[], None]) -> None:
            gc.collect()
            begun = time.process_time()
            work()
            await pilot.pause()
            found.setdefault(name, []).append(time.process_time() - begun)

        rows = Containers(count)
        await step("first paint", lambda: app.fill(rows))
        for number in range(repeats):
            newer = Containers(count, 2 * number + 1)
            await step("new values in view", lambda rows=newer: app.renew_view(rows))
            newer = Containers(count, 2 * number + 2)
            await step("new values everywhere", lambda rows=newer: app.renew_all(rows))
            figure = number % len(FIGURES)
            await step("another order", lambda rows=newer, by=figure: app.reorder(rows, by))
            gc.collect()
            begun = time.process_time()
            await pilot.press("down")
            found.setdefault("one key", []).append(time.process_time() - begun)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    print(machine())
    runs = [
        (
            asyncio.run(measured(Ours(), wanted.rows, wanted.repeats)),
            asyncio.run(measured(Theirs(), wanted.rows, wanted.repeats)),
        )
        for _ in range(2)
    ]
    for name in runs[0][0]:
        ours, theirs = (statistics.median(run[side][name] for run in runs) for side in (0, 1))
        both = f"DataTable {milliseconds(theirs):>9}   LiveTable {milliseconds(ours):>7}"
        print(f"{name:24} {both}   {theirs / ours:6.1f} ×")


if __name__ == "__main__":
    main()
