"""A real leak, watched live and without Prometheus, is called one before its first OOM kill."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.conftest import COMMAND
from tests.real.patience import PATIENCE

WATCH = 420
"""Seconds; the lab's metrics are renewed every 15 to 20 s."""
WATCHING = (
    *("-n", "default", "--once", "-o", "json"),
    *("--no-prometheus", "--no-keep-history", "--interval", "5s", "--watch-for", f"{WATCH}s"),
)
MIB = 2**20


@pytest.fixture
def leaky(kubectl: Callable[..., str]) -> Iterator[str]:
    """A pod that takes 1 MiB a second, and would be OOM-killed after a quarter of an hour."""
    name = f"leaky-{uuid.uuid4().hex[:8]}"
    container = {
        "name": "leaky",
        "image": "localhost/lab/python:1",
        "imagePullPolicy": "Never",
        "command": ["python3", "/app/leak.py"],
        "env": [
            {"name": "SERVICE", "value": "leaky"},
            {"name": "STEP_MIB", "value": "2"},
            {"name": "STEP_SECONDS", "value": "2"},
        ],
        "resources": {"limits": {"memory": "900Mi"}, "requests": {"memory": "16Mi"}},
    }
    spec = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    kubectl("-n", "default", "run", name, "--image=x", "--restart=Always", f"--overrides={json.dumps(spec)}")
    kubectl("-n", "default", "wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s")
    yield name
    kubectl("-n", "default", "delete", "pod", name, "--grace-period=0", "--force")


def test_a_leak_is_called_one_before_it_kills(leaky: str, admin: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        [*COMMAND, "--kubeconfig", str(admin), *WATCHING],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=WATCH + PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    found = next(each for each in json.loads(done.stdout)["containers"] if each["pod"] == leaky)
    assert found["verdict"] == "leak", found["evidence"]
    assert found["restarts"] == 0
    assert found["last_termination"] is None
    assert found["growth_bytes_per_hour"] == pytest.approx(3600 * MIB, rel=0.15)
    left = (900 * MIB - found["working_set_bytes"]) / found["growth_bytes_per_hour"] * 3600
    assert found["seconds_to_limit"] == pytest.approx(left, rel=0.2)
