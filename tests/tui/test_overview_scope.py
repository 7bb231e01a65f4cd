"""Another namespace or another cluster in the overview."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.cluster import BY_MEMORY, MI, FakeCluster
from tests.tui.conftest import Engines, Play
from tests.tui.stage import Stage


@pytest.fixture
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """``kubeconfig("prod", "staging")``: a kubeconfig with these contexts, the first of them current."""

    def make(*names: str) -> None:
        content = {
            "current-context": names[0],
            "clusters": [{"name": name, "cluster": {"server": "https://10.0.0.1"}} for name in names],
            "users": [{"name": "tester", "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "tester"}} for name in names],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))

    return make


class TestNamespaces:
    async def test_one_is_chosen_by_typing_part_of_it(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("n")
            await stage.shows("production", "batch")
            await stage.type("sear")
            await stage.press("enter")
            assert stage.rows() == ["search-0"]
            assert "▸ search" in stage.header
            assert "1 pods" in stage.header.replace("pod ", "pods ")

    async def test_escape_changes_nothing(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("n")
            await stage.shows("batch")
            assert max(line.count("all namespaces") for line in stage.lines) == 1
            await stage.press("escape")
            assert stage.rows() == BY_MEMORY


def staging() -> FakeCluster:
    """Another cluster, with one pod."""
    other = FakeCluster("staging")
    other.pod("elsewhere", 5 * MI, 9 * MI)
    other.sample()
    return other


async def change_context(stage: Stage) -> None:
    """Chooses the context of the other cluster and waits for its pod."""
    await stage.press("c")
    await stage.shows("staging")
    await stage.type("stag")
    await stage.press("enter")
    await stage.until(lambda: stage.rows() == ["elsewhere"], "the other cluster's pod")


class TestContexts:
    async def test_another_cluster_takes_the_place(
        self, play: Play, night: FakeCluster, engines: Engines, kubeconfig: Callable[..., None]
    ) -> None:
        kubeconfig("prod-eu-1", "staging")
        async with play(night, staging()) as stage:
            await change_context(stage)
            assert "staging" in stage.header
            assert [engine.running for engine in engines] == [False, True]
            assert engines[-1].intervals == []  # the settings' own

    async def test_the_interval_that_was_chosen_stays(
        self, play: Play, night: FakeCluster, engines: Engines, kubeconfig: Callable[..., None]
    ) -> None:
        kubeconfig("prod-eu-1", "staging")
        async with play(night, staging()) as stage:
            await stage.press("plus")
            await change_context(stage)
            assert [engine.intervals for engine in engines] == [[30.0], [30.0]]

    @pytest.mark.parametrize(
        ("content", "words"),
        [(None, "No kubeconfig names another context"), ("{", "kubeconfig")],
        ids=["gone", "broken"],
    )
    async def test_a_kubeconfig_that_went_wrong_changes_nothing(
        self,
        play: Play,
        night: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        content: str | None,
        words: str,
    ) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        if content is not None:
            (tmp_path / "kubeconfig").write_text(content)
        async with play(night) as stage:
            await stage.press("c")
            await stage.shows(words)
            assert stage.engine.running
            assert stage.rows() == BY_MEMORY
