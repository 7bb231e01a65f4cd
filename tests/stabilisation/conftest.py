"""A demo cluster whose clock moves only when it is told to, and watches on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import PrometheusSettings
from memtop.demo.faults import Fault
from memtop.demo.thread import DemoThread
from memtop.kube import kubeconfig
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.stabilisation.stabilisation_watch import (
    StabilisationOptions,
    StabilisationState,
    StabilisationWatch,
)

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z
USER_SERVICE = ObjectRef("Deployment", "production", "user-service")
_PATH = "/apis/apps/v1/namespaces/production/deployments/user-service"


class World:
    """A cluster, and what can be done to it."""

    def __init__(self, demo: DemoThread, client: Client, folder: Path) -> None:
        self.demo = demo
        self.client = client
        self.folder = folder
        self.watches: list[StabilisationWatch] = []

    def watch(
        self, *, prometheus: bool = True, ref: ObjectRef = USER_SERVICE, **options: Any
    ) -> StabilisationWatch:
        """Begins to watch."""
        asked = PrometheusSettings() if prometheus else None
        self.watches.append(
            StabilisationWatch(self.client, ref, StabilisationOptions(prometheus=asked, **options))
        )
        return self.watches[-1]

    async def patch(self, container: dict[str, Any], path: str = _PATH) -> None:
        """Changes a container of the pod template."""
        await self.patch_all([{"name": "user-service", **container}], path)

    async def patch_all(self, containers: list[dict[str, Any]], path: str = _PATH) -> None:
        """Changes containers of the pod template in one rollout."""
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        kind = "application/strategic-merge-patch+json"
        await self.client.request("PATCH", path, body=json.dumps(body).encode(), content_type=kind)

    async def fix(self) -> None:
        """Rolls out the version that does not leak."""
        await self.patch({"image": "user-service:v2.1.0"})

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.demo.advance(seconds)

    def harm(self, **fault: Any) -> None:
        """Lets requests go wrong."""
        self.demo.call(lambda: self.demo.server.faults.add(Fault(**fault)))

    def heal(self) -> None:
        """Lets no request go wrong any more."""
        self.demo.call(self.demo.server.faults.clear)

    async def until(
        self, watch: StabilisationWatch, holds: Callable[[StabilisationState], bool], step: float, most: int
    ) -> list[StabilisationState]:
        """Looks, lets time pass, and looks again, until something holds; all that was seen."""
        found = []
        for _ in range(most):
            found.append(await watch.read_and_judge())
            if not found[-1].without_prometheus and holds(found[-1]):
                return found
            self.pass_(0.0 if found[-1].without_prometheus else step)
        raise AssertionError(f"it never came to it: {found[-1].stability}")


@pytest.fixture
def demo() -> Iterator[DemoThread]:
    with DemoThread(speed=0, epoch=EPOCH, pods=20) as served:
        yield served


@pytest.fixture
async def world(demo: DemoThread, tmp_path: Path) -> AsyncIterator[World]:
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig())
    async with Client(kubeconfig.load_target(kubeconfig=str(path), environ={})) as client:
        made = World(demo, client, tmp_path / "samples")
        yield made
        for watch in made.watches:
            await watch.close()
