"""The canary screen: old and new pods of a rollout over the same minutes, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.stabilisation.canary import (
    CANARY_FACTS,
    CanaryComparison,
    CanarySide,
    canary_facts,
    compare_canary,
)
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    follow_stabilisation,
)
from memtop.wording import duration
from tui.following_screen import FollowingScreen
from tui.keys import CANARY_HELP
from tui.pod.tab import AskCluster
from tui.stabilisation.words_and_curves import VERDICT_SIGNS, curves_by_clock, wrap_sentence
from widgets.key_and_filter_bars import KeyBar
from widgets.line_widget import TextBlock
from widgets.memory_plots import BeforeAfterPlot
from widgets.styled_text import Symbols, cut, literal, shorten

_VERDICT_LINES, _NAME_WIDTH = 4, 21
_ROOMY_HEIGHT, _TALL_HEIGHT = 26, 34
"""Lines of the screen from which there are seven facts, and from which there are all."""


def comparison_lines(found: CanaryComparison, width: int, symbols: Symbols) -> list[Text]:
    """What is compared, and what can be said of it so far, in as many lines as it takes.

    Args:
        found: The comparison.
        width: Width in cells.
        symbols: Which characters are drawn with.
    """
    sign, plain, role = VERDICT_SIGNS[found.verdict]
    lasted = duration(found.until - found.since)
    head = f"{found.container}: {found.changed}; both over the same {lasted}"
    lines = [Text(f" {plain if symbols == 'ascii' else sign} ", role)]
    lines[0].append(shorten(literal(head), max(1, width - 4)), "strong")
    words = found.sentence[:1].upper() + found.sentence[1:]
    return lines + [Text(f"   {line}") for line in wrap_sentence(literal(words), max(20, width - 4))]


def side_by_side_lines(found: CanaryComparison, width: int, height: int) -> list[Text]:
    """The facts of both sides beside one another, as many as there are lines for."""
    column = max(1, (width - _NAME_WIDTH - 1) // 2)
    rows = [
        ("", _heading("old", found.old), _heading("new", found.new), "strong"),
        *(
            (name, was, now, "warn" if _is_worse(name, found) else "")
            for name, was, now in zip(
                CANARY_FACTS, canary_facts(found.old), canary_facts(found.new), strict=True
            )
        ),
    ]
    lines: list[Text] = []
    for name, was, now, role in rows[:height]:
        line = Text(no_wrap=True, end="").append(f" {name:<{_NAME_WIDTH - 1}}", "dim")
        line.append(cut(was, column - 1).ljust(column), "strong" if role == "strong" else "")
        lines.append(line.append(cut(now, column - 1), role))
    return lines


def _heading(word: str, side: CanarySide) -> str:
    return word if side.revision is None else f"{word}: revision {side.revision}"


def _is_worse(name: str, found: CanaryComparison) -> bool:
    """Whether a figure of the new pods is one to worry about."""
    old, new = found.old.figures, found.new.figures
    if name == "OOM kills":
        return new.oom_kills > 0
    if name == "restarts":
        return (new.restarts_per_hour or 0.0) > (old.restarts_per_hour or 0.0)
    return name == "growth of the floor" and new.leaks


class CanaryScreen(FollowingScreen):
    """Old and new pods of one rollout side by side. Nothing goes on when it is left.

    Args:
        ref: The Deployment, StatefulSet or DaemonSet.
        ask: Does something with the cluster.
        now: The cluster's time, Unix seconds.
        symbols: Which characters graphs are drawn with.
        warnings: What the header must always say.
        options: How to watch, see `StabilisationOptions.of`.

    Attributes:
        seen: What is known; None before anything is.
    """

    DEFAULT_CSS = """
    CanaryScreen BeforeAfterPlot { height: 1fr; min-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "app.change('stabilisation')", "Did it help?"),
        Binding("o", "app.change('rollout')", "Rollout"),
        Binding("u", "app.change('undo')", "Undo"),
        Binding("P", "app.change('pause')", "Pause or resume"),
        Binding("left_square_bracket", "container(-1)", "Container", show=False),
        Binding("right_square_bracket", "container(1)", "Next container", show=False),
        Binding("r", "again", "Ask again now", show=False),
    ]
    WORDS = ("Keys of the canary", CANARY_HELP)

    def __init__(
        self,
        ref: ObjectRef,
        ask: AskCluster,
        now: Callable[[], float],
        symbols: Symbols,
        warnings: tuple[str, ...] = (),
        *,
        options: StabilisationOptions | None = None,
    ) -> None:
        super().__init__(ref, ask, now, symbols, warnings, f"Old and new pods of {ref.name}")
        self.seen: StabilisationState | None = None
        self._found: CanaryComparison | None = None
        self._options = options or StabilisationOptions()
        self._container = ""
        self._problem = ""
        self.verdict = TextBlock(self._verdict_lines, _VERDICT_LINES)
        self.facts = TextBlock(self._fact_lines, len(CANARY_FACTS) + 1)
        self.graph = BeforeAfterPlot(symbols=symbols)

    def compose(self) -> ComposeResult:
        """Header, what can be said, both sides in figures, the graph, where it comes from, keys."""
        yield self.header
        yield self.title_line
        yield self.verdict
        yield self.facts
        yield self.graph
        yield self.notes
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins to look."""
        self.set_interval(1.0, self.tick)
        self.follow()

    def on_resize(self) -> None:
        """Gives the figures as much room as there is; the first ones matter most."""
        height = self.size.height
        self.facts.styles.height = 6 if height < _ROOMY_HEIGHT else 8 if height < _TALL_HEIGHT else 11
        self.verdict.styles.height = _VERDICT_LINES - (height < _ROOMY_HEIGHT)

    async def tell(self, client: Client) -> None:
        """Tells how both sides stand."""
        looks = follow_stabilisation(client, self.ref, self._options, self.make_wake_event())
        async with aclosing(looks):
            async for told in looks:
                self.post_message(self.Told(told))

    @on(FollowingScreen.Told)
    def _told(self, message: FollowingScreen.Told) -> None:
        """Shows what is known now."""
        message.stop()
        if isinstance(message.told, StabilisationState):
            self._show_state(message.told)
        else:
            self._problem = str(message.told)
        self.draw()

    def _show_state(self, seen: StabilisationState) -> None:
        self.seen, self._problem = seen.for_container(self._container) if self._container else seen, ""
        self._found = compare_canary(self.seen)

    # -- keys

    def action_container(self, step: int) -> None:
        """Shows another container."""
        if self.seen is not None:
            names = list(self.seen.stabilities)
            self._container = names[(names.index(self.seen.container) + step) % len(names)]
            self._show_state(self.seen)
            self.draw()

    # -- drawing

    def draw(self) -> None:
        """Draws header, verdict, figures and graph."""
        self.tick()
        self.verdict.redraw()
        self.facts.redraw()
        seen, found = self.seen, self._found
        if seen is None or found is None:
            return
        lasted = max(found.until - found.since, 60.0)
        self.graph.show(f"{found.container}, the same {duration(lasted)}", curves_by_clock(seen, lasted))
        line = Text()
        if seen.problem or self._problem:
            line.append(f" {literal(seen.problem or self._problem)}; what is shown is older", "warn")
        line.append(f" {literal(found.basis)}", "dim")
        for note in seen.notes:
            line.append(f" · {literal(note)}", "dim")
        self.notes.show_text(line)

    def _verdict_lines(self, width: int, height: int) -> Sequence[Text]:
        if self._found is None:
            words = self._problem or f"Asking for the old and new pods of {self.ref.name} …"
            return [Text(f" {literal(words)}", "warn" if self._problem else "dim")]
        return comparison_lines(self._found, width, self._symbols)[:height]

    def _fact_lines(self, width: int, height: int) -> Sequence[Text]:
        return [] if self._found is None else side_by_side_lines(self._found, width, height)
