"""The overview: what it shows of a frame, and what its keys and the mouse do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.style import Style

from memtop.observe.identity import Key
from memtop.observe.status import SourceStatus, State
from memtop.observe.view import Column, Pane, Sort
from tests.tui.cluster import GI, MI, Ended, FakeCluster
from tests.tui.conftest import Engines, Play
from tests.tui.stage import Stage
from tui import preferences
from tui.overview import screen, selection
from tui.overview.columns import columns

BY_MEMORY = [
    "user-service-7f86b968-bx2kq",
    "user-service-7f86b968-ax2kq",
    "billing-5d9c7f-kk2p9",
    "search-0",
    "order-6b5f-2x9qq/order",
    "order-6b5f-2x9qq/log-agent",
    "scratch",
    "report-crash-77",
]


class TestWhatItShows:
    async def test_each_pane_has_its_own_rows_and_order(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            assert stage.rows(Pane.TOP) == BY_MEMORY
            assert stage.rows(Pane.RESTARTS)[-1] == "report-crash-77"
            assert set(stage.rows(Pane.GROWTH)) == {BY_MEMORY[0], BY_MEMORY[1], "search-0"}
            assert stage.rows(Pane.GROWTH)[-1] == "search-0", (
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
            night.source("metrics", state=State.STALE, words="no answer")
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
            await stage.press("enter")
            assert "[bold red]x[/]" in stage.text


class TestPanes:
    async def test_tab_goes_round(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            focused = []
            for key in ("tab", "tab", "tab", "shift+tab"):
                await stage.press(key)
                focused.append(next(p for p, table in stage.app.overview.tables.items() if table.has_focus))
            assert focused == [Pane.RESTARTS, Pane.GROWTH, Pane.TOP, Pane.GROWTH]

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


class TestSorting:
    async def test_the_next_column_and_back(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("s")
            assert stage.engine.view.sorts[Pane.TOP] == Sort(Column.LIMIT)
            assert stage.rows()[0] == "billing-5d9c7f-kk2p9"
            await stage.press("S")
            assert stage.engine.view.sorts[Pane.TOP] == Sort(Column.LIMIT, descending=False)
            assert stage.rows()[-2] == "billing-5d9c7f-kk2p9"
            assert stage.rows()[-1] == "scratch", "what has no limit comes last either way"

    async def test_every_column_can_be_sorted_by(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            for pane in Pane:
                seen: list[Column] = []
                while (column := stage.engine.view.sorts[pane].column) not in seen:
                    seen.append(column)
                    assert len(stage.rows(pane)) > 0
                    await stage.press("s")
                assert len(seen) > 4
                await stage.press("tab")

    async def test_the_order_is_remembered(self, play: Play, night: FakeCluster, engines: Engines) -> None:
        async with play(night) as stage:
            await stage.press("s", "S")
            chosen = stage.engine.view.sorts
        async with play(night) as stage:
            assert stage.engine.view.sorts == chosen
            assert len(engines) == 2

    def test_what_is_tried_in_the_demo_stays_there(self) -> None:
        assert preferences.path(demo=True) != preferences.path()

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"sorts": {"top": ["nonsense", true]}}', "\0"])
    async def test_a_broken_memory_is_forgotten(self, play: Play, night: FakeCluster, content: str) -> None:
        file = preferences.path()
        file.parent.mkdir(parents=True)
        file.write_text(content)
        async with play(night) as stage:
            assert stage.rows() == BY_MEMORY
            await stage.press("s")
        assert json.loads(file.read_text())["sorts"]["top"] == ["limit", True]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    async def test_a_state_folder_that_cannot_be_written_costs_nothing_else(
        self, play: Play, night: FakeCluster, tmp_path: Path
    ) -> None:
        (tmp_path / "state").mkdir(mode=0o500)
        async with play(night) as stage:
            await stage.press("s")
            assert stage.engine.view.sorts[Pane.TOP] == Sort(Column.LIMIT)


class TestFilter:
    async def test_where_nothing_matches_nothing_is_drawn_or_opened(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(120, 40)) as stage:
            plot = stage.app.overview.plot
            await stage.until(lambda: plot.trend is not None, "the first row's graph")
            await stage.press("slash")
            await stage.paste("nobody")
            await stage.press("enter")
            await stage.until(lambda: plot.trend is None, "an empty plot")
            await stage.press("enter")
            await stage.until(lambda: len(stage.app._notifications), "a word")
            assert [note.message for note in stage.app._notifications] == ["Nothing matches /nobody"]
            await stage.press("escape")
            await stage.until(lambda: plot.trend is not None, "the first row's graph again")

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("user", {"user-service-7f86b968-ax2kq", "user-service-7f86b968-bx2kq"}),
            ("user bx", {"user-service-7f86b968-bx2kq"}),
            ("!user !order !batch", {"billing-5d9c7f-kk2p9", "search-0"}),
            ("app=search", {"search-0"}),
            ("!tier=backend log-agent", {"order-6b5f-2x9qq/log-agent"}),
            ("CrashLoop", {"report-crash-77"}),
            ("deployment/billing", {"billing-5d9c7f-kk2p9"}),
        ],
    )
    async def test_it_holds_as_soon_as_it_is_there(
        self, play: Play, night: FakeCluster, text: str, left: set[str]
    ) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.paste(text)
            assert set(stage.rows()) == left
            await stage.press("enter")
            assert set(stage.rows()) == left
            assert text[:5] in stage.header
            await stage.press("escape")
            assert stage.rows() == BY_MEMORY

    async def test_keys_are_text_while_it_is_open(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.type("q n?")
            assert stage.app.is_running
            assert stage.engine.view.filter.text == "q n?"
            assert "Nothing matches /q n?" in stage.text

    async def test_markup_in_a_filter_is_text(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("slash")
            await stage.type("[red]x[/")
            assert "Nothing matches /[red]x[/" in stage.text


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
            await stage.press("escape")
            assert stage.rows() == BY_MEMORY


class TestContexts:
    async def test_another_cluster_takes_the_place(
        self, play: Play, night: FakeCluster, engines: Engines, kubeconfig: Callable[..., None]
    ) -> None:
        other = FakeCluster("staging")
        other.pod("elsewhere", 5 * MI, 9 * MI)
        other.sample()
        kubeconfig("prod-eu-1", "staging")
        async with play(night, other) as stage:
            await stage.press("c")
            await stage.shows("staging")
            await stage.type("stag")
            await stage.press("enter")
            await stage.until(lambda: stage.rows() == ["elsewhere"], "the other cluster's pod")
            assert "staging" in stage.header
            assert [engine.running for engine in engines] == [False, True]

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


class TestSelection:
    async def test_it_stays_on_its_pod_when_rows_move(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("down", "down", "down")
            assert stage.selected == "search-0"
            night.pod("newcomer", 3 * GI, 4 * GI)
            night.gone("billing-5d9c7f-kk2p9")
            night.wait(60)
            night.sample()
            await stage.push()
            assert stage.rows()[0] == "newcomer"
            assert stage.selected == "search-0"

    async def test_it_is_drawn_large(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("down")
            second = Key("user-service-7f86b968-ax2kq", "app")
            await stage.until(lambda: stage.engine.view.selected == second, "the second row to be asked for")
            await stage.shows("floor rises 512 MiB/h (±32)", "across 3 OOM kills", "✖ OOM kill")

    async def test_a_moving_cursor_does_not_ask_at_every_row(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press(*["down"] * 7)
            last = Key("report-crash-77", "app")
            await stage.until(lambda: stage.engine.view.selected == last, "the last row to be asked for")
            assert len([view for view in stage.engine.views if view.selected]) < 7

    async def test_the_selected_pod_may_go(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("end")
            assert stage.selected == "report-crash-77"
            night.gone("report-crash-77")
            await stage.push()
            assert stage.selected == "scratch"

    async def test_what_was_drawn_large_stays_selected_when_rows_move(
        self, play: Play, night: FakeCluster
    ) -> None:
        async with play(night, size=(180, 50)) as stage:
            await stage.press("tab")
            first = stage.rows(Pane.RESTARTS)[0]
            plot = stage.app.overview.plot
            await stage.until(lambda: plot.trend and first in plot.trend.title, "its graph")
            await reorder(stage, night)
            assert stage.rows(Pane.RESTARTS)[0] == "noisy"
            assert stage.selected == first

    async def test_a_filter_keeps_its_row_and_so_does_clearing_it(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)  # nothing is drawn large meanwhile
        async with play(night) as stage:
            await stage.press("tab", "slash")
            await stage.paste("user")
            await stage.press("enter")
            chosen = stage.selected
            await reorder(stage, night, "user-service-new")
            assert stage.rows(Pane.RESTARTS)[0] == "user-service-new"
            assert stage.selected == chosen
            await stage.press("escape")
            assert len(stage.rows(Pane.RESTARTS)) > 2
            assert stage.selected == chosen

    async def test_a_filter_without_the_row_selects_its_first(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.press("end", "slash")
            await stage.paste("user")
            assert stage.selected == stage.rows()[0]

    async def test_a_key_never_means_a_row_that_slid_beneath_the_cursor_just_now(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)
        async with play(night) as stage:
            await stage.press("tab")
            seen = stage.selected
            await reorder(stage, night)
            assert stage.selected == "noisy", "the cursor rests on the first row"
            row = stage.app.overview.row
            assert row is not None
            assert row.title == seen
            monkeypatch.setattr(selection, "MOMENT", 0.0)
            row = stage.app.overview.row
            assert row is not None
            assert row.title == "noisy", "by then it has been seen"

    async def test_what_a_key_opened_is_still_selected_when_one_comes_back(
        self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "SELECTION_SECONDS", 60.0)
        async with play(night) as stage:
            await stage.press("tab")
            seen = stage.selected
            await stage.press("enter")
            await reorder(stage, night)
            await stage.press("escape")
            await stage.until(lambda: stage.rows(Pane.RESTARTS)[0] == "noisy", "the newest rows")
            assert stage.selected == seen


class TestNamesakes:
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
                for initial in "ps":
                    assert re.search(rf"\b{initial}\w*…?/user-service", stage.text), "the name stays whole"
                assert not re.search(r"(?<!deployment)/billing", stage.text), "this name is there once only"
            else:
                assert size == (120, 36)


class TestKeyBar:
    @pytest.mark.parametrize("size", [(120, 36), (80, 24)])
    async def test_the_keys_of_an_incident_are_in_sight(
        self, play: Play, night: FakeCluster, size: tuple[int, int]
    ) -> None:
        async with play(night, size=size) as stage:
            for words in ("i Image", "M Limit", "R Restart", "u Undo", "o Rollout", "b Did it help?"):
                assert words in stage.lines[-1]


class TestTitles:
    @pytest.mark.parametrize("workloads", [False, True])
    def test_each_has_room_for_the_arrow_of_a_sorted_column(self, workloads: bool) -> None:
        for pane in Pane:
            for column in columns(pane, workloads):
                assert not column.sortable or len(column.title) < column.width, column.title


async def reorder(stage: Stage, night: FakeCluster, name: str = "noisy") -> None:
    """Another pod comes to the top of every pane."""
    night.pod(name, 3 * GI, 4 * GI, restarts=40, ended=Ended("OOMKilled", 137, 30))
    night.wait(60)
    night.sample()
    await stage.push()


class TestMouse:
    async def test_a_row_a_title_and_a_pane(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            await stage.click("billing-5d9c7f")
            assert stage.selected == "billing-5d9c7f-kk2p9"
            await stage.click("%LIMIT")
            assert stage.engine.view.sorts[Pane.TOP] == Sort(Column.SHARE)
            assert stage.selected == "billing-5d9c7f-kk2p9"
            await stage.click("✖ OOMKilled")
            assert stage.app.overview.tables[Pane.RESTARTS].has_focus

    async def test_a_tab(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(80, 24)) as stage:
            await stage.click("Growth")
            assert stage.app.overview.tables[Pane.GROWTH].has_focus
            assert "leak" in stage.line("ax2kq")


class TestTrouble:
    async def test_a_server_that_does_not_answer(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source("pods", state=State.FAILING, words="connection refused", data_at=None)
        async with play(cluster) as stage:
            assert "No connection to prod-eu-1" in stage.text
            assert "connection refused" in stage.text
            await stage.press("r")
            assert stage.engine.retries == 1
            cluster.source("pods", state=State.LIVE, words="", data_at=cluster.clock.time)
            cluster.pod("back", 5 * MI, 9 * MI)
            await stage.push()
            assert "No connection" not in stage.text
            assert "back" in stage.text

    async def test_what_a_credential_plugin_said(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source(
            "pods",
            state=State.FAILING,
            words="the plugin failed",
            output="[b]log in[/b] first\nsecond line",
            data_at=None,
        )
        async with play(cluster) as stage:
            for words in ("The credential plugin said", "[b]log in[/b] first", "second line"):
                assert words in stage.text

    async def test_a_right_that_is_missing(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source("pods", state=State.FORBIDDEN, words='User "x" cannot list pods', data_at=None)
        async with play(cluster) as stage:
            assert "forbidden" in stage.text
            assert 'User "x" cannot list pods' in stage.text
            await stage.press("n")
            await stage.shows("all namespaces")

    async def test_a_right_that_matters_less_is_one_word(self, play: Play, night: FakeCluster) -> None:
        words = 'User "x" cannot list nodes'
        night.sources.append(SourceStatus("nodes", State.FORBIDDEN, words, night.sources[0].data_at))
        async with play(night) as stage:
            assert "nodes forbidden" in stage.text
            assert words not in stage.text

    async def test_it_fits_a_small_screen(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source("pods", state=State.FAILING, words="no route to host " * 9, data_at=None)
        async with play(cluster, size=(60, 20)) as stage:
            assert "No connection to prod-eu-1" in stage.text
            assert "Quit" in stage.lines[-1] or "quit" in stage.text


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


class TestLook:
    async def test_ascii_only(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(180, 50), ui={"symbols": "ascii"}) as stage:
            await stage.press("down")
            await stage.shows("floor rises")
            drawn = {character for character in stage.text if "\u2500" <= character <= "\u28ff"}
            assert not drawn, "no boxes, blocks or braille"

    async def test_no_colour(self, play: Play, night: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        async with play(night, size=(180, 50)) as stage:
            await stage.press("down")
            coloured = [
                segment.text
                for strip in stage.app.screen._compositor.render_strips()
                for segment in stage.app._filters[-1].apply(list(strip), stage.app.screen.styles.background)
                if _colourful(segment.style)
            ]
            assert not coloured
            assert "!! 2 leaking" in stage.header, "a sign says what the colour said"
            assert "✖ OOMKilled" in stage.text

    async def test_every_theme_works(self, play: Play, night: FakeCluster) -> None:
        async with play(night) as stage:
            for theme in sorted(stage.app.available_themes):
                stage.app.theme = theme
                await stage.pilot.pause()
                assert "1.85 GiB" in stage.text


def _colourful(style: Style | None) -> bool:
    colours = (style.color, style.bgcolor) if style else ()
    return any(len(set(colour.get_truecolor())) > 1 for colour in colours if colour and not colour.is_default)


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
