"""The source "prometheus" and the disk, against the embedded cluster: requests in, pasts out, states said."""

import asyncio
import contextlib

import numpy as np
import pytest

from config import settings_from
from memtop.analysis.judgement import Verdict
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.history.past_series import ORIGIN_DISK, ORIGIN_PROMETHEUS, ContainerName
from memtop.kube import kubeconfig
from memtop.observe.engine import build_next_frame
from memtop.observe.observer import Observer
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.view import Scope, SourceCondition, View
from memtop.observe.watchlist import HistorySettings, LimitThresholds

CHOSEN = "observability/prometheus-service:9090 (found by name prometheus-service)"


@pytest.fixture(scope="module")
def demo_thread():
    with DemoThread(seed=7) as demo:
        yield demo


@pytest.fixture
def demo(demo_thread):
    yield demo_thread
    demo_thread.call(demo_thread.server.faults.clear)


class Watch:
    """An observer that runs, and the frames a screen would be shown."""

    def __init__(self, demo, tmp_path, remember, user="admin", speed=1.0, hours=24.0):
        path = tmp_path / f"kubeconfig-{user}"
        path.write_text(demo.kubeconfig(user))
        self.changed = asyncio.Event()
        self.observer = Observer(
            kubeconfig.load_target(kubeconfig=str(path)),
            Scope(()),
            interval=15.0 * speed,
            speed=speed,
            hours=hours,
            remember=remember,
            on_change=self.changed.set,
        )
        self.snapshots = FrameBuilder(self.observer, LimitThresholds())
        self.view = View()

    def next(self):
        """The frame of this moment."""
        return build_next_frame(self.observer, self.snapshots, self.view)

    async def frame(self, holds):
        """The first frame of which something holds."""
        async with asyncio.timeout(60):
            while True:
                self.changed.clear()
                frame = self.next()
                if holds(frame):
                    return frame
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.changed.wait()


@contextlib.asynccontextmanager
async def watching(*args, **options):
    watch = Watch(*args, **options)
    task = asyncio.create_task(watch.observer.run())
    try:
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def prometheus(**settings):
    return HistorySettings(prometheus=settings_from({"prometheus": settings}).prometheus)


def status(frame, name="prometheus"):
    return next((one for one in frame.sources if one.name == name), None)


def complete(frame):
    return frame.settled and frame.past_known


def rows(frame, workload):
    return [
        row
        for row, identity in enumerate(frame.rows.identities)
        if identity is not None
        and str(identity.workload).endswith(workload)
        and identity.namespace == "production"
    ]


async def test_a_day_is_judged_within_seconds(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus()) as watch:
        frame = await watch.frame(complete)
        said = status(frame)
        assert said.state is SourceCondition.LIVE
        assert said.words == CHOSEN
        assert frame.time - said.data_at < 120
        leaking = rows(frame, "user-service")
        assert leaking
        for row in leaking:
            judgement = frame.rows.judgements[row]
            assert judgement.verdict is Verdict.LEAK
            assert judgement.window_seconds > 20 * 3600
            assert judgement.cuts >= 5
            assert judgement.oom_kills >= 5
            # It was killed itself, and none of its children.
            assert frame.rows.child_ooms_hour[row] == 0
        watch.view = View(selected=frame.rows.identities[leaking[0]].key)
        detail = (await watch.frame(lambda frame: frame.detail is not None)).detail
        assert detail.basis == "RSS from Prometheus"
        assert detail.times[-1] - detail.times[0] > 20 * 3600
        assert np.all(np.diff(detail.times) > 0)
        assert len(detail.oom_kills) >= 5
        assert "OOM kills" in detail.judgement.evidence()


async def test_restarts_agree_with_the_pods_own_count(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus()) as watch:
        frame = await watch.frame(complete)
        for row in rows(frame, "user-service"):
            identity = frame.rows.identities[row]
            name = ContainerName(identity.namespace, identity.pod, identity.container)
            past = watch.observer.past_sources.cache.get(name)
            assert past.origin == ORIGIN_PROMETHEUS
            # The day does not reach back to the first of them.
            assert frame.rows.restarts[row] - 2 <= len(past.restarts) <= frame.rows.restarts[row]
            assert past.limit == frame.rows.limit[row]
            assert frame.rows.restarts_exact[row]
            recent = past.restarts[past.restarts > frame.time - 3600.0]
            assert abs(frame.rows.restarts_hour[row] - len(recent)) <= 1  # one may be just an hour ago


async def test_it_dies_and_comes_back(tmp_path):
    with DemoThread(seed=7, speed=60) as demo:
        faults = demo.server.faults
        async with watching(demo, tmp_path, prometheus(), speed=60) as watch:
            await watch.frame(complete)
            dead = Fault(Harm.ANSWER, path="/proxy/", status=503, body=b"no endpoints available")
            demo.call(lambda: faults.add(dead))
            gone = await watch.frame(lambda frame: status(frame).state is not SourceCondition.LIVE)
            assert status(gone).state is SourceCondition.STALE
            assert "no endpoints available" in status(gone).words
            assert status(gone).data_at is not None
            assert gone.rows.judgements[rows(gone, "user-service")[0]].window_seconds > 20 * 3600  # it stays
            assert status(gone, "pods").state is SourceCondition.LIVE
            demo.call(faults.clear)
            watch.observer.retry()
            back = await watch.frame(lambda frame: status(frame).state is SourceCondition.LIVE)
            assert status(back).words == CHOSEN
            assert status(back).data_at >= status(gone).data_at


async def test_it_hangs_and_nothing_waits_for_it(demo, tmp_path):
    demo.call(lambda: demo.server.faults.add(Fault(Harm.HANG, path="/proxy/")))
    async with watching(demo, tmp_path, prometheus(timeout=0.3)) as watch:
        frame = await watch.frame(lambda frame: frame.settled)
        assert frame.counts.pods > 10
        failing = await watch.frame(complete)
        assert status(failing).state is SourceCondition.FAILING
        assert "did not answer within 0.3 s" in status(failing).words


async def test_leaving_does_not_wait_for_it_either(demo, tmp_path):
    fault = Fault(Harm.HANG, path="/proxy/")
    demo.call(lambda: demo.server.faults.add(fault))
    async with asyncio.timeout(100), watching(demo, tmp_path, prometheus(timeout=300)) as watch:
        await watch.frame(lambda _: fault.hits > 0)


async def test_not_allowed_to_ask(demo, tmp_path):
    async with watching(demo, tmp_path, prometheus(), user="readonly") as watch:
        frame = await watch.frame(complete)
        said = status(frame)
        assert said.state is SourceCondition.FORBIDDEN
        assert said.words.startswith("not allowed to ask: observability/prometheus-service:9090")
        assert status(frame, "metrics").state is SourceCondition.LIVE


async def test_no_prometheus(demo, tmp_path):
    demo.call(
        lambda: demo.server.faults.add(
            Fault(Harm.ANSWER, path="/services", status=200, body=b'{"kind":"ServiceList","items":[]}')
        )
    )
    async with watching(demo, tmp_path, prometheus()) as watch:
        said = status(await watch.frame(complete))
        assert said.state is SourceCondition.ABSENT
        assert said.words == "not found: 0 services listed, none with Prometheus' labels or names"


async def test_switched_off_it_is_no_source(demo, tmp_path):
    async with watching(demo, tmp_path, HistorySettings()) as watch:
        frame = await watch.frame(complete)
        assert status(frame) is None


async def test_the_next_memtop_knows_what_the_last_one_saw(demo, tmp_path):
    folder = tmp_path / "samples"
    async with watching(demo, tmp_path, HistorySettings(folder=folder)) as watch:
        frame = await watch.frame(complete)
        seen = {
            identity.key: frame.rows.working_set[row]
            for row, identity in enumerate(frame.rows.identities)
            if identity is not None and np.isfinite(frame.rows.working_set[row])
        }
        await watch.frame(lambda _: any(path.stat().st_size for path in folder.glob("*.samples")))
    demo.advance(1800.0)
    async with watching(demo, tmp_path, HistorySettings(folder=folder)) as watch:
        pasts = watch.observer.past_sources.cache

        def remembered(frame):
            return any(pasts.get(request.name) is not None for request in pasts.requests)

        await watch.frame(remembered)
        known = [request for request in pasts.requests if pasts.get(request.name) is not None]
        assert len(known) > 10
        for request in known:
            past = pasts.get(request.name)
            assert past.origin == ORIGIN_DISK
            key = next(
                key for key in seen if (key.uid, key.container) == (request.uid, request.name.container)
            )
            assert past.values[0] == pytest.approx(seen[key], rel=1e-6)
        slot = watch.observer.store.slot_named(*known[0].name)
        series = watch.observer.past_sources.verdicts.series(slot)
        assert series.timestamps[-1] - series.timestamps[0] > 1500
