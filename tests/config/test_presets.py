"""The memory vocabulary finds what matters and leaves ordinary lines alone."""

import re

import pytest

from config.settings import DEFAULT_PRESETS

ORDINARY = [
    "GET /api/v1/users 200 12ms msgcount=4 egc=1",
    "pulling gcr.io/distroless/static:nonroot for gcp project",
    "user logged in from zoom, room 12, bloom filter ready",
    "cheap shipping option selected, heaped discounts",
    "memberships refreshed; remembered 12 sessions",
    "2026-01-02T03:04:05Z INFO alloy started, allocated node port 30080",
]
TELLING = {
    "memory": [
        "[WARN] Memory usage high",
        "Heap usage: 1.8GB / 2GB (90%)",
        "[ERROR] Cannot allocate memory for large dataset",
        "Container was OOMKilled",
        "java.lang.OutOfMemoryError: Java heap space",
        "[GC] Full GC took 5.2s",
        "MemoryError",
    ],
    "heap": ["Heap usage: 1.8GB / 2GB (90%)", '{"heapUsed": 123}', "Metaspace used 30M", "old gen 97% full"],
    "gc": [
        "[GC] Full GC took 5.2s",
        "[2.345s][info][gc] GC(5) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(256M) 3.1ms",
        "gc 12 @3.104s 4%: 0.01+1.2+0.02 ms clock",
        "[1:0x5] 120 ms: Scavenge 12.3 (15.0) -> 11.0 (16.0) MB",
        "garbage collection took long",
    ],
    "oom": [
        "Killed process 4242 (java)",
        "oom-kill:constraint=CONSTRAINT_MEMCG",
        "ENOMEM",
        "exit code 137",
        "std::bad_alloc",
    ],
    "load": [
        "loading 250000 rows of orders",
        "fetched all 1.2 million records",
        "[ERROR] Cannot allocate memory for large dataset",
        "payload is too large",
    ],
    "cache": [
        "[WARN] session cache holds 122492 entries, eviction is disabled",
        "cache size 90000 exceeds its bound",
        "81233 entries in the cache",
    ],
    "java": [
        "java.lang.OutOfMemoryError: GC overhead limit exceeded",
        "[gc] GC(9) Pause Full (Allocation Failure)",
    ],
    "node": [
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        "<--- Last few GCs --->",
        "Mark-Compact 200.1 (230.0) -> 199.8 (230.0) MB",
    ],
    "python": [
        "MemoryError",
        "numpy: Unable to allocate 8.00 GiB for an array with shape (1,)",
        "tracemalloc top 10",
    ],
    "go": [
        "fatal error: runtime: out of memory",
        "gc 12 @3.104s 4%: 0.01+1.2+0.02 ms clock",
        "HeapAlloc = 12 MiB",
    ],
    "dotnet": ["Unhandled exception. System.OutOfMemoryException: Exception of type", "Gen 2 GC took 300 ms"],
    "kernel": [
        "Memory cgroup out of memory: Killed process 99 (node) total-vm:1kB, anon-rss:2kB",
        "python invoked oom-killer: gfp_mask=0x1",
        "oom_reaper: reaped process 99",
    ],
}


@pytest.mark.parametrize("name", DEFAULT_PRESETS)
def test_a_preset_finds_its_own_and_nothing_ordinary(name: str) -> None:
    pattern = re.compile(DEFAULT_PRESETS[name], re.IGNORECASE)
    assert [line for line in TELLING[name] if not pattern.search(line)] == []
    assert [line for line in ORDINARY if pattern.search(line)] == []
