"""What the tests against real servers share: a real cluster, kubectl, memtop as a command, and a terminal.

The cluster is the one whose kubeconfigs are in ``$MEMTOP_CLUSTER_HOME``, or in ``~/.cache/memtop-cluster``;
CONTRIBUTING.md says what it has to run. Tests that need it are skipped where it does not answer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtop.cluster.kubeconfig import load
from tests.real.terminal import Terminal

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def cluster_home() -> Path:
    """The folder with the real cluster's kubeconfigs; skips where there is no such cluster."""
    home = Path(os.environ.get("MEMTOP_CLUSTER_HOME") or Path.home() / ".cache/memtop-cluster")
    config = home / "kubeconfig"
    if not config.exists():
        pytest.skip(f"no real cluster: {config} is not there")
    asked = _kubectl(home, config, "get", "--raw", "/readyz")
    if asked.returncode:
        pytest.skip(f"no real cluster: {config} is there, but {asked.stderr.strip()}")
    return home


@pytest.fixture
def admin(cluster_home: Path) -> Path:
    """The kubeconfig of a user who may do everything."""
    return cluster_home / "kubeconfig"


@pytest.fixture
def reader(cluster_home: Path) -> Path:
    """The kubeconfig of a user who may look at most things and change nothing."""
    return cluster_home / "kubeconfig-readonly"


@pytest.fixture
def nobody(cluster_home: Path) -> Path:
    """The kubeconfig of a user without any rights."""
    return cluster_home / "kubeconfig-nobody"


@pytest.fixture
def as_user(cluster_home: Path) -> Callable[[str], Any]:
    """``as_user("kubeconfig-readonly")``: the target of one of the kubeconfigs."""
    return lambda name: load(kubeconfig=str(cluster_home / name))


@pytest.fixture
def kubectl(cluster_home: Path) -> Callable[..., str]:
    """``kubectl("get", "pods")``: what it prints, as the admin."""

    def run(*words: str) -> str:
        done = _kubectl(cluster_home, cluster_home / "kubeconfig", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables that keep memtop from the settings, state and cache of whoever runs the tests."""
    folders = ("config", "state", "cache", "data")
    return {f"XDG_{name.upper()}_HOME": str(tmp_path / name) for name in folders}


@pytest.fixture
def memtop(environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``memtop(kubeconfig, "--once")``: a finished run of the command."""

    def run(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "--kubeconfig", str(kubeconfig), *words],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def frame(memtop: Callable[..., subprocess.CompletedProcess[str]], admin: Path) -> Callable[..., Any]:
    """``frame("-n", "staging")``: what ``memtop --once -o json`` prints, decoded."""

    def take(*words: str) -> Any:
        done = memtop(admin, "--once", "-o", "json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return take


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Callable[[int, int], Terminal]]:
    """``terminal(120, 36)``: a terminal of that size in tmux; skips where tmux is not installed."""
    if shutil.which("tmux") is None:
        pytest.skip("no terminal to run in: tmux is not installed")
    opened: list[Terminal] = []

    def open_(columns: int, lines: int) -> Terminal:
        opened.append(Terminal(columns, lines, environ).__enter__())
        return opened[-1]

    yield open_
    for each in opened:
        each.__exit__()


COMMAND = (sys.executable, "-m", "tui.cli")


def _kubectl(home: Path, kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("kubectl") or str(home / "bin" / "kubectl")
    if not Path(program).exists():
        pytest.skip("kubectl is not installed")
    return subprocess.run(
        [program, "--kubeconfig", str(kubeconfig), "--request-timeout=20s", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
