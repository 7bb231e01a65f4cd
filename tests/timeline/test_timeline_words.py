"""The sentence on an onset, which change may have brought it, and the likely causes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import msgspec
import numpy as np
import pytest

from memtop.analysis.onset import Onset, OnsetKind
from memtop.kube.object_ref import ObjectRef
from memtop.timeline.cause_facts import search_log
from memtop.timeline.cluster_changes import ClusterChange, TimelineKind
from memtop.timeline.timeline_report import onset_sentence, report_json, report_lines, report_markdown
from memtop.timeline.workload_timeline import (
    WorkloadTimeline,
    change_that_brought,
    refine_onset,
    service_levels,
)
from tests.timeline.made import BEGAN, CART

AT = 1_795_953_900.0  # 2026-11-29 12:05 UTC
NOW = AT + 7200.0
MIB = 2.0**20
ONSET = Onset(OnsetKind.BEGAN, AT, AT - 600, AT + 600, 0.0, 48 * MIB, AT - 86400, NOW)
ROLLOUT = ClusterChange(
    AT - 180, TimelineKind.ROLLOUT, "revision 12: image v2.0.0", "", 12, "revision 12 (image v2.0.0)"
)
CONFIG = ClusterChange(AT - 60, TimelineKind.CONFIG, "ConfigMap limits changed", "kubectl-edit")
TOLD = WorkloadTimeline(
    ObjectRef("Deployment", "shop", "cart"),
    "app",
    NOW,
    onset=ONSET,
    changes=(ROLLOUT, CONFIG),
    brought_by=ROLLOUT,
)


def test_the_sentence_names_the_moment_its_margin_and_the_change() -> None:
    """Began when, how surely, and how long after which revision."""
    assert onset_sentence(TOLD, UTC) == "began 12:05 (±10 m), 3 m after revision 12 (image v2.0.0)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (None, "began 12:05 (±10 m), no change found within an hour of it"),
        (CONFIG, "began 12:05 (±10 m), with ConfigMap limits changed by kubectl-edit"),
        (
            replace(ROLLOUT, time=AT + 300),
            "began 12:05 (±10 m), at about the time of revision 12 (image v2.0.0) (12:10)",
        ),
    ],
)
def test_what_it_came_with_is_said_as_it_was(change: ClusterChange | None, words: str) -> None:
    """No change, one at the same moment, one inside the interval."""
    assert onset_sentence(replace(TOLD, brought_by=change), UTC) == words


def test_what_is_forbidden_is_said_where_no_change_was_found() -> None:
    """ConfigMaps that may not be read may be the cause."""
    told = replace(TOLD, brought_by=None, notes=("ConfigMaps: 2 may not be read",))
    assert onset_sentence(told, UTC).endswith("(ConfigMaps: 2 may not be read)")


@pytest.mark.parametrize(
    ("onset", "words"),
    [
        (
            Onset(OnsetKind.BEFORE_WINDOW, rate_after=MIB, since=AT),
            "has climbed since before 12:05 (+1 MiB/h)",
        ),
        (Onset(OnsetKind.NO_CLIMB, since=AT), "the floor does not climb: nothing began in the last 2 h"),
        (Onset(OnsetKind.UNKNOWN, since=AT), "not known yet: too few samples since 12:05"),
        (Onset(OnsetKind.UNKNOWN), "not known: nobody has samples of it"),
    ],
)
def test_no_moment_is_invented(onset: Onset, words: str) -> None:
    """What climbed before, does not climb, or is not known."""
    assert onset_sentence(replace(TOLD, onset=onset, brought_by=None), UTC).startswith(words)


def test_a_rollout_counts_before_what_is_nearer_and_ends_never_do() -> None:
    """New code brings a leak more often than a ConfigMap; an OOM kill follows from one."""
    kill = ClusterChange(AT, TimelineKind.END, "1 OOM kill")
    assert change_that_brought(ONSET, [ROLLOUT, CONFIG, kill]) is ROLLOUT
    assert change_that_brought(ONSET, [CONFIG, kill]) is CONFIG
    assert change_that_brought(ONSET, [kill]) is None


@pytest.mark.parametrize("away", [-3700.0, 1000.0])
def test_what_is_an_hour_before_or_after_the_interval_did_not_bring_it(away: float) -> None:
    """Nearness is bounded."""
    assert change_that_brought(ONSET, [replace(ROLLOUT, time=AT + away)]) is None


def test_the_samples_around_it_refine_an_onset_only_where_they_agree() -> None:
    """A closer interval of the same bend is taken; another bend is not."""
    whole = replace(ONSET, low=AT - 3000, high=AT + 3000)
    assert refine_onset(whole, ONSET).low == ONSET.low
    other = replace(ONSET, at=AT + 50_000, low=AT + 49_000, high=AT + 51_000)
    assert refine_onset(whole, other) is whole
    assert refine_onset(whole, Onset(OnsetKind.NO_CLIMB)) is whole


def test_table_json_and_markdown_tell_the_same() -> None:
    """Sentence, onset among the changes, causes or that there are none."""
    lines = list(report_lines(TOLD, UTC))
    assert lines[0].endswith("began 12:05 (±10 m), 3 m after revision 12 (image v2.0.0)")
    order = [line for line in lines if "revision 12:" in line or "begins to climb" in line]
    assert order[0].startswith("12:02"), "the rollout stands before the onset"
    assert "nothing points to one cause yet" in lines[-1]
    decoded = msgspec.json.decode(report_json(TOLD))
    assert decoded["onset"]["at"] == "2026-11-29T12:05:00Z"
    assert decoded["brought_by"]["revision"] == 12
    assert decoded["causes"] == []
    assert "| 2026-11-29 12:02:00 | rollout | revision 12: image v2.0.0 |" in report_markdown(TOLD, UTC)


def test_a_log_is_searched_for_loads_caches_and_collections() -> None:
    """The newest line of each, how often, and what collections left."""
    log = b"\n".join(
        [
            b"2026-11-29T12:00:00Z loading 250000 rows of orders",
            b"2026-11-29T12:00:01Z session cache holds 122492 entries, eviction is disabled",
            b"2026-11-29T12:00:02Z session cache holds 122999 entries, eviction is disabled",
            b"2026-11-29T12:00:03Z MaxListenersExceededWarning: Possible EventEmitter memory leak",
            b"2026-11-29T12:00:04Z [12.3s][info][gc] GC(4) Pause Full (Ergonomics) 900M->600M(1024M) 90.1ms",
            b"2026-11-29T12:00:05Z order 4711 served from cache",
        ]
    )
    hints, live = search_log(log)
    assert {name: hint.count for name, hint in hints.items()} == {"load": 1, "cache": 2, "listeners": 1}
    assert "122999" in hints["cache"].line
    assert live == (600 * MIB,)


def test_how_it_served_is_told_before_the_climb_and_since() -> None:
    """Requests, errors and latency: medians on both sides of the onset, and the worst since."""
    times = BEGAN + 600.0 * np.arange(-12.0, 12.0)
    slow = np.where(times >= BEGAN, 0.3, 0.04)
    slow[-1] = 1.2
    known = {"latency": (times, slow), "errors": (times, np.where(times >= BEGAN, 0.002, 0.0))}
    told = replace(CART, service=tuple(service_levels(known, BEGAN)))
    text = "\n".join(report_lines(told, UTC))
    assert "latency    40 ms before the climb, 300 ms since, 1200 ms at most (" in text
    assert "errors     none before the climb, 0.2 % since" in text
    assert "- latency: 40 ms before the climb" in report_markdown(told, UTC)
    decoded = msgspec.json.decode(report_json(told))
    assert decoded["service"][0]["name"] == "latency"
    assert decoded["service"][0]["most"] == 1.2
    (alone,) = service_levels({"requests": (times, slow)}, None)
    assert alone.before is None
