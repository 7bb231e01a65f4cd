import pytest

from memtop.demo.pod_admission import ForbiddenError, NamespaceUsage, admit_pod, format_quantity

GIB = 2**30
STAGING = "/apis/apps/v1/namespaces/staging"
QUOTA = "/api/v1/namespaces/staging/resourcequotas/memory"


def template(**resources):
    return {"metadata": {}, "spec": {"containers": [{"name": "web", "resources": resources}]}}


def rule(**bounds):
    return {
        "spec": {"limits": [{"type": "Container", **{name: {"memory": v} for name, v in bounds.items()}}]}
    }


def quota(**hard):
    return {
        "metadata": {"name": "mem"},
        "spec": {"hard": {name.replace("_", "."): value for name, value in hard.items()}},
    }


def used(**amounts):
    usage = NamespaceUsage()
    for number, limit in enumerate(amounts.values()):
        usage.add(str(number), "here", template(limits={"memory": limit}))
    return usage.of("here")


def memory_patch(name, limit):
    box = {"name": name, "resources": {"limits": {"memory": limit}}}
    return {"spec": {"template": {"spec": {"containers": [box]}}}}


def test_limits_left_out_are_filled_in():
    made = admit_pod("p", template(), [rule(default="96Mi", defaultRequest="16Mi")], [], used())
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "96Mi"}, "requests": {"memory": "16Mi"}}
    limited = template(limits={"memory": "64Mi"})
    kept = admit_pod("p", limited, [rule(default="96Mi", defaultRequest="16Mi")], [], used())
    assert kept["spec"]["containers"][0]["resources"]["requests"] == {"memory": "64Mi"}


@pytest.mark.parametrize(
    ("wanted", "ranges", "quotas", "words"),
    [
        (
            {"limits": {"memory": "200Mi"}},
            [rule(max="128Mi")],
            [],
            'pods "p" is forbidden: maximum memory usage per Container is 128Mi, but limit is 200Mi',
        ),
        (
            {},
            [rule(max="128Mi")],
            [],
            'pods "p" is forbidden: maximum memory usage per Container is 128Mi, but no limit is specified',
        ),
        (
            {"limits": {"memory": "100Mi"}},
            [],
            [quota(limits_memory="192Mi")],
            'pods "p" is forbidden: exceeded quota: mem, requested: limits.memory=100Mi, '
            "used: limits.memory=164Mi, limited: limits.memory=192Mi",
        ),
        (
            {"requests": {"memory": "1Mi"}},
            [],
            [quota(limits_memory="192Mi")],
            'pods "p" is forbidden: failed quota: mem: must specify limits.memory',
        ),
    ],
)
def test_what_is_too_much_is_forbidden_in_the_api_servers_words(wanted, ranges, quotas, words):
    with pytest.raises(ForbiddenError) as caught:
        admit_pod("p", template(**wanted), ranges, quotas, used(a="100Mi", b="64Mi"))
    assert str(caught.value) == words


def test_quantities_are_written_in_the_largest_unit_that_fits():
    assert [format_quantity(amount) for amount in (0, 1000, 1024, 1536 << 20, 6 << 30)] == [
        "0", "1000", "1Ki", "1536Mi", "6Gi",
    ]  # fmt: skip


def failure(obj):
    return [one for one in obj["status"].get("conditions", ()) if one["type"] == "ReplicaFailure"]


def test_a_rollout_beyond_the_quota_says_why_it_makes_no_pods(fresh, fresh_api):
    path = f"{STAGING}/deployments/user-service"
    fresh_api.patch(path, memory_patch("user-service", "6Gi"))
    fresh.advance(30)
    deployment = fresh_api.get(path).json
    (said,) = failure(deployment)
    assert (said["status"], said["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: memory, requested: limits.memory=6Gi" in said["message"]
    assert deployment["status"]["availableReplicas"] == 1
    sets = fresh_api.items(f"{STAGING}/replicasets", labelSelector="app=user-service")
    assert sum(len(failure(one)) for one in sets) == 1
    events = fresh_api.items("/api/v1/namespaces/staging/events", fieldSelector="reason=FailedCreate")
    assert any("exceeded quota" in event["message"] for event in events)
    fresh_api.patch(path, memory_patch("user-service", "3Gi"))
    fresh.advance(60)
    deployment = fresh_api.get(path).json
    assert failure(deployment) == []
    assert deployment["status"]["updatedReplicas"] == deployment["status"]["availableReplicas"] == 1


def test_a_limit_above_the_range_makes_no_pods_either(fresh, fresh_api):
    path = f"{STAGING}/deployments/session-api"
    fresh_api.patch(path, memory_patch("session-api", "8Gi"))
    fresh.advance(5)
    (said,) = failure(fresh_api.get(path).json)
    assert "maximum memory usage per Container is 6Gi, but limit is 8Gi" in said["message"]


def test_pods_refused_are_made_as_soon_as_there_is_room(fresh, fresh_api):
    thumbnailer = f"{STAGING}/deployments/thumbnailer"
    fresh_api.patch(f"{thumbnailer}/scale", {"spec": {"replicas": 30}}, "merge-patch+json")
    fresh.advance(30)
    made = fresh_api.get(thumbnailer).json["status"]["replicas"]
    assert 2 < made < 30
    fresh_api.patch(
        f"{STAGING}/deployments/user-service/scale", {"spec": {"replicas": 0}}, "merge-patch+json"
    )
    fresh.advance(700)
    assert fresh_api.get(thumbnailer).json["status"]["replicas"] == made + 2


def test_the_quota_counts_what_is_used(fresh, fresh_api):
    before = fresh_api.get(QUOTA).json["status"]["used"]
    fresh_api.patch(
        f"{STAGING}/deployments/user-service/scale", {"spec": {"replicas": 0}}, "merge-patch+json"
    )
    fresh.advance(10)
    after = fresh_api.get(QUOTA).json["status"]["used"]
    assert int(after["pods"]) == int(before["pods"]) - 1
    assert after["limits.memory"] != before["limits.memory"]


def test_a_pod_waits_for_room_on_a_node(fresh, fresh_api):
    """The indexer asks for more than any node has left, until one of the others leaves."""
    path = "/apis/apps/v1/namespaces/production/deployments"
    size = {"limits": {"memory": "16Gi"}, "requests": {"memory": "16Gi"}}
    for name, box in (("user-service", "user-service"), ("search-indexer", "indexer")):
        container = {"name": box, "resources": size}
        patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
        patch["spec"]["template"] = {"spec": {"containers": [container]}}
        fresh_api.patch(f"{path}/{name}", patch)
        fresh.advance(30)

    def pod():
        return fresh_api.items("/api/v1/namespaces/production/pods", labelSelector="app=search-indexer")[0]

    assert pod()["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert pod()["status"]["conditions"][0]["message"] == "0/4 nodes are available: 4 Insufficient memory."
    fresh_api.patch(f"{path}/user-service/scale", {"spec": {"replicas": 2}}, "merge-patch+json")
    fresh.advance(30)
    assert pod()["status"]["phase"] == "Running"
    assert pod()["spec"]["nodeName"]


def test_an_autoscaler_keeps_its_bounds(fresh, fresh_api):
    path = "/apis/apps/v1/namespaces/production/deployments/order-service"
    fresh_api.patch(f"{path}/scale", {"spec": {"replicas": 9}}, "merge-patch+json")
    assert fresh_api.get(path).json["spec"]["replicas"] == 9
    fresh.advance(20)
    deployment = fresh_api.get(path).json
    assert deployment["spec"]["replicas"] == 6
    assert deployment["metadata"]["managedFields"][-1]["manager"] == "kube-controller-manager"
    scaler = "/apis/autoscaling/v2/namespaces/production/horizontalpodautoscalers/order-service"
    fresh.advance(20)
    assert fresh_api.get(scaler).json["status"]["currentReplicas"] == 6


def test_budgets_of_both_kinds(fresh, fresh_api):
    path = "/apis/policy/v1/namespaces/payments/poddisruptionbudgets/postgres"
    assert fresh_api.get(path).json["status"]["disruptionsAllowed"] == 1
    fresh_api.request("DELETE", "/api/v1/namespaces/payments/pods/postgres-0")
    status = fresh_api.get(path).json["status"]
    assert (status["disruptionsAllowed"], status["conditions"][0]["reason"]) == (0, "InsufficientPods")
