"""Which objects keep which: reachability from the roots, retained sizes, and paths to what there is most of.

Objects are numbers, and everything about them is in arrays, so that a search goes level by level for all
objects of a level at once. A chain (a linked list) has one object a level; those are walked one by one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_SMALL_LEVEL = 24
"""Objects of a level below which a loop over them is quicker than numpy's calls (measured: 10 to 40)."""
LONGEST_PATH = 24
_NOT_REACHED, ROOT = -2, -1
_MOST_JUMPS = 32
_MOST_ASKED = 200


@dataclass(slots=True)
class ObjectGraph:
    """The objects of a heap.

    Attributes:
        first: Where the references of each object begin in ``targets``; one more than there are objects.
        targets: The objects that are referred to.
        kinds: The type of each object, as a number.
        sizes: Bytes of each object.
        roots: The objects that are kept by something that is no object.
        parents: By whom each object is reached first; `ROOT` for roots. Filled by the first search.
        deadline: When to give up a search, as `time.monotonic` tells it.
    """

    first: npt.NDArray[np.integer]
    targets: npt.NDArray[np.integer]
    kinds: npt.NDArray[np.integer]
    sizes: npt.NDArray[np.integer]
    roots: Numbers
    deadline: float = float("inf")
    parents: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def search(self, without: int | None = None) -> npt.NDArray[np.int32]:
        """The parent of each object on a shortest path from a root.

        Args:
            without: A type whose objects are taken out: what is reached only through them is not reached.

        Raises:
            TimeoutError: The deadline has passed.
        """
        parents = np.full(len(self.kinds), _NOT_REACHED, np.int32)
        if without is not None:
            parents[self.kinds == without] = ROOT
            level = self.roots[parents[self.roots] == _NOT_REACHED]
        else:
            level = self.roots
        parents[level] = ROOT
        level = np.unique(level)
        while len(level):
            if time.monotonic() > self.deadline:
                raise TimeoutError
            level = self._small(parents, level) if len(level) < _SMALL_LEVEL else self._level(parents, level)
        if without is not None:
            parents[self.kinds == without] = _NOT_REACHED
        return parents

    def _level(self, parents: npt.NDArray[np.int32], level: Numbers) -> Numbers:
        """Marks what the objects of a level refer to; returns what is new."""
        starts = self.first[level].astype(np.int64)
        counts = self.first[level + 1].astype(np.int64) - starts
        total = int(counts.sum())
        ends = np.cumsum(counts)
        edges = np.arange(total) + np.repeat(starts - (ends - counts), counts)
        reached = self.targets[edges]
        new = parents[reached] == _NOT_REACHED
        reached, owners = reached[new], np.repeat(level, counts)[new]
        parents[reached] = owners
        return np.unique(reached).astype(np.int64)

    def _small(self, parents: npt.NDArray[np.int32], level: Numbers) -> Numbers:
        """Likewise for levels of a few objects, until one is large or there is none."""
        here: list[int] = level.tolist()
        for _ in range(10_000):
            following: list[int] = []
            for one in here:
                for target in self.targets[self.first[one] : self.first[one + 1]].tolist():
                    if parents[target] == _NOT_REACHED:
                        parents[target] = one
                        following.append(target)
            here = following
            if not here or len(here) >= _SMALL_LEVEL:
                break
        return np.array(here, np.int64)

    def reach(self) -> None:
        """Finds out by whom every object is reached, once.

        Raises:
            TimeoutError: The deadline has passed.
        """
        if not len(self.parents):
            self.parents = self.search()

    def retained_bytes(self, kind: int) -> int:
        """Bytes that would be free without the objects of a type: what only they keep, and they themselves.

        Raises:
            TimeoutError: The deadline has passed.
        """
        self.reach()
        freed = (self.parents != _NOT_REACHED) & (self.search(kind) == _NOT_REACHED)
        return int(self.sizes[freed].sum(dtype=np.int64))

    def path_to(self, kind: int) -> list[tuple[int, int]]:
        """The path by which most objects of a type are reached, from a root on.

        At each step up it goes to the type that keeps most of what is below; types that repeat, as the nodes
        of a list do, are there once.

        Returns:
            Pairs of an object and the one of its references that leads on (its place among them; -1 for the
            last object, which is of the type itself).

        Raises:
            TimeoutError: The deadline has passed.
        """
        self.reach()
        these = np.flatnonzero((self.kinds == kind) & (self.parents != _NOT_REACHED))
        weights = self.sizes[these].astype(np.int64) + 1
        if not len(these):
            return []
        passed = {kind}
        steps: list[tuple[int, int]] = [(int(these[-1]), -1)]
        while len(steps) < LONGEST_PATH:
            above, weights, child = self._above(these, weights, passed)
            if not len(above):
                break
            steps.append(self._most_usual(above, weights, child))
            these = above
            passed.add(int(self.kinds[steps[-1][0]]))
        return steps[::-1]

    def _above(self, these: Numbers, weights: Numbers, passed: set[int]) -> tuple[Numbers, Numbers, Numbers]:
        """The objects of the type that keeps most of these, how much each keeps, and a child of each."""
        up, children = self.parents[these].astype(np.int64), these.copy()
        kinds = np.array(sorted(passed), self.kinds.dtype)
        for _ in range(_MOST_JUMPS):  # past objects of types that are on the path already
            again = (up >= 0) & np.isin(self.kinds[up], kinds)
            if not again.any():
                break
            if again.sum() * 2 < len(up) and (~again & (up >= 0)).any():
                keep = ~again
                up, children, weights = up[keep], children[keep], weights[keep]
                break
            up, children, weights = self._past(up, children, weights, again)
        rooted = up >= 0
        up, children, weights = up[rooted], children[rooted], weights[rooted]
        if not len(up) or np.isin(self.kinds[up], kinds).all():
            none = np.zeros(0, np.int64)
            return none, none, none
        found, where = np.unique(self.kinds[up], return_inverse=True)
        allowed = ~np.isin(found, kinds)
        sums = np.where(allowed, np.bincount(where, weights, len(found)), -1)
        most = where == int(np.argmax(sums))
        up, children, weights = up[most], children[most], weights[most]
        above, first, where = np.unique(up, return_index=True, return_inverse=True)
        return above, np.bincount(where, weights, len(above)).astype(np.int64), children[first]

    def _past(
        self, up: Numbers, children: Numbers, weights: Numbers, again: npt.NDArray[np.bool_]
    ) -> tuple[Numbers, Numbers, Numbers]:
        """One object further up where the type is on the path already; equal ones are taken together.

        A list of a million nodes is passed by doubling: each object's ancestor's ancestor.
        """
        kinds = self.kinds[up[again]]
        jump = self.parents
        same = (jump >= 0) & np.isin(self.kinds, np.unique(kinds))
        same[same] &= np.isin(self.kinds[jump[same]], np.unique(kinds))
        last = np.arange(len(jump), dtype=np.int32)
        last[same] = jump[same]
        for _ in range(40):
            following = last[last]
            if (following == last).all():
                break
            last = following
        top = last[up[again]].astype(np.int64)
        up, children = up.copy(), children.copy()
        children[again] = top
        up[again] = self.parents[top]
        return up, children, weights

    def _most_usual(self, above: Numbers, weights: Numbers, child: Numbers) -> tuple[int, int]:
        """The reference that most of what is below hangs on: an object, and its place there.

        One object may be reached by a side way: the prototype of a class, say, through its first instance.
        """
        spread = np.linspace(0, len(above) - 1, min(len(above), _MOST_ASKED)).astype(np.int64)
        heaviest = np.unique(
            np.concatenate((np.argsort(-weights, kind="stable")[: _MOST_ASKED // 10], spread))
        )
        votes: dict[int, int] = {}
        owner: dict[int, int] = {}
        for one in heaviest.tolist():
            parent = int(above[one])
            found = np.flatnonzero(
                self.targets[self.first[parent] : self.first[parent + 1]] == int(child[one])
            )
            place = int(found[0]) if len(found) else 0
            votes[place] = votes.get(place, 0) + int(weights[one])
            owner.setdefault(place, parent)
        place = max(votes, key=lambda one: votes[one])
        return owner[place], place
