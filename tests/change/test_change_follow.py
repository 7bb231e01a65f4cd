"""A workload is told as it stands, and again after every change."""

from __future__ import annotations

import asyncio
import contextlib

from memtop.change.workload_state import WorkloadUpdate, follow_workload
from memtop.kube.object_ref import ObjectRef

REF = ObjectRef("Deployment", "production", "user-service")
PATH = "/apis/apps/v1/namespaces/production/deployments/user-service"
PATIENCE = 30.0


async def told(client, ref, enough):
    """Follows until ``enough(all that was told)``; returns all that was told."""
    said, news = [], asyncio.Event()

    def publish(one):
        said.append(one)
        news.set()

    task = asyncio.ensure_future(follow_workload(client, ref, publish))
    try:
        async with asyncio.timeout(PATIENCE):
            while not await enough(said):
                await news.wait()
                news.clear()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return said


async def test_it_tells_the_workload_its_revisions_and_how_old_its_pods_are(client):
    async def once(said):
        return said

    (first,) = await told(client, REF, once)
    assert isinstance(first, WorkloadUpdate)
    assert [revision.number for revision in first.subject.revisions] == [2, 1]
    assert first.subject.strategy.startswith("Rolling")
    assert len(first.pods_created) == 3
    assert all(name.startswith("user-service-") for name in first.pods_created)


async def test_a_change_is_told_at_once(client):
    async def scaled(said):
        if len(said) == 1:
            body, kind = b'{"spec": {"replicas": 5}}', "application/merge-patch+json"
            await client.request("PATCH", PATH, body=body, content_type=kind)
        return said and said[-1].subject.replicas == 5

    said = await told(client, REF, scaled)
    assert said[0].subject.replicas == 3


async def test_why_nothing_is_known_is_told_in_words(client):
    async def once(said):
        return said

    (why,) = await told(client, ObjectRef("Deployment", "production", "absent"), once)
    assert isinstance(why, str)
    assert "absent" in why
