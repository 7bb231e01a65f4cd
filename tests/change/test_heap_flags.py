"""Heap flags beside the memory limit: found where they are written, and said where the two do not fit."""

from __future__ import annotations

import pytest

from memtop.change.heap_flags import heap_flag, heap_lines
from tests.change.objects import container

MIB, GIB = 2**20, 2**30


def template(**more):
    return {"spec": {"containers": [container(**more)]}}


def env(**values):
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize(
    ("parts", "words", "size"),
    [
        ({"command": ["java", "-Xmx1843m", "-jar", "app.jar"]}, "-Xmx1843m", 1843 * MIB),
        ({"command": ["java"], "args": ["-Xmx2G"]}, "-Xmx2G", 2 * GIB),
        ({"args": ["-XX:MaxHeapSize=1073741824"]}, "-XX:MaxHeapSize=1073741824", GIB),
        ({"command": ["sh", "-c", "exec java -Xmx512k -jar a.jar"]}, "-Xmx512k", 512 * 1024),
        ({"args": ["-Xmx1g", "-Xmx2g"]}, "-Xmx2g", 2 * GIB),
        (env(JAVA_TOOL_OPTIONS="-Xms64m -Xmx300m"), "-Xmx300m", 300 * MIB),
        (env(JAVA_OPTS="-Xmx300m") | {"args": ["-Xmx400m"]}, "-Xmx400m", 400 * MIB),
        (env(NODE_OPTIONS="--max-old-space-size=256"), "--max-old-space-size=256", 256 * MIB),
        ({"command": ["node", "--max_old_space_size=300", "a.js"]}, "--max_old_space_size=300", 300 * MIB),
        ({"args": ["-Xmx1g", "--max-old-space-size=256"]}, "--max-old-space-size=256", 256 * MIB),
        ({"args": ["--max-old-space-size=256", "-Xmx1g"]}, "-Xmx1g", GIB),
        (env(GOMEMLIMIT="1750MiB"), "GOMEMLIMIT=1750MiB", 1750 * MIB),
        (env(DOTNET_GCHeapHardLimit="C800000"), "DOTNET_GCHeapHardLimit=C800000", 200 * MIB),
    ],
)
def test_a_heap_flag_is_found(parts, words, size):
    found = heap_flag(container(**parts))
    assert (found.text, found.size) == (words, size)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"command": ["java", "-XX:MaxRAMPercentage=75"]},
        {"command": ["java", "-Xmx1843mb", "-Xss2m"]},
        env(GOMEMLIMIT="off"),
        env(DOTNET_GCHeapHardLimit="much"),
        env(GREETING="-Xmx100m"),
        {"env": [{"name": "JAVA_OPTS", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]},
    ],
)
def test_what_is_no_heap_flag_is_none(parts):
    assert heap_flag(container(**parts)) is None


def said(before, after):
    return [(line.label, line.weight, line.text) for line in heap_lines(before, after)]


def test_a_limit_that_the_heap_cannot_use_is_said():
    before, after = (template(limit=limit, command=["java", "-Xmx1843m"]) for limit in ("2Gi", "4Gi"))
    assert said(before, after) == [
        (
            "heap",
            "warn",
            "-Xmx1843m of main ends its heap at 1.8 GiB: of 4 GiB it cannot use more than that and what it "
            "needs beside the heap; the flag has to be raised too",
        )
    ]


@pytest.mark.parametrize("limit", ["1Gi", "1843Mi"])
def test_a_heap_that_does_not_fit_is_said(limit):
    before, after = (template(limit=size, command=["java", "-Xmx1843m"]) for size in ("2Gi", limit))
    ((label, weight, words),) = said(before, after)
    assert (label, weight) == ("heap", "critical")
    assert words.startswith("-Xmx1843m of main lets the heap grow to 1.8 GiB, and the limit is ")
    assert words.endswith("it is OOM-killed before the heap is full")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (template(limit="2Gi", args=["-Xmx1g"]), template(limit="2Gi", args=["-Xmx1g"])),
        (template(limit="1Gi", args=["-Xmx1536m"]), template(limit="2Gi", args=["-Xmx1536m"])),
        (template(limit="1Gi"), template(limit="4Gi")),
        (template(limit="1Gi", args=["-Xmx512m"]), template(limit="", args=["-Xmx512m"])),
    ],
)
def test_nothing_is_said_where_they_fit_or_nothing_changes(before, after):
    assert not said(before, after)


def test_a_flag_that_changes_is_looked_at_too():
    before, after = (template(limit="2Gi", args=[flag]) for flag in ("-Xmx1536m", "-Xmx3g"))
    assert said(before, after)[0][1] == "critical"
