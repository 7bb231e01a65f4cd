"""Events put together, told apart, and followed."""

import asyncio
import json
from dataclasses import replace

import msgspec
import pytest

from memtop.demo.api.authorization import USERS
from memtop.demo.server import DemoServer
from memtop.kube import event_watch
from memtop.kube.client import Client
from memtop.kube.core_events import ClusterEvent, CoreEvent, EventCollector, EventConcern, merge_events
from memtop.kube.event_watch import follow_events
from memtop.kube.object_ref import ObjectRef

PATIENCE = 20.0
EVENT = ClusterEvent("Pod", "app-1", "", True, "BackOff", "Back-off restarting", "kubelet", 3, 100.0, 200.0)
POD = ObjectRef("Pod", "shop", "app-1", "u1")


def core(uid="e1", **fields):
    raw = {
        "metadata": {"name": uid, "uid": uid},
        "involvedObject": {"kind": "Pod", "name": "app-1"},
        **fields,
    }
    return msgspec.json.decode(json.dumps(raw), type=CoreEvent)


def test_the_same_said_twice_is_one_event_and_the_newest_comes_first():
    later = replace(EVENT, count=2, first=150.0, last=300.0)
    other = replace(EVENT, reason="Started", last=250.0)
    assert merge_events([EVENT, other, later]) == (replace(EVENT, count=5, first=100.0, last=300.0), other)


@pytest.mark.parametrize(
    ("fields", "concern"),
    [
        ({"reason": "OOMKilling", "warning": True}, EventConcern.OOM),
        ({"reason": "SystemOOM", "warning": True}, EventConcern.OOM),
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, EventConcern.MEMORY),
        (
            {"reason": "FailedScheduling", "message": "0/1 nodes are available: 1 Insufficient memory."},
            EventConcern.MEMORY,
        ),
        ({"reason": "BackOff"}, EventConcern.WARNING),
        ({"reason": "Pulled", "warning": False, "message": "image memory:1 is there"}, EventConcern.ORDINARY),
    ],
)
def test_what_has_to_do_with_memory_is_picked_out(fields, concern):
    assert replace(EVENT, **fields).concern is concern


def test_both_ways_of_counting_are_read():
    old = core(
        count=4, firstTimestamp="2026-01-01T00:00:00Z", lastTimestamp="2026-01-01T01:00:00Z", type="Warning"
    )
    assert (old.read().count, old.read().last - old.read().first) == (4, 3600.0)
    new = core(
        eventTime="2026-01-01T00:00:00.5Z",
        series={"count": 9, "lastObservedTime": "2026-01-01T00:01:00.5Z"},
        reportingComponent="kubelet",
    )
    assert (new.read().count, new.read().last - new.read().first, new.read().source) == (9, 60.0, "kubelet")


def test_an_event_of_nothing_is_still_an_event():
    read = core(reason=None, message=None, source=None, series=None, count=None, firstTimestamp=None).read()
    assert (read.count, read.reason, read.last) == (1, "", None)


def test_escape_sequences_in_messages_are_gone():
    assert core(message="\x1b[31mred\x1b[0m\nline").read().message == "red line"


def test_what_the_api_forgets_stays_known_and_a_new_list_replaces():
    log = EventCollector([POD])
    log.listed(POD, [core("e1", reason="Started"), core("e2", reason="BackOff")])
    log.changed(POD, "DELETED", core("e1", reason="Started"))
    log.changed(POD, "MODIFIED", core("e2", reason="BackOff", count=7))
    assert {(event.reason, event.count) for event in log.known_events().events} == {
        ("Started", 1),
        ("BackOff", 7),
    }
    log.listed(POD, [core("e2", reason="BackOff")])
    assert [event.reason for event in log.known_events().events] == ["BackOff"]


async def told(server, user, ref, enough):
    seen_so_far = asyncio.Queue()
    from memtop.kube.connection_target import Auth, ClusterTarget

    auth = Auth(token=USERS[user].token)
    target = ClusterTarget(
        context="demo",
        cluster="demo",
        user=user,
        server=server.url,
        namespace="production",
        source="a test",
        auth=auth,
    )
    async with Client(target) as client:
        following = asyncio.create_task(follow_events(client, ref, seen_so_far.put_nowait))
        try:
            async with asyncio.timeout(PATIENCE):
                while not enough(seen := await seen_so_far.get()):
                    pass
        finally:
            following.cancel()
        return seen


async def pod_of(server, app):
    async with asyncio.timeout(PATIENCE):
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/api/v1/namespaces/production/pods") as answer,
        ):
            items = (await answer.json())["items"]
    return next(item for item in items if item["metadata"]["name"].startswith(app))


async def test_the_events_of_a_pod_its_owners_and_its_node_come_together(monkeypatch):
    monkeypatch.setattr(event_watch, "GATHER_SECONDS", 0.01)
    async with DemoServer(pods=30) as server:
        pod = await pod_of(server, "user-service")
        ref = ObjectRef("Pod", "production", pod["metadata"]["name"], pod["metadata"]["uid"])
        seen = await told(server, "admin", ref, lambda seen: {"Pod", "Node"} <= {e.kind for e in seen.events})
        assert [one.kind for one in seen.involved_objects] == ["Pod", "ReplicaSet", "Deployment", "Node"]
        assert any(event.concern is EventConcern.OOM for event in seen.events)
        assert seen.notes == ()


async def test_where_the_nodes_events_are_forbidden_the_others_come_and_it_is_said(monkeypatch):
    monkeypatch.setattr(event_watch, "GATHER_SECONDS", 0.01)
    async with DemoServer(pods=30) as server:
        pod = await pod_of(server, "user-service")
        ref = ObjectRef("Pod", "production", pod["metadata"]["name"], pod["metadata"]["uid"])
        seen = await told(server, "one-namespace", ref, lambda seen: seen.notes and seen.events)
        assert {event.kind for event in seen.events} <= {"Pod", "ReplicaSet", "Deployment"}
        assert any("forbidden" in note for note in seen.notes)


async def test_a_workloads_events_are_those_of_its_pods_too(monkeypatch):
    monkeypatch.setattr(event_watch, "GATHER_SECONDS", 0.01)
    async with DemoServer(pods=30) as server:
        ref = ObjectRef("Deployment", "production", "user-service")
        seen = await told(server, "admin", ref, lambda seen: {"Pod"} <= {e.kind for e in seen.events})
        assert [one.kind for one in seen.involved_objects].count("Pod") == 3
        assert any(one.kind == "ReplicaSet" for one in seen.involved_objects)
