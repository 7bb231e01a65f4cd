"""What the overview says where the cluster does not answer, or not all of it."""

from __future__ import annotations

from dataclasses import replace

from memtop.observe.view import SourceCondition, SourceStatus
from tests.tui.cluster import MI, FakeCluster
from tests.tui.conftest import Play


class TestTrouble:
    async def test_a_server_that_does_not_answer(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source("pods", state=SourceCondition.FAILING, words="connection refused", data_at=None)
        async with play(cluster) as stage:
            assert "No connection to prod-eu-1" in stage.text
            assert "connection refused" in stage.text
            await stage.press("r")
            assert stage.engine.retries == 1
            cluster.source("pods", state=SourceCondition.LIVE, words="", data_at=cluster.clock.time)
            cluster.pod("back", 5 * MI, 9 * MI)
            await stage.push()
            assert "No connection" not in stage.text
            assert "back" in stage.text

    async def test_what_a_credential_plugin_said(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source(
            "pods",
            state=SourceCondition.FAILING,
            words="the plugin failed",
            output="[b]log in[/b] first\nsecond line",
            data_at=None,
        )
        async with play(cluster) as stage:
            for words in ("The credential plugin said", "[b]log in[/b] first", "second line"):
                assert words in stage.text

    async def test_a_right_that_is_missing(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source(
            "pods", state=SourceCondition.FORBIDDEN, words='User "x" cannot list pods', data_at=None
        )
        async with play(cluster) as stage:
            assert "forbidden" in stage.text
            assert 'User "x" cannot list pods' in stage.text
            await stage.press("n")
            await stage.shows("all namespaces")

    async def test_a_right_that_matters_less_is_one_word(self, play: Play, night: FakeCluster) -> None:
        words = 'User "x" cannot list nodes'
        night.sources.append(
            SourceStatus("nodes", SourceCondition.FORBIDDEN, words, night.sources[0].data_at)
        )
        async with play(night) as stage:
            assert "nodes forbidden" in stage.text
            assert words not in stage.text

    async def test_nothing_is_counted_before_pods_are_listed(self, play: Play, cluster: FakeCluster) -> None:
        now = cluster.clock.time
        cluster.source("pods", state=SourceCondition.CONNECTING, data_at=None)
        async with play(cluster) as stage:
            for words in ("– pods", "– OOM-killed in 1 h", "– containers"):
                assert words in stage.text
            cluster.source("pods", state=SourceCondition.LIVE, data_at=now)
            await stage.push()
            for words in ("0 pods", "0 OOM-killed in 1 h", "0 containers"):
                assert words in stage.text

    async def test_nothing_is_said_of_leaks_before_prometheus_has_answered(
        self, play: Play, cluster: FakeCluster
    ) -> None:
        cluster.pod("web-1", 5 * MI, 9 * MI)
        now = cluster.clock.time
        cluster.sources.append(SourceStatus("prometheus", SourceCondition.CONNECTING))
        cluster.past_sources = replace(cluster.past_sources, settled=False)
        async with play(cluster) as stage:
            assert "– leaking" in stage.text
            assert "Asking Prometheus …" in stage.text
            cluster.past_sources = replace(cluster.past_sources, settled=True)
            cluster.source("prometheus", state=SourceCondition.LIVE, data_at=now)
            await stage.push()
            assert "Asking Prometheus" not in stage.text
            assert "0 leaking" in stage.text
            assert "Nothing is growing" in stage.text

    async def test_it_fits_a_small_screen(self, play: Play, cluster: FakeCluster) -> None:
        cluster.source("pods", state=SourceCondition.FAILING, words="no route to host " * 9, data_at=None)
        async with play(cluster, size=(60, 20)) as stage:
            assert "No connection to prod-eu-1" in stage.text
            assert "Quit" in stage.lines[-1] or "quit" in stage.text


class TestAServerThatGoesAway:
    async def test_one_banner_says_so_and_the_tables_are_dimmed(self, play: Play, night: FakeCluster) -> None:
        async with play(night, size=(140, 40)) as stage:
            assert not stage.app.overview.has_class("-gone")
            before = stage.text
            for name in [status.name for status in night.sources]:
                night.source(name, state=SourceCondition.STALE, words="connection refused")
            await stage.push()
            await stage.shows("No answer from prod-eu-1: what is shown is of")
            assert stage.text.count("connection refused") == 1
            assert stage.app.overview.has_class("-gone")
            assert "billing-5d9c7f-kk2p9" in before
            assert "billing-5d9c7f-kk2p9" in stage.text, "what was known stays"
            for name in [status.name for status in night.sources]:
                night.source(name, state=SourceCondition.LIVE, words="", data_at=night.clock.time)
            await stage.push()
            await stage.until(lambda: not stage.app.overview.has_class("-gone"), "it is back")
            assert "No answer from" not in stage.text


async def test_a_page_whose_pod_was_replaced_offers_its_successor(play: Play, cluster: FakeCluster) -> None:
    cluster.pod("db-0", 5 * MI, 9 * MI, deployment="db")
    cluster.pod("db-1", 4 * MI, 9 * MI, deployment="db")
    cluster.sample()
    async with play(cluster, size=(140, 40)) as stage:
        await stage.press("down", "enter")
        await stage.until(lambda: stage.app.screen is not stage.app.overview, "the page")
        await stage.push()
        cluster.gone("db-1")
        await stage.push()
        await stage.shows("db-1 is gone; what is shown is the last that was seen")
        assert "successor" not in stage.text
        await stage.press("S")
        await stage.shows("db-1 has no successor, as far as is known")
        cluster.pod("db-2", 5 * MI, 9 * MI, deployment="db")
        cluster.sample()
        await stage.push()
        await stage.shows("its successor is db-2: S opens it")
        await stage.press("S")
        await stage.until(lambda: stage.engine.view.selected.uid == "db-2", "the successor's page")
