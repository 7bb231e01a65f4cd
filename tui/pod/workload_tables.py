"""The tables of a workload: its containers by revision and age, and its revisions with their growth."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.text import Text

from memtop import wording
from memtop.analysis.judgement import Judgement, Verdict, leak_confidence
from memtop.analysis.stability_evidence import SideFigures
from memtop.analysis.stability_sentences import slope_words
from memtop.kube.workload_revisions import Revision
from memtop.observe.frame import Frame, WorkloadMembers
from memtop.observe.live_verdicts import revision_hash_of
from memtop.observe.slots import ContainerIdentity
from memtop.observe.view import OverviewPane
from memtop.observe.view import SortColumn as Order
from tui.live_screen import FigureStyle
from tui.overview.cells import PaneRows, RowHint
from tui.overview.pane_columns import pane_columns
from widgets.table_parts import Cell, PlacedColumn, TableColumn

_OVERVIEW_COLUMNS = {
    column.key: column for pane in OverviewPane for column in pane_columns(pane, workloads=False)
}


def _shown_column(key: str, drop: int, width: int = 0) -> TableColumn:
    """A column of the overview that is left out earlier or later here, and sorts nothing."""
    column = _OVERVIEW_COLUMNS[key]
    return replace(column, drop_order=drop, width=width or column.width, sortable=False)


MEMBER_COLUMNS = (
    _shown_column(Order.NAME, 0),
    TableColumn("revision", "REV", 4, justify="right", drop_order=9, sortable=False),
    TableColumn("age", "AGE", 8, justify="right", drop_order=5, sortable=False),
    _shown_column(Order.MEMORY, 0),
    _shown_column(Order.LIMIT, 3),
    _shown_column(Order.SHARE, 0),
    _shown_column("bar", 2),
    _shown_column("trend", 4),
    _shown_column(Order.RATE, 8),
    _shown_column(Order.VERDICT, 10),
    _shown_column(Order.RESTARTS, 7),
    _shown_column(Order.STATE, 6),
    _shown_column(Order.NODE, 1),
)


@dataclass
class MemberRows(PaneRows):
    """The containers behind one workload, as a table asks for them.

    Attributes:
        revisions: The number of each revision, by its hash.
        pods_created: When each pod was created, Unix seconds by name.
    """

    one_namespace = True  # that of the workload, which the screen names
    revisions: Mapping[str, int] = field(default_factory=dict)
    pods_created: Mapping[str, float] = field(default_factory=dict)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line."""
        own = {"revision": self._revision, "age": self._age}
        rest = iter(super().cells(i, [placed for placed in columns if placed.column.key not in own]))
        identity = self.identity_at(i)
        return [own[key](identity) if (key := placed.column.key) in own else next(rest) for placed in columns]

    def _revision(self, identity: object) -> Cell:
        number = (
            self.revisions.get(revision_hash_of(identity))
            if isinstance(identity, ContainerIdentity)
            else None
        )
        return Text(wording.UNKNOWN, "dim") if number is None else str(number)

    def _age(self, identity: object) -> Cell:
        born = self.pods_created.get(identity.pod) if isinstance(identity, ContainerIdentity) else None
        return Text(wording.UNKNOWN if born is None else wording.duration(self.frame.time - born), "dim")


def member_rows(
    frame: Frame,
    members: WorkloadMembers,
    look: FigureStyle,
    place: RowHint,
    revisions: Mapping[str, int],
    born: Mapping[str, float],
) -> MemberRows:
    """The rows of a workload's containers, whatever the frame's own rows are.

    Args:
        frame: The frame.
        members: The containers.
        look: How figures are drawn.
        place: Where the cursor's row was.
        revisions: The number of each revision, by its hash.
        born: When each pod was created.
    """
    inner = replace(frame, rows=members.rows, pane_rows={OverviewPane.TOP: members.slots}, awaited={})
    return MemberRows(inner, OverviewPane.TOP, look, place, revisions=revisions, pods_created=born)


REVISION_COLUMNS = (
    TableColumn("number", "REV", 4, justify="right", sortable=False),
    TableColumn("made", "MADE", 12, justify="right", drop_order=4, sortable=False),
    TableColumn("pods", "PODS", 4, justify="right", sortable=False),
    TableColumn("image", "IMAGE", 20, flex=4, max_width=70, sortable=False),
    TableColumn("limit", "LIMIT", 8, justify="right", sortable=False),
    TableColumn("growth", "GROWTH ±95 %", 22, justify="right", drop_order=5, sortable=False),
    TableColumn("verdict", "VERDICT", 15, drop_order=3, sortable=False),
    TableColumn("cause", "CHANGE CAUSE", 16, flex=3, drop_order=1, sortable=False),
)


@dataclass(frozen=True)
class RevisionRows:
    """The revisions, the newest first.

    Attributes:
        revisions: What the cluster keeps of them.
        judgements: What is judged of each one's pods, by its hash; only of those that have pods.
        now: The cluster's time, Unix seconds.
        past: How the floor of each one's pods grew while it ran, by number; of those that are remembered.
    """

    revisions: Sequence[Revision]
    judgements: Mapping[str, Judgement]
    now: float
    past: Mapping[int, SideFigures] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.revisions)

    def key(self, i: int) -> Hashable:
        """The revision's name."""
        return self.revisions[i].name

    def index(self, key: Hashable) -> int | None:
        """Finds a revision by its name; there are few."""
        return next((i for i, revision in enumerate(self.revisions) if revision.name == key), None)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        """The cells of one line; the revision that is asked for now stands out."""
        revision = self.revisions[i]
        return [_REVISION_CELLS[placed.column.key](self, revision) for placed in columns]


def worst_by_revision(parts: Mapping[tuple[str, str], Judgement]) -> dict[str, Judgement]:
    """Of each revision, by its hash, the judgement of the container that leaks most surely."""
    found: dict[str, Judgement] = {}
    for (_, revision), judgement in parts.items():
        if revision not in found or leak_confidence(judgement) > leak_confidence(found[revision]):
            found[revision] = judgement
    return found


def _number_cell(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(f"{revision.number or wording.UNKNOWN}", "strong" if revision.current else "")


def _made_cell(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(wording.ago(rows.now - revision.created) if revision.created else wording.UNKNOWN, "dim")


def _pods_cell(rows: RevisionRows, revision: Revision) -> Cell:
    if revision.replicas is None:
        return Text(wording.UNKNOWN, "dim")
    return Text(str(revision.replicas), "" if revision.replicas else "dim")


def _image_cell(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(", ".join(revision.images.values()), "strong" if revision.current else "")


def _limit_cell(rows: RevisionRows, revision: Revision) -> Cell:
    sizes = [size for size in revision.limits.values() if size is not None]
    words = wording.bytes_(sum(sizes)) if sizes else "none"
    return f"{words}…" if sizes and len(sizes) < len(revision.limits) else words


def _growth_cell(rows: RevisionRows, revision: Revision) -> Cell:
    judgement, past = rows.judgements.get(revision.hash), rows.past.get(revision.number)
    if past is not None and past.rate is not None:
        return Text(slope_words(past), "" if past.leaks else "dim")
    leaks = judgement is not None and judgement.verdict is Verdict.LEAK
    return Text(wording.rate(None if judgement is None else judgement.rate), "" if leaks else "dim")


def _verdict_cell(rows: RevisionRows, revision: Revision) -> Cell:
    judgement = rows.judgements.get(revision.hash)
    if judgement is None:
        past = rows.past.get(revision.number)
        if past is not None and not revision.replicas:
            kills = f", {wording.counted(past.oom_kills, 'kill')}" if past.oom_kills else ""
            return Text(f"was {past.shape}{kills}", "warn" if past.leaks else "dim")
        return Text("being judged" if revision.replicas else "no pods now", "dim")
    if judgement.verdict is Verdict.LEAK:
        return Text(judgement.certainty, "critical" if judgement.certainty == "leak" else "warn")
    if judgement.verdict is Verdict.OOM_LOOP:
        return Text(judgement.certainty, "critical")
    return Text("too early" if judgement.verdict is Verdict.NOT_ENOUGH_DATA else judgement.certainty, "dim")


def _cause_cell(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(revision.change_cause, "dim")


_REVISION_CELLS: dict[str, Callable[[RevisionRows, Revision], Cell]] = {
    "number": _number_cell,
    "made": _made_cell,
    "pods": _pods_cell,
    "image": _image_cell,
    "limit": _limit_cell,
    "growth": _growth_cell,
    "verdict": _verdict_cell,
    "cause": _cause_cell,
}
