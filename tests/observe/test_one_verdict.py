"""One container, one verdict: the same recorded hours through every path that judges a container.

The open screen, a memtop started afresh each minute, ``--once --watch-for`` and ``classify`` are compared on
an hour of a real cluster: leaks that are killed, by the kernel or by a heap limit of their own, every few
minutes, healthy services, and Prometheus itself.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from memtop.analysis.judgement import Verdict
from memtop.analysis.verdict import judge_series
from memtop.commands.classify import read_series_file
from memtop.observe.past_verdicts import latest_moment
from tests.observe.recorded_hours import STEP, Memtop, read_recording

RECORDING = Path(__file__).parents[1] / "recordings" / "verdict-hours.json.gz"
HOUR = 3600.0
LEAKING = {"user-service", "log-agent", "session", "session-api", "slow-leak-service", "checkout-service"}
YOUNG = "prometheus"
"""Not two hours old, and growing: whether it leaks is not the question here, only that all say the same."""
ALARMS = {Verdict.LEAK.value, Verdict.OOM_LOOP.value}


@pytest.fixture(scope="module")
def recording():
    return read_recording(RECORDING)


def words(judged):
    return {name: judgement.certainty for name, judgement in judged.items()}


async def afresh(recording, world, moment, **options):
    """What a memtop that is started at a moment says."""
    memtop = Memtop(recording, world, **options)
    memtop.see(moment)
    await memtop.ask()
    return words(memtop.verdicts())


async def played(memtop, since, until, *, ask_every=2):
    """Has a memtop watch, two samples a minute; yields each whole minute, 30 s after Prometheus was asked."""
    for tick, moment in enumerate(np.arange(since, until, 2 * STEP).tolist()):
        memtop.see(moment)
        if tick % ask_every == 1:
            await memtop.ask()
        if tick % 2 == 0 and tick:
            yield moment


async def test_the_open_screen_and_a_fresh_start_agree_at_every_minute(recording, world):
    since, said = recording.start + HOUR, []
    screen = Memtop(recording, world)
    async for minute in played(screen, since, since + 21 * 60):
        here, there = words(screen.verdicts()), await afresh(recording, world, minute)
        assert here == there
        said.append(here)
    assert len(said) == 20
    assert len(said[0]) == 19
    for name in said[0]:
        told = [here[name] for here in said]
        if name.container in LEAKING:
            assert set(told) <= ALARMS, (name, told)
        elif name.container != YOUNG:
            assert not ALARMS & set(told), (name, told)
        if name.container != YOUNG:
            assert len(set(told)) == 1, (name, told)


HARMS = {
    "scrapes lost for five minutes": {"lost": (900.0, 1200.0)},
    "scrapes lost for twenty minutes": {"lost": (300.0, 1500.0)},
    "the metrics API is away": {"missed": (600.0, 1500.0)},
    "both are away for five minutes": {"lost": (900.0, 1200.0), "missed": (900.0, 1200.0)},
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_gap_changes_nothing(recording, world, harm):
    """Neither do the paths disagree in it, nor is an alarm raised or withdrawn by it."""
    since = recording.start + HOUR
    stretch = {what: tuple(since + at for at in when) for what, when in HARMS[harm].items()}
    lost = (stretch["lost"],) if "lost" in stretch else ()
    missed = frozenset(np.arange(*stretch["missed"], STEP).tolist()) if "missed" in stretch else frozenset()
    screen = Memtop(recording, world, lost=lost, missed=missed)
    async for minute in played(screen, since, since + 30 * 60 + STEP):
        here = words(screen.verdicts())
        for name, word in here.items():
            right = (word in ALARMS) is (name.container in LEAKING)
            assert right or name.container == YOUNG, (minute - since, name, word)
        if (minute - since) % 600 == 0:
            assert here == await afresh(recording, world, minute, lost=lost, missed=missed)


async def test_watching_for_a_while_says_the_same(recording, world):
    until = recording.start + HOUR + 20 * 60
    told = []
    for minutes in (2, 10):
        watched = Memtop(recording, world)
        async for _ in played(watched, until - minutes * 60, until + STEP):
            watched.verdicts()
        told.append(words(watched.verdicts()))
    assert told[0] == told[1] == await afresh(recording, world, until)


async def test_a_late_answer_changes_nothing(recording, world):
    """Prometheus was slow: what is known of it is up to ten minutes old."""
    since = recording.start + HOUR
    slow = Memtop(recording, world)
    async for minute in played(slow, since, since + 25 * 60, ask_every=20):
        for name, word in words(slow.verdicts()).items():
            right = (word in ALARMS) is (name.container in LEAKING)
            assert right or name.container == YOUNG, (minute - since, name, word)


async def test_classify_says_the_same_of_the_same_samples(recording, world, tmp_path):
    moment = recording.start + HOUR + 15 * 60
    memtop = Memtop(recording, world)
    memtop.see(moment)
    await memtop.ask()
    shown, store, path = memtop.verdicts(), memtop.observer.store, tmp_path / "series.jsonl"
    lines, names, as_of_now = [], [], {}
    for name in shown:
        newest = max(memtop.past_verdicts._judged[name].moments.items())
        as_of_now[name] = newest[1][1].certainty  # before it is held against what was said before
        series = memtop.past_verdicts.judged_series(store.slot_named(*name))
        names.append(name)
        lines.append(
            json.dumps(
                {
                    "id": "/".join(name),
                    "timestamps": series.timestamps.tolist(),
                    "values": series.values.tolist(),
                    "restarts": series.restarts.tolist(),
                    "oom_kills": series.oom_kills.tolist(),
                    "limit": series.limit,
                }
            )
        )
    path.write_text("\n".join(lines))
    for name, given in zip(names, read_series_file(str(path)), strict=True):
        assert given.series.timestamps[-1:].tolist() <= [latest_moment(moment)]
        classified = judge_series(given.series).certainty
        assert classified in {shown[name].certainty, as_of_now[name]}, name
        assert (classified in ALARMS) is (shown[name].certainty in ALARMS), name
