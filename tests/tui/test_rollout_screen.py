"""The rollout screen on the embedded cluster: how it stands, why it does not go on, its pods, its keys."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rich.text import Text

from memtop.change.rollout_model import Rollout, StuckCause, StuckReason
from memtop.change.rollout_status import RolloutStatus
from memtop.change.rollout_watch import follow_rollout
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.kube.object_ref import ObjectRef
from tests.api import Api
from tests.tui.conftest import Open, Serve
from tests.tui.stage import Stage
from tui.pod.screen import PodScreen
from tui.rollout.screen import RolloutScreen
from tui.rollout.words import progress_line, reason_lines, rollout_standing, status_lines

APP = "user-service"
DEPLOYMENT = f"/apis/apps/v1/namespaces/production/deployments/{APP}"
API = ObjectRef("Deployment", "production", APP)
SPEED = 30


@pytest.fixture
def demo() -> Iterator[DemoThread]:
    """A cluster whose time runs fast."""
    with DemoThread(pods=20, speed=SPEED) as running:
        yield running


@pytest.fixture
def opened(demo: DemoThread, serve: Serve) -> Open:
    """``async with opened((80, 24))``: the rollout screen of user-service."""

    @asynccontextmanager
    async def start(size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
        sections = {"namespaces": ("production",), "prometheus": {"enabled": False}}
        async with serve(demo, speed=SPEED, size=size, **sections) as stage:
            await stage.select(APP, workload=True)
            await stage.press("o")
            await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout screen")
            yield stage

    return start


def set_image(demo: DemoThread, image: str) -> None:
    container = {"name": APP, "image": image}
    Api(demo).change(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [container]}}}})


async def test_a_rollout_from_its_beginning_to_its_end(demo: DemoThread, opened: Open) -> None:
    async with opened() as stage:
        await stage.shows(f'deployment "{APP}" successfully rolled out', "3 of 3 new pods ready", "2 new")
        set_image(demo, f"{APP}:v2.1.0")
        await stage.shows(
            "Waiting for deployment", "image user-service:v2.0.0 → user-service:v2.1.0", "2 old"
        )
        await stage.shows("successfully rolled out", "v2.1.0", "Done, it took", "b shows whether")
        assert "3 of 3 new pods ready" in stage.text
        await stage.press("question_mark")
        await stage.shows("Keys of the rollout", "undo: back to the revision before")
        await stage.press("escape")
        await stage.press("down")
        pod = stage.app.screen.table.cursor_key
        await stage.press("ctrl+d")
        await stage.shows(f"Delete the pod {pod}", "Cancel (esc)")


async def test_one_that_gets_stuck(demo: DemoThread, opened: Open) -> None:
    """Why, with nothing moving; its pods a key away; and the header's word of it once it is left."""
    async with opened((80, 24)) as stage:
        await stage.shows("successfully rolled out", "RESTARTS")
        table_at = next(at for at, line in enumerate(stage.lines) if line.startswith("POD"))
        set_image(demo, f"{APP}:no-such-tag")
        await stage.shows("✖", "cannot be pulled", "no-such-tag", "0 of 3 new pods ready", "ErrImage")
        assert stage.lines[table_at].startswith("POD"), "the table stays where it was"
        assert " u Undo" in stage.lines[-1]
        assert "u goes back to an earlier revision; this one replaces revision 2." in stage.text
        await stage.resize(180, 50)
        await stage.shows("cannot be pulled", "NODE")
        await stage.until(lambda: stage.app.screen.table.cursor_key, "a row under the cursor")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod's screen")
        assert stage.app.screen.subject.pod.startswith(APP)
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout screen")
        await stage.press("escape")
        await stage.until(lambda: f"rollout {APP}" in stage.header, "the rollout in the overview's header")


async def test_one_that_could_not_be_asked_for_is_followed_once_it_is_left(
    demo: DemoThread, opened: Open
) -> None:
    for path in (r"/apis/apps/v1/.*/replicasets", r"/apis/apps/v1/.*/deployments"):
        demo.server.faults.add(Fault(Harm.ANSWER, path=path, status=503))
    async with opened() as stage:
        await stage.until(lambda: stage.app.screen._failed_first, "the first failure")
        assert stage.app.screen.rollout is None
        await stage.press("escape")
        await stage.until(lambda: f"rollout {APP}" in stage.header, "the rollout in the overview's header")


def rollout(*reasons: StuckReason, words: str = "Waiting", done: bool = False) -> Rollout:
    status = RolloutStatus(
        words, done, False, True, desired=3, updated=1, ready=2, available=2, old=2, target=3
    )
    return Rollout(API, status, stuck=reasons)


def plain(lines: list[Text]) -> list[str]:
    return [line.plain for line in lines]


def test_reasons_take_no_more_lines_than_there_are() -> None:
    long = StuckReason(StuckCause.IMAGE, "The image cannot be pulled", "because " * 60)
    short = StuckReason(StuckCause.PAUSED, "The rollout is paused")
    for height in range(1, 9):
        lines = plain(reason_lines(rollout(long, short, short), 60, height, 0.0, None, "braille"))
        assert len(lines) <= height
        assert all(len(line) <= 60 for line in lines)
    cut = plain(reason_lines(rollout(long, short, short), 60, 4, 0.0, None, "ascii"))
    assert cut[-1] == "   and 2 more"


def test_what_a_partition_keeps_back_is_said() -> None:
    status = RolloutStatus("partitioned roll out complete", True, False, True, 3, 2, 3, 3, old=1, target=2)
    lines = plain(reason_lines(Rollout(API, status), 60, 4, 0.0, None, "braille"))
    assert lines[1] == "   The partition keeps 1 pod as it was."


def test_one_that_was_done_says_so_in_a_sentence_of_its_own() -> None:
    bar = progress_line(rollout(), 80, 100.0, 40.0, "ascii").plain
    assert bar.endswith("of 3 new pods ready")
    assert plain(reason_lines(rollout(), 80, 4, 100.0, 40.0, "ascii")) == [
        "   It was done 1 min ago; since then pods were lost or became unready."
    ]


def test_what_may_pass_by_itself_looks_other_than_what_needs_somebody() -> None:
    passing = StuckReason(StuckCause.NODE, "Node n has trouble", blocking=False)
    assert rollout_standing(rollout(passing)) == "going"
    assert rollout_standing(rollout(StuckReason(StuckCause.PAUSED, "paused"))) == "stuck"
    assert plain(reason_lines(rollout(passing), 60, 4, 0.0, None, "braille")) == [" ! Node n has trouble"]
    paused = plain(reason_lines(rollout(StuckReason(StuckCause.PAUSED, "p")), 60, 4, 0.0, None, "ascii"))
    assert paused == [" X p", "   P resumes it."]


def test_the_sentence_always_takes_two_lines() -> None:
    for words in ("done", "a very long sentence " * 9):
        assert len(status_lines(rollout(words=words), 80, "braille")) == 2


async def test_a_mistake_of_memtops_own_does_not_lose_the_rollout(
    demo: DemoThread, opened: Open, monkeypatch: pytest.MonkeyPatch, failures: list[logging.LogRecord]
) -> None:
    mistakes = [KeyError("hunter2")]

    def once(*args: Any, **kwargs: Any) -> Any:
        if mistakes:
            raise mistakes.pop()
        return follow_rollout(*args, **kwargs)

    monkeypatch.setattr("tui.rollout.screen.follow_rollout", once)
    async with opened() as stage:
        await stage.until(lambda: failures, "the failure")
        await stage.shows("successfully rolled out")
        set_image(demo, f"{APP}:v2.1.0")
        await stage.shows("v2.1.0", "2 old")
        assert "KeyError" in logging.Formatter().format(failures.pop())
