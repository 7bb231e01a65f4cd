"""A workload that really leaks and is really killed, fixed with kubectl: does memtop see that it holds?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import COMMAND
from tests.real.patience import PATIENCE, eventually

PODS = 3
LEAKING, FIXED = "localhost/lab/user-service:v2.0.0", "localhost/lab/user-service:v2.1.0"
LEAK_ON = 100.0
"""Seconds for which it is watched further when each pod has been killed once, after some 45 s."""
LONGEST = 600
"""Seconds until it has to be known whether it holds."""


def manifest(replicas: int) -> str:
    container = {
        "name": "shop",
        "image": LEAKING,
        "imagePullPolicy": "Never",
        "env": [{"name": "STEP_MIB", "value": "2"}, {"name": "STEP_SECONDS", "value": "1"}],
        "resources": {"limits": {"memory": "100Mi"}, "requests": {"memory": "8Mi", "cpu": "5m"}},
    }
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}
    )


@pytest.fixture
def namespace(kubectl: Callable[..., str], new_namespace: Callable[[str], str]) -> str:
    """A namespace with a Deployment that leaks."""
    name = new_namespace("stab")
    kubectl("-n", name, "apply", "-f", "-", given=manifest(PODS))
    return name


@dataclass(frozen=True)
class Watch:
    """A running ``memtop watch``, and the file that it writes JSON lines to."""

    process: subprocess.Popen[str]
    file: Path

    def told(self) -> list[dict[str, Any]]:
        """What it has told so far."""
        *lines, _ = self.file.read_text().split("\n")
        return [json.loads(line) for line in lines]

    def ended(self) -> list[dict[str, Any]]:
        """What it has told when it ends."""
        _, err = self.process.communicate(timeout=LONGEST + PATIENCE)
        told = self.told()
        assert told, err
        return told


@pytest.fixture
def watch(admin: Path, environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """``watch(namespace, "--timeout", "60s")``: a running ``memtop watch`` that prints JSON lines."""
    running: list[subprocess.Popen[str]] = []

    def start(namespace: str, *words: str) -> Watch:
        flags = (
            "--kubeconfig",
            str(admin),
            "-n",
            namespace,
            "--no-prometheus",
            "--interval",
            "5s",
            "-o",
            "json",
        )
        path = tmp_path / f"told-{len(running)}.jsonl"
        with path.open("w") as file:
            process = subprocess.Popen(
                [*COMMAND, "watch", "deployment/shop", *flags, *words],
                env={**os.environ, **environ},
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
            )
        running.append(process)
        return Watch(process, path)

    yield start
    for process in running:
        process.kill()


@pytest.fixture
def leaks(kubectl: Callable[..., str], namespace: str) -> Callable[[Watch], None]:
    """``leaks(before)``: waits until all pods have been killed, and that has been watched for a while."""

    def wait(before: Watch) -> None:
        reasons = "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.reason}"
        words = ("-n", namespace, "get", "pods", "-o", reasons)
        eventually(lambda: kubectl(*words).split() == ["OOMKilled"] * PODS, "a kill of each pod")
        time.sleep(LEAK_ON)
        eventually(
            lambda: [one["verdict"] for one in before.told()][-1:] == ["still leaking"], "memtop to say so"
        )

    return wait


def test_a_real_leak_is_fixed_and_the_fix_holds(
    namespace: str,
    watch: Callable[..., Watch],
    leaks: Callable[[Watch], None],
    kubectl: Callable[..., str],
) -> None:
    """The watch before the change leaves its samples on disk; the one after it knows them."""
    before = watch(namespace, "--until", "forever")
    leaks(before)
    before.process.send_signal(signal.SIGINT)
    leaking = before.ended()
    assert before.process.returncode == 128 + signal.SIGINT
    assert leaking[-1]["verdict"] == "still leaking", leaking[-1]
    kubectl("-n", namespace, "set", "image", "deployment/shop", f"shop={FIXED}")
    kubectl("-n", namespace, "rollout", "status", "deployment/shop", f"--timeout={PATIENCE:.0f}s")
    after = watch(namespace, "--until", "stable", "--timeout", f"{LONGEST}s")
    told = after.ended()
    assert [one["verdict"] for one in told] == ["watching", "holding"], told
    assert after.process.returncode == 0
    held = told[-1]
    assert held["change"]["what"] == "v2.0.0 → v2.1.0"
    assert held["before"]["oom_kills"] >= 3
    assert held["after"]["oom_kills"] == 0
    assert held["after"]["pods"] == PODS
    created = kubectl(
        "-n",
        namespace,
        "get",
        "rs",
        "--sort-by=.metadata.creationTimestamp",
        "-o",
        "jsonpath={.items[-1:].metadata.creationTimestamp}",
    )
    assert held["change"]["at"] == created


def test_a_higher_limit_only_postpones(
    namespace: str,
    watch: Callable[..., Watch],
    leaks: Callable[[Watch], None],
    kubectl: Callable[..., str],
) -> None:
    before = watch(namespace, "--until", "forever")
    leaks(before)
    before.process.send_signal(signal.SIGTERM)
    before.ended()
    assert before.process.returncode == 128 + signal.SIGTERM
    kubectl("-n", namespace, "set", "resources", "deployment/shop", "--limits=memory=160Mi")
    after = watch(namespace, "--until", "stable", "--timeout", f"{LONGEST}s")
    told = after.ended()
    assert after.process.returncode == 1
    assert told[-1]["verdict"] == "only postponed", told[-1]
    assert told[-1]["change"]["what"] == "limit 100 MiB → 160 MiB"
    assert "OOM kill" in told[-1]["sentence"]
