"""What ``--once`` says of Prometheus: why it cannot serve, and nothing where nobody misses it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from memtop.analysis.judgement import UNJUDGED_CODE
from memtop.commands.once import UNJUDGED_HINT, _past_sentence, _source_sentence
from memtop.observe.view import SourceCondition, SourceStatus

NOW = 1_800_000_000.0


def frame(*codes):
    rows = SimpleNamespace(
        working_set=np.ones(len(codes)), namespace=np.zeros(len(codes), int), verdict=np.array(codes)
    )
    return SimpleNamespace(rows=rows, time=NOW)


JUDGED, UNJUDGED = frame(UNJUDGED_CODE + 1), frame(UNJUDGED_CODE)
STATUS = SourceStatus("prometheus", SourceCondition.LIVE, "it is here", data_at=NOW - 20)


@pytest.mark.parametrize(
    ("state", "data_at", "shown", "words"),
    [
        (SourceCondition.LIVE, NOW - 20, UNJUDGED, ""),
        (SourceCondition.LIVE, None, UNJUDGED, f"prometheus: it is here; {UNJUDGED_HINT}"),
        (SourceCondition.LIVE, None, JUDGED, ""),
        (SourceCondition.ABSENT, None, JUDGED, ""),
        (SourceCondition.ABSENT, None, UNJUDGED, f"prometheus: it is here; {UNJUDGED_HINT}"),
        (SourceCondition.FAILING, None, JUDGED, "prometheus: it is here"),
        (
            SourceCondition.STALE,
            NOW - 300,
            JUDGED,
            "prometheus: it is here; its newest data is from 5 min ago",
        ),
    ],
)
def test_prometheus_says_why_it_cannot_serve(state, data_at, shown, words):
    assert _past_sentence(replace(STATUS, state=state, data_at=data_at), shown) == words


def test_stale_metrics_have_their_age():
    stale = SourceStatus("metrics", SourceCondition.STALE, "503", data_at=NOW - 7500)
    assert _source_sentence(stale, NOW) == "metrics: 503; its newest data is from 2 h 5 m ago"
