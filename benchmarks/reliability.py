"""Is the confidence honest? A reliability table for a cluster where 1 container in 100 leaks.

    python benchmarks/reliability.py [--each 100] [--seed 7] [--compound] [--set MODULE.NAME=NUMBER]

Generates containers of every kind in tests/analysis/kinds.py, half of them as memtop sees them live (20 to 60
minutes at 15 s), weighs them as a real cluster would (`kinds.SHARE`; leaks together 1 in 100), and prints,
for every band of confidence, how many verdicts were right; the false alarms among healthy containers; and how
many of the leaks are called one, by how long they were watched.
Among the healthy are some whose growth has not ended yet in the window (a filling cache, a morning): what
leaks must be told from those too.

With --compound it generates the kinds of tests/analysis/compound.py instead, every kind as often, and prints
how well leaks are told from the rest, how far rate and time to limit are off (a missed leak counts as 1,
times to the limit of less than ten minutes as ten minutes), and for each kind what it was called.

With --set a threshold of memtop.analysis has another value, such as ``growth_rules._ASIDE_SHARE=0.3``: the
scores with half and with double a threshold show its effect. With --vary they are printed side by side, for
the compound kinds and, as false alarms, for those of kinds.py.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Bools
from memtop.commands.classify import NamedSeries, judge_named_series
from tests.analysis.healthy import HEALTHY, SHARE
from tests.analysis.kinds import Made, all_kinds, compound_kinds, make
from tests.analysis.leaking import LEAKS
from tests.analysis.unfinished import UNFINISHED

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WINDOWS = ((0.0, 0.75), (0.75, 2.0), (2.0, 6.0), (6.0, 12.0), (12.0, 1e9))
"""Hours."""
BANDS = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 1.001)
LEAKS_IN = 100


def print_scores(made: Sequence[Made], judged: Sequence[Judgement]) -> None:
    """Prints how well leaks are told from the rest, how far numbers are off, what each kind was called."""
    truly = np.array([one.leak for one in made])
    leak = np.array([verdict.verdict is Verdict.LEAK for verdict in judged])
    sure = np.array([verdict.certainty == "leak" for verdict in judged])
    hits = (leak & truly).sum()
    precision, recall = hits / max(leak.sum(), 1), hits / truly.sum()
    print(f"{len(made)} containers, {truly.sum()} leaks")
    print(
        f"  leak: F1 {2 * precision * recall / max(precision + recall, 1e-9):.3f}"
        f"  precision {precision:.3f}  recall {recall:.3f}"
    )
    print(f"  false positives {(leak & ~truly).sum() / (~truly).sum():.2%}")
    print(f"  unqualified false alarms {1000 * (sure & ~truly).sum() / (~truly).sum():.2f} in 1,000")
    print(f"  true leaks unqualified {(sure & truly).sum() / truly.sum():.1%}")
    print(f"  macro-F1 {_macro_f1(made, judged):.3f}")
    pairs = list(zip(made, judged, strict=True))
    rates = [_off(verdict.rate, one.rate, one.rate) for one, verdict in pairs if one.leak]
    times = [_limit_off(one, verdict) for one, verdict in pairs if one.seconds_to_limit]
    for name, off in (("rate", rates), ("time to limit", times)):
        print(f"  {name} error: median {np.median(off):.2%}  p90 {np.quantile(off, 0.9):.2%}")
    print()
    print_tiers(made, sure, leak)
    print("\n  each kind                                n   leak  suspected  fits   rate error, median")
    for kind in dict.fromkeys(one.kind for one in made):
        mine = [(one, verdict) for one, verdict in pairs if one.kind == kind]
        words = [verdict.certainty for _, verdict in mine]
        fits = np.mean([str(verdict.verdict) in one.labels for one, verdict in mine])
        off = [_off(verdict.rate, one.rate, one.rate) for one, verdict in mine if one.leak]
        print(
            f"  {kind:36s} {len(mine):5d} {words.count('leak') / len(mine):6.1%}"
            f" {words.count('suspected leak') / len(mine):9.1%} {fits:6.1%}"
            + (f" {np.median(off):10.1%}" if off else "")
        )


def _off(said: float | None, low: float, high: float, least: float = 1.0) -> float:
    """Distance from an interval as a share of its nearer end, at most 1."""
    if said is None:
        return 1.0
    nearest = min(max(said, low), high)
    return min(abs(said - nearest) / max(nearest, least), 1.0)


def _limit_off(one: Made, verdict: Judgement) -> float:
    said = verdict.seconds_to_limit if verdict.verdict is Verdict.LEAK else None
    return _off(said, *(one.seconds_to_limit or (0.0, 0.0)), least=600.0)


def _macro_f1(made: Sequence[Made], judged: Sequence[Judgement]) -> float:
    """Mean F1 of the verdicts; one that fits counts as the best one."""
    true = [next(iter(one.labels)) for one in made]
    said = [
        best if str(verdict.verdict) in one.labels else str(verdict.verdict)
        for one, verdict, best in zip(made, judged, true, strict=True)
    ]
    scores = []
    for label in set(true):
        both = sum(a == b == label for a, b in zip(true, said, strict=True))
        scores.append(2 * both / (true.count(label) + said.count(label)))
    return float(np.mean(scores))


def set_threshold(place: str, number: float) -> None:
    """Gives a threshold of memtop.analysis another value; it is named as ``module.NAME``."""
    module, name = place.split(".")
    setattr(importlib.import_module(f"memtop.analysis.{module}"), name, number)


def print_effect(places: Sequence[str], each: int, seed: int) -> None:
    """Prints the scores with half a threshold, as it is, and with double."""
    compound = list(compound_kinds(seed, each))
    ordinary = [*all_kinds(seed, each, live=False), *all_kinds(seed + 1, each, live=True)]
    print(f"{len(compound)} compound containers, {len(ordinary)} of kinds.py")
    heads = f"{'threshold':38s}{'F1':>7s}{'unqualified':>13s}{'macro-F1':>10s}"
    print(f"{heads}{'false, in 1,000':>17s}{'certain':>9s}")
    for place in places:
        module, name = place.split(".")
        now = float(getattr(importlib.import_module(f"memtop.analysis.{module}"), name))
        for number in (now / 2, now, now * 2):
            set_threshold(place, number)
            judged = judge_named_series([NamedSeries(one.kind, one.series) for one in compound])
            truly = np.array([one.leak for one in compound])
            leak = np.array([verdict.verdict is Verdict.LEAK for verdict in judged])
            sure = np.array([verdict.certainty == "leak" for verdict in judged])
            f1 = 2 * (leak & truly).sum() / max(leak.sum() + truly.sum(), 1)
            macro = _macro_f1(compound, judged)
            others = judge_named_series([NamedSeries(one.kind, one.series) for one in ordinary])
            healthy = [said for one, said in zip(ordinary, others, strict=True) if not one.leak]
            false = np.mean([said.verdict is Verdict.LEAK for said in healthy])
            certain = np.mean([said.certainty == "leak" for said in healthy])
            unqualified = (sure & truly).sum() / truly.sum()
            print(
                f"{place + f' = {number:g}':38s}{f1:7.3f}{unqualified:13.1%}{macro:10.3f}"
                f"{1000 * false:17.1f}{1000 * certain:9.1f}",
                flush=True,
            )
        set_threshold(place, now)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=100, help="containers of each kind, live and not")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--compound", action="store_true", help="the compound kinds, each as often")
    parser.add_argument("--set", action="append", default=[], metavar="MODULE.NAME=NUMBER")
    parser.add_argument("--vary", action="append", default=[], metavar="MODULE.NAME")
    asked = parser.parse_args()
    for override in asked.set:
        place, number = override.split("=")
        set_threshold(place, float(number))
    if asked.vary:
        print_effect(asked.vary, asked.each, asked.seed)
        return
    if asked.compound:
        compound = list(compound_kinds(asked.seed, asked.each))
        print_scores(compound, judge_named_series([NamedSeries(one.kind, one.series) for one in compound]))
        return
    made = [*all_kinds(asked.seed, asked.each, live=False), *all_kinds(asked.seed + 1, asked.each, live=True)]
    made += [
        make(kind, asked.seed * 100_003 + number, live=bool(number % 2))
        for kind in UNFINISHED
        for number in range(2 * asked.each)
    ]
    judged = judge_named_series([NamedSeries(one.kind, one.series) for one in made])
    whole = sum(SHARE.get(kind, 1.0) for kind in (*HEALTHY, *UNFINISHED))
    weight = np.array(
        [
            1 / LEAKS_IN / len(LEAKS) if one.leak else (1 - 1 / LEAKS_IN) * SHARE.get(one.kind, 1.0) / whole
            for one in made
        ]
    )
    weight /= weight.sum()
    right = np.array([str(verdict.verdict) in one.labels for one, verdict in zip(made, judged, strict=True)])
    confidence = np.array([verdict.confidence for verdict in judged])
    leak = np.array([verdict.verdict is Verdict.LEAK for verdict in judged])
    sure = np.array([verdict.certainty == "leak" for verdict in judged])
    truly = np.array([one.leak for one in made])
    print(f"{len(made)} containers, 1 in {LEAKS_IN} leaks by weight")
    for title, which in (("all verdicts", np.ones(len(made), np.bool_)), ("leak verdicts", leak)):
        print(f"\n{title}\n  confidence      share   right   mean confidence")
        for low, high in pairwise(BANDS):
            inside = which & (confidence >= low) & (confidence < high)
            if inside.any():
                part = weight[inside]
                hit, said = (
                    np.average(right[inside], weights=part),
                    np.average(confidence[inside], weights=part),
                )
                share = part.sum() / weight[which].sum()
                band = f"{low:.2f} .. {min(high, 1):.2f}"
                print(f"  {band}  {share:7.1%} {hit:7.1%} {said:12.1%}   n {inside.sum()}")
        high = which & (confidence >= 0.95)
        print(f"  at 0.95 or more: {np.average(right[high], weights=weight[high]):.2%} right")
    healthy = ~truly
    for name, called in (("leak", sure), ("leak or suspected leak", leak)):
        rate = np.average(called[healthy], weights=weight[healthy])
        found = np.average(called[truly], weights=weight[truly])
        print(
            f"\n{name}: {1000 * rate:.2f} false alarms per 1,000 healthy; {found:.1%} of the leaks found",
            end="",
        )
    print("\n")
    print_tiers(made, sure, leak)


def print_tiers(made: Sequence[Made], sure: Bools, leak: Bools) -> None:
    """Prints how many of the leaks are called one, and suspected, by how long they were watched."""
    print("leaks called, by how long they were watched\n  hours          leak   suspected")
    hours = np.array([np.ptp(one.series.timestamps) / 3600 for one in made])
    truly = np.array([one.leak for one in made])
    for shortest, longest in WINDOWS:
        inside = truly & (hours >= shortest - 0.02) & (hours < longest - 0.02)
        if not inside.any():
            continue
        until = f"{longest:g}" if longest < 1e9 else ""
        named = f"{shortest:g} .. {until}"
        called, doubted = sure[inside].mean(), (leak & ~sure)[inside].mean()
        print(f"  {named:12s} {called:6.1%} {doubted:9.1%}   n {inside.sum()}")


if __name__ == "__main__":
    main()
