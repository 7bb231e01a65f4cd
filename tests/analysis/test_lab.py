"""Real containers in a real cluster, 84 minutes of them as Prometheus and memtop saw them; what each does
is known because its program is.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from memtop.analysis.incremental import IncrementalJudge
from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.analysis.workload_verdict import judge_pooled

FOLDER = Path(__file__).parent
LEAKS = {
    "user-service": "grows by 800 KiB/s, OOM-killed at 128 MiB",
    "log-agent": "a sidecar that is OOM-killed at 48 MiB",
    "session-api": "ends at the heap limit of V8, no OOM kill",
    "session-jvm": "heap full, collects for minutes, OutOfMemoryError, exit code 3",
    "slow-leak-service": "1 MiB every 20 s, straight, far from its limit",
}
OTHERS = {
    "checkout-service": {"OOM loop"},  # killed within seconds of every start, seen once or twice a life
    "sawtooth-service": {"sawtooth"},
    "billing-jvm": {"sawtooth", "steady"},
    "prometheus": {"warmup", "step", "steady"},
    "steady-service": {"steady"},
    "session-store-0": {"steady"},
    "session-store-1": {"steady"},
    "node-agent": {"steady"},
    "debug-shell": {"steady"},
    "batch-nolimit": {"steady"},
    "order-service": {"steady"},
    "crashloop": {"not enough data"},
}


def load():
    found = []
    with gzip.open(FOLDER / "lab.jsonl.gz", "rt") as lines:
        for line in lines:
            one = json.loads(line)
            _, pod, container = one["id"].split("/")
            names = [name for name in {**LEAKS, **OTHERS} if pod.startswith(name)]
            name = "log-agent" if container == "log-agent" else max(names, key=len)
            times = [np.array(one[key], float) for key in ("timestamps", "values", "restarts", "oom_kills")]
            found.append((name, Series(*times, limit=one["limit"])))
    return found


LAB = load()


def until(series, minutes):
    return series.until(series.timestamps[0] + 60 * minutes)


@pytest.mark.parametrize("name", LEAKS)
def test_every_leak_is_called_one_without_a_qualifier(name):
    for judgement in [judge_series(series) for other, series in LAB if other == name]:
        assert judgement.certainty == "leak", judgement
        assert judgement.confidence > 0.85


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_does_not_leak_gets_a_name_that_fits(name):
    for judgement in [judge_series(series) for other, series in LAB if other == name]:
        assert judgement.verdict in OTHERS[name], judgement


@pytest.mark.parametrize("name", ["user-service", "session-api", "log-agent"])
def test_an_hour_of_deaths_is_enough(name):
    (series,) = [series for other, series in LAB if other == name]
    assert judge_series(until(series, 60)).certainty == "leak"


def test_a_verdict_on_screen_is_never_a_mere_chance():
    for _, series in LAB:
        assert judge_series(series).confidence > 0.5


def test_deaths_that_nobody_could_measure_have_no_rate_but_a_reason():
    (series,) = [series for name, series in LAB if name == "checkout-service"]
    judgement = judge_series(series)
    assert judgement.rate is None
    assert judgement.seconds_to_limit is None
    assert judgement.evidence() == "OOM-killed 18 times: no growth was seen before; limit 64 MiB"


def test_replicas_that_die_are_one_leak():
    (series,) = [series for name, series in LAB if name == "user-service"]
    steady = [series for name, series in LAB if name == "steady-service"]
    assert judge_pooled([series, until(series, 70)]).certainty == "leak"
    assert judge_pooled(steady).verdict is Verdict.STEADY


@pytest.mark.parametrize("name", ["user-service", "session-jvm", "log-agent"])
def test_the_same_is_said_when_samples_come_one_by_one(name):
    (series,) = [series for other, series in LAB if other == name]
    live = IncrementalJudge()
    (slot,) = live.admit(np.array([series.limit]))
    slots, last = np.array([slot]), -np.inf
    for time, value in zip(series.timestamps, series.values, strict=True):
        for start in series.restarts[(series.restarts > last) & (series.restarts <= time)]:
            killed = ((series.oom_kills > last - 120) & (series.oom_kills <= start)).any()
            live.restarted(slots, np.array([start]), np.array([killed]))
        live.update(slots, np.array([time]), np.array([value]))
        last = time
    assert live.judge(slots)[0].certainty == "leak"
