import pytest

APPS = "/apis/apps/v1/namespaces/production"
USER_SERVICE = f"{APPS}/deployments/user-service"


def image_patch(image, name="user-service"):
    return {"spec": {"template": {"spec": {"containers": [{"name": name, "image": image}]}}}}


def pods(api, app="user-service"):
    return api.items("/api/v1/namespaces/production/pods", labelSelector=f"app={app}")


def condition(api, path, kind):
    return next(one for one in api.get(path).json["status"]["conditions"] if one["type"] == kind)


def test_a_new_image_rolls_out_without_ever_falling_below_the_minimum(fresh, fresh_api):
    assert fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.1.0")).status == 200
    least = 3
    for _ in range(40):
        fresh.advance(1)
        least = min(least, fresh_api.get(USER_SERVICE).json["status"].get("availableReplicas", 0))
    assert least == 3
    status = fresh_api.get(USER_SERVICE).json["status"]
    assert (status["updatedReplicas"], status["replicas"], status["availableReplicas"]) == (3, 3, 3)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods(fresh_api)} == {"user-service:v2.1.0"}
    assert condition(fresh_api, USER_SERVICE, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_the_fix_holds_for_hours(fresh, fresh_api):
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.1.0"))
    fresh.advance(6 * 3600)
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods(fresh_api)] == [0, 0, 0]


def test_an_image_that_does_not_exist_gets_stuck_and_says_so(fresh, fresh_api):
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v9"))
    fresh.advance(30)
    reasons = {
        pod["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason")
        for pod in pods(fresh_api)
    }
    assert reasons & {"ErrImagePull", "ImagePullBackOff"}
    assert condition(fresh_api, USER_SERVICE, "Progressing")["status"] == "True"
    fresh.advance(1400)  # an old pod that comes back from an OOM kill counts as progress, once
    assert condition(fresh_api, USER_SERVICE, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert fresh_api.get(USER_SERVICE).json["status"]["updatedReplicas"] == 1


def test_undo_makes_the_old_revision_the_newest(fresh, fresh_api):
    before = fresh_api.get(USER_SERVICE).json["spec"]["template"]
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.1.0"))
    fresh.advance(60)
    operations = [{"op": "replace", "path": "/spec/template", "value": before}]
    fresh_api.patch(USER_SERVICE, operations, "json-patch+json")
    fresh.advance(60)
    deployment = fresh_api.get(USER_SERVICE).json
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    sets = fresh_api.items(f"{APPS}/replicasets", labelSelector="app=user-service")
    newest = next(one for one in sets if one["spec"]["replicas"] == 3)
    assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    assert newest["spec"]["template"]["spec"]["containers"][0]["image"] == "user-service:v2.0.0"


def test_nothing_rolls_while_paused(fresh, fresh_api):
    fresh_api.patch(USER_SERVICE, {"spec": {"paused": True}})
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.1.0"))
    fresh.advance(60)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods(fresh_api)} == {"user-service:v2.0.0"}
    assert condition(fresh_api, USER_SERVICE, "Progressing")["reason"] == "DeploymentPaused"
    fresh_api.patch(USER_SERVICE, {"spec": {"paused": None}})
    fresh.advance(60)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods(fresh_api)} == {"user-service:v2.1.0"}


def test_recreate_stops_everything_first(fresh, fresh_api):
    strategy = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    fresh_api.patch(USER_SERVICE, strategy)
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.1.0"))
    fresh.advance(1)
    assert all("deletionTimestamp" in pod["metadata"] for pod in pods(fresh_api))
    fresh.advance(60)
    assert len(pods(fresh_api)) == 3


def test_scale_and_its_subresource(fresh, fresh_api):
    scaled = fresh_api.patch(f"{USER_SERVICE}/scale", {"spec": {"replicas": 5}}, "merge-patch+json").json
    assert (scaled["kind"], scaled["spec"]["replicas"]) == ("Scale", 5)
    fresh.advance(30)
    assert len(pods(fresh_api)) == 5
    fresh_api.patch(f"{USER_SERVICE}/scale", {"spec": {"replicas": 2}}, "merge-patch+json")
    fresh.advance(30)
    assert len(pods(fresh_api)) == 2


def test_a_deleted_pod_is_replaced(fresh, fresh_api):
    name = pods(fresh_api)[0]["metadata"]["name"]
    gone = fresh_api.request("DELETE", f"/api/v1/namespaces/production/pods/{name}")
    assert "deletionTimestamp" in gone.json["metadata"]
    fresh.advance(30)
    left = {pod["metadata"]["name"] for pod in pods(fresh_api)}
    assert len(left) == 3
    assert name not in left


def test_stateful_pods_are_replaced_from_the_last_and_keep_their_names(fresh, fresh_api):
    path = f"{APPS}/statefulsets/session-cache"
    fresh_api.patch(path, {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}})
    fresh.advance(5)
    ready = {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["ready"]
        for pod in pods(fresh_api, "session-cache")
    }
    assert ready == {"session-cache-0": True, "session-cache-1": False}
    fresh.advance(60)
    status = fresh_api.get(path).json["status"]
    assert (status["updatedReplicas"], status["readyReplicas"]) == (2, 2)
    assert status["currentRevision"] == status["updateRevision"]


def test_a_daemon_set_waits_to_be_asked_when_it_is_on_delete(fresh, fresh_api):
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-agent"
    fresh_api.patch(path, {"spec": {"updateStrategy": {"$retainKeys": ["type"], "type": "OnDelete"}}})
    fresh_api.patch(path, image_patch("node-agent:1.10", "agent"))
    fresh.advance(60)
    assert fresh_api.get(path).json["status"]["updatedNumberScheduled"] == 0
    agents = fresh_api.items("/api/v1/namespaces/kube-system/pods", labelSelector="app=node-agent")
    fresh_api.request("DELETE", f"/api/v1/namespaces/kube-system/pods/{agents[0]['metadata']['name']}")
    fresh.advance(60)
    assert fresh_api.get(path).json["status"]["updatedNumberScheduled"] == 1


def test_the_nightly_job_comes_every_night(fresh, fresh_api):
    path = "/apis/batch/v1/namespaces/production/jobs"
    before = {job["metadata"]["name"] for job in fresh_api.items(path)}
    fresh.advance(10 * 3600 + 300)  # five past two
    running = [job for job in fresh_api.items(path) if job["metadata"]["name"] not in before]
    assert [job["status"].get("active") for job in running] == [1]
    fresh.advance(3600)
    assert all(job["status"].get("succeeded") == 1 for job in fresh_api.items(path))


@pytest.mark.parametrize("app", ["billing", "ledger"])
def test_healthy_workloads_are_left_alone(fresh, fresh_api, app):
    namespace = "payments" if app == "ledger" else "production"
    path = f"/api/v1/namespaces/{namespace}/pods"
    before = [pod["metadata"]["uid"] for pod in fresh_api.items(path, labelSelector=f"app={app}")]
    fresh.advance(7200)
    after = fresh_api.items(path, labelSelector=f"app={app}")
    assert [pod["metadata"]["uid"] for pod in after] == before
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in after)


def test_a_request_no_node_can_hold_leaves_the_rollout_pending(fresh, fresh_api):
    resources = {"limits": {"memory": "900Gi"}, "requests": {"memory": "900Gi"}}
    container = {"name": "user-service", "resources": resources}
    fresh_api.patch(USER_SERVICE, {"spec": {"template": {"spec": {"containers": [container]}}}})
    fresh.advance(30)
    pending = [pod for pod in pods(fresh_api) if pod["status"]["phase"] == "Pending"]
    assert len(pending) == 1
    condition = pending[0]["status"]["conditions"][0]
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].endswith("Insufficient memory.")
    events = fresh_api.items("/api/v1/events", fieldSelector="reason=FailedScheduling")
    assert [event["involvedObject"]["name"] for event in events] == [pending[0]["metadata"]["name"]]


def test_the_disruption_budget_counts_healthy_pods(fresh, fresh_api):
    path = "/apis/policy/v1/namespaces/production/poddisruptionbudgets/user-service"
    assert fresh_api.get(path).json["status"]["disruptionsAllowed"] == 1
    name = pods(fresh_api)[0]["metadata"]["name"]
    fresh_api.request("DELETE", f"/api/v1/namespaces/production/pods/{name}")
    assert fresh_api.get(path).json["status"]["disruptionsAllowed"] == 0
    fresh.advance(60)
    assert fresh_api.get(path).json["status"]["disruptionsAllowed"] == 1


def test_pods_of_sets_say_their_revision_as_real_ones_do(fresh, fresh_api):
    revisions = fresh_api.items(f"{APPS}/controllerrevisions", labelSelector="app=session-cache")
    assert [one["metadata"]["labels"].keys() >= {"controller.kubernetes.io/hash"} for one in revisions] == [
        True
    ]
    hashes = {
        pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods(fresh_api, "session-cache")
    }
    assert hashes == {revisions[0]["metadata"]["name"]}
    fresh_api.patch(f"{APPS}/statefulsets/session-cache", image_patch("cache:7.4", "cache"))
    fresh.advance(60)
    assert len(fresh_api.items(f"{APPS}/controllerrevisions", labelSelector="app=session-cache")) == 2
    agents = "/apis/apps/v1/namespaces/kube-system/controllerrevisions"
    made = fresh_api.items(agents, labelSelector="app=node-agent")[0]
    assert made["metadata"]["name"] == f"node-agent-{made['metadata']['labels']['controller-revision-hash']}"


def test_a_partition_keeps_the_pods_below_it(fresh, fresh_api):
    path = f"{APPS}/statefulsets/session-cache"
    fresh_api.patch(path, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}})
    fresh_api.patch(path, {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}})
    fresh.advance(60)
    status = fresh_api.get(path).json["status"]
    assert (status["updatedReplicas"], status["currentReplicas"], status["readyReplicas"]) == (1, 1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    by_name = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in pods(fresh_api, "session-cache")}
    assert by_name["session-cache-0"]["controller-revision-hash"] == status["currentRevision"]
    assert by_name["session-cache-1"]["controller-revision-hash"] == status["updateRevision"]


def test_half_a_fix_leaks_half_as_fast_and_a_larger_limit_lasts_longer(fresh, fresh_api):
    def restarts_in_thirteen_hours():
        fresh.advance(60)
        fresh.advance(13 * 3600)
        return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods(fresh_api)]

    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.0.1"))
    assert restarts_in_thirteen_hours() == [2, 2, 2]
    container = {"name": "user-service", "resources": {"limits": {"memory": "4Gi"}}}
    fresh_api.patch(USER_SERVICE, {"spec": {"template": {"spec": {"containers": [container]}}}})
    assert restarts_in_thirteen_hours() == [1, 1, 1]


def test_a_version_that_cannot_start_gets_stuck_in_crash_loops(fresh, fresh_api):
    fresh_api.patch(USER_SERVICE, {"spec": {"progressDeadlineSeconds": 60}})
    fresh_api.patch(USER_SERVICE, image_patch("user-service:v2.2.0-bad"))
    fresh.advance(90)
    bad = [pod for pod in pods(fresh_api) if pod["spec"]["containers"][0]["image"].endswith("-bad")]
    statuses = [pod["status"]["containerStatuses"][0] for pod in bad]
    assert [status["ready"] for status in statuses] == [False]
    assert statuses[0]["restartCount"] >= 2
    assert statuses[0]["lastState"]["terminated"]["exitCode"] == 1
    assert fresh_api.get(USER_SERVICE).json["status"]["availableReplicas"] == 3
    assert condition(fresh_api, USER_SERVICE, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    name = bad[0]["metadata"]["name"]
    log = fresh_api.get(f"/api/v1/namespaces/production/pods/{name}/log", previous="true").body.decode()
    assert log.splitlines()[-1] == "[FATAL] configuration is not valid, exiting"


def test_images_of_ordinary_workloads_have_every_version(fresh, fresh_api):
    deployments = fresh_api.items("/apis/apps/v1/deployments")
    ordinary = next(
        one
        for one in deployments
        if one["spec"]["template"]["spec"]["containers"][0]["image"].startswith("ordinary/")
    )
    box = ordinary["spec"]["template"]["spec"]["containers"][0]
    metadata = ordinary["metadata"]
    path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
    fresh_api.patch(path, image_patch(box["image"].partition(":")[0] + ":v3.14", box["name"]))
    fresh.advance(120)
    status = fresh_api.get(path).json["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == ordinary["spec"]["replicas"]


def test_a_stateful_set_waits_to_be_asked_when_it_is_on_delete(fresh, fresh_api):
    path = f"{APPS}/statefulsets/session-cache"
    fresh_api.patch(path, {"spec": {"updateStrategy": {"$retainKeys": ["type"], "type": "OnDelete"}}})
    fresh_api.patch(path, image_patch("cache:7.4", "cache"))
    fresh.advance(60)
    assert fresh_api.get(path).json["status"]["updatedReplicas"] == 0
    fresh_api.request("DELETE", "/api/v1/namespaces/production/pods/session-cache-0")
    fresh.advance(60)
    images = {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"]
        for pod in pods(fresh_api, "session-cache")
    }
    assert images == {"session-cache-0": "cache:7.4", "session-cache-1": "cache:7.2"}
