"""Rows that are marked for one change of all of them: marking, what is said of the marks, the change."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.demo.thread import DemoThread
from memtop.observe.view import OverviewPane
from tests.api import Api
from tests.tui.cluster import GI, FakeCluster
from tests.tui.conftest import Play, Serve
from tests.tui.stage import Stage
from tests.tui.test_pictures import SIZES, AppOn, Compare, after
from widgets.confirm import ConfirmDialog
from widgets.form import FormDialog

DEPLOYMENTS = "/apis/apps/v1/namespaces/production/deployments"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@pytest.fixture
def api() -> Iterator[Api]:
    """A cluster of one's own, to be changed."""
    with DemoThread(pods=20) as demo:
        yield Api(demo)


def outcomes() -> list[tuple[str, str]]:
    return [(entry.name, entry.outcome) for entry in AuditLog(audit_log_path(os.environ)).entries()]


def marked(stage: Stage) -> list[str]:
    return [row.title for row in stage.app.overview.marked]


async def select_workload(stage: Stage, name: str) -> None:
    """Puts the cursor on a workload without a filter."""
    rows = stage.rows()
    here = rows.index(stage.selected)
    step = rows.index(name) - here
    await stage.press(*["down" if step > 0 else "up"] * abs(step))
    await stage.until(lambda: stage.selected == name, f"the cursor on {name}")


class TestMarks:
    async def test_m_marks_a_row_and_goes_on_and_takes_the_mark_away(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "m")
            first, second = stage.rows()[:2]
            assert marked(stage) == [first, second]
            assert stage.line("bx2kq").startswith("●"), "colour is not the only sign"
            assert "2 marked · 8 containers" in stage.text
            await stage.press("home", "m")
            assert marked(stage) == [second]

    async def test_shift_with_an_arrow_marks_a_range(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("home", "shift+down", "shift+down")
            assert marked(stage) == stage.rows()[:3]
            await stage.press("escape", "shift+up")
            assert sorted(marked(stage)) == sorted(stage.rows()[1:3])

    async def test_they_stay_on_their_rows_when_these_are_sorted_anew(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "m")
            before = marked(stage)
            night.pod("newcomer", 3 * GI, 4 * GI)
            night.wait(60)
            night.sample()
            await stage.push()
            await stage.press("S")
            assert stage.rows().index("newcomer") > stage.rows().index(before[0]), (
                "the order was turned round"
            )
            assert marked(stage) == before
            assert not stage.line("newcomer").startswith("●")

    async def test_what_the_filter_hides_is_counted(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "m", "m")
            await stage.press("slash")
            await stage.type("billing")
            await stage.press("enter")
            await stage.shows("3 marked, 2 hidden by the filter · 1 container")
            await stage.press("escape")
            assert marked(stage) == []
            assert "billing" in stage.text
            assert stage.app.overview.view.filter.text == "billing", "the second esc clears the filter"

    async def test_another_pane_says_what_it_does_not_show(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(80, 24)) as stage:
            await stage.press("end", "up", "m", "home", "m", "tab")
            assert stage.app.overview.tables[OverviewPane.RESTARTS].has_focus
            await stage.shows("2 marked", "not in this pane")

    async def test_a_pod_that_goes_takes_its_mark_with_it(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "m")
            night.gone("user-service-7f86b968-bx2kq")
            night.wait(60)
            night.sample()
            await stage.push()
            assert marked(stage) == ["user-service-7f86b968-ax2kq"]
            await stage.shows("user-service-7f86b968-bx2kq; 1 marked now")

    async def test_another_context_has_no_marks(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with play(night) as stage:
            await stage.press("home", "m")
            stage.app.overview.restart()
            assert marked(stage) == []

    async def test_containers_stay_marked_while_workloads_are_shown(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "w")
            await stage.until(lambda: stage.app.overview.frame.view.workloads, "workloads")
            await stage.shows("1 marked, 1 not in this pane")
            await stage.press("w")
            await stage.shows("1 marked · 8 containers")

    async def test_marks_work_in_ascii(self, play: Play, night: FakeCluster) -> None:
        async with play(night, ui={"symbols": "ascii"}) as stage:
            await stage.press("home", "m")
            assert stage.line("bx2kq").startswith("* ")

    async def test_what_is_done_with_one_row_only_says_so(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("home", "m", "m", "i")
            await stage.shows("2 rows are marked, and this", "esc unmarks")


class TestChange:
    async def test_marked_workloads_are_restarted_by_one_plan(self, serve: Serve, api: Api) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.until(lambda: stage.app.overview.frame and stage.app.overview.frame.settled, "pods")
            await stage.press("w")
            await stage.until(lambda: "deployment/billing" in stage.rows(), "workloads")
            await select_workload(stage, "deployment/billing")
            await stage.press("m")
            await select_workload(stage, "deployment/user-service")
            await stage.press("m", "R")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.shows("Restart 2 workloads", "1  production/Deployment/billing: Rolling")
            await stage.press("enter")  # Cancel has the focus
            await stage.until(lambda: stage.app.screen is stage.app.overview, "the overview")
            assert sorted(outcomes()) == [("billing", "declined"), ("user-service", "declined")]
            assert len(marked(stage)) == 2, "they stay marked after a no"

            await stage.press("R")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.pilot.pause()
            await stage.press("y")
            await stage.until(lambda: not marked(stage), "the marks to go")
            await stage.shows("Done: Restart 2 workloads")
            for name in ("billing", "user-service"):
                template = api.get(f"{DEPLOYMENTS}/{name}").json["spec"]["template"]
                assert RESTARTED in template["metadata"]["annotations"]
            await stage.until(lambda: "rollout billing" in stage.header, "the header to follow them")

    async def test_a_failure_leaves_the_rest_marked_and_says_what_was_not_done(
        self, serve: Serve, api: Api
    ) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.until(lambda: stage.app.overview.frame and stage.app.overview.frame.settled, "pods")
            await stage.press("w")
            await stage.until(lambda: "deployment/billing" in stage.rows(), "workloads")
            for name in ("deployment/billing", "deployment/user-service"):
                await select_workload(stage, name)
                await stage.press("m")
            await stage.press("R")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.pilot.pause()
            api.change(f"{DEPLOYMENTS}/billing", {"metadata": {"labels": {"by": "somebody"}}})
            await stage.press("y")
            await stage.shows("0 of 2 done, then one failed", "!! production/Deployment/billing", "not tried")
            await stage.press("escape")
            assert marked(stage) == ["deployment/billing", "deployment/user-service"]
            assert outcomes() == [("billing", "conflict"), ("user-service", "not tried")]

    async def test_a_limit_relative_to_what_each_has(self, serve: Serve, api: Api) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.until(lambda: stage.app.overview.frame and stage.app.overview.frame.settled, "pods")
            await stage.press("w")
            await stage.until(lambda: "deployment/billing" in stage.rows(), "workloads")
            for name in ("deployment/billing", "deployment/user-service", "deployment/order-service"):
                await select_workload(stage, name)
                await stage.press("m")
            await stage.press("M")
            await stage.until(lambda: isinstance(stage.app.screen, FormDialog), "the form")
            await stage.shows("Memory of 2 marked containers", "it has 2 containers")
            await stage.type("x2")
            await stage.shows("limit 1536Mi → 3Gi", "limit 2Gi → 4Gi")
            await stage.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.pilot.pause()
            await stage.press("y")
            await stage.until(lambda: len(marked(stage)) == 1, "what was done to be unmarked")
            for name, limit in (("billing", "3Gi"), ("user-service", "4Gi")):
                template = api.get(f"{DEPLOYMENTS}/{name}").json["spec"]["template"]
                assert template["spec"]["containers"][0]["resources"]["limits"]["memory"] == limit

    async def test_marked_pods_are_deleted(self, serve: Serve, api: Api) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.select("user-service")
            names = stage.rows()[:2]
            await stage.press("home", "m", "m", "ctrl+d")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.shows("Delete 2 pods", "2 of these are pods of production/Deployment/user-service")
            await stage.press("y")
            await stage.until(lambda: not marked(stage), "the marks to go")
            pods = {one["metadata"]["name"]: one for one in api.items("/api/v1/namespaces/production/pods")}
            assert all(name not in pods or "deletionTimestamp" in pods[name]["metadata"] for name in names)

    async def test_a_plan_that_is_in_front_when_memtop_ends_is_written_down_for_each(
        self, serve: Serve, api: Api
    ) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.select("user-service")
            names = stage.rows()[:2]
            await stage.press("home", "m", "m", "ctrl+d")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            stage.app.workers.cancel_group(stage.app, "change")  # as the end does
            await stage.until(lambda: len(outcomes()) == 2, "both entries")
            assert sorted(outcomes()) == sorted((name, "declined") for name in names)

    async def test_a_marked_pod_that_goes_while_the_plan_is_shown_counts_as_gone(
        self, serve: Serve, api: Api
    ) -> None:
        async with serve(api.demo, namespaces=("production",)) as stage:
            await stage.select("user-service")
            first, second = stage.rows()[:2]
            await stage.press("home", "m", "m", "ctrl+d")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.pilot.pause()
            api.request("DELETE", f"/api/v1/namespaces/production/pods/{first}", gracePeriodSeconds=0)
            await stage.press("y")
            await stage.until(lambda: len(outcomes()) == 2, "both entries")
            assert {name for name, _ in outcomes()} == {first, second}
            assert (second, "applied") in outcomes() or (second, "not tried") in outcomes()
            await stage.until(lambda: "one after the other" not in stage.text, "the plan to be gone")

    async def test_read_only_stays_read_only(self, serve: Serve, api: Api) -> None:
        async with serve(api.demo, namespaces=("production",), safety={"read_only": True}) as stage:
            await stage.select("user-service")
            await stage.press("home", "m", "m", "R")
            await stage.shows("memtop is read-only")


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_marked_rows(
    snap_compare: Compare, app_on: AppOn, night: FakeCluster, size: str
) -> None:
    prepare = after("home", "m", "shift+down", words=("3 marked",))
    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=prepare)
