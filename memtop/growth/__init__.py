"""From series to verdict: numbers in, verdict out. Knows neither Kubernetes nor Prometheus."""

from memtop.growth.floor import floor_line
from memtop.growth.incremental import Incremental
from memtop.growth.judgement import Judgement, Judgements, Verdict
from memtop.growth.pooling import pool
from memtop.growth.series import Batch, Ragged, Series
from memtop.growth.verdict import judge, judge_many

__all__ = [
    "Batch",
    "Incremental",
    "Judgement",
    "Judgements",
    "Ragged",
    "Series",
    "Verdict",
    "floor_line",
    "judge",
    "judge_many",
    "pool",
]
