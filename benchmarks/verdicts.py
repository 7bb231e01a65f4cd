"""How long verdicts take: a day of many containers at once, and live samples as they come.

    python benchmarks/verdicts.py [--containers 10000] [--samples 1440] [--live 20000]

Prints figures, asserts nothing. Use one core: it pins itself to one, with one thread of linear algebra.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from memtop.analysis.incremental import IncrementalJudge
from memtop.analysis.judgement import VERDICT_CODES, Verdict
from memtop.analysis.memory_series import Batch
from memtop.analysis.verdict import judge_batch

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

START = 1.7e9
MIB = 2.0**20


def fleet(containers: int, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values of a mixed fleet, float32 (containers, samples), and which of them leak (2 in 100)."""
    u = np.linspace(0, 1, samples, dtype=np.float32)
    base = np.exp(random.uniform(np.log(30), np.log(4000), containers)) * MIB
    values = 1 + 0.01 * random.standard_normal((containers, samples), dtype=np.float32)
    kind = random.integers(0, 100, containers)
    leaks = kind < 2
    values[leaks] += 0.3 * u
    saw = (kind >= 2) & (kind < 22)
    values[saw] += 0.3 * ((u * random.uniform(10, 60, (int(saw.sum()), 1)).astype(np.float32)) % 1)
    values[(kind >= 22) & (kind < 32)] += 0.2 * np.sin(2 * np.pi * u)
    values[(kind >= 32) & (kind < 40)] += 0.3 * (1 - np.exp(-u / 0.1))
    values *= base[:, None].astype(np.float32)
    return values, leaks


def whole(containers: int, samples: int) -> None:
    """Times `judge_batch` over a whole fleet."""
    values, leaks = fleet(containers, samples, np.random.default_rng(1))
    batch = Batch.shared(START + 60.0 * np.arange(samples), values)
    judge_batch(batch.rows(0, 64))
    runs = []
    for _ in range(3):
        began = time.process_time()
        judged = judge_batch(batch)
        runs.append(time.process_time() - began)
    found = judged.codes == VERDICT_CODES[Verdict.LEAK]
    print(f"{containers} series x {samples} samples: {min(runs):.2f} s of CPU (best of 3)")
    print(f"  {found[leaks].mean():.1%} of the leaks found, {found[~leaks].sum()} others called")


def live(containers: int, ticks: int) -> None:
    """Times `IncrementalJudge` while samples come every 15 seconds."""
    random = np.random.default_rng(2)
    base = np.exp(random.uniform(np.log(30), np.log(4000), containers)) * MIB
    slope = np.where(random.random(containers) < 0.02, base * 0.05, 0.0)
    keeper = IncrementalJudge()
    slots = keeper.admit(base * 3)
    updating, judging = np.zeros(ticks), np.zeros(ticks)
    for tick in range(ticks):
        now = START + 15.0 * tick
        noise = random.standard_normal(containers, dtype=np.float32)
        values = base * (1 + 0.005 * noise) + slope * (15.0 * tick / 3600)
        began = time.process_time()
        keeper.update(slots, np.full(containers, now), values)
        updating[tick] = time.process_time() - began
        began = time.process_time()
        for second in range(15):
            keeper.judge_due(now + second)
        judging[tick] = time.process_time() - began
    print(f"{containers} live containers, {ticks} ticks of 15 s")
    print("  while         update   judging   (ms of CPU per second)")
    edges = np.linspace(0, ticks, 5).astype(int)
    for first, last in pairwise(edges):
        hours = f"{first * 15 / 3600:.1f}..{last * 15 / 3600:.1f} h"
        took = [1000 * part[first:last].mean() / 15 for part in (updating, judging)]
        print(f"  {hours:12s} {took[0]:7.2f} {took[1]:9.2f}")
    print(f"  longest update {1000 * updating.max():.0f} ms")
    print(f"  buckets {keeper.bytes / MIB:.0f} MiB once all are in use")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of this program {peak:.0f} MiB")


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--containers", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=1_440)
    parser.add_argument("--live", type=int, default=20_000)
    parser.add_argument("--ticks", type=int, default=480)
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if asked.live:
        live(asked.live, asked.ticks)
    if asked.containers:
        whole(asked.containers, asked.samples)


if __name__ == "__main__":
    main()
