"""The timeline screen: by its key on the embedded cluster, and what it shows of a timeline made by hand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memtop.analysis.onset import Onset, OnsetKind
from memtop.analysis.traffic import TrafficFit, TrafficVerdict
from memtop.demo.thread import DemoThread
from tests.timeline.made import BEGAN, CART, HOUR, NOW
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Serve
from tests.tui.stage import Stage
from tests.tui.test_pictures import SIZES, AppOn, Compare
from tui.app import Memtop
from tui.change.permissions import why_no_timeline
from tui.timeline.screen import TimelineScreen
from tui.timeline.timeline_document import curves_around_onset, document_lines, head_lines

APP = "user-service"


def _check_report(folder: Path) -> None:
    (path,) = folder.glob("*.md")
    assert path.read_text().startswith(f"## production/Deployment/{APP}, container {APP}\n")
    assert "revision 2 (image v2.0.0)" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


async def test_the_key_tells_since_when_the_demo_leaks_and_after_what(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The incident began with a rollout that Prometheus still remembers; the report says the same."""
    monkeypatch.chdir(tmp_path)
    sections = {"namespaces": ("production",), "observe": {"keep_history": False}}
    with DemoThread(pods=20, speed=10) as demo:
        async with serve(demo, speed=10, size=(140, 50), **sections) as stage:
            await stage.select(APP, workload=True)
            await stage.press("L")
            await stage.until(lambda: isinstance(stage.app.screen, TimelineScreen), "the screen")
            await stage.shows(
                "Began", "revision 2 (image v2.0.0)", "What changed", "the floor begins to climb"
            )
            await stage.shows("Growth of the floor by revision", "likely cause: unbounded cache")
            await stage.press("g")
            await stage.shows("around the onset")
            await stage.press("ctrl+s")
            await stage.until(lambda: list(tmp_path.glob("*.md")), "the report")
            await stage.press("question_mark")
            await stage.shows("Keys of the timeline")
    _check_report(tmp_path)


def _never(work: Callable[..., Any]) -> Future[Any]:
    return Future()


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_a_timeline(snap_compare: Compare, app_on: AppOn, night: FakeCluster, size: str) -> None:
    """The sentence, the graph with the onset marked, and what changed under it."""

    async def prepare(pilot: Any) -> None:
        app = pilot.app
        assert isinstance(app, Memtop)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.overview.frame is not None, "the first frame")
        screen = TimelineScreen(CART.ref, _never, lambda: NOW, "braille")
        app.open_screen(screen)
        await stage.until(lambda: app.screen is screen, "the screen")
        screen.post_message(screen.Told(CART))
        await stage.shows("after revision 12", "What changed")
        await pilot.pause()

    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=prepare)


def test_the_head_has_the_sentence_the_rates_the_traffic_and_the_cause() -> None:
    """Four lines, the most important first."""
    lines = [line.plain.strip() for line in head_lines(CART, 120)]
    assert lines[0].startswith("Began ")
    assert lines[0].endswith("(±10 m), 3 m after revision 12 (image v2.0.0) by helm")
    assert lines[1:] == [
        "the floor rose +102 KiB/h before and +40 MiB/h since",
        "12.4 KiB per request (±0.8); none while there is no traffic, by http_requests_total",
        "likely cause: unbounded cache",
    ]


def test_what_is_not_known_is_said_and_not_invented() -> None:
    """No onset, no cause, no traffic."""
    told = replace(
        CART,
        onset=Onset(OnsetKind.UNKNOWN),
        brought_by=None,
        causes=(),
        traffic=TrafficFit(TrafficVerdict.UNKNOWN),
        changes=(),
        rates=(),
    )
    lines = [line.plain for line in head_lines(told, 160)]
    assert lines[0] == " Not known: nobody has samples of it"
    assert "nothing points to one cause yet" in lines[1]
    assert any("no change is known" in str(line) for line in document_lines(told, 100, "ascii"))
    assert any("may not be read" in str(line) for line in document_lines(told, 100, "ascii"))


def test_the_onset_stands_among_the_changes_where_it_belongs() -> None:
    """After the rollout and before the first kill."""
    lines = [str(line) for line in document_lines(CART, 120, "ascii")]
    places = [
        next(at for at, line in enumerate(lines) if word in line)
        for word in ("revision 12:", "begins", "2 OOM")
    ]
    assert places == sorted(places)


def test_the_curves_are_parted_at_the_onset() -> None:
    """What was before has another colour than what came after."""
    drawn = curves_around_onset(CART, 0.0)
    assert drawn.changed_at == BEGAN
    assert all(max(times) < BEGAN for times, _ in drawn.before)
    assert all(min(times) >= BEGAN for times, _ in drawn.after)
    assert curves_around_onset(CART, 2 * HOUR).span == (NOW - 2 * HOUR, NOW)
    assert curves_around_onset(CART, -1.0).span == (BEGAN - 6 * HOUR, NOW)


def test_what_only_runs_to_its_end_has_no_timeline() -> None:
    """A job's pods come and go; a bare pod has one."""
    assert why_no_timeline("CronJob").startswith("the pods of a CronJob come and go")
    assert [why_no_timeline(kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "Pod")] == [""] * 4
