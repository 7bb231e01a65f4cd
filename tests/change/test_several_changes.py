"""One change of several objects: planned together, applied one by one, stopped at the first failure."""

import json

from memtop.change.change_request import DeletePod, Restart, SetMemory
from memtop.change.several_changes import (
    apply_several,
    outcome_lines,
    plan_lines,
    plan_several,
    record_several,
)
from memtop.kube.object_ref import ObjectRef

USERS = ObjectRef("Deployment", "production", "user-service")
CACHE = ObjectRef("StatefulSet", "production", "session-cache")
BILLING = ObjectRef("Deployment", "production", "billing")
GONE = ObjectRef("Deployment", "production", "gone")
MERGE = "application/merge-patch+json"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def restarted(client, got, plural, name):
    found = await got(client, plural, name)
    return RESTARTED in found["spec"]["template"]["metadata"].get("annotations", {})


def told(lines):
    return [f"{line.label}: {line.text}" for line in lines]


def outcomes(log):
    return [(one.name, one.outcome) for one in log.entries()]


async def test_each_object_has_its_line_and_what_all_share_is_said_once(planner):
    planned = await plan_several(
        planner, [SetMemory(USERS, "user-service", "4Gi"), SetMemory(CACHE, "cache", "2Gi")], "demo"
    )
    assert planned.title == "Set the memory of 2 workloads"
    words = told(plan_lines(planned, {}))
    assert any(
        "2 workloads in the context demo" in one and "first that fails ends it" in one for one in words
    )
    [first] = [one for one in words if one.startswith("1: ")]
    assert "production/Deployment/user-service: memory limit of user-service 2Gi → 4Gi; Rolling" in first
    assert [one for one in words if one.startswith("2: production/StatefulSet/session-cache: ")]
    assert words.count("dry run: each: the server accepts it, admission included") == 1
    assert any("room for all of them together is not known" in one for one in words)


async def test_what_cannot_be_changed_is_left_out_by_name_and_the_rest_is_planned(planner):
    known = [(ObjectRef("Job", "batch", "nightly"), "a Job's pod template cannot be changed")]
    planned = await plan_several(planner, [Restart(GONE), Restart(USERS)], "demo", known)
    assert [plan.ref for plan in planned.plans] == [USERS]
    words = told(plan_lines(planned, {}))
    assert any(one.startswith("left out: batch/Job/nightly: a Job's") for one in words)
    assert any(
        one.startswith("left out: production/Deployment/gone: ") and "not found" in one for one in words
    )


async def test_pods_of_one_workload_are_counted(planner, got):
    listed = json.loads(
        await planner.get("/api/v1/namespaces/production/pods", {"labelSelector": "app=user-service"})
    )
    pods = [ObjectRef("Pod", "production", one["metadata"]["name"]) for one in listed["items"]]
    planned = await plan_several(planner, [DeletePod(pod) for pod in pods], "demo")
    words = told(plan_lines(planned, dict.fromkeys(pods, USERS)))
    assert any(f"{len(pods)} of these are pods of production/Deployment/user-service" in one for one in words)


async def test_all_are_applied_in_order_each_with_its_entries(client, got, log):
    planned = await plan_several(client, [Restart(CACHE), Restart(USERS)], "demo")
    numbers = []
    outcome = await apply_several(client, planned.plans, log, numbers.append)
    assert outcome.failed is None
    assert [plan.ref for plan in outcome.done] == [CACHE, USERS]
    assert numbers == [0, 1]
    assert await restarted(client, got, "deployments", "user-service")
    assert await restarted(client, got, "statefulsets", "session-cache")
    assert outcomes(log) == [("session-cache", "applied"), ("user-service", "applied")]


async def test_the_first_failure_ends_it_and_what_was_not_done_is_said_and_recorded(client, got, log):
    planned = await plan_several(client, [Restart(CACHE), Restart(USERS), Restart(BILLING)], "demo")
    assert len(planned.plans) == 3
    path = "/apis/apps/v1/namespaces/production/deployments/user-service"
    await client.request("PATCH", path, body=b'{"spec": {"replicas": 5}}', content_type=MERGE)
    outcome = await apply_several(client, planned.plans, log)
    assert [plan.ref for plan in outcome.done] == [CACHE]
    assert outcome.failed.ref == USERS
    assert "somebody changed it" in outcome.why
    assert [plan.ref for plan in outcome.untried] == [BILLING]
    assert not await restarted(client, got, "deployments", "user-service")
    assert not await restarted(client, got, "deployments", "billing")
    assert outcomes(log) == [
        ("session-cache", "applied"),
        ("user-service", "conflict"),
        ("billing", "not tried"),
    ]
    [entry] = [one for one in log.entries() if one.outcome == "not tried"]
    assert "Deployment/user-service before it failed" in entry.why
    words = told(outcome_lines(outcome))
    assert words[0].startswith("failed: production/Deployment/user-service: somebody changed it")
    assert words[1].startswith("not done: production/Deployment/billing: ")
    assert words[2] == "done: production/StatefulSet/session-cache"


async def test_a_failure_of_the_first_says_that_nothing_was_done(client, log):
    planned = await plan_several(client, [Restart(USERS), Restart(CACHE)], "demo")
    path = "/apis/apps/v1/namespaces/production/deployments/user-service"
    await client.request("PATCH", path, body=b'{"spec": {"replicas": 5}}', content_type=MERGE)
    outcome = await apply_several(client, planned.plans, log)
    assert outcome.done == ()
    assert "done: none: it was the first that failed" in told(outcome_lines(outcome))


async def test_a_no_is_recorded_for_each(client, got, log):
    planned = await plan_several(client, [Restart(USERS), Restart(CACHE)], "demo")
    assert await record_several(client, planned, log) == ""
    assert outcomes(log) == [("user-service", "declined"), ("session-cache", "declined")]
    assert not await restarted(client, got, "deployments", "user-service")
