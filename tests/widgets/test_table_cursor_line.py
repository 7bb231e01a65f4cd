"""The cursor's row keeps its line of the screen while rows come and go above it."""

from __future__ import annotations

import pytest

from tests.widgets.rows import Pods
from tests.widgets.test_table import Table, screen


def line_of(app: Table, pod: str) -> int | None:
    return next((y for y, text in enumerate(screen(app)) if text.startswith(f"{pod} ")), None)


@pytest.mark.parametrize("up", [0, 1, 11, 21], ids=lambda up: f"{up} lines above the last")
@pytest.mark.parametrize("come", [1, 17, 100])
async def test_rows_that_come_or_go_above_the_cursor_do_not_move_it_on_screen(up, come):
    pods = Pods.many(300)
    app = Table(pods)
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.select("pod-150")
        await pilot.press(*["k"] * up)
        at = f"pod-{150 - up}"
        line = line_of(app, at)
        assert line == 23 - up
        app.table.show(Pods([(f"new-{i}", "9 MiB") for i in range(come)] + pods.pods))
        await pilot.pause()
        assert app.table.cursor_key == at
        assert line_of(app, at) == line
        app.table.show(Pods(pods.pods[come:]))
        await pilot.pause()
        assert app.table.cursor_key == at
        assert line_of(app, at) == line
