"""What is remembered and wished for; verdicts over it, laid over those from live samples."""

from dataclasses import replace

import numpy as np
import pytest

from memtop.analysis.judgement import Judgement, Judgements, Verdict
from memtop.analysis.memory_series import Series
from memtop.history.past_requests import PastCache, PastRequest
from memtop.history.past_series import ORIGIN_DISK, ORIGIN_PROMETHEUS, ContainerName, PastSeries
from memtop.observe.past_verdicts import PastVerdicts, hold_verdict
from memtop.observe.sample_rings import SampleHistory

NOW = 1_800_000_000.0
MIB = 2.0**20


def name(number=0):
    return ContainerName("shop", f"cart-{number}", "app")


def past(
    hours=24.0, rate=0.0, metric="working_set", origin=ORIGIN_PROMETHEUS, level=100.0, until=NOW, **more
):
    """A past with growth of `rate` MiB/h and a little noise."""
    times = np.arange(until - hours * 3600, until, 120.0)
    noise = np.random.default_rng(1).normal(0, 0.2, len(times))
    values = (level + rate * (times - times[0]) / 3600 + noise) * MIB
    return PastSeries(metric, origin, times, values, **more)


def test_a_wish_is_heard_once():
    pasts = PastCache()
    first, second = pasts.listen(), pasts.listen()
    pasts.request([PastRequest(name(1)), PastRequest(name(2)), PastRequest(name(1))])
    assert first.is_set()
    assert second.is_set()
    assert [request.name for request in pasts.requests] == [name(1), name(2)]
    first.clear()
    pasts.request([PastRequest(name(2)), PastRequest(name(1))])  # the rows have changed places
    assert not first.is_set()
    pasts.request([PastRequest(name(3))])
    assert first.is_set()


def test_what_several_remember_is_one_past():
    pasts = PastCache()
    pasts.add({(name(), "working_set"): past(6, origin=ORIGIN_DISK), (name(), "rss"): past(24, metric="rss")})
    assert pasts.get(name()).origin == ORIGIN_DISK
    pasts.add({(name(), "working_set"): past(4)})
    assert pasts.get(name()).origin == "Prometheus and disk"
    assert pasts.get(name()).span == pytest.approx(6 * 3600, abs=200)
    assert len(pasts.get(name())) == 180
    assert pasts.get(name(), "working_set", ORIGIN_DISK).span == pytest.approx(6 * 3600, abs=200)
    assert pasts.get(name(), "working_set", ORIGIN_PROMETHEUS).span == pytest.approx(4 * 3600, abs=200)
    pasts.add({(name(), "working_set"): past(8)})
    assert pasts.get(name()).span == pytest.approx(8 * 3600, abs=200)
    assert pasts.get(name(), "usage") is None
    assert pasts.get(name(9)) is None


def test_it_is_bounded_and_keeps_what_is_looked_at():
    pasts = PastCache(most=10)
    pasts.request([PastRequest(name(0))])
    for number in range(50):
        pasts.add({(name(number), "working_set"): past(0.1)})
    kept = [number for number in range(50) if name(number) in pasts]
    assert kept == [0, *range(41, 50)]


def test_changes_are_told_once():
    pasts = PastCache()
    pasts.add({(name(1), "working_set"): past(0.1)})
    assert pasts.changes() == {name(1)}
    assert pasts.changes() == set()


class Containers:
    """As much of a store, and of verdicts from live samples, as an overlay looks at."""

    def __init__(self, count, live=None):
        self.identities = [name(i) for i in range(count)]
        for i, identity in enumerate(self.identities):
            assert (identity.namespace, identity.pod, identity.container) == name(i)
        self.columns = self
        self.history = SampleHistory(count, interval=15.0)
        self.generation = np.ones(count, np.int64)
        self.last_end = np.full(count, np.nan)
        self.started_at = np.full(count, np.nan)
        self.nothing = Judgements.unjudged(count)
        self.lives = {}
        self.full_heaps = {}
        self.live = live or Series(np.empty(0), np.empty(0))

    def slot_named(self, *place):
        return next((slot for slot, one in enumerate(self.identities) if one == place), None)

    def take_news_of_ends(self):
        return set()

    def take_past_ends(self, slot, past, now):
        """Nothing here has ended: what is judged is what is looked at."""

    def judgements(self):
        return self.nothing

    def series(self, slot):
        return self.live


def overlay(containers, pasts, now=lambda: NOW):
    return PastVerdicts(containers, pasts, containers, now)


def judged(over):
    while over.pending:
        over.judge_next()
    return over.judgements()


def test_a_leak_too_slow_for_an_hour_is_seen_in_a_day():
    pasts = PastCache("working_set")
    minutes = np.arange(NOW - 3600, NOW, 15.0)
    live = Series(minutes, np.full(len(minutes), 148.0 * MIB), limit=256 * MIB)
    containers = Containers(3, live)
    over = overlay(containers, pasts)
    pasts.add({(name(1), "working_set"): past(24, rate=2.0, until=NOW - 3600, level=100.0)})
    found = judged(over)
    assert [judgement.verdict for judgement in found][::2] == [Verdict.NOT_ENOUGH_DATA] * 2
    assert found[1].window_seconds == pytest.approx(25 * 3600, abs=400)
    assert found[1].samples == pytest.approx(720 + 240, abs=24)  # less the newest, which others do not know
    whole, basis = over.basis(1)
    assert basis == "working set, 23 h 58 m of it from Prometheus"
    assert whole.limit == 256 * MIB
    assert len(over.series(1).values) == 960


def test_verdicts_are_made_on_rss_where_it_is_there_and_never_on_a_mixture():
    pasts = PastCache("rss")
    minutes = np.arange(NOW - 600, NOW, 15.0)
    live = Series(minutes, np.full(len(minutes), 200.0 * MIB), limit=300 * MIB)
    over = overlay(Containers(1, live), pasts)
    growing = past(24, rate=2.0, metric="rss", level=50.0)
    flat = past(24, rate=0.0, level=200.0)
    pasts.add({(name(), "rss"): growing, (name(), "working_set"): flat})
    series, basis = over.basis(0)
    assert basis == "RSS from Prometheus"
    assert series.values.tolist() == growing.values.tolist()
    # 100 MiB are left of the limit, whichever memory is judged.
    assert series.limit - series.values[-1] == pytest.approx(100 * MIB, rel=1e-6)
    assert judged(over)[0].verdict is Verdict.LEAK
    # What is drawn and compared with the limit is the working set, remembered and live.
    drawn = over.series(0)
    assert drawn.limit == 300 * MIB
    assert drawn.values[-1] == 200 * MIB


def test_rss_that_has_stopped_coming_is_not_judged_by():
    pasts = PastCache("rss")
    minutes = np.arange(NOW - 3600, NOW, 15.0)
    over = overlay(Containers(1, Series(minutes, np.full(len(minutes), 200.0 * MIB))), pasts)
    pasts.add({(name(), "rss"): past(24, metric="rss", until=NOW - 7200)})
    assert over.basis(0)[1] == "working set"


def test_another_container_in_the_same_slot_is_not_judged_by_the_first():
    pasts = PastCache("working_set")
    containers = Containers(1)
    over = overlay(containers, pasts)
    pasts.add({(name(), "working_set"): past(24, rate=5.0)})
    assert judged(over)[0].verdict is Verdict.LEAK
    containers.generation = containers.generation + 1
    containers.nothing = Judgements.unjudged(1)
    assert over.judgements()[0].verdict is Verdict.NOT_ENOUGH_DATA


def test_live_samples_are_taken_in_now_and_then():
    pasts, clock = PastCache("working_set"), [NOW]
    containers = Containers(1)
    over = overlay(containers, pasts, lambda: clock[0])
    pasts.add({(name(), "working_set"): past(24)})
    assert judged(over)[0].samples == 718
    assert not over.pending
    containers.live = Series(NOW + np.arange(0, 400, 15.0), np.full(27, 100 * MIB))
    clock[0] += 410
    assert over.pending
    assert judged(over)[0].samples == 720 + 21  # up to the latest moment that everybody knows


def test_what_nobody_remembers_is_left_as_it_is():
    containers = Containers(2)
    assert overlay(containers, PastCache()).judgements() is containers.nothing


def test_what_is_seen_counts_where_too_little_is_remembered():
    """Prometheus has just been installed: what memtop saw itself is more."""
    pasts = PastCache("rss")
    minutes = np.arange(NOW - 3600, NOW, 15.0)
    live = Series(minutes, (100 + (minutes - NOW) / 100) * MIB, limit=500 * MIB)
    over = overlay(Containers(1, live), pasts)
    few = {metric: past(0.1, metric=metric) for metric in ("rss", "working_set")}
    pasts.add({(name(), metric): series for metric, series in few.items()})
    assert judged(over)[0].verdict is Verdict.LEAK
    assert judged(over)[0].samples >= 210


def test_a_dead_container_is_not_judged_by_its_echo():
    """While it is down, Prometheus tells its last sample again and again, for five minutes."""
    containers, pasts = Containers(1), PastCache("working_set")
    over = overlay(containers, pasts)
    climbing = past(1, rate=50.0, until=NOW - 300)
    echo = np.arange(NOW - 300, NOW, 15.0)
    told = replace(
        climbing,
        times=np.concatenate([climbing.times, echo]),
        values=np.concatenate([climbing.values, np.full(len(echo), climbing.values[-1])]),
    )
    pasts.add({(name(), "working_set"): told})
    assert over.series(0).timestamps[-1] == echo[-1]
    containers.last_end[0] = NOW - 310
    assert over.basis(0)[0].timestamps.tolist() == climbing.times.tolist()
    containers.started_at[0] = NOW - 20  # it runs again, and its own samples count
    assert over.basis(0)[0].timestamps.tolist() == [*climbing.times.tolist(), *echo[echo >= NOW - 20]]


SAID = {
    "steady": Judgement(Verdict.STEADY, 0.9),
    "sawtooth": Judgement(Verdict.SAWTOOTH, 0.9),
    "suspected": Judgement(Verdict.LEAK, 0.5),
    "leak": Judgement(Verdict.LEAK, 0.95),
    "loop": Judgement(Verdict.OOM_LOOP, 0.9),
    "unknown": Judgement(Verdict.NOT_ENOUGH_DATA, 1.0),
}


@pytest.mark.parametrize(
    ("moments", "held"),
    [
        ("steady steady steady steady", "steady"),
        ("unknown unknown unknown", "not enough data"),
        ("leak leak leak unknown", "leak"),  # a gap, a new series: nothing was learned from it
        ("leak leak leak leak steady steady", "leak"),
        ("leak leak leak leak steady sawtooth steady", "steady"),  # three in a row say less
        ("leak leak leak leak suspected steady suspected", "suspected leak"),
        ("steady steady steady steady leak", "suspected leak"),  # one moment alone
        ("steady steady steady suspected leak", "leak"),
        ("unknown unknown leak", "leak"),  # the first that is said of it
        ("steady steady steady sawtooth steady sawtooth", "steady"),
        ("steady steady steady sawtooth sawtooth sawtooth", "sawtooth"),
        ("steady steady steady loop", "OOM loop"),  # deaths are facts
        ("leak leak leak leak loop loop", "leak"),
        ("loop loop loop leak", "leak"),
        ("leak steady leak steady leak steady leak", "leak"),
    ],
)
def test_a_verdict_is_held_against_single_moments(moments, held):
    assert hold_verdict([SAID[word] for word in moments.split()]).certainty == held


def test_what_is_held_is_what_was_judged_last_in_those_words():
    old, new = Judgement(Verdict.LEAK, 0.9, 10.0), Judgement(Verdict.LEAK, 0.8, 20.0)
    assert hold_verdict([old, old, new, SAID["steady"]]) is new
