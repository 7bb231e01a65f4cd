"""The overview: what it shows of a frame, and the keys that belong to none of its parts."""

from __future__ import annotations

import re

import pytest

from memtop.observe.view import OverviewPane, SourceCondition
from tests.tui.cluster import BY_MEMORY, GI, MI, FakeCluster
from tests.tui.conftest import Play
from tui.overview.screen import Overview
from tui.pod.screen import PodScreen


class TestWhatItShows:
    async def test_each_pane_has_its_own_rows_and_order(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            assert stage.rows(OverviewPane.TOP) == BY_MEMORY
            assert stage.rows(OverviewPane.RESTARTS)[-1] == "report-crash-77"
            assert set(stage.rows(OverviewPane.GROWTH)) == {BY_MEMORY[0], BY_MEMORY[1], "search-0"}
            assert stage.rows(OverviewPane.GROWTH)[-1] == "search-0", (
                "what is only suspected comes after what is sure"
            )

    async def test_a_row_says_how_near_the_limit_is(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            line = stage.line("bx2kq", "GiB")
            assert all(words in line for words in ("1.85 GiB", "2 GiB", "92 %", "+512 MiB/h", "18 m", "leak"))
            assert "none" in stage.line("scratch", "90 MiB")

    async def test_a_restart_says_why_and_when(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("tab", "z")
            assert all(words in stage.line("ax2kq") for words in ("OOMKilled", "137", "4 min ago", "Running"))
            assert all(words in stage.line("report") for words in ("Error (1)", "CrashLoopBackOff", "12"))

    async def test_the_header_counts_what_needs_attention(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            for words in ("prod-eu-1", "7 pods", "2 leaking", "1 suspected", "2 OOM-killed in 1 h", "03:26"):
                assert words in stage.header

    async def test_an_empty_cluster_is_not_an_error(self, play: Play, cluster: FakeCluster) -> None:
        async with play(cluster) as stage:
            assert "No container in sight" in stage.text
            assert "Nothing has restarted" in stage.text

    async def test_a_source_that_fails_is_named_and_the_rows_stay(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(180, 50)) as stage:
            night.wait(300)
            night.source("metrics", state=SourceCondition.STALE, words="no answer")
            await stage.push()
            assert "metrics no answer" in stage.header
            assert "5 min ago" in stage.header
            assert stage.rows() == BY_MEMORY

    async def test_read_only_is_never_overlooked(self, play: Play, night: FakeCluster) -> None:
        async with play(night, safety={"read_only": True}) as stage:
            assert "read-only" in stage.header

    async def test_names_are_never_interpreted(self, play: Play, cluster: FakeCluster) -> None:
        cluster.pod("[bold red]x[/]", 5 * MI, 9 * MI, namespace="a[b]", labels={"[link]": "\x1b[31m"})
        cluster.pod("y\x1b]0;owned\x07\x1b[2Jz", 4 * MI, 9 * MI, waiting="[blink]\x1b[7m")
        cluster.sample()
        async with play(cluster, size=(180, 50)) as stage:
            assert "[bold red]x[/]" in stage.text
            assert "\x1b" not in stage.text
            assert "\x07" not in stage.text
            await stage.press("home", "enter")
            assert "[bold red]x[/]" in stage.text


class TestPanes:
    async def test_tab_goes_round(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            focused = []
            for key in ("tab", "tab", "tab", "shift+tab"):
                await stage.press(key)
                focused.append(next(p for p, table in stage.app.overview.tables.items() if table.has_focus))
            assert focused == [
                OverviewPane.RESTARTS,
                OverviewPane.GROWTH,
                OverviewPane.TOP,
                OverviewPane.GROWTH,
            ]

    async def test_a_small_screen_shows_one_pane_at_a_time(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(80, 24)) as stage:
            assert "Top memory │ Restarts │ Growth" in stage.text
            assert "scratch" in stage.text
            await stage.press("tab")
            assert "scratch" not in stage.text
            assert "OOMKilled" in stage.text

    async def test_zoom_shows_the_active_pane_alone(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("tab", "z")
            assert "VERDICT" not in stage.text
            await stage.press("escape")
            assert "VERDICT" in stage.text

    async def test_any_size_will_do(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(300, 80)) as stage:
            for width, height in ((80, 24), (60, 20), (20, 6), (300, 80), (99, 60), (100, 29), (120, 36)):
                await stage.resize(width, height)
                assert len(stage.lines) == height
                assert max(map(len, stage.lines)) <= width
                await stage.press("tab")
            assert stage.rows() == BY_MEMORY
            assert "1.85 GiB" in stage.text


class TestWorkloads:
    async def test_a_row_adds_its_pods_up(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("w")
            assert stage.rows()[:2] == ["deployment/user-service", "deployment/billing"]
            assert "3.4 GiB" in stage.line("deployment/user-service", "GiB")
            assert "92 %" in stage.line("deployment/user-service", "GiB"), "its worst pod's"
            assert "WORST%" in stage.line("WORKLOAD", "MEMORY"), "which its title says"
            await stage.press("w")
            assert stage.rows() == BY_MEMORY


class TestNamespaces:
    @pytest.mark.parametrize("size", [(120, 36), (80, 24)])
    @pytest.mark.parametrize("key", ["z", "w"])
    async def test_the_same_name_in_two_namespaces_is_told_apart(
        self, play: Play, cluster: FakeCluster, size: tuple[int, int], key: str
    ) -> None:
        for namespace in ("production", "staging"):
            name = f"user-service-7f86b968-{namespace[:2]}2kq"
            cluster.pod(name, 500 * MI, 600 * MI, namespace=namespace, deployment="user-service")
        cluster.pod("billing-1", 400 * MI, 600 * MI, deployment="billing")
        cluster.sample()
        async with play(cluster, size=size) as stage:
            await stage.press(key)
            if "NAMESPACE" not in stage.text:
                for start in ("pro", "sta"):
                    assert re.search(rf"\b{start}\w*…?/user-service", stage.text), "the name stays whole"
            else:
                assert size == (120, 36)


class TestFreezing:
    async def test_the_tables_stand_still_and_the_clock_does_not(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night) as stage:
            await stage.press("space")
            assert "frozen" in stage.header
            night.pod("newcomer", 3 * GI, 4 * GI)
            night.wait(120)
            night.sample()
            await stage.push()
            assert stage.rows() == BY_MEMORY
            assert "03:28" in stage.header
            await stage.press("space")
            assert stage.rows()[0] == "newcomer"
            assert "frozen" not in stage.header


class TestOtherKeys:
    async def test_help_lists_the_keys_and_closes(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("question_mark")
            for words in ("Keys of the overview", "freeze the tables", "ctrl+p"):
                assert words in stage.text
            await stage.press("escape")
            assert "Keys of the overview" not in stage.text

    async def test_the_palette_does_what_a_key_does(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("ctrl+p")
            await stage.type("workloads")
            await stage.shows("Key w")
            await stage.press("enter")
            await stage.until(lambda: stage.engine.view.workloads, "workloads")

    @pytest.mark.parametrize("size", [(120, 4), (20, 4), (120, 1), (1, 1)], ids=str)
    async def test_the_palette_in_a_window_of_a_few_lines(
        self, play: Play, night: FakeCluster, size: tuple[int, int]
    ) -> None:
        async with play(night, size=size) as stage:
            await stage.press("ctrl+p")
            await stage.type("workloads")
            await stage.press("down", "pagedown", "pageup", "end", "home", "escape", "escape")
            await stage.until(lambda: stage.app.screen is stage.app.overview, "the palette to be closed")
            await stage.resize(120, 36)
            await stage.press("w")
            await stage.until(lambda: stage.engine.view.workloads, "workloads")

    async def test_the_pace_of_the_metrics(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("plus", "minus", "minus")
            assert stage.engine.intervals == [30.0, 15.0, 10.0]
            await stage.shows("every 10 s")

    async def test_frames_that_come_while_it_ends_are_no_matter(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            stage.app.exit(3)
            for _ in range(20):
                stage.engine.push()
        assert stage.app.return_value == 3

    @pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
    async def test_leaving_stops_the_engine(self, play: Play, night: FakeCluster, key: str) -> None:
        async with play(night) as stage:
            await stage.press(key)
        assert not stage.engine.running
        assert stage.app.return_code == 0

    async def test_a_mistake_of_memtops_own_ends_it_with_words(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            stage.engine.on_crash(ZeroDivisionError("a mistake"))
            await stage.until(lambda: not stage.app.is_running or stage.app.return_code == 1, "the end")
        assert stage.app.return_code == 1


@pytest.mark.parametrize(
    ("key", "tab"),
    [
        ("d", "DescribeTab"),
        ("e", "EventsTab"),
        ("t", "TrendTab"),
        ("B", "MemoryTab"),
    ],
)
async def test_a_key_of_the_pod_works_from_its_row(
    play: Play, night: FakeCluster, key: str, tab: str
) -> None:
    async with play(night) as stage:
        await stage.press("j")
        row = stage.selected
        await stage.press(key)
        await stage.until(lambda: isinstance(stage.app.screen, PodScreen), "the pod")
        await stage.until(lambda: stage.app.screen.query(tab).first().has_focus_within, "its tab")
        assert row in stage.text
        await stage.press("escape")
        assert isinstance(stage.app.screen, Overview)


@pytest.mark.parametrize(("key", "words"), [("h", "No heap can be captured"), ("x", "handed over")])
async def test_a_container_is_entered_from_its_row(
    play: Play, night: FakeCluster, key: str, words: str
) -> None:
    async with play(night) as stage:
        await stage.press(key)
        await stage.shows(words)
        assert isinstance(stage.app.screen, PodScreen)
