"""Verdicts that keep up with ticks, and workloads judged by their pods pooled."""

import numpy as np
import pytest

from memtop.analysis.judgement import VERDICTS, Verdict
from memtop.analysis.memory_series import Series
from memtop.kube.pod_facts import Workload
from memtop.observe.frame import WorkloadKey
from memtop.observe.live_verdicts import POOL_SECONDS, LiveVerdicts, PooledWorkload, WorkloadVerdicts

MI = 2**20
SHOP = WorkloadKey("shop", Workload("Deployment", "web"))


class Bench:
    """A store with verdicts, and ticks of 15 seconds."""

    def __init__(self, shelf, world):
        self.shelf, self.world = shelf, world
        self.verdicts = LiveVerdicts(shelf.store, 15.0, 24.0)

    def tick(self, number, **memory):
        """One tick; ``web_1=64.0`` is the memory of the pod ``web-1`` in MiB."""
        at = number * 15
        samples = [
            self.world.sample(name.replace("_", "-"), at, app=str(int(size * MI)))
            for name, size in memory.items()
        ]
        self.verdicts.take_samples(self.shelf.metrics(*samples, at=at), self.world.NOW + at)

    def judge(self):
        while self.verdicts.judge_next():
            pass
        assert not self.verdicts.pending

    def verdict(self, name):
        judgements = self.verdicts.judgements()
        return VERDICTS[judgements.codes[self.shelf.slot(name)]]

    def samples(self, name):
        return int(self.verdicts.judgements().samples[self.shelf.slot(name)])


@pytest.fixture
def bench(shelf, world):
    return Bench(shelf, world)


def test_what_grows_without_end_is_a_leak_and_what_stays_is_not(bench, world):
    bench.shelf.put(world.pod("leaky"), world.pod("calm"))
    noise = np.random.default_rng(1).normal(0, 0.05, 200)
    for number in range(200):
        bench.tick(number, leaky=40 + number * 0.5 + noise[number], calm=40 + noise[number])
        bench.judge()
    assert bench.verdict("leaky") is Verdict.LEAK
    assert bench.verdict("calm") is Verdict.STEADY
    judgements, slot = bench.verdicts.judgements(), bench.shelf.slot("leaky")
    assert judgements.rate[slot] == pytest.approx(0.5 * MI * 240, rel=0.05)


def test_without_samples_nothing_is_judged(bench, world):
    bench.shelf.put(world.pod("new"))
    assert bench.verdict("new") is Verdict.NOT_ENOUGH_DATA
    bench.tick(0, new=1)
    bench.judge()
    assert bench.verdict("new") is Verdict.NOT_ENOUGH_DATA


def test_another_container_in_the_same_slot_starts_afresh(bench, world):
    bench.shelf.put(world.pod("leaky"))
    for number in range(100):
        bench.tick(number, leaky=40 + number * 0.5)
        bench.judge()
    slot = bench.shelf.slot("leaky")
    assert bench.verdict("leaky") is Verdict.LEAK
    bench.shelf.store.remove_pod("uid-shop-leaky")
    bench.shelf.put(world.pod("next"))
    assert bench.shelf.slot("next") == slot
    assert bench.verdict("next") is Verdict.NOT_ENOUGH_DATA
    for number in range(100, 120):
        bench.tick(number, next=10)
        bench.judge()
    assert bench.samples("next") < 25


def test_more_containers_than_there_was_room_for(bench, world):
    bench.shelf.put(world.pod("first"))
    bench.tick(0, first=1)
    before = bench.verdicts.judgements()
    bench.shelf.put(*(world.pod(f"p{number}") for number in range(600)))
    bench.tick(1, first=1, p599=2)
    after = bench.verdicts.judgements()
    assert len(before) < len(after) == len(bench.shelf.store.identities)


def test_what_was_handed_out_does_not_change(bench, world):
    bench.shelf.put(world.pod("leaky"))
    kept = []
    for number in range(100):
        bench.tick(number, leaky=40 + number * 0.5)
        bench.judge()
        kept.append(bench.verdicts.judgements())
    slot = bench.shelf.slot("leaky")
    assert VERDICTS[kept[0].codes[slot]] is Verdict.NOT_ENOUGH_DATA
    assert VERDICTS[kept[-1].codes[slot]] is Verdict.LEAK


def test_restarts_cut_the_series_and_oom_kills_are_told_from_others(bench, world):
    def life(start, restarts, **last):
        state = world.running(start)
        bench.shelf.put(world.pod("web", world.container(state=state, restarts=restarts, **last)), at=start)

    life(-100, 0)
    for number in range(120):
        if number == 40:
            life(600, 1, last=world.ended(595))
        if number == 80:
            life(1200, 2, last=world.ended(1195, "Error", 1))
        bench.tick(number, web=10 + (number % 40) * 2)
        bench.judge()
    bench.tick(500, web=10)
    bench.judge()
    judgements, slot = bench.verdicts.judgements(), bench.shelf.slot("web")
    assert judgements.cuts[slot] == 2
    assert judgements.oom_kills[slot] == 1
    assert VERDICTS[judgements.codes[slot]] is Verdict.LEAK


def test_restarts_from_before_it_was_observed_are_no_cuts(bench, world):
    state = world.running(-100)
    bench.shelf.put(world.pod("web", world.container(state=state, restarts=9, last=world.ended(-105))))
    for number in range(100):
        bench.tick(number, web=10)
        bench.judge()
    assert bench.verdicts.judgements().cuts[bench.shelf.slot("web")] == 0


def series(slope, start, noise_seed):
    times = 1.8e9 + start + np.arange(160) * 15.0
    noise = np.random.default_rng(noise_seed).normal(0, 0.05 * MI, len(times))
    values = 50 * MI + slope * (times - times[0]) / 3600 + noise
    return Series(times, values, limit=500.0 * MI)


class TestPools:
    @pytest.fixture
    def pools(self, shelf, world):
        labels = {"old": {"pod-template-hash": "old"}, "new": {"pod-template-hash": "new"}}
        self.series, self.judged_at = {}, 0.0
        self.asked, self.moments = [], []
        for number, (revision, slope) in enumerate([("old", 60 * MI), ("old", 60 * MI), ("new", 0.0)]):
            shelf.put(world.pod(f"web-{number}", labels=labels[revision]))
            self.series[shelf.slot(f"web-{number}")] = series(slope, 0, number)

        def found(slot):
            self.asked.append(slot)
            return self.moments or [self.series[slot]]

        self.now = 0.0
        self.slots = np.array(sorted(self.series))
        return WorkloadVerdicts(shelf.store, found, lambda: self.now)

    def test_the_pods_of_a_leaking_revision_make_the_workload_leak(self, pools):
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        assert pools.get(SHOP) is None
        assert pools.judge_next()
        assert not pools.judge_next()
        judgement = pools.get(SHOP)
        assert judgement.verdict is Verdict.LEAK
        assert judgement.rate == pytest.approx(60 * MI, rel=0.05)

    def test_it_is_judged_again_after_a_while_and_not_before(self, pools):
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        pools.judge_next()
        self.now = POOL_SECONDS - 1
        assert not pools.judge_next()
        self.now = POOL_SECONDS
        assert pools.judge_next()

    def test_one_moment_that_says_otherwise_does_not_change_the_verdict(self, pools):
        leaking, flat = series(60 * MI, 0, 0), series(0.0, 0, 0)
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        self.moments = [leaking] * 6 + [flat]
        pools.judge_next()
        assert pools.get(SHOP).certainty == "leak"
        self.moments, self.now = [leaking] * 4 + [flat] * 3, POOL_SECONDS
        pools.judge_next()
        assert pools.get(SHOP).verdict is Verdict.STEADY

    def test_a_sure_leak_as_of_one_moment_is_only_suspected(self, pools):
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        self.moments = [series(0.0, 0, 0)] * 6 + [series(60 * MI, 0, 0)]
        pools.judge_next()
        assert pools.get(SHOP).certainty == "suspected leak"

    def test_what_is_looked_at_no_more_is_forgotten(self, pools):
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        pools.judge_next()
        pools.set_wanted([])
        assert pools.get(SHOP) is None
        assert not pools.judge_next()

    def test_a_workload_whose_pods_are_gone_is_no_leak(self, pools, shelf):
        for number in range(3):
            shelf.store.remove_pod(f"uid-shop-web-{number}")
        pools.set_wanted([PooledWorkload(SHOP, self.slots)])
        pools.judge_next()
        assert pools.get(SHOP).verdict is Verdict.NOT_ENOUGH_DATA
