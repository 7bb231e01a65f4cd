"""What grew between two captures, on the screen: how far it is, then the answer in words and as a table."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from memtop.heap.capture_run import CaptureFailedError, CaptureStep
from memtop.heap.growth_plan import GrowthPlan
from memtop.heap.growth_run import WhatGrew, find_what_grew
from memtop.heap_files.heap_growth import kept_by
from memtop.heap_files.heap_tables import growth_rows
from memtop.wording import duration
from tui.pod.tab import AskCluster
from widgets.cell_graphs import byte_progress
from widgets.line_widget import LineWidget
from widgets.picker import PickerItem
from widgets.styled_text import Symbols, literal

LOOK_SECONDS = 0.2
"""Seconds between two looks at how far it is."""
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


class GrowthScreen(ModalScreen[None]):
    """Takes the captures that were agreed to, and says what grew.

    Args:
        plan: What was agreed to.
        ask: Does something with the cluster.
        symbols: Which characters are drawn with.
    """

    DEFAULT_CSS = """
    GrowthScreen { align: center middle; background: $background 60%; }
    GrowthScreen > LineWidget {
        width: 96%; max-width: 130; height: 90%; max-height: 36;
        background: $surface; border: round $primary; border-title-color: $text-primary; padding: 0 2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Cancel or close"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown", "scroll(10)", "Page down", show=False),
        Binding("pageup", "scroll(-10)", "Page up", show=False),
    ]

    def __init__(self, plan: GrowthPlan, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__()
        self.plan = plan
        self.ask = ask
        self.picture = GrowthPicture(symbols)
        self._step = CaptureStep("beginning")
        self._under_way = True

    def compose(self) -> ComposeResult:
        """The story so far."""
        place = self.plan.capture.container_ref
        self.picture.border_title = literal(f"What grew in {place.container} of {place.pod}")
        yield self.picture

    def on_mount(self) -> None:
        """Begins."""
        self.set_interval(LOOK_SECONDS, self._look)
        self._run()

    def _tell(self, step: CaptureStep) -> None:
        """On the engine's thread."""
        self._step = step

    def _look(self) -> None:
        if self._under_way:
            self.picture.progress(self._step, self.plan.lasts / self.plan.pace)

    @work(exclusive=True, group="capture")
    async def _run(self) -> None:
        plan, kept = self.plan, self.plan.capture.target.parent
        try:
            answer = await asyncio.wrap_future(
                self.ask(lambda client: find_what_grew(client, plan, self._tell))
            )
        except CaptureFailedError as error:
            self._ended([("critical", f"It failed: {error}"), *(("", f"· {words}") for words in error.left)])
        except asyncio.CancelledError:
            self._ended([("warn", "Cancelled."), ("", f"· what was captured is in {kept}")])
        else:
            self._under_way = False
            self.picture.show(answer)

    def show_failure(self, sentence: str) -> None:
        """Says why it ended."""
        self._ended([("critical", f"It failed: {sentence}")])

    def _ended(self, lines: list[tuple[str, str]]) -> None:
        self._under_way = False
        self.picture.say(lines)

    def action_leave(self) -> None:
        """Cancels what is under way; closes what is not."""
        if self._under_way:
            self.workers.cancel_group(self, "capture")
        else:
            self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scrolls the answer."""
        self.picture.scroll_by(lines)


class GrowthPicture(LineWidget):
    """Progress, then the answer."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self._symbols = symbols
        self._lines: list[tuple[str, str]] = []
        self._step: CaptureStep | None = None
        self._whole = 0.0
        self._answer: WhatGrew | None = None
        self._top = 0

    def progress(self, step: CaptureStep, whole: float) -> None:
        """Shows how far it is, of so many seconds of waiting."""
        self._step, self._whole = step, whole
        self.redraw()

    def say(self, lines: Sequence[tuple[str, str]]) -> None:
        """Shows why there is no answer."""
        self._lines, self._step = list(lines), None
        self.redraw()

    def show(self, answer: WhatGrew) -> None:
        """Shows the answer."""
        self._answer, self._step = answer, None
        self.redraw()

    def scroll_by(self, lines: int) -> None:
        """Moves the answer up or down."""
        self._top = max(0, self._top + lines)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Text]:
        """Returns the lines, with the keys at the bottom."""
        if self._step is not None:
            drawn = [*_wrapped("", self._step.words, width), Text()]
            size = self._step.size or (round(self._whole) if self._step.bytes_done else 0)
            if self._step.size:
                drawn.append(byte_progress(self._step.bytes_done, self._step.size, width, self._symbols))
            elif size:
                drawn.append(_bar(self._step.bytes_done / size, width, self._symbols))
            keys = "esc cancels"
        elif self._answer is not None:
            whole = list(_answer_lines(self._answer, width, self._symbols))
            self._top = min(self._top, max(0, len(whole) - height + 1))
            drawn = whole[self._top :]
            keys = "↑↓ more · esc closes" if len(whole) > height - 1 else "esc closes"
        else:
            drawn = [line for role, words in self._lines for line in _wrapped(role, words, width)]
            keys = "esc closes"
        drawn = drawn[: height - 1]
        padding = [Text()] * (height - 1 - len(drawn))
        return [*drawn, *padding, Text(keys, "dim", no_wrap=True, end="")]


def _wrapped(role: str, words: str, width: int) -> list[Text]:
    pieces = textwrap.wrap(literal(words), max(20, width), break_on_hyphens=False) or [""]
    return [Text(piece, role, no_wrap=True, end="") for piece in pieces]


def _bar(part: float, width: int, symbols: Symbols) -> Text:
    full, empty = ("#", "-") if symbols == "ascii" else ("█", "░")
    done = round(min(1.0, max(0.0, part)) * width)
    return Text(full * done + empty * (width - done), "accent", no_wrap=True, end="")


def _answer_lines(answer: WhatGrew, width: int, symbols: Symbols) -> Iterator[Text]:
    """The sentences, the table, what keeps the growers, and where the files are."""
    first, *rest = answer.sentences
    yield from _wrapped("strong", first, width)
    for words in rest:
        yield from _wrapped("", words, width)
    for cause in answer.causes:
        yield from _wrapped("warn", f"Likely cause: {cause.name}. Next: {cause.next_step}.", width)
    yield Text()
    yield from _table(answer, width, symbols)
    growth = answer.growth
    paths = [(one.name, one.path) for one in growth.growers[:_MOST_ROWS] if one.path]
    if paths:
        yield Text()
    for name, path in paths:
        yield from _wrapped("", f"{name} is {kept_by(growth.kind, path)}", width)
    yield Text()
    for words in growth.notes:
        yield from _wrapped("dim", words, width)
    for file in answer.files:
        yield from _wrapped("dim", f"kept: {file.name}", width)
    if answer.files:
        yield from _wrapped("dim", "memtop heap list shows where, memtop heap remove deletes them", width)


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
            line.append("  ").append(_bar(part, bar, symbols) if number else " " * bar)
        room = max(8, width - line.cell_len - 2)
        name = literal(row[-1])
        name = name if len(name) <= room else f"…{name[1 - room :]}"
        yield line.append(f"  {name}", "" if number else "dim")
