"""The stabilisation screen on the embedded cluster: the verdict as it comes, the graph, the report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.analysis.stability import Stability, StabilityVerdict
from memtop.analysis.stability_evidence import ChangeEvidence
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.stabilisation.before_and_after import BeforeAndAfter
from tests.api import Api
from tests.stabilisation.made import AT, seen
from tests.tui.conftest import Open, Serve
from tests.tui.stage import Stage
from tui.stabilisation.screen import StabilisationScreen
from tui.stabilisation.words_and_curves import (
    curves_by_age,
    curves_by_clock,
    fact_lines,
    note_line,
    verdict_lines,
)

APP = "user-service"
DEPLOYMENT = f"/apis/apps/v1/namespaces/production/deployments/{APP}"
SPEED = 10


@pytest.fixture
def demo() -> Iterator[DemoThread]:
    """A cluster whose time runs fast."""
    with DemoThread(pods=20, speed=SPEED) as running:
        yield running


@pytest.fixture
def opened(demo: DemoThread, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """``async with opened((80, 24))``: the stabilisation screen of user-service, by its key."""
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def start(size: tuple[int, int] = (120, 36), **sections: Any) -> AsyncIterator[Stage]:
        sections |= {"namespaces": ("production",), "observe": {"keep_history": False}}
        async with serve(demo, speed=SPEED, size=size, **sections) as stage:
            await stage.select(APP, workload=True)
            await stage.press("b")
            await stage.until(lambda: isinstance(stage.app.screen, StabilisationScreen), "the screen")
            yield stage

    return start


def change(demo: DemoThread, container: dict[str, Any]) -> None:
    wanted = {"spec": {"template": {"spec": {"containers": [{"name": APP, **container}]}}}}
    Api(demo).change(DEPLOYMENT, wanted)


def check_report(folder: Path) -> None:
    (path,) = folder.glob("*.md")
    assert path.read_text().startswith(f"# deployment/{APP} in production: holding\n")
    assert "| OOM kills | 2" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


async def test_a_fix_from_watching_to_holding(demo: DemoThread, opened: Open, tmp_path: Path) -> None:
    change(demo, {"image": f"{APP}:v2.1.0"})
    demo.advance(900)
    async with opened() as stage:
        await stage.shows("WATCHING", "v2.0.0 → v2.1.0", "OOM-killed every", "to go", "watched")
        await stage.shows("before: revision 2, 3 pods", "after: revision 3, 3 pods", "around the change")
        await stage.press("a")
        await stage.shows(f"{APP} by age")
        demo.advance(4 * 3600)
        await stage.press("r")
        await stage.shows("HOLDING for 4 h", "no OOM kill", "was +6")
        await stage.press("ctrl+s")
        await stage.until(lambda: list(tmp_path.glob("*.md")), "the report")
        check_report(tmp_path)
        await stage.press("question_mark")
        await stage.shows("Keys of the stabilisation", "only postponed")


async def test_it_all_fits_on_a_small_screen(demo: DemoThread, opened: Open) -> None:
    change(demo, {"resources": {"limits": {"memory": "6Gi"}}})
    demo.advance(6 * 3600)
    async with opened((80, 24)) as stage:
        await stage.shows("ONLY POSTPONED", "limit 2 GiB → 6 GiB", "the higher limit", "bought 6 h")
        await stage.shows("growth of the floor", "OOM kills", "restarts", "highest memory", "6 GiB")
        assert stage.lines[-1].strip().startswith("esc Back")
        await stage.press("g")
        await stage.shows("the last 1 h")
        await stage.press("escape")
        await stage.until(lambda: f"deployment/{APP}" in stage.rows(), "workloads")


async def test_an_api_server_that_is_away_is_said_and_what_was_seen_stays(
    demo: DemoThread, opened: Open
) -> None:
    change(demo, {"image": f"{APP}:v2.1.0"})
    demo.advance(900)
    async with opened(prometheus={"enabled": False}) as stage:
        await stage.shows("what was before the change is not known", "no pods known")
        fault = Fault(Harm.ANSWER, "/deployments/", status=503)
        demo.call(lambda: demo.server.faults.add(fault))
        await stage.shows("what is shown is the last that was seen", "WATCHING")
        demo.call(demo.server.faults.clear)
        await stage.until(lambda: "last that was seen" not in stage.text, "the cluster to be back")


async def test_leaving_goes_on_watching_and_a_new_verdict_rings(
    demo: DemoThread, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(demo, {"image": f"{APP}:v2.1.0"})
    demo.advance(900)
    async with opened() as stage:
        await stage.shows("WATCHING", "to go")
        rung: list[bool] = []
        monkeypatch.setattr(stage.app, "bell", lambda: rung.append(True))
        await stage.press("escape")
        await stage.shows(f"{APP}: watching", "Goes on watching")
        demo.advance(4 * 3600)
        await stage.until(lambda: rung, "the bell")
        await stage.shows(f"{APP}: holding")
        await stage.press("b")
        await stage.shows("HOLDING for")
        await stage.press("X")
        await stage.until(lambda: f"{APP}: holding" not in stage.text, "no line in the header any more")
        assert not any(isinstance(one, StabilisationScreen) for one in stage.app._installed_screens.values())


# -- words and curves


def side(rate: float, start: float, hours: float, kills: tuple[float, ...] = ()) -> ChangeEvidence:
    times = start + np.arange(0, hours * 3600, 60.0)
    values = 2.0**28 + rate * (times - start) / 3600
    restarts = np.array(kills) + 5
    return ChangeEvidence((Series(times, values, restarts, np.array(kills), 2.0**30),))


def known(before: ChangeEvidence, after: ChangeEvidence, verdict: str = "watching"):
    one = seen(verdict, AT + 7200)
    return replace(one, by_container={"app": BeforeAndAfter(before, after, "RSS from Prometheus")})


def test_by_the_clock_nothing_is_drawn_across_a_death() -> None:
    start, kills = AT - 20 * 3600, (AT - 9 * 3600.0, AT - 4 * 3600.0)
    drawn = curves_by_clock(known(side(1e6, start, 20, kills), side(0, AT, 2)), 0.0)
    assert [(times[0], times[-1]) for times, _ in drawn.before] == [
        (start, kills[0]),
        (kills[0] + 60, kills[1]),
        (kills[1] + 60, AT - 60),
    ]
    assert len(drawn.after) == 1


def test_by_the_clock_there_is_as_much_before_the_change_as_since() -> None:
    drawn = curves_by_clock(known(side(0, AT - 20 * 3600, 20), side(0, AT, 2)), 0.0)
    assert drawn.span == (AT - 7200, AT + 7200)
    assert drawn.changed_at == AT
    assert drawn.limits == (2.0**30, 2.0**30)
    assert curves_by_clock(known(side(0, AT - 20 * 3600, 20), side(0, AT, 2)), 3600.0).span == (
        AT + 3600,
        AT + 7200,
    )


def test_by_age_every_life_begins_at_nought() -> None:
    kills = (AT - 7200, AT - 3600)
    drawn = curves_by_age(known(side(1e6, AT - 3 * 3600, 3, kills), side(0, AT, 2)), 0.0)
    assert len(drawn.before) == 2, "nobody knows how old the first one was"
    assert all(curve[0][0] < 61 for curve in drawn.before)
    assert len(drawn.oom_kills) == 1
    assert drawn.by_age
    assert drawn.span[1] <= 3 * 3600
    only = curves_by_age(known(side(1e6, AT - 3 * 3600, 3), side(0, AT, 2)), 0.0)
    assert len(only.before) == 1


def test_the_verdict_comes_first_and_a_long_sentence_is_wrapped() -> None:
    one = seen("watching", sentence="word " * 40)
    lines = verdict_lines(one, AT + 120, 80, "braille")
    assert lines[0].plain.startswith(" ◌ WATCHING")
    assert lines[0].plain.rstrip().endswith("1 → 2, 2 min ago")
    assert all(len(line.plain) <= 80 for line in lines)
    assert "9 m of 10 m watched" in lines[-1].plain


def test_no_line_ends_between_a_figure_and_its_unit() -> None:
    one = seen("watching", sentence="the floor rises +84 MiB/h ±2.27 MiB/h, at most 27 % of 1 d 2 h ago")
    for width in range(24, 90):
        for line in verdict_lines(one, AT + 120, width, "braille")[1:-1]:
            assert not line.plain[-1].isdigit(), (width, line.plain)
            assert "\N{NO-BREAK SPACE}" not in line.plain


def test_what_is_not_known_is_a_dash_and_never_nought() -> None:
    nothing = Stability(StabilityVerdict.WATCHING, "no sample of the new pods yet")
    lines = [
        line.plain for line in fact_lines(replace(seen("watching"), stabilities={"app": nothing}), 120, 9)
    ]
    assert "no pods known" in lines[0]
    assert all("–" in line for line in lines[1:])
    assert not any(character in "0123456789" for line in lines[1:] for character in line)


def test_missing_pods_and_trouble_are_said() -> None:
    assert (
        "1 of 3 new pods"
        in note_line(replace(seen("watching"), change=replace(seen("watching").change, desired_pods=3))).plain
    )
    assert "refused; what is shown is the last" in note_line(seen("watching", problem="refused")).plain
