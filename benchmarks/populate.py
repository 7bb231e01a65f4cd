"""Fills a real cluster with pods that no kubelet ever runs, and empties it again.

    python benchmarks/populate.py up --pods 10000
    python benchmarks/populate.py down

The pods have two containers each, a scheduler that does not exist, and a status patched to Running; about
6 KB of JSON a pod, as with a real one. They live in namespaces ``memtop-bench-0`` and on; ``down`` deletes
these and waits until they are gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any

from memtop.kube import kubeconfig
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client

PREFIX = "memtop-bench-"
PER_NAMESPACE = 1000
AT_ONCE = 48
WORDS = (
    "cart",
    "search",
    "ledger",
    "profile",
    "invoice",
    "session",
    "catalog",
    "pricing",
    "shipping",
    "audit",
)
GIB = 1 << 30


def cluster_kubeconfig() -> str:
    """The kubeconfig of the test cluster (CONTRIBUTING.md says how to have one)."""
    home = os.environ.get("MEMTOP_CLUSTER_HOME") or Path.home() / ".cache" / "memtop-cluster"
    return str(Path(home) / "kubeconfig")


def pod(number: int) -> dict[str, Any]:
    """One pod as a client would create it."""
    draw = random.Random(number)
    app = WORDS[number % len(WORDS)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-service-{draw.getrandbits(36):09x}-{number:05d}",
            "labels": {
                "app": f"{app}-service",
                "app.kubernetes.io/name": f"{app}-service",
                "app.kubernetes.io/part-of": "shop",
                "pod-template-hash": f"{draw.getrandbits(36):09x}",
                "team": draw.choice(("blue", "green", "red")),
            },
            "annotations": {"checksum/config": f"{draw.getrandbits(256):064x}"},
        },
        "spec": {
            "schedulerName": "memtop-bench-nobody",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [_container(app, "app", draw), _container(app, "proxy", draw)],
            "volumes": [
                {"name": "config", "configMap": {"name": f"{app}-config"}},
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }


def _container(app: str, name: str, draw: random.Random) -> dict[str, Any]:
    limit = draw.choice((1, 2, 4)) * GIB // 4
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 2}
    return {
        "name": name,
        "image": f"registry.example/{app}/{name}:v1.{draw.randrange(40)}.{draw.randrange(9)}",
        "args": ["--listen=:8080", f"--shard={draw.randrange(64)}", "--config=/etc/app/config.yaml"],
        "env": [
            *({"name": f"{app.upper()}_SETTING_{i}", "value": f"{draw.getrandbits(64):x}"} for i in range(2)),
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "resources": {
            "limits": {"memory": f"{limit >> 20}Mi"},
            "requests": {"memory": f"{limit >> 21}Mi", "cpu": "50m"},
        },
        "readinessProbe": probe,
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/app"},
            {"name": "scratch", "mountPath": "/tmp/app"},
        ],
    }


def status(spec: dict[str, Any], number: int) -> dict[str, Any]:
    """What a kubelet would say of the pod, as a patch of its status subresource."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600 - number % 86400))
    conditions = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "status": {
            "phase": "Running",
            "hostIP": "10.88.0.1",
            "podIP": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "startTime": started,
            "qosClass": "Burstable",
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": started} for kind in conditions
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": f"{container['image'].rpartition(':')[0]}@sha256:{number:064x}",
                    "containerID": f"containerd://{number:064x}",
                    "ready": True,
                    "started": True,
                    "restartCount": 1 if number % 97 == 0 else 0,
                    "state": {"running": {"startedAt": started}},
                    "lastState": {},
                }
                for container in spec["spec"]["containers"]
            ],
        }
    }


async def _several(jobs: Iterable[Awaitable[None]]) -> None:
    """Does all of them, not too many at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(job: Awaitable[None]) -> None:
        async with free:
            await job

    await asyncio.gather(*(one(job) for job in jobs))


async def _send(
    client: Client, method: str, path: str, body: Any = None, kind: str = "application/json"
) -> None:
    """Sends, and again where the server is too busy or the object is there already."""
    payload = None if body is None else json.dumps(body).encode()
    for attempt in range(8):
        try:
            await client.request(method, path, body=payload, content_type=kind)
        except ApiError as error:
            if error.status == 409 and method == "POST":
                return
            if error.status not in {403, 429, 500} or attempt == 7:  # 403: no service account yet
                raise
            await asyncio.sleep(error.retry_after or 0.5)
        else:
            return


async def _create(client: Client, number: int) -> None:
    body = pod(number)
    collection = f"/api/v1/namespaces/{PREFIX}{number // PER_NAMESPACE}/pods"
    await _send(client, "POST", collection, body)
    path = f"{collection}/{body['metadata']['name']}/status"
    await _send(client, "PATCH", path, status(body, number), "application/strategic-merge-patch+json")


async def up(client: Client, pods: int) -> None:
    """Creates the pods, beginning with their namespaces."""
    numbers = range(-(-pods // PER_NAMESPACE))
    names = [f"{PREFIX}{number}" for number in numbers]
    await _several(
        _send(client, "POST", "/api/v1/namespaces", {"metadata": {"name": name}}) for name in names
    )
    for name in names:
        await _service_account(client, name)
    await _several(_create(client, number) for number in range(pods))


async def _service_account(client: Client, namespace: str) -> None:
    """Waits for what a pod of the namespace needs before it can be created."""
    for _ in range(100):
        with contextlib.suppress(ApiError):
            await client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
            return
        await asyncio.sleep(0.1)


async def _namespaces(client: Client) -> list[str]:
    found = json.loads(await client.get("/api/v1/namespaces"))["items"]
    names = [item["metadata"]["name"] for item in found]
    return [name for name in names if name.startswith(PREFIX)]


async def down(client: Client) -> None:
    """Deletes the namespaces with all that is in them, and waits until they are gone."""
    names = await _namespaces(client)
    for name in names:
        await client.request(
            "DELETE", f"/api/v1/namespaces/{name}/pods", {"gracePeriodSeconds": "0"}, timeout=300
        )
        await client.request("DELETE", f"/api/v1/namespaces/{name}")
    while await _namespaces(client):
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def populated(client: Client, pods: int) -> AsyncIterator[None]:
    """Has the pods there for as long as the context lasts."""
    try:
        await up(client, pods)
        yield
    finally:
        await down(client)


async def _main(direction: str, pods: int) -> None:
    target = kubeconfig.load_target(kubeconfig=cluster_kubeconfig())
    began = time.perf_counter()
    async with Client(target) as client:
        await (up(client, pods) if direction == "up" else down(client))
    print(f"{direction}: {time.perf_counter() - began:.1f} s")


def main() -> None:
    """Reads the arguments and does it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("direction", choices=("up", "down"))
    parser.add_argument("--pods", type=int, default=10_000)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.direction, arguments.pods))


if __name__ == "__main__":
    main()
