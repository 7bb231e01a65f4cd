"""Logs whose program writes the time by itself need no second one."""

from __future__ import annotations

import pytest

from memtop.logs.log_times import writes_own_times


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-22T14:03:05.123Z INFO started",
        "2026-11-22 14:03:05,123 ERROR [main] c.e.App - no",
        "[2026-11-22 14:03:05 +0000] [7] [INFO] Booting worker",
        "2026/11/22 14:03:05 listening on :8080",
        "INFO  2026-11-22 14:03:05 started",
        "[WARN] 2026-11-22T14:03:05Z slow",
        "14:03:05.123 [main] INFO started",
        "I1122 14:03:05.123456       1 main.go:7] started",
        'time="2026-11-22T14:03:05Z" level=info msg=started',
        '{"ts":"2026-11-22T14:03:05Z","msg":"started"}',
        '{"timestamp": "2026-11-22T14:03:05Z"}',
        "[22/Nov/2026:14:03:05 +0000] GET /",
        "Nov 22 14:03:05 host sshd[7]: no",
        "Sun Nov 22 14:03:05 2026 ready",
        "[2026-11-22T14:03:05.123+0000][0.005s][info][gc] Using Serial",
    ],
)
def test_lines_with_a_time(line: str) -> None:
    assert writes_own_times([line])


@pytest.mark.parametrize(
    "line",
    [
        "[INFO] GET /healthz 200 1ms",
        "[12.861s][info][gc] GC(29) Pause Young (Allocation Failure) 39M->37M(48M) 5.940ms",
        "[7:0x5581] 1042 ms: Scavenge 3.9 (4.4) -> 3.2 (5.4) MB",
        "session 33482 refreshed in 6ms at 14:03:05",
        "::1 - - GET /",
    ],
)
def test_lines_without(line: str) -> None:
    assert not writes_own_times([line])


def test_most_lines_decide_and_empty_ones_do_not_count() -> None:
    assert writes_own_times(["14:03:05 boom", "\tat com.example.App", "", "  "])
    assert not writes_own_times(["14:03:05 boom", "\tat com.example.App", "\tat com.example.Main"])
    assert not writes_own_times([])
