"""The log file: what it says, what it never says, and that it troubles nobody."""

import logging
import os
import stat
from errno import ENOSPC
from pathlib import Path

import pytest

from config.invocation import settings_from
from memtop import log_file
from memtop.log_file import LogFileError, get_logger, log_request, log_to, mask_secrets, secrets_of

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2-hunter2",
        "Authorization: Basic aHVudGVyMjpodW50ZXIy",
        "X-Api-Key: hunter2",
        "Cookie: session=hunter2",
        '{"access_token": "hunter2", "id": 3}',
        "password='hunter2'",
        "GET https://me:hunter2@prometheus.example/api",
        "http:/me:hunter2@prometheus.example",
        "through the proxy http://me:p@hunter2@proxy:3128 to here",
        f"a header {JWT.replace('c2lnbmF0dXJl', 'hunter2')} of a service account",
        "sha256~hunter2hunter2hunter2hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "the tenant said zebra-hunter2-zebra",
    ],
)
def test_no_secret_is_written(text: str, tmp_path: Path) -> None:
    path = tmp_path / "memtop.log"
    with log_to(path, ["zebra-hunter2-zebra"]):
        get_logger("test").info("%s", text)
        get_logger("test").error("it failed", exc_info=ValueError(text))
    written = path.read_text()
    assert "hunter2" not in written
    assert "***" in written
    assert "ValueError" in written


def test_what_is_no_secret_stays() -> None:
    for text in (
        "GET /api/v1/namespaces/shop/secrets 200 3 ms",
        "image registry.example/team/app@sha256:00ff of shop/web-1",
        "verdict of shop/token-service-7/main: leak, was steady",
        "no token could be had",
    ):
        assert mask_secrets(text) == text


def test_the_secrets_of_the_settings_are_known() -> None:
    settings = settings_from(
        {"prometheus": {"password": "long one", "headers": {"X-Scope-OrgID": "tenant-7"}, "username": "me"}}
    )
    assert set(secrets_of(settings)) == {"long one", "tenant-7"}


def test_a_request_is_logged_without_its_query(tmp_path: Path) -> None:
    path = tmp_path / "memtop.log"
    with log_to(path):
        log_request(get_logger("test"), "GET", "https://u:p@server/api/v1/pods?watch=1&token=x", 200, 0.0)
        log_request(get_logger("test"), "PATCH", "/api/v1/x", TimeoutError("too late"), 0.0)
    first, second = path.read_text().splitlines()
    assert "GET /api/v1/pods 200 " in first
    assert "?" not in first
    assert "PATCH /api/v1/x TimeoutError: too late" in second


def test_it_is_private_whatever_the_umask_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "memtop.log"
    before = os.umask(0)
    try:
        for word in ("one", "two"):
            with log_to(path):
                get_logger("test").info(word)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["one", "two"]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_file_of_ones_own_is_not_written(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "memtop.log", tmp_path / "other"
    other.touch()
    if kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(LogFileError, match=r"memtop\.log cannot be written"), log_to(path):
        pass
    assert not other.read_bytes()


def test_it_is_rotated_and_every_part_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "MOST_FILE_BYTES", 2_000)
    path = tmp_path / "memtop.log"
    with log_to(path):
        for number in range(200):
            get_logger("test").info("line %d %s", number, "x" * 50)
    parts = sorted(tmp_path.iterdir())
    assert len(parts) == 1 + log_file.KEPT_FILES
    for part in parts:
        assert part.stat().st_size <= 2_000
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert "line 199" in path.read_text()


def test_a_full_disk_stops_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(log_file, "open_own", full)
    path = tmp_path / "memtop.log"
    with pytest.raises(LogFileError, match="No space left"), log_to(path):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(log_file, "MOST_FILE_BYTES", 500)
    with log_to(path):
        monkeypatch.setattr(os, "rename", full)
        for number in range(50):
            get_logger("test").info("line %d", number)
    assert "line 0" in path.read_text()
    out, err = capfd.readouterr()
    assert out + err == ""


def test_without_a_log_file_nothing_is_written_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("memtop.test")
    propagates, logging.getLogger("memtop").propagate = logging.getLogger("memtop").propagate, False
    try:
        logger.error("nobody reads this")
    finally:
        logging.getLogger("memtop").propagate = propagates
    out, err = capfd.readouterr()
    assert out + err == ""


def test_other_peoples_escapes_do_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "memtop.log"
    with log_to(path):
        get_logger("test").info("a\x1b[31mb\x1b]0;title\x07c")
    assert path.read_text().rstrip().endswith("abc")
