"""What memtop prints of a real cluster is what kubectl prints of it at the same moment.

Pods die and metrics change while both look, so kubectl is asked before and after memtop: what was the same
both times has to be the same in memtop, and what changed is left out. Further rounds are allowed, since the
server's cache may be a moment behind, and what is dying or measured anew often may change within one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MIB = 1024**2
ROUNDS = 20
Name = tuple[str, str, str]


def pods_of(kubectl: Callable[..., str]) -> dict[Name, dict[str, Any]]:
    """What each container of each pod that is not finished looks like, in memtop's terms."""
    found = {}
    for pod in json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]:
        if pod["status"]["phase"] == "Succeeded":
            continue
        for status in pod["status"].get("containerStatuses", []):
            (kind, state), *_ = status["state"].items()
            end = state if kind == "terminated" else status.get("lastState", {}).get("terminated")
            name = (pod["metadata"]["namespace"], pod["metadata"]["name"], status["name"])
            words = "Running" if kind == "running" else state.get("reason")
            if kind != "terminated" and "deletionTimestamp" in pod["metadata"]:
                words = "Terminating"
            found[name] = {
                "restarts": status["restartCount"],
                "state": words,
                "last_termination": end
                and {
                    "reason": end["reason"],
                    "exit_code": end["exitCode"],
                    "finished_at": end["finishedAt"],
                },
                "node": pod["spec"]["nodeName"],
            }
    return found


def top_of(kubectl: Callable[..., str]) -> dict[Name, int]:
    """MiB of each container."""
    lines = kubectl("top", "pods", "-A", "--containers", "--no-headers").splitlines()
    rows = [line.split() for line in lines]
    return {(row[0], row[1], row[2]): int(row[4].removesuffix("Mi")) for row in rows}


def named(frame: Any) -> dict[Name, dict[str, Any]]:
    return {(row["namespace"], row["pod"], row["container"]): row for row in frame["containers"]}


def test_restarts_states_and_last_ends_are_those_of_kubectl_get(
    kubectl: Callable[..., str], frame: Callable[..., Any]
) -> None:
    differences: list[str] = []
    for _ in range(ROUNDS):
        before, rows, after = pods_of(kubectl), named(frame("-A")), pods_of(kubectl)
        steady = {name for name in before if before[name] == after.get(name)}
        assert steady
        differences = [
            f"{name}: {rows[name][field] if name in rows else 'no row'} and not {wanted}"
            for name in sorted(steady)
            for field, wanted in before[name].items()
            if name not in rows or rows[name][field] != wanted
        ]
        if not differences and any(row["restarts"] for row in before.values()):
            return
    assert not differences


def test_memory_is_that_of_kubectl_top(kubectl: Callable[..., str], frame: Callable[..., Any]) -> None:
    """Between two readings of kubectl memory lies between them, to the MiB that kubectl cuts off."""
    differences: list[str] = []
    for _ in range(ROUNDS):
        before, rows, after = top_of(kubectl), named(frame("-A")), top_of(kubectl)
        both = before.keys() & after.keys()
        assert both
        differences = []
        for name in sorted(both):
            low, high = sorted((before[name], after[name]))
            bytes_ = rows[name]["working_set_bytes"] if name in rows else None
            if bytes_ is None or not low * MIB <= bytes_ < (high + 1) * MIB:
                differences.append(f"{name}: {bytes_} bytes, and kubectl says {low} to {high} MiB")
        unsampled = [name for name, row in rows.items() if row["working_set_bytes"] is not None]
        differences += [
            f"{name}: kubectl knows of no sample"
            for name in unsampled
            if name not in before and name not in after
        ]
        if not differences:
            return
    assert not differences


def test_limits_are_those_of_the_pods(kubectl: Callable[..., str], frame: Callable[..., Any]) -> None:
    rows = named(frame("-A"))
    limits = {(ns, container): row["limit_bytes"] for (ns, _, container), row in rows.items()}
    wanted = {
        ("production", "user-service"): 128 * MIB,
        ("production", "slow-leak-service"): 512 * MIB,
        ("production", "batch-nolimit"): None,
    }
    assert {name: limits[name] for name in wanted} == wanted


def test_one_namespace_is_enough_for_a_reader(
    memtop: Callable[..., Any], reader: Any, kubectl: Callable[..., str]
) -> None:
    done = memtop(reader, "-n", "staging", "--once", "-o", "json")
    assert done.returncode == 0, done.stderr
    pods = {row["pod"] for row in json.loads(done.stdout)["containers"]}
    names = kubectl("get", "pods", "-n", "staging", "-o", "name").split()
    assert pods == {name.removeprefix("pod/") for name in names}


def test_who_may_nothing_is_told_so(memtop: Callable[..., Any], nobody: Any) -> None:
    done = memtop(nobody, "--once", "-o", "json")
    assert done.returncode != 0
    assert done.stdout == ""
    assert 'cannot list resource "pods"' in done.stderr
    assert "Traceback" not in done.stderr
