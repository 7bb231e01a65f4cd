"""Further back than is kept: asked for while it is looked at, cancelled with it, and said in words."""

import asyncio
import contextlib

import numpy as np
import pytest

from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Series
from memtop.demo.faults import Fault, Harm
from memtop.history.past_requests import LookBack, PastRequest
from memtop.history.past_series import ORIGIN_PROMETHEUS, ContainerName, PastSeries
from memtop.kube.api_errors import Unreachable
from memtop.observe.frame import AwaitedData
from memtop.observe.prometheus_source import PrometheusPast
from memtop.observe.row_detail import sum_floors, sum_series
from memtop.observe.view import View
from tests.observe.test_prometheus_source import complete, demo_thread, prometheus, rows, status, watching

__all__ = ["demo_thread"]
HOUR, MIB = 3600.0, 2.0**20
WEB = PastRequest(ContainerName("shop", "web-1", "app"))
API = PastRequest(ContainerName("shop", "api-1", "app"))


@pytest.fixture
def demo(demo_thread):
    yield demo_thread
    demo_thread.call(demo_thread.server.faults.clear)


def past(hours=24):
    times = np.arange(0.0, hours * HOUR, 600.0)
    return PastSeries("working_set", ORIGIN_PROMETHEUS, times, np.full(len(times), 5.0))


class Prometheus:
    """Answers when it is let."""

    def __init__(self, error=None):
        self.asked, self.cancelled, self.let = [], [], asyncio.Event()
        self.error, self.came = error, asyncio.Event()

    async def answer(self, asked):
        self.asked.append(asked)
        self.came.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled.append(asked)
            raise
        if self.error is not None:
            raise self.error
        return {request.name: past() for request in asked.requests}


@contextlib.asynccontextmanager
async def served(back, prometheus):
    task = asyncio.create_task(back.serve(prometheus.answer))
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class TestLookBack:
    async def test_what_is_looked_at_is_asked_once_and_forgotten_with_the_look(self):
        news, source = asyncio.Event(), Prometheus()
        back = LookBack(news.set)
        back.set_wanted([WEB], 7 * 24 * HOUR)
        assert back.waiting
        async with served(back, source):
            await source.came.wait()
            back.set_wanted([WEB], 7 * 24 * HOUR)  # every frame says so again
            source.let.set()
            await news.wait()
            assert not back.waiting
            assert len(back.get(WEB.name)) == 144
            assert back.get(API.name) is None
            assert [asked.seconds for asked in source.asked] == [7 * 24 * HOUR]
            back.set_wanted([], 0.0)
            assert back.get(WEB.name) is None

    async def test_who_looks_elsewhere_cancels_what_was_asked(self):
        source = Prometheus()
        back = LookBack(lambda: None)
        back.set_wanted([WEB], 7 * 24 * HOUR)
        async with served(back, source):
            await source.came.wait()
            source.came.clear()
            back.set_wanted([API], 7 * 24 * HOUR)
            await source.came.wait()
            assert [asked.requests for asked in source.cancelled] == [(WEB,)]
            back.set_wanted([], 0.0)
            while len(source.cancelled) < 2:
                await asyncio.sleep(0)
        assert not back.waiting

    async def test_an_answer_that_comes_as_one_looks_elsewhere_is_not_taken_for_the_others(self):
        news, source = asyncio.Event(), Prometheus()
        back = LookBack(news.set)
        back.set_wanted([WEB], 7 * 24 * HOUR)
        async with served(back, source):
            await source.came.wait()
            source.let.set()  # the answer is ready …
            back.set_wanted([API], 7 * 24 * HOUR)  # … and not yet taken in
            while back.waiting:
                await asyncio.wait_for(news.wait(), 5)
                news.clear()
            assert back.get(API.name) is not None
            assert back.get(WEB.name) is None

    async def test_a_refusal_is_said_and_not_asked_again(self):
        news, source = asyncio.Event(), Prometheus(Unreachable("Prometheus did not answer within 10 s"))
        back = LookBack(news.set)
        back.set_wanted([WEB], 7 * 24 * HOUR)
        source.let.set()
        async with served(back, source):
            await news.wait()
            assert back.problem == "Prometheus did not answer within 10 s"
            assert not back.waiting
        assert len(source.asked) == 1


async def test_a_longer_range_than_is_kept_is_drawn_for_the_row_looked_at(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus(), hours=2.0) as watch:
        frame = await watch.frame(complete)
        row = rows(frame, "user-service")[0]
        watch.view = View(selected=frame.rows.identities[row].key, look_back_seconds=2 * HOUR)
        kept = (await watch.frame(lambda frame: frame.detail is not None)).detail
        assert kept.look_back_note == ""
        assert frame.time - kept.times[0] < 2.5 * HOUR
        watch.view = View(selected=kept.key, look_back_seconds=24 * HOUR)
        on_its_way = watch.next()
        assert on_its_way.detail.look_back_note == "asking Prometheus for 1 d …"
        far = await watch.frame(lambda frame: frame.detail.look_back_note == "")
        assert far.time - far.detail.times[0] > 20 * HOUR
        assert np.all(np.diff(far.detail.times) > 0)
        assert len(far.detail.restarts) > len(kept.restarts)
        assert kept.judgement.window_seconds > 1.5 * HOUR
        assert far.detail.judgement.window_seconds < 2.5 * HOUR, "what is drawn is not what is judged"
        watch.view = View(selected=kept.key)
        assert len(watch.next().detail.times) == len(kept.times)


async def test_a_past_that_cannot_be_had_is_said(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus(timeout=0.5), hours=2.0) as watch:
        frame = await watch.frame(complete)
        assert status(frame).words
        demo.call(lambda: demo.server.faults.add(Fault(Harm.HANG, path="/proxy/")))
        row = rows(frame, "user-service")[0]
        watch.view = View(selected=frame.rows.identities[row].key, look_back_seconds=24 * HOUR)
        failed = await watch.frame(lambda frame: "does not say" in frame.detail.look_back_note)
        assert "did not answer within 0.5 s" in failed.detail.look_back_note


async def test_where_prometheus_may_not_be_asked_nothing_is_waited_for(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus(), user="readonly", hours=2.0) as watch:
        frame = await watch.frame(complete)
        row = rows(frame, "user-service")[0]
        watch.view = View(selected=frame.rows.identities[row].key, look_back_seconds=24 * HOUR)
        refused = await watch.frame(lambda frame: frame.detail is not None)
        assert "not allowed to ask" in refused.detail.look_back_note
        assert not refused.awaited


async def test_a_workload_waits_for_its_past_and_not_for_more_samples(demo, tmp_path, monkeypatch):
    """Right after the start it is said that Prometheus is asked, and what is said then is over a day."""
    ask, let = PrometheusPast.ask_for, asyncio.Event()

    async def ask_when_let(*args):  # else its answer may be there before the first frame that has settled
        await let.wait()
        return await ask(*args)

    monkeypatch.setattr(PrometheusPast, "ask_for", ask_when_let)
    async with watching(demo, tmp_path, prometheus()) as watch:
        watch.view = View(workloads=True)
        first = await watch.frame(lambda frame: bool(rows(frame, "user-service")) and frame.settled)
        row = rows(first, "user-service")[0]
        assert first.awaited[row] is AwaitedData.PAST
        watch.view = View(workloads=True, selected=first.rows.identities[row].key)
        waiting = watch.next()
        assert waiting.detail.awaited is AwaitedData.PAST
        let.set()

        def pooled(frame):
            judgement = frame.detail.judgement
            return judgement is not None and judgement.window_seconds > 20 * HOUR

        judged = await watch.frame(pooled)
        assert judged.detail.awaited is None
        assert judged.detail.judgement.verdict is Verdict.LEAK
        assert row not in judged.awaited
        times, values = judged.detail.floor
        drawn = np.isfinite(values)
        level = np.interp(times[drawn], judged.detail.times, judged.detail.values)
        assert np.median(values[drawn] / level) == pytest.approx(1.0, abs=0.25)


async def test_without_prometheus_only_the_pooling_is_awaited(stage, world):
    stage.put(world.pod("web-1", owner=("ReplicaSet", "web-abc12")))
    stage.tick(world.sample("web-1", 0, app="80Mi"))
    frame = stage.frame(workloads=True)
    assert list(frame.awaited.values()) == [AwaitedData.POOL]
    assert stage.observer.workload_verdicts.judge_next()
    assert not stage.frame(workloads=True).awaited
    assert not stage.frame().awaited


def test_what_a_workload_holds_is_not_joined_across_a_death():
    times = np.concatenate([np.arange(0, 600, 30.0), np.arange(915, 1500, 30.0)])
    dying = Series(times, np.where(times < 900, 100 + times / 10, 40.0) * MIB, restarts=np.array([905.0]))
    steady = Series(np.arange(0, 1500, 30.0), np.full(50, 200 * MIB))
    grid, sums = sum_series([dying, steady], 30.0)
    held = dict(zip(grid.tolist(), (sums / MIB).tolist(), strict=True))
    assert held[570.0] == pytest.approx(357, abs=3)
    assert {held[at] for at in (600.0, 720.0, 900.0)} == {200.0}  # it was down
    assert held[930.0] == held[1470.0] == 240.0


class TestFloorOfAWorkload:
    LEAK = Judgement(Verdict.LEAK, 0.99, rate=60 * MIB)

    def series(self, base, start=0.0, end=2 * HOUR):
        times = np.arange(start, end, 30.0)
        return Series(times, (base + 60 * (times - start) / HOUR) * MIB)

    def test_it_is_the_sum_of_the_floors_of_its_containers(self):
        both = [self.series(100), self.series(300)]
        times, values = sum_floors(both, self.LEAK, 30.0)
        _, level = sum_series(both, 30.0)
        inside = np.isfinite(values)
        assert inside.sum() > 200
        assert values[inside] == pytest.approx(level[inside], rel=0.02)
        assert len(times) == len(values)

    def test_it_is_interrupted_where_one_of_them_has_none(self):
        young = Series(np.array([1.9 * HOUR, 2 * HOUR]), np.array([1.0, 2.0]) * MIB)
        times, values = sum_floors([self.series(100), young], self.LEAK, 30.0)
        assert np.isnan(values[times > 1.9 * HOUR]).all()
        assert np.isfinite(values[times < 1.8 * HOUR]).any()

    def test_there_is_none_where_nothing_was_fitted(self):
        step = Judgement(Verdict.STEP, 0.9, rate=0.0)
        assert sum_floors([self.series(100)], step, 30.0) is None
