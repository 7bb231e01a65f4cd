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
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtop.kube.client import Client
from memtop.kube.container_exec import ContainerRef
from memtop.kube.kubeconfig import load_target
from tests.real.patience import PATIENCE, eventually
from tests.real.terminal import Terminal

HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Marks what needs real servers; what needs the most past of a new cluster comes last, to wait less."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
    yield
    items.sort(key=lambda item: item.path.name == "test_rules.py")


@pytest.fixture(scope="session")
def cluster_home() -> Path:
    """The folder with the real cluster's kubeconfigs; skips where there is no such cluster."""
    home = Path(os.environ.get("MEMTOP_CLUSTER_HOME") or Path.home() / ".cache/memtop-cluster")
    config = home / "kubeconfig"
    if not config.exists():
        pytest.skip(f"no real cluster: {config} is not there")
    asked = kubectl_of(home, "get", "--raw", "/readyz")
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
    return lambda name: load_target(kubeconfig=str(cluster_home / name))


@pytest.fixture
def kubectl(cluster_home: Path) -> Callable[..., str]:
    """``kubectl("get", "pods")``: what it prints, as the admin; ``given`` is what it reads."""

    def run(*words: str, given: str = "") -> str:
        done = kubectl_of(cluster_home, *words, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
async def client(as_user: Callable[[str], Any]) -> AsyncIterator[Client]:
    """A connection as the user who may do everything."""
    async with Client(as_user("kubeconfig")) as client:
        yield client


@pytest.fixture
def place(kubectl: Callable[..., str]) -> Callable[..., ContainerRef]:
    """``place("app=billing-jvm")``: a container of the pods with a label."""

    def find(selector: str, namespace: str = "production") -> ContainerRef:
        words = ("-n", namespace, "get", "pods", "-l", selector, "-o")
        line = kubectl(*words, "jsonpath={.items[0].metadata.name} {.items[0].spec.containers[0].name}")
        return ContainerRef(namespace, *line.split())

    return find


@pytest.fixture
def new_namespace(kubectl: Callable[..., str], cluster_home: Path) -> Iterator[Callable[[str], str]]:
    """``new_namespace("shell")``: the name of an empty namespace in which pods can be made."""
    made: list[str] = []

    def takes_pods(name: str) -> bool:
        words = ("-n", name, "run", "pod", "--image=x", "--dry-run=server")
        return kubectl_of(cluster_home, *words).returncode == 0

    def make(what: str) -> str:
        name = f"memtop-{what}-{uuid.uuid4().hex[:6]}"
        kubectl("create", "namespace", name)
        made.append(name)
        eventually(lambda: takes_pods(name), f"the service account of {name}, without which it has no pods")
        return name

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def oom_killed(kubectl: Callable[..., str]) -> None:
    """user-service was OOM-killed when it last ended; in a new cluster that takes some minutes."""
    reason = "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.reason}"
    words = ("-n", "production", "get", "pods", "-l", "app=user-service", "-o", reason)
    eventually(lambda: kubectl(*words) == "OOMKilled", "an OOM kill of user-service", 2 * PATIENCE)


@pytest.fixture
def clusters_prometheus(cluster_home: Path) -> None:
    """The cluster's Prometheus answers, and has been told of a pod by the kubelet and kube-state-metrics."""
    service = "/api/v1/namespaces/observability/services/prometheus-service:9090"
    told = (
        "container_memory_working_set_bytes%7Bcontainer%3D%22session-store%22%7D",
        "kube_pod_container_status_restarts_total%7Bcontainer%3D%22session-store%22%7D",
    )

    def knows() -> bool:
        # While its pod is not ready, the proxy says so and kubectl fails.
        answers = [
            kubectl_of(cluster_home, "get", "--raw", f"{service}/proxy/api/v1/query?query={query}")
            for query in told
        ]
        return all(one.returncode == 0 and json.loads(one.stdout)["data"]["result"] for one in answers)

    eventually(knows, "what the cluster's Prometheus knows")


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
            timeout=2 * PATIENCE,
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


def kubectl_of(home: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What became of a kubectl command, as the admin; ``given`` is what it reads."""
    program = shutil.which("kubectl") or str(home / "bin" / "kubectl")
    if not Path(program).exists():
        pytest.skip("kubectl is not installed")
    return subprocess.run(
        [program, "--kubeconfig", str(home / "kubeconfig"), "--request-timeout=60s", *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
