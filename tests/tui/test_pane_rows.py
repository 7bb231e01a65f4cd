"""Finding a row again in a newer frame."""

from __future__ import annotations

from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from memtop.observe.frame import Frame
from memtop.observe.view import OverviewPane
from tui.live_screen import FigureStyle
from tui.overview.cells import PaneRows, RowHint

LOOK = FigureStyle(0.7, 0.9, "braille")


def frame(*keys: Hashable, order: list[int]) -> Frame:
    """A frame with these rows, None for one that nobody has, of which a pane shows some."""
    identities = [None if key is None else SimpleNamespace(key=key) for key in keys]
    made: Any = SimpleNamespace(
        rows=SimpleNamespace(identities=identities), pane_rows={OverviewPane.TOP: np.array(order, np.intp)}
    )
    return cast(Frame, made)


def rows(of: Frame, place: RowHint) -> PaneRows:
    return PaneRows(of, OverviewPane.TOP, LOOK, place)


def test_a_row_is_found_where_the_order_puts_it() -> None:
    place = RowHint()
    assert rows(frame("a", "b", "c", order=[2, 0, 1]), place).key(2) == "b"
    assert rows(frame("a", "b", "c", order=[1, 2, 0]), place).index("b") == 0


def test_a_row_is_found_when_it_has_moved_in_the_frame() -> None:
    place = RowHint()
    assert rows(frame("a", "b", "c", order=[0, 1, 2]), place).key(2) == "c"
    assert rows(frame("c", "a", order=[1, 0]), place).index("c") == 1
    assert rows(frame("x", None, "a", "c", order=[3, 2, 0]), place).index("c") == 0


def test_one_that_was_not_asked_for_before_is_found_too() -> None:
    assert rows(frame("a", "b", order=[1, 0]), RowHint()).index("a") == 1


def test_one_that_is_gone_or_not_shown_is_not_found() -> None:
    place = RowHint()
    assert rows(frame("a", "b", order=[0, 1]), place).key(1) == "b"
    assert rows(frame("a", None, order=[0]), place).index("b") is None
    assert rows(frame("a", "b", order=[0]), place).index("b") is None


def test_it_is_not_searched_for_while_it_stays_where_it_was() -> None:
    class Fragile:
        """A key that only its own row may be compared with."""

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared with another row's key")

        __hash__ = object.__hash__

    keys = [Fragile() for _ in range(3)]
    place = RowHint(1)
    assert rows(frame(keys[0], "mine", keys[2], order=[2, 1, 0]), place).index("mine") == 1
