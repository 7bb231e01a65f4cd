"""The demo cluster as the partner of changes: one for all who only plan, fresh ones for the others."""

import json
import threading
from collections.abc import Iterator

import pytest

from memtop.change.audit_log import AuditLog
from memtop.demo.thread import DemoThread
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from tests.change.rollout_api import Shelf

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z
APPS = "/apis/apps/v1/namespaces/{}/{}/{}"


@pytest.fixture(scope="session")
def unchanged():
    """A cluster that nobody may change."""
    with DemoThread(speed=0, epoch=EPOCH) as demo:
        yield demo


@pytest.fixture
def demo():
    """A cluster of one's own; its clock moves only by `advance`."""
    with DemoThread(speed=0, epoch=EPOCH, pods=24) as fresh:
        yield fresh


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "audit.jsonl")


@pytest.fixture
def target_of(tmp_path):
    """``target_of(demo, "readonly")``: that cluster as that user."""

    def of(demo, user="admin"):
        path = tmp_path / f"kubeconfig-{user}"
        path.write_text(demo.kubeconfig(user))
        return load_target(kubeconfig=str(path))

    return of


@pytest.fixture
async def client(demo, target_of):
    """A client of one's own cluster."""
    async with Client(target_of(demo)) as made:
        yield made


@pytest.fixture
async def planner(unchanged, target_of):
    """A client of the cluster that nobody may change."""
    async with Client(target_of(unchanged)) as made:
        yield made


@pytest.fixture
def got():
    """``await got(client, "deployments", "user-service")``: an object as the API has it."""

    async def get(client, plural, name, namespace="production", group="/apis/apps/v1"):
        return json.loads(await client.get(f"{group}/namespaces/{namespace}/{plural}/{name}"))

    return get


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """An API server that kubectl can ask about objects made by hand."""
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
