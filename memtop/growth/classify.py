"""``memtop classify``: files of series in, one JSON line per series out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

from memtop.growth.judgement import Judgement
from memtop.growth.readers import BadInputError, Named, read
from memtop.growth.series import Batch
from memtop.growth.verdict import judge_many

_TOGETHER = 256


def classify(files: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Judges every series of ``files``, in order.

    Everything is read and judged before the first line is printed.

    Args:
        files: Paths, see `memtop.growth.readers.read`.
        out: Takes one JSON line per series.
        err: Takes the one sentence about input that cannot be used.

    Returns:
        The exit code: 0, or 2 if some input cannot be used.
    """
    named: list[Named] = []
    try:
        for name in files:
            named.extend(read(name))
    except BadInputError as error:
        print(error, file=err)
        return 2
    for one, judgement in zip(named, judge_named(named), strict=True):
        out.write(json.dumps(_line(one.id, judgement), ensure_ascii=False) + "\n")
    return 0


def judge_named(named: Sequence[Named]) -> list[Judgement]:
    """Judges series of different lengths in batches of about the same length, and returns them in order."""
    order = sorted(range(len(named)), key=lambda index: len(named[index].series.values))
    found: dict[int, Judgement] = {}
    for first in range(0, len(order), _TOGETHER):
        together = order[first : first + _TOGETHER]
        batch = Batch.of([named[index].series for index in together])
        found.update(zip(together, judge_many(batch), strict=True))
    return [found[index] for index in range(len(named))]


def _line(name: str, judgement: Judgement) -> dict[str, object]:
    return {
        "id": name,
        "label": judgement.verdict.value,
        "slope_bytes_per_hour": judgement.rate,
        "eta_seconds": judgement.seconds_to_limit,
        "confidence": round(judgement.confidence, 4),
        "evidence": judgement.evidence(),
    }
