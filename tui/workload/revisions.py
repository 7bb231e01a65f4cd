"""The revisions of a workload as rows of a table: what they were made of, and how their pods grow."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from memtop import wording
from memtop.cluster.revisions import Revision
from memtop.growth.judgement import Judgement, Verdict
from widgets.columns import Column, Placed
from widgets.rows import Cell

COLUMNS = (
    Column("number", "REV", 4, justify="right", sortable=False),
    Column("made", "MADE", 12, justify="right", drop=4, sortable=False),
    Column("pods", "PODS", 4, justify="right", sortable=False),
    Column("image", "IMAGE", 20, flex=4, max_width=70, sortable=False),
    Column("limit", "LIMIT", 8, justify="right", sortable=False),
    Column("growth", "GROWTH", 12, justify="right", drop=5, sortable=False),
    Column("verdict", "VERDICT", 15, drop=3, sortable=False),
    Column("cause", "CHANGE CAUSE", 16, flex=3, drop=1, sortable=False),
)


@dataclass(frozen=True)
class RevisionRows:
    """The revisions, the newest first.

    Attributes:
        revisions: What the cluster keeps of them.
        judged: What is judged of each one's pods, by its hash; only of those that have pods.
        now: The cluster's time, Unix seconds.
    """

    revisions: Sequence[Revision]
    judged: Mapping[str, Judgement]
    now: float

    def __len__(self) -> int:
        return len(self.revisions)

    def key(self, i: int) -> Hashable:
        """The revision's name."""
        return self.revisions[i].name

    def index(self, key: Hashable) -> int | None:
        """Finds a revision by its name; there are few."""
        return next((i for i, revision in enumerate(self.revisions) if revision.name == key), None)

    def cells(self, i: int, columns: Sequence[Placed]) -> Sequence[Cell]:
        """The cells of one line; the revision that is asked for now stands out."""
        revision = self.revisions[i]
        return [_CELLS[placed.column.key](self, revision) for placed in columns]


def worst(parts: Mapping[tuple[str, str], Judgement]) -> dict[str, Judgement]:
    """Of each revision, by its hash, the judgement of the container that leaks most surely."""
    found: dict[str, Judgement] = {}
    for (_, revision), judgement in parts.items():
        if revision not in found or _leaks(judgement) > _leaks(found[revision]):
            found[revision] = judgement
    return found


def _leaks(judgement: Judgement) -> float:
    return judgement.confidence if judgement.verdict is Verdict.LEAK else -1.0


def _number(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(f"{revision.number or wording.UNKNOWN}", "strong" if revision.current else "")


def _made(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(wording.ago(rows.now - revision.created) if revision.created else wording.UNKNOWN, "dim")


def _pods(rows: RevisionRows, revision: Revision) -> Cell:
    if revision.replicas is None:
        return Text(wording.UNKNOWN, "dim")
    return Text(str(revision.replicas), "" if revision.replicas else "dim")


def _image(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(", ".join(revision.images.values()), "strong" if revision.current else "")


def _limit(rows: RevisionRows, revision: Revision) -> Cell:
    sizes = [size for size in revision.limits.values() if size is not None]
    words = wording.bytes_(sum(sizes)) if sizes else "none"
    return f"{words}…" if sizes and len(sizes) < len(revision.limits) else words


def _growth(rows: RevisionRows, revision: Revision) -> Cell:
    judgement = rows.judged.get(revision.hash)
    leaks = judgement is not None and judgement.verdict is Verdict.LEAK
    return Text(wording.rate(None if judgement is None else judgement.rate), "" if leaks else "dim")


def _verdict(rows: RevisionRows, revision: Revision) -> Cell:
    judgement = rows.judged.get(revision.hash)
    if judgement is None:
        return Text("being judged" if revision.replicas else "no pods now", "dim")
    if judgement.verdict is Verdict.LEAK:
        return Text(judgement.certainty, "critical" if judgement.certainty == "leak" else "warn")
    return Text("too early" if judgement.verdict is Verdict.NOT_ENOUGH_DATA else judgement.certainty, "dim")


def _cause(rows: RevisionRows, revision: Revision) -> Cell:
    return Text(revision.change_cause, "dim")


_CELLS: dict[str, Callable[[RevisionRows, Revision], Cell]] = {
    "number": _number,
    "made": _made,
    "pods": _pods,
    "image": _image,
    "limit": _limit,
    "growth": _growth,
    "verdict": _verdict,
    "cause": _cause,
}
