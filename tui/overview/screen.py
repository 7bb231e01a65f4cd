"""The overview screen: three live panes, the selected row drawn large, and a header."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer

from memtop.observe.view import OverviewPane, RowFilter, RowSort, SortColumn, View
from tui.keys import OVERVIEW_BAR, OVERVIEW_BINDINGS, OVERVIEW_GROUPS
from tui.live_screen import FigureStyle, LiveScreen
from tui.overview.pane_columns import ASCENDING_FIRST, pane_columns, sortable_columns
from tui.overview.selection import (
    MarkedRows,
    MovedRows,
    grouped_view,
    marked_words,
    row_under_cursor,
    same_rows_asked,
)
from tui.overview.words import (
    COUNT_CONDITIONS,
    PANE_TITLES,
    empty_pane_words,
    failing_frames_message,
    pane_subtitle,
    trouble_message,
)
from widgets.header import StatusHeader
from widgets.key_and_filter_bars import FilterBar, KeyBar
from widgets.memory_plots import TrendPlot
from widgets.panes import MessagePanel, PanelMessage, PaneTitle
from widgets.panes import TitledPane as PaneBox
from widgets.table import LiveTable
from widgets.table_parts import NoRows

if TYPE_CHECKING:
    from config.settings import Settings
    from memtop.kube.object_ref import ObjectRef
    from memtop.observe.frame import Frame
    from tui.pod.tab import TabSubject

# What draws a frame takes numpy and the growth rules. A start does not wait for it: tui.app imports it on
# another thread once the empty screen is painted.
# ruff: noqa: PLC0415

ONE_PANE_WIDTH = 100
ONE_PANE_HEIGHT = 30
PLOT_HEIGHT = 34
"""A screen of at least this many lines has room for the plot beside all panes."""
SELECTION_SECONDS = 0.12
"""A cursor that is still moving does not ask for a drawing at every row."""


class Overview(LiveScreen):
    """What holds memory, what restarts and what grows.

    Args:
        settings: Thresholds and symbols.
        warnings: What the header must always say, such as ``read-only``.
        view: What to show at first.
        now: The cluster's time, Unix seconds.
    """

    DEFAULT_CSS = """
    Overview { layout: vertical; }
    Overview #panes { height: 1fr; layout: grid; grid-size: 2; grid-gutter: 0 1; }
    Overview #panes > #top { column-span: 2; }
    Overview #panes > #plot { column-span: 2; }
    Overview #panes { grid-rows: 5fr 4fr; }
    Overview.-plot #panes { grid-rows: 5fr 4fr 5fr; }
    Overview #panes > #plot { display: none; }
    Overview.-plot #panes > #plot { display: block; }
    Overview.-single #panes { grid-size: 1; grid-rows: 1fr; }
    Overview.-single #panes > * { column-span: 1; display: none; }
    Overview.-single #panes > .-active { display: block; }
    Overview.-single.-growth #panes { grid-rows: 3fr 4fr; }
    Overview.-single.-growth #panes > #plot { display: block; }
    Overview FilterBar { display: none; }
    Overview.-filtering FilterBar { display: block; }
    Overview #trouble { height: 1fr; display: none; }
    Overview.-trouble #trouble { display: block; }
    Overview.-trouble #panes { display: none; }
    Overview.-gone LiveTable { text-opacity: 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = OVERVIEW_BINDINGS
    WORDS = ("Keys of the overview", OVERVIEW_GROUPS)

    class ViewChanged(Message):
        """The screen wants frames under another view."""

        def __init__(self, view: View) -> None:
            super().__init__()
            self.view = view

    def __init__(
        self, settings: Settings, view: View, now: Callable[[], float], warnings: tuple[str, ...] = ()
    ) -> None:
        symbols = settings.ui.symbols
        super().__init__(now, symbols, warnings)
        self.view = view
        self.frame: Frame | None = None
        self._look = FigureStyle(settings.observe.warn_ratio, settings.observe.critical_ratio, symbols)
        self._zoomed = False
        self._active = OverviewPane.TOP
        self._pending_selection: Timer | None = None
        self._opens_first = False  # the first of the rows that are on their way
        self._slid = MovedRows()
        self._marks = MarkedRows()
        self._tips = settings.ui.tips
        ascii_only = symbols == "ascii"
        self.tables = {
            pane: LiveTable(
                pane_columns(pane, view.workloads),
                empty="Connecting …",
                ascii_only=ascii_only,
                id=f"{pane}-table",
            )
            for pane in OverviewPane
        }
        self.boxes = {
            pane: PaneBox(PANE_TITLES[pane], self.tables[pane], ascii_only=ascii_only, id=pane.value)
            for pane in OverviewPane
        }
        self.plot = TrendPlot(symbols=symbols, empty="Select a row to see its memory over time", id="plot")
        self.filter_bar = FilterBar(hint="text, !text, label=value, namespace=value, is=leaking")
        self.trouble = MessagePanel(id="trouble")

    def compose(self) -> ComposeResult:
        """Header, panes, plot, filter line, keys."""
        self._arrange()  # the size is known already, and later everything would be styled a second time
        yield self.header
        with Container(id="panes"):
            yield from self.boxes.values()
            yield self.plot
        yield self.trouble
        yield self.filter_bar
        yield KeyBar(OVERVIEW_BAR)

    def on_mount(self) -> None:
        """Starts the header's clock and puts the cursor into the first pane."""
        self.set_interval(1.0, self.tick)
        self.tick()
        self._activate(OverviewPane.TOP)

    def on_screen_resume(self) -> None:
        """Another screen may have asked for frames under a view of its own."""
        self.post_message(self.ViewChanged(self.view))

    def on_screen_suspend(self) -> None:
        """A key opened something about the selected row: it stays selected until one comes back."""
        self.tables[self._active].pin_cursor()

    def on_resize(self) -> None:
        """Shows one pane at a time where there is no room for more."""
        self._arrange()

    # -- frames

    def show(self, frame: Frame) -> None:
        """Shows a new frame: the header always, the tables unless they are frozen."""
        self.newest = frame
        self.tick()
        if frame.view.workloads is not self.view.workloads:
            return  # it was made for another screen, or for the view that was left just now
        self._say_trouble(trouble_message(frame))
        if self.frozen:
            self._draw(frame)  # the cursor still moves over rows that stand still
        else:
            self._fill(frame)

    def show_trouble(self, sentence: str) -> None:
        """Says why there is no frame to show."""
        self._say_trouble(failing_frames_message(sentence))

    def _say_trouble(self, problem: PanelMessage | None) -> None:
        if self.has_class("-trouble") is not (problem is not None):
            self.toggle_class("-trouble")
            self.refresh_bindings()
        if problem is not None:
            self.trouble.show(problem)

    def _draw(self, frame: Frame) -> None:
        from tui.overview.row_details import readable_trend

        self.plot.show(readable_trend(frame), empty="Select a row to see its memory over time")
        table = self.tables[self._active]
        drawn = frame.detail is not None and frame.detail.key == table.cursor_key
        if drawn and frame.settled and frame.past_known:  # before, another row may turn out more urgent
            table.pin_cursor()  # what was drawn large is what a person looks at

    def _fill(self, frame: Frame) -> None:
        from tui.overview.cells import PaneRows, RowHint, has_pressure

        asked = self.frame is None or not same_rows_asked(self.frame.view, frame.view)
        self.frame = frame
        if gone := self._marks.forget_gone(frame):
            self._say_gone(gone)
        for pane, table in self.tables.items():
            before, was = table.rows, row_under_cursor(table)
            place = before.cursor_hint if isinstance(before, PaneRows) else RowHint()
            rows = PaneRows(frame, pane, self._look, place, frozenset(self._marks.subjects))
            sort = frame.view.sorts[pane]
            table.show(
                rows,
                columns=pane_columns(pane, frame.view.workloads, has_pressure(frame)),
                sort=(sort.column, sort.descending),
                empty=empty_pane_words(frame, pane, tips=self._tips),
                afresh=asked,
                rest=frame.urgent if pane is OverviewPane.TOP else 0,
            )
            self._slid.compare(table, was, asked)
            marked = marked_words(
                len(self._marks.subjects),
                self._marks.out_of_sight(frame, pane),
                filtered=bool(frame.view.filter) and pane is OverviewPane.TOP,
            )
            self.boxes[pane].describe(subtitle=pane_subtitle(frame, len(rows), marked))
        self._draw(frame)
        if self._opens_first and not self._rows_to_come:
            self._opens_first = False
            self.call_next(self.run_action, "app.open")

    # -- layout

    @property
    def single(self) -> bool:
        """Whether one pane is shown at a time."""
        return self._zoomed or self.size.width < ONE_PANE_WIDTH or self.size.height < ONE_PANE_HEIGHT

    def _arrange(self) -> None:
        single = self.single
        self.set_class(single, "-single")
        self.set_class(not single and self.size.height >= PLOT_HEIGHT, "-plot")
        self.set_class(single and self._active is OverviewPane.GROWTH, "-growth")
        for pane, box in self.boxes.items():
            box.set_class(pane is self._active, "-active")
            box.describe(tabs=list(PANE_TITLES.values()) if single else ())

    def _activate(self, pane: OverviewPane) -> None:
        self._active = pane
        self._arrange()
        self.set_focus(self.tables[pane])  # at once: `focus` would come after keys that are on their way
        self._selection_moved()

    @on(LiveTable.Selected)
    def _selection_moved(self) -> None:
        if self._pending_selection is not None:
            self._pending_selection.stop()
        self._pending_selection = self.set_timer(SELECTION_SECONDS, self._ask_for_selected)

    def _ask_for_selected(self) -> None:
        key = self.tables[self._active].cursor_key
        if key != self.view.selected:
            self._look_at(replace(self.view, selected=key))

    def on_descendant_focus(self) -> None:
        """The pane that has the focus is the active one, however it came by it."""
        for pane, table in self.tables.items():
            if table.has_focus and pane is not self._active:
                self._active = pane
                self._arrange()
                self._selection_moved()

    def _look_at(self, view: View) -> None:
        if not same_rows_asked(self.view, view):
            self._opens_first = False
        self.view = view
        self.post_message(self.ViewChanged(view))

    # -- keys

    def action_pane(self, step: int) -> None:
        """Goes to the next pane."""
        panes = list(OverviewPane)
        self._activate(panes[(panes.index(self._active) + step) % len(panes)])

    @on(PaneTitle.TabClicked)
    def _tab_clicked(self, event: PaneTitle.TabClicked) -> None:
        self._activate(list(OverviewPane)[event.index])

    def action_zoom(self) -> None:
        """Shows the active pane alone, or all of them again."""
        self._zoomed = not self._zoomed
        self._arrange()

    def action_freeze(self) -> None:
        """Stops the tables, and not the clock, or lets them go on."""
        self.frozen = not self.frozen
        self.tick()
        if not self.frozen and self.newest is not None:
            self._fill(self.newest)

    def action_workloads(self) -> None:
        """Changes between one row per container and one per workload."""
        self._unfreeze()
        self._look_at(replace(grouped_view(self.view, not self.view.workloads), selected=None))

    # -- sorting

    def action_sort(self, step: int) -> None:
        """Sorts the active pane by its next column."""
        from tui.overview.cells import has_pressure

        pressure = self.frame is not None and has_pressure(self.frame)
        choices = sortable_columns(self._active, self.view.workloads, pressure)
        current = self.view.sorts[self._active].column
        at = choices.index(current) if current in choices else -1
        self._sort(self._active, choices[(at + step) % len(choices)])

    def action_reverse(self) -> None:
        """Turns the order of the active pane round."""
        sort = self.view.sorts[self._active]
        self._set_sort(self._active, RowSort(sort.column, not sort.descending))

    async def action_enter(self) -> None:
        """Opens the selected row, or keeps the filter; done before the next key is looked at."""
        if self.has_class("-filtering"):
            self.filter_bar.submit_in_order()
            self._close_filter()
        elif self._rows_to_come:
            self._opens_first = True
        else:
            await self.run_action("app.open")

    @on(LiveTable.Activated)
    async def _clicked(self) -> None:
        await self.run_action("app.open")

    @on(LiveTable.SortRequested)
    def _title_clicked(self, event: LiveTable.SortRequested) -> None:
        pane = next(pane for pane, table in self.tables.items() if table is event.table)
        self._sort(pane, SortColumn(event.column_key))

    def _sort(self, pane: OverviewPane, column: SortColumn) -> None:
        current = self.view.sorts[pane]
        if current.column is column:
            self._set_sort(pane, RowSort(column, not current.descending))
        else:
            self._set_sort(pane, RowSort(column, column not in ASCENDING_FIRST))

    def _set_sort(self, pane: OverviewPane, sort: RowSort) -> None:
        self._unfreeze()
        self._look_at(replace(self.view, sorts={**self.view.sorts, pane: sort}))

    # -- marks

    @property
    def marked(self) -> Sequence[TabSubject]:
        """The marked rows, also those that are not in sight."""
        return tuple(self._marks.subjects.values())

    def unmark(self, done: Collection[ObjectRef]) -> None:
        """Takes the marks from the rows of objects that were changed."""
        self._marks.remove_changed(done)
        self._show_marks()

    def action_mark(self) -> None:
        """Marks the row that is meant, or takes its mark away, and goes to the next one."""
        if (subject := self.row) is not None:
            self._marks.toggle(subject)
            self.tables[self._active].action_cursor(1)
            self._show_marks()

    def action_mark_further(self, step: int) -> None:
        """Marks the row that is meant and the one after it, or before it, and goes there."""
        if (subject := self.row) is not None:
            self._marks.add(subject)
            self.tables[self._active].action_cursor(step)
            if (reached := self.selected) is not None:
                self._marks.add(reached)
            self._show_marks()

    def _show_marks(self) -> None:
        if self.frame is not None:
            self._fill(self.frame)
        self.refresh_bindings()

    def _say_gone(self, gone: Sequence[TabSubject]) -> None:
        names = ", ".join(one.title for one in gone)
        left = len(self._marks.subjects)
        self.notify(f"{names}; {left} marked now", title="Gone, and its mark with it", markup=False)

    # -- filter

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves ``/`` to the filter line while that is open, and opens only what is in sight."""
        if action == "enter":
            return self.has_class("-filtering") or not self.has_class("-trouble")
        return not (action == "filter" and self.has_class("-filtering"))

    def action_filter(self) -> None:
        """Opens the filter line, before the next key is looked at: what is typed ahead belongs to it."""
        self.add_class("-filtering")
        self.filter_bar.open(self.view.filter.text)

    def action_clear_filter(self) -> None:
        """Takes all marks away, else forgets the filter, else leaves the zoom."""
        if self._marks.subjects:
            self._marks = MarkedRows()
            self._show_marks()
        elif self.view.filter:
            self._filter("")
        elif self._zoomed:
            self.action_zoom()

    @on(FilterBar.Changed)
    def _typing(self, event: FilterBar.Changed) -> None:
        self._filter(event.text)
        self.filter_bar.problem = self.view.filter.problem

    @on(StatusHeader.CountClicked)
    def _count_clicked(self, event: StatusHeader.CountClicked) -> None:
        if (condition := COUNT_CONDITIONS.get(event.label)) is not None:
            wanted = f"is={condition}"
            self._filter("" if self.view.filter.text == wanted else wanted)

    def action_next_count(self) -> None:
        """Shows only the rows of the next count of the header that is not 0; after the last all rows."""
        counts = self.header.data.counts
        shown = [
            f"is={COUNT_CONDITIONS[label]}"
            for label, number, _ in counts
            if number and label in COUNT_CONDITIONS
        ]
        texts = ["", *shown]
        now = self.view.filter.text
        at = texts.index(now) + 1 if now in texts else 1  # a filter that was typed gives way to the first
        self._filter(texts[at % len(texts)])

    @on(FilterBar.Closed)
    def _close_filter(self) -> None:
        self.remove_class("-filtering")
        self.set_focus(self.tables[self._active])

    def _filter(self, text: str) -> None:
        self._unfreeze()
        self.tables[self._active].pin_cursor()
        self._look_at(replace(self.view, filter=RowFilter(text)))

    def _unfreeze(self) -> None:
        self.frozen = False

    # -- for others

    @property
    def row(self) -> TabSubject | None:
        """The row that the keys act on: not one that slid beneath the cursor just now, but who was there.

        None while other rows are on their way: a key that follows a filter never means a row of before it.
        """
        if self._rows_to_come:
            return None
        return self._slid.intended_row(self.tables[self._active]) or self.selected

    @property
    def selected(self) -> TabSubject | None:
        """The row under the active pane's cursor."""
        return row_under_cursor(self.tables[self._active])

    @property
    def nothing(self) -> str:
        """Why the active pane has no row."""
        if self.frame is not None and self._rows_to_come:
            return "The rows asked for are on their way: press the key again"
        return "Connecting …" if self.frame is None else empty_pane_words(self.frame, self._active)

    @property
    def _rows_to_come(self) -> bool:
        """Whether other rows, or rows in another order, were asked for than those that are shown."""
        return self.frame is not None and not same_rows_asked(self.frame.view, self.view)

    def restart(self) -> None:
        """Forgets what was shown: another cluster comes."""
        self.frozen = False
        self._marks = MarkedRows()
        self.newest = self.frame = None
        self.view = replace(self.view, namespaces=frozenset(), filter=RowFilter(), selected=None)
        for table in self.tables.values():
            table.unpin_cursor()
            table.show(NoRows(), empty="Connecting …")
        self.plot.show(None)
        self.tick()

    def restrict(self, namespaces: frozenset[str]) -> None:
        """Shows only these namespaces; all in sight if there are none."""
        self._unfreeze()
        self._look_at(replace(self.view, namespaces=namespaces))
