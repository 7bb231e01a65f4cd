"""Frames: which rows, in what order, with what figures, under every view."""

from types import SimpleNamespace

import numpy as np
import pytest

from memtop.analysis.judgement import VERDICT_CODES, Judgement, Verdict
from memtop.commands.frame_output import as_table
from memtop.history.past_series import ContainerName, KernelFigures
from memtop.kube.pod_facts import StateSeverity, Workload
from memtop.observe.frame import WorkloadKey
from memtop.observe.frame_rows import time_to_limit_words
from memtop.observe.row_order import stable_argsort
from memtop.observe.slots import ContainerKey
from memtop.observe.view import DEFAULT_SORTS, OverviewPane, RowFilter, RowSort, SortColumn, View
from memtop.observe.watchlist import HistorySettings

MI = 2**20
HOUR = 3600.0


@pytest.fixture
async def shop(stage, world):
    """Four pods: big, small, one that is down, and an init container."""
    pod, container = world.pod, world.container
    end, done = world.ended(-600), world.ended(-900, "Completed", 0)
    stage.put(
        pod("small", container(limit="100Mi"), labels={"app": "tiny"}, node="node-2"),
        pod(
            "big",
            container(limit="1Gi"),
            init=[container("setup", state=done)],
        ),
        pod("down", container(state={"waiting": {"reason": "CrashLoopBackOff"}}, last=end, restarts=4)),
        pod("far", container(limit=None), namespace="other"),
    )
    stage.tick(
        world.sample("small", 0, app="80Mi"),
        world.sample("big", 0, app="300Mi"),
        world.sample("far", 0, "other", app="200Mi"),
    )
    return stage


class TestPanes:
    async def test_top_memory_goes_by_memory_and_leaves_init_containers_out(self, shop):
        assert shop.shown() == ["big", "far", "small", "down"]

    async def test_what_dies_keeps_its_place_until_it_holds_memory_again(self, shop, world):
        crashed = {"waiting": {"reason": "CrashLoopBackOff"}}
        again = world.container(limit=None, state=world.running(20), restarts=1)
        for state in (world.container(limit=None, state=crashed, restarts=1), again):
            shop.put(world.pod("far", state, namespace="other"))
            assert shop.shown() == ["big", "far", "small", "down"]
        shop.tick(world.sample("far", 30, "other", app="10Mi"), at=30)
        assert shop.shown() == ["big", "small", "far", "down"]

    async def test_what_is_done_does_not_keep_its_place(self, shop, world):
        done = world.container(limit=None, state=world.ended(10, "Completed", 0))
        shop.put(world.pod("far", done, namespace="other"))
        assert shop.shown()[:2] == ["big", "small"]

    async def test_restarts_show_what_ended_badly_or_cannot_run(self, shop, world):
        waiting = {"waiting": {"reason": "ImagePullBackOff"}}
        shop.put(
            world.pod("pull", world.container(state=waiting)),
            world.pod("once", world.container(restarts=1, last=world.ended(-50, "Error", 1)), created=-90),
            world.pod("fine", world.container(last=world.ended(-50, "Completed", 0))),
        )
        assert set(shop.shown(OverviewPane.RESTARTS)) == {"down", "once", "pull"}

    async def test_growth_shows_leaks_by_urgency_and_what_grows_otherwise(self, shop):
        shop.judged("small", rate=MI, seconds=60.0)
        shop.judged("big", rate=9 * MI, seconds=6 * HOUR)
        assert shop.shown(OverviewPane.GROWTH) == ["small", "big"]
        shop.judged("small", confidence=0.6)
        assert shop.shown(OverviewPane.GROWTH) == ["big", "small"]
        shop.judged("big", Verdict.STEADY, rate=0.0, seconds=np.nan)
        assert shop.shown(OverviewPane.GROWTH) == ["small"]

    async def test_growth_shows_what_dies_too_fast_to_be_seen_growing(self, shop):
        shop.judged("big", rate=MI)
        shop.judged("small", Verdict.OOM_LOOP, rate=np.nan)
        assert shop.shown(OverviewPane.GROWTH) == ["big", "small"]


class TestOrders:
    @pytest.mark.parametrize(
        ("column", "descending", "ascending"),
        [
            (SortColumn.MEMORY, "big far small down", "small far big down"),
            (SortColumn.LIMIT, "big down small far", "small down big far"),
            (SortColumn.SHARE, "small big down far", "big small down far"),
            (SortColumn.NAME, "small far down big", "big down far small"),
            (SortColumn.LAST_END, "down small big far", "down small big far"),
            (SortColumn.NODE, "small big down far", "big down far small"),
            (SortColumn.NAMESPACE, "small big down far", "far small big down"),
        ],
    )
    async def test_both_ways_and_the_unknown_last(self, shop, column, descending, ascending):
        for down, expected in ((True, descending), (False, ascending)):
            sorts = {pane: RowSort(column, down) for pane in OverviewPane}
            shown = shop.shown(sorts=sorts)
            assert shown == expected.split(), (column, down)

    @pytest.mark.parametrize("column", SortColumn)
    @pytest.mark.parametrize("workloads", [False, True])
    async def test_every_column_orders_every_row_once(self, shop, column, workloads):
        for descending in (True, False):
            sorts = {pane: RowSort(column, descending) for pane in OverviewPane}
            assert len(shop.shown(sorts=sorts, workloads=workloads)) == 4

    async def test_equal_rows_keep_their_places(self, stage, world):
        stage.put(*(world.pod(f"p{number}") for number in range(20)))
        stage.tick(*(world.sample(f"p{number}", 0, app="1Mi") for number in range(20)))
        before = stage.shown()
        stage.tick(*(world.sample(f"p{number}", 15, app="1Mi") for number in reversed(range(20))), at=15)
        assert stage.shown() == before

    async def test_names_that_come_later_are_sorted_too(self, shop, world):
        sorts = {pane: RowSort(SortColumn.NAME, descending=False) for pane in OverviewPane}
        shop.shown(sorts=sorts)
        shop.put(world.pod("alpha"))
        assert shop.shown(sorts=sorts)[0] == "alpha"


class TestViews:
    async def test_a_namespace(self, shop):
        assert shop.shown(namespaces=frozenset({"other"})) == ["far"]
        assert shop.shown(namespaces=frozenset({"nowhere"})) == []

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("small", ["small"]),
            ("node-1", ["big", "far", "down"]),
            ("!node-1", ["small"]),
            ("app=tiny", ["small"]),
            ("crashloop", ["down"]),
            ("shop !down", ["big", "small"]),
        ],
    )
    async def test_a_text_filter(self, shop, text, shown):
        assert shop.shown(filter=RowFilter(text)) == shown

    async def test_counts_are_of_the_namespaces_in_view_and_not_of_the_filter(self, shop):
        counts = shop.frame(filter=RowFilter("nothing at all")).counts
        assert (counts.pods, counts.containers) == (4, 5)
        assert shop.frame(namespaces=frozenset({"other"})).counts.pods == 1

    async def test_a_pod_that_is_gone_is_gone_from_the_frame(self, shop):
        shop.observer.store.remove_pod("uid-shop-big")
        assert "big" not in shop.shown()
        assert shop.frame().counts.pods == 3


class TestCounts:
    async def test_thresholds(self, shop):
        counts = shop.frame().counts
        assert (counts.near_limit, counts.over_critical) == (1, 0)

    async def test_without_a_single_sample_memory_counts_are_unknown(self, stage, world):
        stage.put(world.pod("a"))
        counts = stage.frame().counts
        assert (counts.near_limit, counts.over_critical, counts.growing, counts.suspected) == (None,) * 4
        assert counts.pods == 1

    async def test_oom_kills_and_evictions(self, stage, world):
        evicted = {"phase": "Failed", "reason": "Evicted"}
        stage.put(
            world.pod("killed", world.container(restarts=1, last=world.ended(-60))),
            world.pod("long-ago", world.container(restarts=1, last=world.ended(-9000))),
            world.pod("gone", world.container(), world.container("two"), status=evicted),
        )
        counts = stage.frame().counts
        assert (counts.oom_killed_last_hour, counts.evicted) == (1, 1)

    async def test_leaks_sure_and_suspected(self, shop):
        shop.judged("small", confidence=0.99)
        shop.judged("big", confidence=0.7)
        counts = shop.frame().counts
        assert (counts.growing, counts.suspected) == (1, 1)

    async def test_what_leaks_is_unknown_until_something_is_judged(self, stage, world):
        stage.put(world.pod("web-1"))
        stage.tick(world.sample("web-1", 0, app="64Mi"))
        counts = stage.frame().counts
        assert (counts.growing, counts.suspected) == (None, None)
        assert counts.near_limit == 0

    async def test_what_leaks_is_unknown_where_only_deaths_are_known(self, shop):
        shop.judged("small", Verdict.OOM_LOOP, rate=np.nan)
        counts = shop.frame().counts
        assert (counts.growing, counts.suspected) == (None, None)

    async def test_what_leaks_is_unknown_while_prometheus_is_asked(self, shop, monkeypatch):
        recollection = shop.observer.past_sources
        shop.judged("small", verdict=Verdict.STEADY)
        with monkeypatch.context() as patch:
            patch.setattr(recollection, "_history", HistorySettings(prometheus=object()))
            assert shop.frame().counts.growing is None
        assert shop.frame().counts.growing == 0
        with monkeypatch.context() as patch:  # what is asked again later is news, and not awaited
            patch.setattr(recollection, "_history", HistorySettings(prometheus=object()))
            assert shop.frame().counts.growing == 0

    async def test_pressure_is_unknown_where_nodes_are(self, stage):
        assert stage.frame().counts.nodes_under_pressure is None


class TestRows:
    async def test_a_share_needs_a_limit_and_a_sample(self, shop):
        rows, row = shop.row("small")
        assert rows.share[row] == pytest.approx(0.8)
        for name in ("far", "down"):
            rows, row = shop.row(name)
            assert np.isnan(rows.share[row])

    async def test_the_room_left_is_of_now_and_the_rate_is_the_verdicts(self, shop, world):
        shop.judged("small", rate=40 * MI, seconds=9999.0)
        rows, row = shop.row("small")
        assert rows.seconds_to_limit[row] == pytest.approx(HOUR / 2)
        shop.tick(world.sample("small", 15, app="90Mi"), at=15)
        rows, row = shop.row("small")
        assert rows.seconds_to_limit[row] == pytest.approx(HOUR / 4)

    async def test_no_forecast_where_the_verdict_sees_none(self, shop):
        shop.judged("small", Verdict.STEP, rate=40 * MI, seconds=np.nan)
        rows, row = shop.row("small")
        assert np.isnan(rows.seconds_to_limit[row])

    async def test_a_frame_does_not_change_when_the_store_does(self, shop, world):
        frame = shop.frame()
        slot = shop.observer.store.slot_named("shop", "small", "app")
        before = frame.rows.working_set[slot], frame.rows.states[slot], frame.rows.identities[slot]
        shop.tick(world.sample("small", 15, app="99Mi"), at=15)
        shop.put(world.pod("small", world.container(state=world.ended(16), restarts=1)))
        shop.observer.store.remove_pod("uid-shop-small")
        assert (frame.rows.working_set[slot], frame.rows.states[slot], frame.rows.identities[slot]) == before

    async def test_a_sparkline_is_of_its_container_alone(self, shop, world):
        rows, row = shop.row("small")
        assert np.nanmax(rows.sparkline[row]) == 80 * MI
        shop.observer.store.remove_pod("uid-shop-small")
        shop.put(world.pod("new"))
        rows, row = shop.row("new")
        assert np.isnan(rows.sparkline[row]).all()


class TestWorkloads:
    @pytest.fixture
    async def web(self, stage, world):
        """Two pods of one deployment with a sidecar each, and one bare pod."""
        owner, labels = ("ReplicaSet", "web-abc"), {"pod-template-hash": "abc"}
        log = world.container("log", limit="50Mi")
        stage.put(
            world.pod("web-1", world.container(limit="100Mi"), log, owner=owner, labels=labels),
            world.pod(
                "web-2",
                world.container(limit="100Mi", restarts=2, last=world.ended(-60)),
                log,
                owner=owner,
                labels=labels,
            ),
            world.pod("bare", world.container(limit=None)),
        )
        stage.tick(
            world.sample("web-1", 0, app="40Mi", log="10Mi"),
            world.sample("web-2", 0, app="90Mi", log="10Mi"),
            world.sample("bare", 0, app="1Mi"),
        )
        return stage

    async def test_memory_limits_and_restarts_are_sums(self, web):
        rows, row = web.row("deployment/web", workloads=True)
        assert rows.working_set[row] == 150 * MI
        assert rows.limit[row] == 300 * MI
        assert rows.restarts[row] == 2
        assert rows.ooms_hour[row] == 1
        assert rows.pods[row] == 2
        assert np.nanmax(rows.sparkline[row]) == 150 * MI

    async def test_the_share_is_that_of_the_container_nearest_its_limit(self, web):
        rows, row = web.row("deployment/web", workloads=True)
        assert rows.share[row] == pytest.approx(0.9)

    async def test_without_a_limit_on_one_there_is_none_in_sum(self, web):
        rows, row = web.row("pod/bare", workloads=True)
        assert np.isnan(rows.limit[row])

    async def test_the_last_end_is_the_newest_of_any_pod(self, web):
        rows, row = web.row("deployment/web", workloads=True)
        assert rows.last_terminations[row].words() == "OOMKilled"

    async def test_the_state_is_the_worst_and_says_of_how_many(self, web, world):
        rows, row = web.row("deployment/web", workloads=True)
        assert (rows.states[row], rows.severities[row]) == ("Running", StateSeverity.RUNNING)
        crash = {"waiting": {"reason": "CrashLoopBackOff"}}
        labels = {"pod-template-hash": "abc"}
        web.put(
            world.pod(
                "web-2",
                world.container(limit="100Mi", state=crash, restarts=3, last=world.ended(-5)),
                world.container("log", limit="50Mi"),
                owner=("ReplicaSet", "web-abc"),
                labels=labels,
            )
        )
        rows, row = web.row("deployment/web", workloads=True)
        assert (rows.states[row], rows.severities[row]) == ("1/4 CrashLoopBackOff", StateSeverity.OOM)

    async def test_what_is_done_does_not_make_a_workload_look_done(self, stage, world):
        done = world.container("once", state=world.ended(-60, "Completed", 0))
        stage.put(world.pod("a", world.container(), done))
        rows, row = stage.row("pod/a", workloads=True)
        assert rows.states[row] == "Running"

    async def test_the_verdict_is_that_of_the_worst_until_the_pods_are_pooled(self, web):
        web.judged("web-1", confidence=0.7, rate=5 * MI)
        rows, row = web.row("deployment/web", workloads=True)
        assert (rows.verdict[row], rows.rate[row]) == (VERDICT_CODES[Verdict.LEAK], 5 * MI)
        pooled = Judgement(Verdict.STEADY, 0.9, 0.0)
        key = WorkloadKey("shop", Workload("Deployment", "web"))
        web.observer.workload_verdicts._judged[key] = SimpleNamespace(
            time=web.world.NOW, news_count=0, worst=pooled, parts={}
        )
        rows, row = web.row("deployment/web", workloads=True)
        assert (rows.verdict[row], rows.rate[row]) == (VERDICT_CODES[Verdict.STEADY], 0.0)

    async def test_of_two_that_are_as_sure_the_one_with_more_memory_speaks(self, web):
        web.judged("web-1", rate=5 * MI)
        web.judged("web-2", rate=7 * MI)
        rows, row = web.row("deployment/web", workloads=True)
        assert rows.rate[row] == 7 * MI

    async def test_an_empty_cluster_has_no_rows(self, stage):
        assert stage.shown(workloads=True) == []
        assert stage.shown() == []

    async def test_filters_and_namespaces_work_on_workloads(self, web):
        assert web.shown(workloads=True, filter=RowFilter("deployment")) == ["deployment/web"]
        assert web.shown(workloads=True, namespaces=frozenset({"shop"})) == ["deployment/web", "pod/bare"]

    async def test_a_pod_less_is_seen_at_once(self, web):
        web.frame(workloads=True)
        web.observer.store.remove_pod("uid-shop-web-2")
        rows, row = web.row("deployment/web", workloads=True)
        assert (rows.pods[row], rows.working_set[row]) == (1, 50 * MI)


class TestDetail:
    async def test_a_container_drawn_large(self, shop, world):
        shop.tick(world.sample("small", 15, app="82Mi"), at=15)
        detail = shop.frame(selected=ContainerKey("uid-shop-small", "app")).detail
        assert (detail.values / MI).tolist() == [80, 82]
        assert (detail.times - world.NOW).tolist() == [0, 15]
        assert detail.limit == 100 * MI
        assert detail.request is None
        assert detail.title == "small"
        assert detail.judgement.verdict is Verdict.NOT_ENOUGH_DATA

    async def test_one_of_several_containers_is_named_and_may_have_no_limit(self, shop, world):
        shop.put(world.pod("two", world.container(limit=None), world.container("log")))
        shop.tick(world.sample("two", 0, app="1Mi", log="1Mi"))
        detail = shop.frame(selected=ContainerKey("uid-shop-two", "app")).detail
        assert (detail.title, detail.limit) == ("two/app", None)

    async def test_its_restarts_and_oom_kills(self, stage, world):
        last = world.ended(-60)
        stage.put(world.pod("a", world.container(state=world.running(-50), last=last, restarts=1)))
        stage.tick(world.sample("a", 0, app="1Mi"))
        detail = stage.frame(selected=ContainerKey("uid-shop-a", "app")).detail
        assert detail.restarts == (world.NOW - 50,)
        assert detail.oom_kills == (world.NOW - 60,)

    @pytest.mark.parametrize(
        "key", [None, ContainerKey("gone", "app"), WorkloadKey("shop", Workload("Job", "x")), 7]
    )
    async def test_what_is_not_there_is_not_drawn(self, shop, key):
        assert shop.frame(selected=key).detail is None
        assert shop.frame(selected=key, workloads=True).detail is None

    async def test_it_is_built_again_only_when_there_is_news(self, shop, world):
        key = ContainerKey("uid-shop-small", "app")
        first = shop.frame(selected=key).detail
        assert shop.frame(selected=key).detail is first
        shop.tick(world.sample("small", 15, app="82Mi"), at=15)
        assert shop.frame(selected=key).detail is not first

    async def test_a_workload_drawn_large_is_the_sum_of_its_pods(self, stage, world):
        owner = ("StatefulSet", "db")
        stage.put(world.pod("db-0", owner=owner), world.pod("db-1", owner=owner))
        for at in (0, 15, 30, 45):
            stage.tick(
                world.sample("db-0", at, app="10Mi"), world.sample("db-1", at + 3, app="20Mi"), at=at + 5
            )
        key = WorkloadKey("shop", Workload("StatefulSet", "db"))
        detail = stage.frame(selected=key, workloads=True).detail
        assert detail.title == "statefulset/db"
        assert set((detail.values / MI).tolist()) == {30.0}
        assert (np.diff(detail.times) == 15).all()
        assert detail.limit == 512 * MI


class TestHeader:
    async def test_notes_scope_and_namespaces(self, shop):
        frame = shop.frame()
        assert frame.notes == ("a note",)
        assert (frame.context, frame.scope) == ("test", "all namespaces")
        assert frame.namespaces == ("other", "shop")

    async def test_a_clock_that_is_off_is_worth_a_note(self, shop, monkeypatch):
        monkeypatch.setattr(shop.observer.clock, "skew", lambda: -125.0)
        assert shop.frame().notes[-1] == "the cluster's clock is 2 m behind this machine's"
        monkeypatch.setattr(shop.observer.clock, "skew", lambda: 3.0)
        assert shop.frame().notes == ("a note",)

    async def test_frames_are_numbered(self, shop):
        assert shop.frame().number + 1 == shop.frame().number


def test_the_row_that_needs_somebody_first(stage, world):
    """Each that comes is more urgent than all before it."""

    def urgent():
        frame = stage.frame()
        return frame.rows.identities[frame.pane_rows[OverviewPane.TOP][frame.urgent]].pod

    stage.put(*(world.pod(name) for name in ("large", "later", "sooner")))
    stage.tick(*(world.sample(name, 0, app="100Mi") for name in ("large", "later", "sooner")))
    assert urgent() == "large", "where nothing is urgent it is the first"
    stage.put(world.pod("pull", world.container(state={"waiting": {"reason": "ImagePullBackOff"}})))
    assert urgent() == "pull"
    stage.put(world.pod("full", world.container(limit="10Mi")))
    stage.tick(world.sample("full", 15, app="10Mi"), at=15)
    assert urgent() == "full"
    killed = world.container(restarts=1, last=world.ended(-60), state=world.running(-50))
    stage.put(world.pod("killed", killed))
    assert urgent() == "killed"
    stage.judged("later", rate=MI)
    assert urgent() == "later"
    stage.judged("sooner", rate=9 * MI)
    assert urgent() == "sooner"


class TestALeakThatIsDown:
    """It holds nothing now, so nothing approaches its limit: what is known is how long a life lasts."""

    async def test_no_time_to_limit_is_said_of_what_does_not_run(self, shop, world):
        shop.judged("small", rate=MI, seconds=30.0)
        rows, row = shop.row("small")
        assert time_to_limit_words(rows, row) != "down"
        assert rows.judgements[row].seconds_to_limit == rows.seconds_to_limit[row]
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        shop.put(
            world.pod(
                "small", world.container(limit="100Mi", state=waiting, last=world.ended(-5), restarts=5)
            )
        )
        rows, row = shop.row("small")
        assert np.isnan(rows.seconds_to_limit[row])
        assert rows.judgements[row].seconds_to_limit is None
        assert time_to_limit_words(rows, row) == "down"
        assert "down" in as_table(shop.frame())

    async def test_the_sentence_says_the_time_that_the_row_says(self, stage, world):
        key = ContainerKey("uid-shop-a", "app")
        stage.put(world.pod("a"))
        for at in range(0, 7200, 60):
            stage.tick(world.sample("a", at, app=f"{40 + at // 60}Mi"), at=at)
        stage.judged("a", rate=60 * MI, seconds=1.0)
        rows, row = stage.row("a")
        judgement = stage.frame(selected=key).detail.judgement
        assert judgement.verdict is Verdict.LEAK
        assert judgement.seconds_to_limit == rows.seconds_to_limit[row]
        started = world.running(7195)
        stage.put(world.pod("a", world.container(state=started, last=world.ended(7190), restarts=1)))
        rows, row = stage.row("a")
        assert time_to_limit_words(rows, row) == "–"
        assert "limit in" not in stage.frame(selected=key).detail.judgement.evidence()

    async def test_what_is_no_leak_is_unknown_and_not_down(self, shop):
        rows, row = shop.row("down")
        assert time_to_limit_words(rows, row) == "–"


async def test_oom_kills_of_pods_that_are_gone_still_count_in_the_header(shop, world):
    assert shop.frame().counts.oom_killed_last_hour == 1
    shop.observer.store.remove_pod("uid-shop-down")
    assert "down" not in shop.shown()
    assert shop.frame().counts.oom_killed_last_hour == 1
    assert shop.frame(namespaces=frozenset({"other"})).counts.oom_killed_last_hour == 0


def test_a_frame_is_built_by_reading_alone(stage, world, monkeypatch):
    stage.put(world.pod("web-1"))
    stage.tick(world.sample("web-1", 0, app="64Mi"))
    for part, name in (
        (stage.observer.past_sources, "set_wanted"),
        (stage.observer.past_sources, "set_look_back"),
        (stage.observer.workload_verdicts, "set_wanted"),
        (stage.observer.store, "advance_clock"),
    ):
        monkeypatch.setattr(part, name, lambda *_: pytest.fail("it writes"))
    arranged = stage.snapshots.arrange(
        View(selected=stage.observer.store.identities[0].key, look_back_seconds=7200.0)
    )
    assert stage.snapshots.build(arranged).counts.pods == 1
    assert (arranged.looked_at[0], arranged.looked_back) == (0, (0,))


@pytest.mark.parametrize(("age", "left"), [(60.0, 98.0), (600.0, 68 / 2048 * 3600)])
def test_what_dies_below_its_limit_has_as_long_as_its_lives_before(shop, world, age, left):
    """V8 at 137 of 256 MiB: the room to the limit says nothing of when."""
    shop.put(world.pod("node", world.container(state=world.running(-age), restarts=4)))
    shop.tick(world.sample("node", 0, app="69Mi"))
    shop.judged("node", rate=2048 * MI, seconds=100.0)
    slot = shop.observer.store.slot_named("shop", "node", "app")
    seat, judged = shop.observer.verdicts._seat[slot], shop.observer.verdicts._judge.judgements
    judged.death_level[seat], judged.seconds_lived[seat] = 137.0 * MI, 158.0
    assert shop.frame().rows.seconds_to_limit[slot] == pytest.approx(left)


def test_of_a_life_of_minutes_its_age_says_more_than_a_sample_that_is_a_minute_old(shop, world):
    shop.put(world.pod("web", world.container(limit="128Mi", state=world.running(-100), restarts=9)))
    shop.tick(world.sample("web", 0, app="40Mi"))
    shop.judged("web", rate=2880 * MI, seconds=110.0)
    slot = shop.observer.store.slot_named("shop", "web", "app")
    seat, judged = shop.observer.verdicts._seat[slot], shop.observer.verdicts._judge.judgements
    assert shop.frame().rows.seconds_to_limit[slot] == pytest.approx(110)
    judged.memory_deaths[seat], judged.seconds_lived[seat] = 9, 152.0
    shop.observer.verdicts._frozen = None
    assert shop.frame().rows.seconds_to_limit[slot] == pytest.approx(52)
    judged.seconds_lived[seat] = 9 * 3600.0
    shop.observer.verdicts._frozen = None
    assert shop.frame().rows.seconds_to_limit[slot] == pytest.approx(110)


@pytest.mark.parametrize("different", [1, 3, 50, 10_000])
def test_equal_rows_keep_their_order_in_a_fast_sort(different):
    draw = np.random.default_rng(different)
    key = draw.integers(0, different, 5_000).astype(np.float64)
    key[draw.random(5_000) < 0.1] = np.inf
    assert stable_argsort(key).tolist() == np.argsort(key, kind="stable").tolist()
    assert stable_argsort(key[:0]).tolist() == []


async def test_stalls_on_memory_stand_in_the_row_the_evidence_and_the_order(shop, world):
    a, b = ContainerName("shop", "small", "app"), ContainerName("shop", "big", "app")
    shop.observer.store.note_kernel_figures(KernelFigures({a: 2}, {a: 0.08, b: 0.004}), world.NOW)
    sorts = {**DEFAULT_SORTS, OverviewPane.TOP: RowSort(SortColumn.PRESSURE)}
    frame = shop.frame(sorts=sorts)
    assert shop.shown(sorts=sorts)[:2] == ["small", "big"]
    evidence = {
        who.pod: frame.rows.judgements[row].evidence()
        for row, who in enumerate(frame.rows.identities)
        if who is not None
    }
    assert "; stalls on memory 8 % of the time; 2 OOM kills of child processes" in evidence["small"]
    assert "stalls" not in evidence["big"] + evidence["far"]


async def test_what_may_be_swapped_out_puts_the_limit_further_away(shop, world):
    shop.judged("small", rate=10 * MI, seconds=2 * HOUR)
    rows, row = shop.row("small")
    before = rows.seconds_to_limit[row]
    limits = {ContainerName("shop", "small", "app"): 10.0 * MI}
    shop.observer.store.note_kernel_figures(KernelFigures(swapped={}, swap_limits=limits), world.NOW)
    assert shop.frame().rows.seconds_to_limit[row] == pytest.approx(before + HOUR)
