"""A workload that really leaks and is really killed, fixed with kubectl: does memtop see that it holds?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import COMMAND

LEAKING, FIXED = "localhost/lab/user-service:v2.0.0", "localhost/lab/user-service:v2.1.0"
LEAK_FOR = 150.0
"""Seconds: 2 MiB a second fills 100 MiB in 45 s, so each pod is killed at least once."""
PATIENCE = 420


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
def namespace(kubectl: Callable[..., str], tmp_path: Path) -> Iterator[str]:
    """A namespace with a Deployment that leaks."""
    name = f"memtop-stab-{uuid.uuid4().hex[:6]}"
    path = tmp_path / "shop.json"
    path.write_text(manifest(3))
    kubectl("create", "namespace", name)
    kubectl("-n", name, "apply", "-f", str(path))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def watch(admin: Path, environ: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``watch(namespace, "--timeout", "60s")``: a running ``memtop watch`` that prints JSON lines."""
    running: list[subprocess.Popen[str]] = []

    def start(namespace: str, *words: str) -> subprocess.Popen[str]:
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
        process = subprocess.Popen(
            [*COMMAND, "watch", "deployment/shop", *flags, *words],
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()


def verdicts(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=PATIENCE + 60)
    assert out, err
    return [json.loads(line) for line in out.splitlines()]


def test_a_real_leak_is_fixed_and_the_fix_holds(
    namespace: str, watch: Callable[..., subprocess.Popen[str]], kubectl: Callable[..., str]
) -> None:
    """The watch before the change leaves its samples on disk; the one after it knows them."""
    before = watch(namespace, "--until", "forever")
    time.sleep(LEAK_FOR)
    before.send_signal(signal.SIGINT)
    leaking = verdicts(before)
    assert before.returncode == 128 + signal.SIGINT
    assert leaking[-1]["verdict"] == "still leaking", leaking[-1]
    kubectl("-n", namespace, "set", "image", "deployment/shop", f"shop={FIXED}")
    kubectl("-n", namespace, "rollout", "status", "deployment/shop", "--timeout=60s")
    after = watch(namespace, "--until", "stable", "--timeout", f"{PATIENCE}s")
    told = verdicts(after)
    assert [one["verdict"] for one in told] == ["watching", "holding"], told
    assert after.returncode == 0
    held = told[-1]
    assert held["change"]["what"] == "v2.0.0 → v2.1.0"
    assert held["before"]["oom_kills"] >= 3
    assert held["after"]["oom_kills"] == 0
    assert held["after"]["pods"] == 3
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
    namespace: str, watch: Callable[..., subprocess.Popen[str]], kubectl: Callable[..., str]
) -> None:
    before = watch(namespace, "--until", "forever")
    time.sleep(LEAK_FOR)
    before.send_signal(signal.SIGTERM)
    verdicts(before)
    assert before.returncode == 128 + signal.SIGTERM
    kubectl("-n", namespace, "set", "resources", "deployment/shop", "--limits=memory=160Mi")
    after = watch(namespace, "--until", "stable", "--timeout", f"{PATIENCE}s")
    told = verdicts(after)
    assert after.returncode == 1
    assert told[-1]["verdict"] == "only postponed", told[-1]
    assert told[-1]["change"]["what"] == "limit 100 MiB → 160 MiB"
    assert "OOM kill" in told[-1]["sentence"]
