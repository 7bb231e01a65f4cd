"""The containers behind the selected row's workload."""

from __future__ import annotations

import pytest

from memtop.kube.pod_facts import Workload
from memtop.observe.frame import WorkloadKey
from memtop.observe.slots import ContainerKey

MI = 1024**2
WEB = WorkloadKey("shop", Workload("Deployment", "web"))


@pytest.fixture
async def web(stage, world):
    """Two pods of one deployment, one of them with an init container, and one bare pod."""
    owner, labels = ("ReplicaSet", "web-abc"), {"pod-template-hash": "abc"}
    stage.put(
        world.pod("web-1", world.container(limit="100Mi"), owner=owner, labels=labels),
        world.pod("web-2", world.container(limit="100Mi"), owner=owner, labels=labels),
        world.pod("bare", world.container(limit=None)),
    )
    stage.tick(
        world.sample("web-1", 0, app="40Mi"),
        world.sample("web-2", 0, app="90Mi"),
        world.sample("bare", 0, app="1Mi"),
    )
    return stage


def pods(frame) -> list[tuple[str, float]]:
    members = frame.members
    return [
        (members.rows.identities[slot].pod, members.rows.working_set[slot] / MI) for slot in members.slots
    ]


async def test_a_container_has_the_others_of_its_workload_the_largest_first(web):
    frame = web.frame(selected=ContainerKey("uid-shop-web-1", "app"))
    assert frame.members.key == WEB
    assert pods(frame) == [("web-2", 90), ("web-1", 40)]


async def test_a_workload_has_its_containers_though_the_frames_rows_are_workloads(web):
    assert pods(web.frame(workloads=True, selected=WEB)) == [("web-2", 90), ("web-1", 40)]


async def test_a_bare_pod_is_a_workload_of_its_own(web):
    assert pods(web.frame(selected=ContainerKey("uid-shop-bare", "app"))) == [("bare", 1)]


async def test_its_pods_are_pooled_by_container_and_revision(web):
    key = ContainerKey("uid-shop-web-1", "app")
    assert web.frame(selected=key).members.judgement is None
    while web.observer.workload_verdicts.judge_next():
        pass
    members = web.frame(selected=key).members
    assert set(members.parts) == {("app", "abc")}
    assert members.judgement == members.parts["app", "abc"]
    key = ContainerKey("uid-shop-bare", "app")
    web.frame(selected=key)
    while web.observer.workload_verdicts.judge_next():
        pass
    bare = web.frame(selected=key).members
    assert set(bare.parts) == {("app", "")}


async def test_nothing_selected_or_gone_has_none(web):
    assert web.frame().members is None
    assert web.frame(selected=ContainerKey("uid-shop-gone", "app")).members is None
    assert web.frame(workloads=True, selected=WorkloadKey("shop", Workload("Job", "x"))).members is None
