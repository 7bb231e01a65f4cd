"""Made-up workloads before and after a change, of which it is known what the change did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtop.analysis.memory_series import Series
from memtop.analysis.stability_evidence import ChangeEvidence

MIB, HOUR, DAY = float(2**20), 3600.0, 86400.0
TRUTHS = {"fixed": 0.0, "half fixed": 0.5, "unfixed": 1.0, "worse": 2.0, "limit raised": 1.0}
"""What a change did, and what it left of the old growth."""


@dataclass
class Workload:
    """How one workload behaves; its pods differ a little."""

    random: np.random.Generator
    base: float
    rate: float  # bytes per hour
    limit: float
    pods: int
    step: float
    noise: float
    slow: float  # noise that remembers
    memory: float  # seconds it does
    tooth: float
    period: float
    warm: float
    tau: float
    day: float
    phase: float
    back_off: float

    def pod(self, begin: float, end: float, rate: float, limit: float, seen_from: float) -> Series:
        """One container from `begin` to `end`, killed whenever it reaches its limit."""
        random = self.random
        times = np.arange(max(begin, seen_from) + random.uniform(0, self.step), end, self.step)
        values = np.full(len(times), np.nan)
        kills, starts, start = [], [], begin
        spread = random.uniform(0.95, 1.05)
        wander = self._wander(len(times))
        while start < end:
            age = np.arange(0, end - start + self.step, self.step)
            levels = self._levels(start, age, rate * spread)
            over = np.flatnonzero(levels >= limit)
            death = start + age[over[0]] if len(over) else np.inf
            mine = (times >= start) & (times < min(death, end))
            values[mine] = np.interp(times[mine] - start, age, levels) + wander[mine]
            if death >= end:
                break
            kills.append(death)
            start = death + self.back_off + 2.0
            starts.append(start)
        known = np.isfinite(values)
        kept = np.minimum(values[known] + random.normal(0, self.noise, known.sum()), limit)
        inside = [at for at in starts if seen_from < at < end]
        return Series(
            times[known],
            np.floor(np.maximum(kept, MIB) / 4096) * 4096,
            np.array(inside),
            np.array([at for at in kills if seen_from < at < end]),
            limit,
        )

    def _levels(self, start, age, rate):
        saw = (age / self.period + self.random.random()) % 1.0 if self.tooth else 0.0
        wave = self.day * np.sin(2 * np.pi * (start + age) / DAY + self.phase)
        return (
            self.base
            + rate * age / HOUR
            + self.tooth * saw
            + self.warm * (1 - np.exp(-age / self.tau))
            + wave
        )

    def _wander(self, count):
        if not self.slow or not count:
            return np.zeros(count)
        keep = np.exp(-self.step / self.memory)
        steps = self.random.normal(0, self.slow * np.sqrt(1 - keep**2), count)
        out, now = np.empty(count), self.random.normal(0, self.slow)
        for index in range(count):
            now = keep * now + steps[index]
            out[index] = now
        return out


def workload(seed: int) -> Workload:
    """Draws one; the same seed draws the same."""
    random = np.random.default_rng([seed, 77])
    between = random.uniform
    base = float(np.exp(between(np.log(80), np.log(3000)))) * MIB
    to_limit = float(np.exp(between(np.log(0.3), np.log(40.0))))  # hours
    room = base * between(0.5, 3.0)
    warm = base * between(0.05, 0.4) if random.random() < 0.6 else 0.0
    teeth = random.random() < 0.5
    tooth = base * between(0.05, 0.4) if teeth else 0.0
    day = base * between(0.01, 0.12) if random.random() < 0.4 else 0.0
    return Workload(
        random=random,
        base=base,
        rate=room / to_limit,
        limit=base + warm + tooth + day + room,
        pods=int(random.integers(1, 6)),
        step=float(random.choice([15, 30, 60, 120])),
        noise=base * float(np.exp(between(np.log(3e-4), np.log(0.015)))),
        slow=base * between(0.002, 0.02) if random.random() < 0.4 else 0.0,
        memory=between(5, 90) * 60,
        tooth=tooth,
        period=float(np.exp(between(np.log(120), np.log(5400)))),
        warm=warm,
        tau=float(np.exp(between(np.log(60), np.log(5400)))),
        day=day,
        phase=between(0, 2 * np.pi),
        back_off=float(random.choice([0, 10, 60, 300])),
    )


@dataclass(frozen=True, eq=False)
class Change:
    """A change and all that will ever be seen of it; `until` cuts it at a moment."""

    truth: str
    at: float
    before: ChangeEvidence
    pods: tuple[Series, ...]
    begins: tuple[float, ...]
    limit: float

    def until(self, now: float) -> ChangeEvidence:
        """What is known of the new pods at a moment."""
        series, spans = [], []
        for one, begin in zip(self.pods, self.begins, strict=True):
            if begin >= now:
                continue
            seen = one.timestamps < now
            series.append(
                Series(
                    one.timestamps[seen],
                    one.values[seen],
                    one.restarts[one.restarts < now],
                    one.oom_kills[one.oom_kills < now],
                    one.limit,
                )
            )
            spans.append((begin, now))
        return ChangeEvidence(tuple(series), tuple(spans), self.limit)


def change(truth: str, seed: int, hours: float = 48.0, known: float | None = None) -> Change:
    """Makes one change.

    Args:
        truth: A key of `TRUTHS`.
        seed: Of the random numbers.
        hours: How long the new pods can be watched.
        known: Hours that are known from before; by default between one and 24.
    """
    w = workload(seed)
    at = 1.7e9 + w.random.uniform(0, DAY)
    past = (w.random.uniform(1, 24) if known is None else known) * HOUR
    began = at - past - w.random.uniform(0, 1, w.pods) * (w.limit - w.base) / w.rate * HOUR
    before = [w.pod(float(start), at, w.rate, w.limit, at - past) for start in began]
    limit = w.limit * w.random.uniform(1.5, 3) if truth == "limit raised" else w.limit
    begins = tuple(float(at + 5 + 20 * number) for number in range(w.pods))
    pods = tuple(w.pod(begin, at + hours * HOUR, w.rate * TRUTHS[truth], limit, begin) for begin in begins)
    seen = tuple((max(float(start), at - past), at) for start in began)
    return Change(truth, at, ChangeEvidence(tuple(before), seen, w.limit), pods, begins, limit)
