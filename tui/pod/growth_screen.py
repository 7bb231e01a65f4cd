"""What grew between two captures, on the screen: how far it is, then the answer in words and as a table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from memtop.heap.capture_run import CaptureFailedError
from memtop.heap.growth_plan import GrowthPlan
from memtop.heap.growth_run import WhatGrew, find_what_grew
from memtop.heap_files.heap_growth import kept_by
from memtop.heap_files.heap_tables import growth_rows
from memtop.wording import duration
from tui.pod.capture_screen import CaptureProgressScreen, share_bar, wrapped_lines
from tui.pod.tab import AskCluster
from widgets.picker import PickerItem
from widgets.styled_text import Symbols, literal

_MOST_ROWS = 20
_BAR_CELLS = 10
_NARROW = 70


def growth_choices(plans: Sequence[GrowthPlan]) -> list[PickerItem[int]]:
    """The ways to find out what grew, to be offered before everything else."""
    return [PickerItem(number, plan.title, _growth_note(plan)) for number, plan in enumerate(plans)]


def _growth_note(plan: GrowthPlan) -> str:
    if any(risk.is_severe for risk in plan.risks()):
        return "risky: see the plan"
    if plan.capture.capture.suffix == ".heapsnapshot":
        return "holds data"
    return f"{duration(plan.lasts)}, holds no data" if plan.lasts else "holds no data"


class GrowthScreen(CaptureProgressScreen):
    """Takes the captures that were agreed to, and says what grew.

    Args:
        plan: What was agreed to.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
    """

    DEFAULT_CSS = """
    GrowthScreen > CaptureBox { width: 96%; max-width: 130; height: 90%; max-height: 36; padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown", "scroll(10)", "Page down", show=False),
        Binding("pageup", "scroll(-10)", "Page up", show=False),
    ]

    def __init__(self, plan: GrowthPlan, ask: AskCluster, symbols: Symbols) -> None:
        ref = plan.capture.container_ref
        title = f"What grew in {ref.container} of {ref.pod}"
        super().__init__(title, ask, symbols, plan.lasts / plan.pace)
        self.plan = plan
        self._symbols: Symbols = symbols

    async def capture(self) -> None:
        """Takes the captures and shows what grew."""
        plan = self.plan
        future = self.ask(lambda client: find_what_grew(client, plan, self.take_step))
        self.show_answer(await asyncio.wrap_future(future))

    def show_answer(self, answer: WhatGrew) -> None:
        """Shows what grew."""
        self.box.show_document(lambda width: list(_answer_lines(answer, width, self._symbols)))

    def show_error(self, error: CaptureFailedError) -> None:
        """Shows why it failed and what is left where."""
        self.box.show_lines(
            [("critical", f"It failed: {error}"), *(("", f"· {words}") for words in error.left)]
        )

    def show_end(self, lines: list[tuple[str, str]]) -> None:
        """Shows why it ended, and where the captures are that were taken."""
        kept = self.plan.capture.target.parent
        self.box.show_lines([*lines, ("", f"· what was captured is in {kept}")])

    def action_scroll(self, lines: int) -> None:
        """Scrolls the answer."""
        self.box.scroll_lines(lines)


def _answer_lines(answer: WhatGrew, width: int, symbols: Symbols) -> Iterator[Text]:
    """The sentences, the table, what keeps the growers, and where the files are."""
    first, *rest = answer.sentences
    yield from wrapped_lines("strong", first, width)
    for words in rest:
        yield from wrapped_lines("", words, width)
    for cause in answer.causes:
        yield from wrapped_lines("warn", f"Likely cause: {cause.name}. Next: {cause.next_step}.", width)
    yield Text()
    yield from _table(answer, width, symbols)
    growth = answer.growth
    paths = [(one.name, one.path) for one in growth.growers[:_MOST_ROWS] if one.path]
    if paths:
        yield Text()
    for name, path in paths:
        yield from wrapped_lines("", f"{name} is {kept_by(growth.kind, path)}", width)
    yield Text()
    for words in growth.notes:
        yield from wrapped_lines("dim", words, width)
    for file in answer.files:
        yield from wrapped_lines("dim", f"kept: {file.name}", width)
    if answer.files:
        yield from wrapped_lines(
            "dim", "memtop heap list shows where, memtop heap remove deletes them", width
        )


def _table(answer: WhatGrew, width: int, symbols: Symbols) -> Iterator[Text]:
    growth = answer.growth
    heads, rows = growth_rows(growth, _MOST_ROWS)
    if not rows:
        return
    heads, rows = [*heads[:1], *heads[2:]], [[*row[:1], *row[2:]] for row in rows]  # the bar says the share
    if width < _NARROW:
        heads, rows = [heads[0], heads[1], heads[3]], [[row[0], row[1], row[3]] for row in rows]
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads) - 1)]
    weights = [one.bytes if one.bytes is not None else one.objects or 0 for one in growth.growers]
    most = max(weights, default=1) or 1
    bar = _BAR_CELLS if width >= _NARROW else 0
    for number, row in enumerate([heads, *rows]):
        cells = "  ".join(cell.rjust(size) for cell, size in zip(row[:-1], widths, strict=True))
        line = Text(cells, "dim" if not number else "", no_wrap=True, end="")
        if bar:
            part = weights[number - 1] / most if number else 0
            line.append("  ").append(share_bar(part, bar, symbols) if number else " " * bar)
        room = max(8, width - line.cell_len - 2)
        name = literal(row[-1])
        name = name if len(name) <= room else f"…{name[1 - room :]}"
        yield line.append(f"  {name}", "" if number else "dim")
