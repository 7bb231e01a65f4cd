"""The containers of a workload as rows of a table: what the overview says of them, by revision and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.text import Text

from memtop import wording
from memtop.observe.frame import Frame, Members
from memtop.observe.identity import Identity
from memtop.observe.pools import revision_of
from memtop.observe.view import Column as Order
from memtop.observe.view import Pane
from tui.overview.cells import PaneRows, Place
from tui.overview.columns import columns
from tui.overview.look import Look
from widgets.columns import Column, Placed
from widgets.rows import Cell

_KNOWN = {column.key: column for pane in Pane for column in columns(pane, workloads=False)}


def _shown(key: str, drop: int, width: int = 0) -> Column:
    """A column of the overview that is left out earlier or later here, and sorts nothing."""
    column = _KNOWN[key]
    return replace(column, drop=drop, width=width or column.width, sortable=False)


COLUMNS = (
    _shown(Order.NAME, 0),
    Column("revision", "REV", 4, justify="right", drop=9, sortable=False),
    Column("age", "AGE", 8, justify="right", drop=5, sortable=False),
    _shown(Order.MEMORY, 0),
    _shown(Order.LIMIT, 3),
    _shown(Order.SHARE, 0),
    _shown("bar", 2),
    _shown("trend", 4),
    _shown(Order.RATE, 8),
    _shown(Order.VERDICT, 10),
    _shown(Order.RESTARTS, 7),
    _shown(Order.STATE, 6),
    _shown(Order.NODE, 1),
)


@dataclass
class MemberRows(PaneRows):
    """The containers behind one workload, as a table asks for them.

    Attributes:
        revisions: The number of each revision, by its hash.
        born: When each pod was created, Unix seconds by name.
    """

    revisions: Mapping[str, int] = field(default_factory=dict)
    born: Mapping[str, float] = field(default_factory=dict)

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """The cells of one line."""
        own = {"revision": self._revision, "age": self._age}
        rest = iter(super().cells(i, [placed for placed in columns if placed.column.key not in own]))
        identity = self.identity_at(i)
        return [own[key](identity) if (key := placed.column.key) in own else next(rest) for placed in columns]

    def _revision(self, identity: object) -> Cell:
        number = self.revisions.get(revision_of(identity)) if isinstance(identity, Identity) else None
        return Text(wording.UNKNOWN, "dim") if number is None else str(number)

    def _age(self, identity: object) -> Cell:
        born = self.born.get(identity.pod) if isinstance(identity, Identity) else None
        return Text(wording.UNKNOWN if born is None else wording.duration(self.frame.time - born), "dim")


def member_rows(
    frame: Frame,
    members: Members,
    look: Look,
    place: Place,
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
    inner = replace(frame, rows=members.rows, orders={Pane.TOP: members.slots}, awaited={})
    return MemberRows(inner, Pane.TOP, look, place, revisions, born)
