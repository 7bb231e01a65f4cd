"""Moments that are typed, files that are written, and what is asked for."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from memtop.files import NewFileError
from memtop.logs.log_lines import LogLine, LogMark
from memtop.logs.log_output import proposed_log_name, save_log
from memtop.logs.log_request import LogRequest
from memtop.logs.log_times import TimeFormatError, parse_typed_time

NEWEST = datetime(2026, 11, 22, 16, 28, 11, tzinfo=UTC).timestamp()
CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("16:20", "2026-11-22T16:20:00+00:00"),
        ("16:20:05.5", "2026-11-22T16:20:05.500+00:00"),
        ("16:30", "2026-11-21T16:30:00+00:00"),
        ("2026-11-20 04:05", "2026-11-20T04:05:00+00:00"),
        ("2026-11-20T04:05:06Z", "2026-11-20T04:05:06+00:00"),
        ("-10m", "2026-11-22T16:18:11+00:00"),
        ("-1.5 h", "2026-11-22T14:58:11+00:00"),
        ("10m", "2026-11-22T16:18:11+00:00"),
        ("15 min ago", "2026-11-22T16:13:11+00:00"),
        ("-1h30m", "2026-11-22T14:58:11+00:00"),
        ("now", "2026-11-22T16:28:11+00:00"),
        ("2026-11-22T14:03", "2026-11-22T14:03:00+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00+00:00"),
        ("11-21 23:59:58.250", "2026-11-21T23:59:58.250+00:00"),
        ("12-24 10:00", "2025-12-24T10:00:00+00:00"),
        ("2026-11-22T15:03:00.123456789Z", "2026-11-22T15:03:00.123456+00:00"),
        ("17:03+01:00", "2026-11-22T16:03:00+00:00"),
        ("15:03 UTC", "2026-11-22T15:03:00+00:00"),
    ],
)
def test_a_moment(text: str, moment: str) -> None:
    assert parse_typed_time(text, newest=NEWEST, zone=UTC) == datetime.fromisoformat(moment).timestamp()


def test_a_moment_is_meant_where_one_is() -> None:
    assert parse_typed_time("17:20", newest=NEWEST, zone=CET) == NEWEST - 8 * 60 - 11
    assert parse_typed_time("16:20Z", newest=NEWEST, zone=CET) == NEWEST - 8 * 60 - 11


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "16:99", "2026-02-31 10:00", "11-22", "Z", "10", "-10"]
)
def test_no_moment(text: str) -> None:
    with pytest.raises(TimeFormatError, match="is no time"):
        parse_typed_time(text, newest=NEWEST, zone=UTC)


def test_a_log_is_saved_once(tmp_path: Path) -> None:
    lines = [
        LogLine(1795363200_000000005, "hello", "web"),
        LogLine(1795363201_000000000, "web was OOM-killed", "web", LogMark.NOTE),
        LogLine(-1, "x" * 20, "agent", LogMark.CUT),
    ]
    path = tmp_path / "web.log"
    assert save_log(path, iter(lines), times=True, owners=True) == 3
    assert path.read_text() == (
        "2026-11-22T16:00:00.000000005Z web hello\n"
        "2026-11-22T16:00:01.000000000Z web --- web was OOM-killed ---\n"
        "agent xxxxxxxxxxxxxxxxxxxx [cut]\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(NewFileError, match=r"there is such a file already: web\.log"):
        save_log(path, iter(lines), times=False, owners=False)
    assert "hello" in path.read_text(), "what was there is untouched"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NewFileError, match="cannot be written: No such file"):
        save_log(tmp_path / "no" / "web.log", [], times=True, owners=False)


def test_half_a_log_is_not_left_behind(tmp_path: Path) -> None:
    def failing() -> object:
        yield LogLine(0, "a", "web")
        raise OSError(28, "No space left on device")

    with pytest.raises(NewFileError, match="No space left"):
        save_log(tmp_path / "web.log", failing(), times=False, owners=False)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_name_that_says_whose_log_it_is() -> None:
    request = LogRequest("shop", "web-5wrk4", ("web",), previous=True)
    assert proposed_log_name(request, NEWEST) == "web-5wrk4_web_previous_20261122T162811Z.log"
    assert proposed_log_name(request.with_containers("web", "agent"), NEWEST).startswith(
        "web-5wrk4_all_previous_"
    )


def test_what_is_asked_for() -> None:
    request = LogRequest("shop", "web/../x", ("web",), since_seconds=300, tail=50)
    assert request.path == "/api/v1/namespaces/shop/pods/web%2F..%2Fx/log"
    assert request.params("web", follow=False) == {
        "container": "web",
        "timestamps": "true",
        "tailLines": "50",
        "sinceSeconds": "300",
    }
    after = request.params("web", follow=True, after=1795363200_999999999)
    assert after["sinceTime"] == "2026-11-22T16:00:00Z"
    assert "sinceSeconds" not in after
