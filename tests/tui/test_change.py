"""Changing a workload from its row, on the embedded cluster: form, plan, yes or no, and what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.events import Key

from memtop.analysis.judgement import Verdict
from memtop.change import workload_state
from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.demo.thread import DemoThread
from tests.api import Api
from tests.tui.conftest import Open, Play, Serve
from tests.tui.stage import Stage
from tui.change.memory_change import usage_by_container
from tui.overview.screen import Overview
from tui.rollout.screen import RolloutScreen
from tui.stabilisation.screen import StabilisationScreen
from widgets.confirm import ConfirmDialog
from widgets.form import FormDialog
from widgets.picker import Picker

APP = "/apis/apps/v1/namespaces/production/deployments/user-service"


class Cluster(Api):
    """An embedded cluster, asked and changed behind memtop's back."""

    def app(self) -> Any:
        """user-service as it is."""
        return self.get(APP).json

    def image(self) -> str:
        return str(self.app()["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of one's own, to be changed."""
    with DemoThread(pods=20) as demo:
        yield Cluster(demo)


@pytest.fixture(scope="module")
def untouched() -> Iterator[Cluster]:
    """A cluster that nobody changes."""
    with DemoThread(pods=20) as demo:
        yield Cluster(demo)


@pytest.fixture
def opened(serve: Serve) -> Open:
    """``async with opened(cluster, "user-service", user="admin")``: the overview, with that row selected."""

    @asynccontextmanager
    async def start(
        cluster: Cluster,
        row: str = "user-service",
        *,
        user: str = "admin",
        namespace: str = "production",
        **safety: Any,
    ) -> AsyncIterator[Stage]:
        async with serve(cluster.demo, user, namespaces=(namespace,), safety=safety) as stage:
            await stage.select(row)
            yield stage

    return start


def outcomes() -> list[tuple[str, str]]:
    """What the audit log has: action and outcome of each plan."""
    return [(entry.action, entry.outcome) for entry in AuditLog(audit_log_path(os.environ)).entries()]


async def form(stage: Stage, key: str) -> FormDialog[Any]:
    await stage.press(key)
    await stage.until(lambda: isinstance(stage.app.screen, FormDialog), "the form")
    screen = stage.app.screen
    assert isinstance(screen, FormDialog)
    return screen


async def planned(stage: Stage) -> str:
    """Waits for the plan and returns all of its text."""
    await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
    await stage.pilot.pause()
    return stage.text


async def test_an_image_is_set_from_its_row_to_the_rollout_and_on(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        asked = await form(stage, "i")
        assert "that is the image it has" in stage.text
        assert "user-service:v1.9.3" in stage.text, "earlier images are offered"
        await stage.type("v2.1.0")
        assert asked.values == {"image": "user-service:v2.1.0"}, "the tag was selected"
        await stage.press("enter")
        shown = await planned(stage)
        assert "user-service:v2.0.0 → user-service:v2.1.0" in shown
        assert "kubectl set image deployment/user-service" in shown
        await stage.press("enter")  # Cancel has the focus
        await stage.until(lambda: stage.app.screen is asked, "the form again")
        assert asked.values == {"image": "user-service:v2.1.0"}, "nothing that was typed is lost"
        assert cluster.image() == "user-service:v2.0.0"
        await stage.press("enter")
        await planned(stage)
        await stage.press("y")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout")
        assert cluster.image() == "user-service:v2.1.0"
        assert outcomes() == [("set image", "declined"), ("set image", "applied")]
        await stage.shows("Waiting for deployment", "v2.0.0 → user-service:v2.1.0")

        await stage.press("escape")
        assert isinstance(stage.app.screen, Overview)
        await stage.until(lambda: "rollout user-service" in stage.header, "the header to follow it")
        cluster.demo.advance(1200)
        await stage.shows("rollout user-service done")
        await stage.until(lambda: "rollout user-service" not in stage.header, "the header to forget it")
        await stage.press("b")
        await stage.until(lambda: isinstance(stage.app.screen, StabilisationScreen), "the stabilisation")


async def test_what_is_typed_after_enter_is_neither_part_of_the_plan_nor_its_yes(
    opened: Open, untouched: Cluster
) -> None:
    async with opened(untouched) as stage:
        asked = await form(stage, "i")
        for key, character in [*((one, one) for one in "v2.1.0"), ("enter", "\r"), ("y", "y")]:
            stage.app.post_message(Key(key, character))
        shown = await planned(stage)
        assert asked.values == {"image": "user-service:v2.1.0"}
        assert "v2.1.0y" not in shown
        assert isinstance(stage.app.screen, ConfirmDialog)
        await stage.press("escape")
        await stage.until(lambda: stage.app.screen is asked, "the form again")
        assert untouched.image() == "user-service:v2.0.0"


async def test_a_mistake_is_said_at_the_field_and_an_earlier_image_is_offered(
    opened: Open, untouched: Cluster
) -> None:
    async with opened(untouched) as stage:
        asked = await form(stage, "i")
        await stage.press("down", "down")
        assert asked.values == {"image": "user-service:v1.9.3"}
        await stage.shows("it ran here before: revision 1")
        await stage.press("up", "up")
        assert asked.values == {"image": "user-service:v2.0.0"}
        await stage.press(*["backspace"] * 6)
        await stage.type("v 2")
        await stage.press("enter")
        await stage.shows("! 'user-service:v 2' has ' ' in it")
        assert stage.app.screen is asked
        await stage.press("escape")
        assert isinstance(stage.app.screen, Overview)
        assert outcomes() == []


async def test_one_of_several_containers_is_chosen_first(opened: Open, untouched: Cluster) -> None:
    async with opened(untouched, "order-service") as stage:
        await stage.press("i")
        await stage.until(lambda: isinstance(stage.app.screen, Picker), "the containers")
        await stage.shows("log-agent:2.3")
        await stage.type("log")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, FormDialog), "the form")
        assert stage.app.screen.values == {"image": "log-agent:2.3"}


async def test_memory_says_what_it_buys_and_is_set(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:

        def leaks() -> bool:
            judgement = (
                known["user-service"].judgement
                if (known := usage_by_container(stage.app.frame.members))
                else None
            )
            return judgement is not None and judgement.verdict is Verdict.LEAK

        await stage.until(leaks, "the leak to be seen in all of the past")
        await form(stage, "M")
        await stage.shows("in use", "verdict", "leak")
        await stage.type("1Mi")
        await stage.shows("which is too little")
        await stage.press(*["backspace"] * 3)
        await stage.paste("100Mi")
        await stage.shows("! the limit 100Mi is below")
        await stage.press(*["backspace"] * 5)
        await stage.paste("+50%")
        await stage.shows("3Gi, 1.5 times as much as now", "the fullest pod reaches it in about")
        await stage.press("tab")
        await stage.type("1Gi")
        await stage.press("enter")
        shown = await planned(stage)
        assert "2Gi → 3Gi" in shown
        assert "512Mi → 1Gi" in shown
        await stage.press("right", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout")
        resources = cluster.app()["spec"]["template"]["spec"]["containers"][0]["resources"]
        assert (resources["limits"]["memory"], resources["requests"]["memory"]) == ("3Gi", "1Gi")


async def test_a_pod_is_resized_in_place_and_then_its_template(
    opened: Open, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    async with opened(cluster) as stage:
        monkeypatch.setattr(stage.app, "notify", lambda *_, title="", **__: told.append(title))
        before = {pod["metadata"]["uid"] for pod in cluster.items("/api/v1/namespaces/production/pods")}
        await form(stage, "M")
        await stage.paste("4Gi")
        await stage.shows("Where to set it", "only this pod, in place")
        await stage.press("down", "down")  # both
        await stage.press("enter")
        shown = await planned(stage)
        assert "2Gi → 4Gi" in shown
        assert "No restart: user-service keeps running" in shown
        assert "a second plan sets the same in the template of Deployment/user-service" in shown
        await stage.press("right", "enter")
        await stage.until(lambda: any(title.endswith(": done") for title in told), "the end of the resize")
        limit = cluster.app()["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert limit == "2Gi"
        after = {pod["metadata"]["uid"] for pod in cluster.items("/api/v1/namespaces/production/pods")}
        assert after == before
        await stage.shows("Set the memory limit of user-service", "Rolling")
        await stage.press("escape")
    assert [outcome for _, outcome in outcomes()] == ["applied", "declined"]


async def test_a_plan_is_written_as_a_patch_file(
    opened: Open, untouched: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(untouched) as stage:
        await form(stage, "i")
        await stage.type("v2.1.0")
        await stage.press("enter")
        await planned(stage)
        await stage.press("F")
        await stage.shows("Write the change as which file?", "kustomization.yaml")
        await stage.press("down", "enter")
        await stage.until((tmp_path / "user-service.kustomize.yaml").exists, "the file")
        await stage.shows("Apply (y)")
        await stage.press("escape", "escape")
    written = (tmp_path / "user-service.kustomize.yaml").read_text()
    assert "image: user-service:v2.1.0" in written
    assert written.startswith("# Set the image of user-service")
    assert "leak" in written.partition("patches:")[0]
    assert untouched.image() == "user-service:v2.0.0"


async def test_a_protected_context_wants_the_name(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster, protected_contexts=("memtop-*",)) as stage:
        await stage.press("R")
        shown = await planned(stage)
        assert "memtop-demo is a protected context: type user-service to apply" in shown
        await stage.press("y", "enter")
        assert isinstance(stage.app.screen, ConfirmDialog)
        await stage.shows('! that is not "user-service"')
        await stage.press("backspace")
        await stage.paste("user-service")
        await stage.press("enter")
        await stage.shows("press enter again to apply")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout")
        assert outcomes() == [("restart", "applied")]


async def test_somebody_elses_change_between_plan_and_yes(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        await form(stage, "i")
        await stage.paste("v2.1.0")
        await stage.press("enter")
        await planned(stage)
        other = {"name": "user-service", "image": "user-service:v1.9.3"}
        cluster.change(APP, {"spec": {"template": {"spec": {"containers": [other]}}}})
        await stage.press("y")
        await stage.shows("Somebody changed it", "user-service:v1.9.3 → user-service:v2.1.0")
        assert cluster.image() == "user-service:v1.9.3", "nothing was written"
        await stage.press("y")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout")
        assert cluster.image() == "user-service:v2.1.0"
        assert outcomes() == [("set image", "conflict"), ("set image", "applied")]


async def test_a_plan_that_cannot_be_applied_cannot_be_agreed_to(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        asked = await form(stage, "i")
        await stage.paste("v2.1.0")
        other = {"name": "user-service", "image": "user-service:v2.1.0"}
        cluster.change(APP, {"spec": {"template": {"spec": {"containers": [other]}}}})
        await stage.press("enter")
        await stage.shows("that is the image it has", "Close (esc)")
        await stage.press("y")
        assert isinstance(stage.app.screen, ConfirmDialog), "there is nothing to agree to"
        await stage.press("escape")
        await stage.until(lambda: stage.app.screen is asked, "the form again")
        assert asked.values == {"image": "user-service:v2.1.0"}
        assert outcomes() == [("set image", "refused")]


async def test_a_limit_that_no_pod_may_have_is_said_before_the_yes(opened: Open, untouched: Cluster) -> None:
    async with opened(untouched, "thumbnailer", namespace="staging") as stage:
        await form(stage, "M")
        await stage.paste("7Gi")
        await stage.press("enter")
        await stage.shows("!! LimitRange/memory allows", "!! ResourceQuota/memory allows", "Cancel (esc)")


async def test_undo_pause_and_scale(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        await stage.press("u")
        await stage.until(lambda: isinstance(stage.app.screen, Picker), "the revisions")
        await stage.shows("2  user-service:v2.0.0", "it has", "1  user-service:v1.9.3")
        await stage.press("enter")  # the one before is selected
        assert "user-service:v2.0.0 → user-service:v1.9.3" in await planned(stage)
        await stage.press("y")
        await stage.until(lambda: isinstance(stage.app.screen, RolloutScreen), "the rollout")
        assert cluster.image() == "user-service:v1.9.3"
        await stage.press("escape")

        await stage.press("P")
        await planned(stage)
        await stage.press("y")
        await stage.until(lambda: cluster.app()["spec"].get("paused"), "the pause")
        await stage.until(lambda: isinstance(stage.app.screen, Overview), "the overview")
        await stage.press("u")
        await stage.shows("its rollouts are paused")
        await stage.press("P")
        assert "Resume" in await planned(stage)
        await stage.press("y")
        await stage.until(lambda: not cluster.app()["spec"].get("paused"), "its end")

        await stage.until(lambda: not isinstance(stage.app.screen, ConfirmDialog), "the plan to be closed")
        while not isinstance(stage.app.screen, Overview):
            await stage.press("escape")
        await form(stage, "number_sign")
        await stage.type("0")
        await stage.shows("all pods stop")
        await stage.press("backspace", "4")
        await stage.shows("1 pod more")
        await stage.press("enter")
        await planned(stage)
        await stage.press("y")
        await stage.until(lambda: cluster.app()["spec"]["replicas"] == 4, "another pod")


async def test_a_pod_is_deleted_and_a_workload_is_not_one(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        name = stage.selected
        await stage.press("ctrl+d")
        assert f"Delete the pod {name}" in await planned(stage)
        await stage.press("c")
        assert stage.app.clipboard.startswith(f"kubectl delete pod/{name} ")
        await stage.press("y")
        pods = "/api/v1/namespaces/production/pods"
        await stage.until(
            lambda: all(
                pod["metadata"]["name"] != name or "deletionTimestamp" in pod["metadata"]
                for pod in cluster.items(pods)
            ),
            "the pod to go",
        )
        await stage.press("w")
        await stage.until(lambda: stage.selected == "deployment/user-service", "the workload")
        await stage.press("ctrl+d")
        await stage.shows("this is a workload and not a pod")


async def test_read_only_dims_the_keys_and_says_so(opened: Open, untouched: Cluster) -> None:
    async with opened(untouched, read_only=True) as stage:
        await stage.until(lambda: not stage.app.screen.active_bindings["i"].enabled, "dim keys")
        await stage.press("i")
        await stage.shows("memtop is read-only")
        assert isinstance(stage.app.screen, Overview)
        await stage.press("question_mark")
        await stage.shows("not now: memtop is read-only")


async def test_who_may_not_patch_is_told_which_right_is_missing(opened: Open, untouched: Cluster) -> None:
    async with opened(untouched, user="readonly") as stage:
        await stage.until(lambda: not stage.app.screen.active_bindings["R"].enabled, "dim keys")
        await stage.press("R")
        await stage.shows("you may not patch deployments.apps")
        assert stage.app.screen.active_bindings["o"].enabled, "looking is allowed"


async def test_what_a_kind_cannot_is_dim_says_why_and_is_not_in_the_palette(
    opened: Open, untouched: Cluster
) -> None:
    async with opened(untouched, "node-agent", namespace="kube-system") as stage:
        await stage.until(lambda: not stage.app.screen.active_bindings["number_sign"].enabled, "dim keys")
        await stage.press("number_sign")
        await stage.shows("a DaemonSet has one pod on each node")
        assert stage.app.screen.active_bindings["i"].enabled
        await stage.press("ctrl+p")
        await stage.paste("scale")
        await stage.shows("No matches")
        await stage.press(*["backspace"] * 5)
        await stage.paste("restart")
        await stage.shows("Restart, pod by pod", "DaemonSet/node-agent")
        await stage.press("enter")
        assert "Restart node-agent" in await planned(stage)


async def test_a_plan_that_is_open_at_the_end_is_written_down(opened: Open, untouched: Cluster) -> None:
    async with opened(untouched) as stage:
        await stage.press("R")
        await planned(stage)
        await stage.press("ctrl+c")
    assert outcomes() == [("restart", "declined")]


async def test_a_plan_of_a_cluster_that_was_left_is_not_applied(opened: Open, cluster: Cluster) -> None:
    async with opened(cluster) as stage:
        await stage.press("R")
        await planned(stage)
        engine = stage.app._engine
        assert engine is not None
        engine.stop()
        await stage.press("y")
        await stage.shows("It was not done", "has ended")


async def test_the_context_stays_while_a_change_is_on_its_way(
    opened: Open, untouched: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(untouched) as stage:
        assert not stage.app.refusal("context")
        monkeypatch.setattr("tui.change.workload_actions.WorkloadActions.applying", True)
        assert "a change is on its way" in stage.app.refusal("context")


async def test_rights_that_take_long_to_learn_are_asked_for_once(play: Play, night: Any) -> None:
    begun: list[Future[Any]] = []

    def ask(_: object) -> Future[Any]:
        begun.append(Future())
        return begun[-1]

    async def push(stage: Stage, questions: int) -> None:
        await stage.push()
        await stage.until(lambda: len(begun) >= questions, "the questions")
        await stage.pilot.pause(0.05)
        assert len(begun) == questions

    async with play(night) as stage:
        acting = stage.app._acting
        assert acting is not None
        acting.forget()
        acting._ask = ask
        await push(stage, 1)
        place = acting.row and acting.row.namespace
        while acting.row and acting.row.namespace == place:
            await stage.press("down")
        for _ in range(3):
            await push(stage, 2)
        assert begun[0].cancelled()
        assert not begun[1].cancelled()


async def test_without_an_answer_the_cause_is_said(play: Play, night: Any) -> None:
    async with play(night) as stage:
        await stage.press("i")
        await stage.shows("the cluster is made by hand")
        assert isinstance(stage.app.screen, Overview)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """A cluster that answers what is asked for a change only after this was set."""
    answers = Event()
    read = workload_state.read_workload

    async def wait(*args: Any) -> Any:
        await asyncio.to_thread(answers.wait)
        return await read(*args)

    monkeypatch.setattr(workload_state, "read_workload", wait)
    yield answers
    answers.set()


async def test_what_is_typed_for_a_form_before_a_slow_cluster_answers_stands_in_it(
    opened: Open, untouched: Cluster, slow: Event
) -> None:
    async with opened(untouched) as stage:
        for key in "iv2.1.0-q":
            stage.app.post_message(Key(key, key))
        await stage.shows("Asking the cluster about Deployment/user-service", "typed: v2.1.0-q")
        slow.set()
        await stage.shows("user-service:v2.1.0-q")
        assert isinstance(stage.app.screen, FormDialog)
        assert stage.app.screen.values == {"image": "user-service:v2.1.0-q"}
        await stage.type("1")
        assert stage.app.screen.values == {"image": "user-service:v2.1.0-q1"}
        await stage.press("escape")
    assert stage.app.return_code is None, "q was part of the tag"


async def test_escape_stops_waiting_for_a_slow_cluster(opened: Open, untouched: Cluster, slow: Event) -> None:
    async with opened(untouched) as stage:
        await stage.press("M")
        await stage.shows("Asking the cluster")
        await stage.press("escape")
        assert isinstance(stage.app.screen, Overview)
        slow.set()
        await stage.press("j", "k")
        assert isinstance(stage.app.screen, Overview)
