"""The Memory tab: the memory of the container by kind, from its cgroup, and by process."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from memtop import wording
from memtop.heap.cgroup_memory import (
    MemoryBreakdown,
    NoCgroupFiguresError,
    heap_or_cache_sentence,
    read_breakdown,
)
from memtop.heap.container_probe import NoShellError, probe_container
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.container_exec import NotRunning
from tui.pod.exec_screen import ExecAccess
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.line_widget import LineWidget
from widgets.styled_text import Symbols, cut, fit, literal

BREAKDOWN_FAILURES = (NoCgroupFiguresError, NoShellError, NotRunning, ApiError, Unreachable, CredentialError)
_BAR_WIDTH = 40
_SIZE_WIDTH = 10


class MemoryTab(PodTab):
    """Heap or page cache? Asked when the tab is opened first, and again on demand.

    Args:
        subject: Whose memory.
        ask: Does something with the cluster.
        inside: Whether the container can be asked.
        symbols: Which characters are drawn with.
    """

    NAME = "Memory"
    KEY = "B"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "look", "Ask again")]

    def __init__(self, subject: TabSubject, ask: AskCluster, inside: ExecAccess, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self.can_focus = True
        self._inside = inside
        self.picture = BreakdownPicture(symbols)

    def compose(self) -> ComposeResult:
        """The picture is all there is."""
        yield self.picture

    def opened(self) -> None:
        """Asks the first time; a person decides when to ask again, since it starts a process there."""
        if self.picture.memory is None:
            self.action_look()

    def action_look(self) -> None:
        """Asks the container."""
        if why := self._inside.refusal():
            self.picture.explain(f"Not now: {why}")
            return
        self.picture.explain("Asking the container …")
        self._look()

    @work(exclusive=True)
    async def _look(self) -> None:
        try:
            asked = await asyncio.wrap_future(
                self.ask(lambda client: probe_container(client, self._inside.container))
            )
            self.picture.show(read_breakdown(asked))
        except NoShellError as error:
            self.picture.explain(f"{error}: x shows what could be done, h looks for Go profiles on its ports")
        except BREAKDOWN_FAILURES as error:
            self.picture.explain(str(error))

    def show_failure(self, sentence: str) -> None:
        """Says why there is no picture."""
        self.picture.explain(sentence)


class BreakdownPicture(LineWidget):
    """A breakdown as bars, counters and processes.

    Attributes:
        memory: What is shown; None before the first answer.
    """

    DEFAULT_CSS = """
    BreakdownPicture { height: 1fr; padding: 0 1; }
    """

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self.memory: MemoryBreakdown | None = None
        self._symbols = symbols
        self._note = ""
        self._at = 0.0

    def on_mount(self) -> None:
        """Keeps the age true."""
        self.set_interval(5.0, self.redraw)

    def show(self, memory: MemoryBreakdown) -> None:
        """Shows another breakdown."""
        self.memory, self._note, self._at = memory, "", time.monotonic()
        self.redraw()

    def explain(self, note: str) -> None:
        """Says why there is no (newer) breakdown."""
        self._note = note
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Text]:
        """Returns the lines."""
        lines = [_styled_line(("warn", self._note))] if self._note else []
        if self.memory is not None:
            lines += [
                *self._answer(self.memory, width),
                Text(),
                *self._kinds(self.memory, width),
                Text(),
                *_figure_lines(self.memory),
                Text(),
                *_process_lines(self.memory, width),
            ]
        return lines

    def _answer(self, memory: MemoryBreakdown, width: int) -> list[Text]:
        asked = f"asked {wording.ago(time.monotonic() - self._at)} · cgroup v{memory.version} · r asks again"
        lines = textwrap.wrap(heap_or_cache_sentence(memory), max(20, width), break_on_hyphens=False)
        return [*(_styled_line(("strong", text)) for text in lines), _styled_line(("dim", asked))]

    def _kinds(self, memory: MemoryBreakdown, width: int) -> list[Text]:
        kinds = [
            ("heap", memory.anon, "memory of processes without a file: heaps, stacks"),
            ("page cache", memory.file, "files on disk; the kernel drops it before it kills"),
            ("tmpfs", memory.shared, "files in memory (/dev/shm, emptyDir Memory): counts like heap"),
            ("kernel", memory.kernel, f"of which slab {wording.bytes_(memory.slab)}"),
        ]
        if memory.other:
            kinds.append(("not told", memory.other, "charged, but of no kind yet"))
        if memory.swap:
            kinds.append(("swap", memory.swap, "not in memory at present"))
        whole = max(memory.limit or 0, memory.usage, 1)
        cells = max(8, min(_BAR_WIDTH, width - 94))
        return [self._bar(name, size, size / whole, cells, note, width) for name, size, note in kinds]

    def _bar(self, name: str, size: int, ratio: float, cells: int, note: str, width: int) -> Text:
        full, empty = ("=", ".") if self._symbols == "ascii" else ("█", "·")
        filled = min(cells, round(ratio * cells)) or (1 if size and ratio > 0.001 else 0)
        return _styled_line(
            ("strong", f"{name:>11}"),
            ("", f"{wording.bytes_(size):>{_SIZE_WIDTH}}  "),
            ("graph", full * filled),
            ("faint", empty * (cells - filled)),
            ("", f" {wording.share(ratio):>5}  "),
            ("dim", cut(note, max(0, width - cells - 32))),
        )


def _figure_lines(memory: MemoryBreakdown) -> list[Text]:
    against = "there is no limit"
    if memory.limit is not None:
        used = (
            f"{wording.share(memory.working_set / memory.limit)} of the limit {wording.bytes_(memory.limit)}"
        )
        against = f"{used}; {wording.bytes_(memory.headroom)} more is an OOM kill"
    peak = "" if memory.peak is None else f", highest so far {wording.bytes_(memory.peak)}"
    events = memory.events
    counted = [
        ("OOM kills", events.oom_kill),
        ("limit hit", events.limit_hits),
        ("oom", events.oom),
        ("high", events.high),
    ]
    told = " · ".join(f"{name} {count}" for name, count in counted if count is not None)
    return [
        _figure_line("working set", wording.bytes_(memory.working_set), against),
        _figure_line("in use", wording.bytes_(memory.usage), f"with all page cache{peak}"),
        _figure_line("events", "", f"{told or 'not told'} (since it started)"),
    ]


def _figure_line(name: str, size: str, words: str) -> Text:
    return _styled_line(("strong", f"{name:>11}"), ("", f"{size:>{_SIZE_WIDTH}}  {words}"))


def _process_lines(memory: MemoryBreakdown, width: int) -> list[Text]:
    names = ("RSS", "heap", "files", "shared", "swap")
    head = f"{'PID':>7}" + "".join(f"{name:>{_SIZE_WIDTH}}" for name in names) + "  process"
    lines = [_styled_line(("dim", head))]
    for process in memory.processes:
        sizes = (process.rss, process.anon, process.file, process.shared, process.swap)
        figures = "".join(f"{wording.bytes_(size):>{_SIZE_WIDTH}}" for size in sizes)
        command = " ".join(process.command) or process.name
        room = max(0, width - 9 - _SIZE_WIDTH * len(sizes))
        lines.append(
            _styled_line(("", f"{process.pid:>7}{figures}  "), ("", fit(literal(command), room).rstrip()))
        )
    if memory.foreign:
        lines.append(_styled_line(("dim", "Some of these belong to other containers of the pod.")))
    return lines


def _styled_line(*parts: tuple[str, str]) -> Text:
    line = Text(no_wrap=True, end="")
    for role, text in parts:
        line.append(literal(text), role)
    return line
