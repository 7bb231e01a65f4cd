"""How fast repaints follow each other on a slow line, and that none of them is lost."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, LayoutUpdate

from tests.widgets.rows import Pods
from tests.widgets.test_terminal import Screenful, Terminal
from widgets.table import LiveTable
from widgets.terminal_driver import Answer, OutputPace, TerminalInput
from widgets.terse_display import ShownCells, TerseUpdate

SLOW, FAST = 32_000.0, 10_000_000.0
DELAY = 0.4


def of_line(rate: float, delay: float = DELAY, size: int = 9_000) -> OutputPace:
    """The pace of a line once a repaint has passed it: nothing is on its way, at 100 s."""
    pace = OutputPace()
    pace.asked(0, 0.0)
    pace.answered(delay)
    for at in (10.0, 20.0, 30.0, 40.0):
        pace.asked(size, at)
        pace.answered(at + size / rate + delay)
    return pace


def test_nobody_waits_for_a_terminal_that_never_answers() -> None:
    pace = OutputPace()
    for second in range(100):
        pace.asked(20_000, float(second))
        assert pace.wait(float(second)) == 0


def test_on_a_fast_line_repaints_follow_at_once_however_long_its_delay() -> None:
    pace = of_line(FAST)
    for step in range(10):
        now = 100 + step * 0.02
        assert pace.wait(now) == pytest.approx(0, abs=0.005)
        pace.asked(9_000, now)


def test_on_a_slow_line_a_repaint_that_nobody_waits_for_leaves_half_of_it_free() -> None:
    pace = of_line(SLOW)
    pace.asked(9_000, 100.0)
    assert pace.wait(100.0) == pytest.approx(2 * 9_000 / SLOW, rel=0.1)


def test_after_a_key_it_waits_only_until_the_line_is_nearly_free() -> None:
    pace = of_line(SLOW)
    pace.asked(9_000, 100.0)
    pace.pressed(100.1)
    assert pace.wait(100.1) == pytest.approx(9_000 / SLOW - 0.1 - 0.05, rel=0.1)
    assert pace.wait(100.0 + 9_000 / SLOW) == 0


def test_a_line_that_turns_slow_is_noticed_by_an_answer_that_is_late() -> None:
    pace = of_line(FAST)
    pace.asked(20_000, 100.0)
    assert pace.wait(100.9) > 0
    pace.answered(103.0)
    assert pace.wait(103.0) < 0.5
    pace.asked(20_000, 104.0)
    pace.answered(107.0)
    pace.asked(20_000, 108.0)
    assert pace.wait(108.0) > 1


def test_answers_that_are_lost_stop_it_for_some_seconds_only() -> None:
    pace = of_line(SLOW)
    pace.asked(500, 100.0)
    assert pace.wait(105.0) > 0
    assert pace.wait(111.0) == 0


def test_an_answer_is_no_key() -> None:
    apart = TerminalInput()
    for chunks in ([b"a\x1b[0nb"], [b"a\x1b[0", b"nb"]):  # a shorter beginning may be keys
        pieces = [piece for chunk in chunks for piece in apart.take(chunk)]
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == "ab"
        assert sum(isinstance(piece, Answer) for piece in pieces) == 1


@pytest.mark.parametrize("left_out", [0, 1, 2])
async def test_what_is_shown_already_is_not_written_again(left_out: int) -> None:
    """Also where repaints are left out: the next one that covers all of the screen makes up for them."""
    app = Screenful()
    app.console._color_system = ColorSystem.TRUECOLOR
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LiveTable)
        for pods in (Pods.many(500), Pods.many(500).changed(0, 2, 5), Pods.many(500).changed(1, 3)):
            table.show(pods)
            await pilot.pause()
        await pilot.press("tab", "j", "G")
        await pilot.pause()
        whole = app.screen._compositor.render_update(full=True)
        assert isinstance(whole, LayoutUpdate)
        ours, expected, shown = Terminal(), Terminal(), ShownCells()
        for number, update in enumerate([*app.updates, whole]):
            assert isinstance(update, ChopsUpdate | LayoutUpdate)
            if number % 3 >= left_out or update is whole:
                ours.write(TerseUpdate(update, shown).render_segments(app.console))
        expected.write(TerseUpdate(whole).render_segments(app.console))
        assert ours.cells == expected.cells
        again = TerseUpdate(whole, shown)
        assert again.render_segments(app.console) == ""
        shown.forget()
        again.render_segments(app.console)
        assert again.size > 1_000


def test_both_cells_of_a_wide_letter_are_written_together() -> None:
    style = ("", "", "")
    shown = ShownCells()
    shown.replace(0, 0, [(letter, style) for letter in "ab"])
    assert shown.replace(0, 0, [("日", style), ("", style)]) == [(0, 2)]
    assert shown.replace(0, 0, [("本", style), ("", style)]) == [(0, 2)]
    assert shown.replace(0, 0, [("a", style), (" ", style)]) == [(0, 2)]
