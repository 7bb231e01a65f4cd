"""The whole report of a verdict on a change, as JSON and as Markdown, and the file it is written to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from memtop.analysis.stability import Stability, StabilityVerdict
from memtop.analysis.stability_evidence import SideFigures
from memtop.files import NewFileError
from memtop.stabilisation.verdict_report import (
    command_environment,
    report_json,
    report_line,
    report_markdown,
    save_report,
    side_facts,
    split_command,
    utc_stamp,
)
from tests.stabilisation.made import AT, revision, seen

MIB, GIB, HOUR = 2.0**20, 2.0**30, 3600.0
BEFORE = SideFigures(
    pods=3,
    rate=96 * MIB,
    rate_low=90 * MIB,
    rate_high=102 * MIB,
    leaks=True,
    shape="leak",
    oom_kills=6,
    restarts=7,
    watched=36 * HOUR,
    seconds=12 * HOUR,
    limit=GIB,
    peak=1000 * MIB,
    seconds_to_limit=900.0,
    cpu=0.25,
    received=4096.0,
)
AFTER = SideFigures(
    pods=2,
    rate=1 * MIB,
    rate_low=-2 * MIB,
    rate_high=4 * MIB,
    shape="steady",
    oom_kills=0,
    restarts=1,
    watched=400 * HOUR,
    seconds=200 * HOUR,
    limit=2 * GIB,
    peak=512 * MIB,
    cpu=0.24,
    received=4000.0,
)


def held():
    """A fix that holds, all of it known."""
    stability = Stability(
        StabilityVerdict.HOLDING,
        "no growth for 8 h",
        AT + 60,
        7200.0,
        0.0,
        BEFORE,
        AFTER,
        40_000.0,
        28_800.0,
        0.96,
    )
    whole = seen("holding", AT + 8 * HOUR, notes=("Prometheus at monitoring/prometheus", ""))
    return replace(whole, stabilities={"app": stability})


def unknown():
    """A first revision of which nothing was seen yet."""
    whole = seen("watching", AT + 90, problem="connection refused")
    first = replace(whole.change, previous=None)
    nothing = Stability(StabilityVerdict.WATCHING, "no sample of the new pods yet")
    return replace(whole, change=first, stabilities={"app": nothing})


def test_the_json_of_a_fix_that_holds():
    assert json.loads(report_json(held())) == {
        "time": "2026-11-23T00:00:00Z",
        "namespace": "shop",
        "workload": {"kind": "Deployment", "name": "web"},
        "container": "app",
        "change": {
            "at": "2026-11-22T16:00:00Z",
            "revision": 2,
            "previous_revision": 1,
            "what": "1 → 2",
        },
        "verdict": "holding",
        "sentence": "no growth for 8 h",
        "since": "2026-11-22T16:01:00Z",
        "needed_seconds": 7200.0,
        "remaining_seconds": 0.0,
        "bought_seconds": 40_000.0,
        "watched_seconds": 28_800.0,
        "load_share": 0.96,
        "requests_done": None,
        "requests_missing": None,
        "before": {
            "pods": 3,
            "growth_bytes_per_hour": 96 * MIB,
            "growth_low": 90 * MIB,
            "growth_high": 102 * MIB,
            "leaks": True,
            "oom_kills": 6,
            "oom_kills_per_pod_hour": pytest.approx(1 / 6),
            "restarts": 7,
            "restarts_per_pod_hour": pytest.approx(7 / 36),
            "pod_hours": 36.0,
            "limit_bytes": GIB,
            "peak_bytes": 1000 * MIB,
            "seconds_to_limit": 900.0,
            "seconds_to_limit_at_worst": pytest.approx(24 / 102 * HOUR),
            "cpu_cores": 0.25,
            "received_bytes_per_second": 4096.0,
            "requests_per_second": None,
        },
        "after": {
            "pods": 2,
            "growth_bytes_per_hour": 1 * MIB,
            "growth_low": -2 * MIB,
            "growth_high": 4 * MIB,
            "leaks": False,
            "oom_kills": 0,
            "oom_kills_per_pod_hour": 0.0,
            "restarts": 1,
            "restarts_per_pod_hour": pytest.approx(1 / 400),
            "pod_hours": 400.0,
            "limit_bytes": 2 * GIB,
            "peak_bytes": 512 * MIB,
            "seconds_to_limit": None,
            "seconds_to_limit_at_worst": pytest.approx(1536 / 4 * HOUR),
            "cpu_cores": 0.24,
            "received_bytes_per_second": 4000.0,
            "requests_per_second": None,
        },
    }
    assert "→" in report_json(held()), "names and sentences are not escaped"
    assert "\n" not in report_json(held())


def test_the_json_of_what_is_not_known_is_null_and_never_nought():
    told = json.loads(report_json(unknown()))
    assert told["change"]["previous_revision"] is None
    assert told["change"]["what"] == "revision 2, the first"
    decided = {
        name: told[name] for name in ("since", "needed_seconds", "remaining_seconds", "bought_seconds")
    }
    assert set(decided.values()) == {None}
    assert told["watched_seconds"] is None
    assert told["load_share"] is None
    assert len(told["before"]) == 17
    assert set(told["before"].values()) == set(told["after"].values()) == {None}


def test_the_markdown_of_a_fix_that_holds():
    assert (
        report_markdown(held())
        == """\
# deployment/web in shop: holding

No growth for 8 h.

- change: 1 → 2 (container app), 2026-11-22T16:00:00Z, by its creation
- judged: 2026-11-23T00:00:00Z, 8 h after the change
- evidence since: 2026-11-22T16:01:00Z
- judged on: RSS from Prometheus
- note: Prometheus at monitoring/prometheus

| | before (revision 1) | after (revision 2) |
|---|---|---|
| growth of the floor | +96 MiB/h ±6 MiB/h | +1 MiB/h ±3 MiB/h |
| time to limit | 15 m | at most +4 MiB/h: 16 d or more |
| OOM kills | 6 (0.2 per pod and hour) | 0 (0 per pod and hour) |
| restarts | 7 (0.2 per pod and hour) | 1 (0.0025 per pod and hour) |
| highest memory | 0.98 GiB (98 % of the limit) | 512 MiB (25 % of the limit) |
| limit | 1 GiB | 2 GiB |
| pods counted | 3 | 2 |
| watched | 12 h, 36.0 pod hours | 8 d 8 h, 400.0 pod hours |
"""
    )


def test_the_markdown_of_what_is_not_known_has_dashes():
    assert (
        report_markdown(unknown())
        == """\
# deployment/web in shop: watching

No sample of the new pods yet.

- change: revision 2, the first (container app), 2026-11-22T16:00:00Z, by its creation
- judged: 2026-11-22T16:01:30Z, 2 m after the change
- evidence since: –
- judged on: RSS from Prometheus
- note: connection refused

| | before (unknown) | after (revision 2) |
|---|---|---|
| growth of the floor | – | – |
| time to limit | – | – |
| OOM kills | – | – |
| restarts | – | – |
| highest memory | – | – |
| limit | – | – |
| pods counted | – | – |
| watched | – | – |
"""
    )


def test_what_is_left_to_watch_is_reported():
    assert "- still to watch: 1 m\n" in report_markdown(seen("watching"))
    assert report_line(seen("still leaking")) == "2026-11-22T16:01:00Z  still leaking   because"
    assert utc_stamp(None) == "–"


def test_figures_that_are_not_there_are_not_made_up():
    young = SideFigures(pods=1, shape="not enough data", limit=None, peak=None, watched=0.0)
    assert side_facts(young) == ("–", "–", "0 (–)", "0 (–)", "–", "none", "1", "0 s, 0.0 pod hours")
    limited = side_facts(SideFigures(limit=GIB))
    assert limited == ("–", "–", "–", "–", "–", "1 GiB", "–", "–")


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (replace(AFTER, rate_high=-1.0), "not in sight"),
        (replace(AFTER, limit=None), "not in sight"),
        (
            replace(AFTER, rate_high=58 * MIB, peak=2048 * MIB - 1508 * MIB),
            "at most +58 MiB/h: 1 d 2 h or more",
        ),
        (replace(AFTER, rate=None), "–"),
    ],
)
def test_the_limit_is_said_with_the_worst_case(side, words):
    assert side_facts(side)[1].startswith(words)


def test_a_command_is_told_by_its_environment():
    assert command_environment(held(), "watching") == {
        "MEMTOP_VERDICT": "holding",
        "MEMTOP_PREVIOUS_VERDICT": "watching",
        "MEMTOP_SENTENCE": "no growth for 8 h",
        "MEMTOP_NAMESPACE": "shop",
        "MEMTOP_WORKLOAD": "deployment/web",
        "MEMTOP_CONTAINER": "app",
        "MEMTOP_TIME": "2026-11-23T00:00:00Z",
    }


def test_a_command_is_split_as_a_shell_would():
    assert split_command("notify -t 'two words'") == ("notify", "-t", "two words")
    with pytest.raises(ValueError, match=r"^is no command: no closing quotation$"):
        split_command("'open")
    with pytest.raises(ValueError, match=r"^is no command: it is empty$"):
        split_command("  ")


def test_what_changed_is_said_per_container():
    change = replace(held().change, revision=revision(2, "web:1", 2**31))
    assert change.words("app") == "limit 1 GiB → 2 GiB"


def test_a_report_is_written_once_and_never_over_another_file(tmp_path):
    path = tmp_path / "web.md"
    save_report(path, seen("holding"))
    assert path.read_text() == report_markdown(seen("holding"))
    with pytest.raises(NewFileError, match=f"there is such a file already: {path}"):
        save_report(path, seen("worse"))
    assert path.read_text() == report_markdown(seen("holding")), "what was there is untouched"
    with pytest.raises(NewFileError, match="cannot be written: No such file"):
        save_report(tmp_path / "no" / "web.md", seen("holding"))
