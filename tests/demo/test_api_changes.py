import copy

import pytest

from memtop.demo.api.patches import json_patched, merge_patched, strategic_patched
from memtop.demo.api.status_errors import ApiStatusError

PATH = "/apis/apps/v1/namespaces/production/deployments/user-service"


def limit_patch(limit):
    resources = {"limits": {"memory": limit}}
    return {
        "spec": {"template": {"spec": {"containers": [{"name": "user-service", "resources": resources}]}}}
    }


def test_dry_run_answers_with_the_change_and_keeps_nothing(fresh_api):
    before = fresh_api.get(PATH).json
    answer = fresh_api.patch(PATH, limit_patch("4Gi"), dryRun="All")
    container = answer.json["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "limits": {"memory": "4Gi"},
        "requests": {"cpu": "250m", "memory": "512Mi"},
    }
    assert answer.json["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert fresh_api.get(PATH).json == before


def test_a_stale_version_conflicts(fresh_api):
    answer = fresh_api.patch(PATH, {"metadata": {"resourceVersion": "1", "labels": {"x": "y"}}})
    assert (answer.status, answer.json["reason"]) == (409, "Conflict")
    assert "the object has been modified" in answer.json["message"]


def test_put_needs_the_version_it_read(fresh_api):
    document = fresh_api.get(PATH).json
    document["spec"]["replicas"] = 4
    assert fresh_api.request("PUT", PATH, document).status == 200
    assert fresh_api.request("PUT", PATH, document).status == 409


@pytest.mark.parametrize(
    ("patch", "status", "words"),
    [
        (limit_patch("16Mi"), 422, "must be less than or equal to memory limit"),
        (limit_patch("lots"), 400, "quantities must match the regular expression"),
        ({"spec": {"replicas": "three"}}, 422, "unrecognized type: int32"),
        ({"spec": {"replicas": -1}}, 422, "must be greater than or equal to 0"),
        ({"spec": {"selector": {"matchLabels": {"app": "other"}}}}, 422, "field is immutable"),
    ],
)
def test_what_makes_no_sense_is_refused(fresh_api, patch, status, words):
    answer = fresh_api.patch(PATH, patch, dryRun="All")
    assert answer.status == status
    assert words in answer.json["message"]


def test_other_content_types_are_refused(fresh_api):
    assert fresh_api.request("PATCH", PATH, {}).status == 415


def test_who_changed_it_is_noted(fresh_api):
    fresh_api.patch(PATH, {"metadata": {"annotations": {"a": "b"}}}, fieldManager="memtop")
    managers = [one["manager"] for one in fresh_api.get(PATH).json["metadata"]["managedFields"]]
    assert "memtop" in managers


def test_kinds_that_cannot_be_changed_say_so(fresh_api):
    assert fresh_api.patch("/api/v1/nodes/node-1", {"spec": {"unschedulable": True}}).status == 405


def test_strategic_merge_merges_containers_by_name_and_obeys_directives():
    original = {
        "containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]
    }
    patch = {"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}, {"name": "c"}]}
    assert strategic_patched(copy.deepcopy(original), patch) == {
        "containers": [{"name": "a", "image": "2", "env": [{"name": "X", "value": "1"}]}, {"name": "c"}]
    }
    ordered = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "b", "x": 1}],
    }
    assert [one["name"] for one in strategic_patched(copy.deepcopy(original), ordered)["containers"]] == [
        "b",
        "a",
    ]
    assert strategic_patched({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 2}}) == {"a": {"c": 2}}


def test_merge_patch_is_rfc_7386():
    assert merge_patched({"a": "b", "c": {"d": "e", "f": "g"}}, {"a": "z", "c": {"f": None}}) == {
        "a": "z",
        "c": {"d": "e"},
    }
    assert merge_patched({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_json_patch_is_rfc_6902():
    operations = [
        {"op": "test", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "replace", "path": "/b~1c", "value": "new"},
        {"op": "remove", "path": "/d"},
        {"op": "move", "from": "/e", "path": "/f"},
    ]
    document = {"a": [1, 2], "b/c": "old", "d": 1, "e": 9}
    assert json_patched(document, operations) == {"a": [1, 2, 3], "b/c": "new", "f": 9}
    with pytest.raises(ApiStatusError):
        json_patched({}, [{"op": "test", "path": "/a", "value": 1}])


PODS = "/api/v1/namespaces/production/pods"


def a_pod(api):
    return api.items(PODS, labelSelector="app=user-service")[0]["metadata"]


def options(**fields):
    return {"kind": "DeleteOptions", "apiVersion": "v1", **fields}


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_dry_run_of_a_delete_deletes_nothing(fresh, fresh_api, where):
    name = a_pod(fresh_api)["name"]
    query = {"dryRun": "All"} if where == "query" else {}
    body = None if where == "query" else options(dryRun=["All"], gracePeriodSeconds=7)
    answer = fresh_api.request("DELETE", f"{PODS}/{name}", body, **query)
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == (30 if where == "query" else 7)
    fresh.advance(60)
    assert "deletionTimestamp" not in fresh_api.get(f"{PODS}/{name}").json["metadata"]
    workload = fresh_api.request("DELETE", PATH, options(dryRun=["All"]))
    assert workload.json["status"] == "Success"
    assert fresh_api.get(PATH).status == 200


def test_a_delete_is_for_the_pod_that_was_seen(fresh, fresh_api):
    pod = a_pod(fresh_api)
    path = f"{PODS}/{pod['name']}"
    for field, value in (("uid", "another"), ("resourceVersion", "1")):
        refused = fresh_api.request("DELETE", path, options(preconditions={field: value}))
        assert (refused.status, refused.json["reason"]) == (409, "Conflict")
        assert "in the precondition" in refused.json["message"]
    held = {"uid": pod["uid"], "resourceVersion": pod["resourceVersion"]}
    assert fresh_api.request("DELETE", path, options(preconditions=held)).status == 200
    assert fresh_api.request("DELETE", path, options(gracePeriodSeconds=0)).status == 200
    assert fresh_api.get(path).status == 404


def test_only_one_kind_of_dry_run_is_known(fresh_api):
    refused = fresh_api.patch(PATH, limit_patch("4Gi"), dryRun="Some")
    assert (refused.status, refused.json["reason"]) == (422, "Invalid")
    assert 'supported values: "All"' in refused.json["message"]


def test_a_patch_meant_for_another_object_is_refused(fresh_api):
    refused = fresh_api.patch(PATH, {"metadata": {"uid": "another"}})
    assert refused.status == 422
    assert "metadata.uid" in refused.json["message"]


def test_a_stale_version_conflicts_for_the_scale_too(fresh_api):
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}}
    assert fresh_api.patch(f"{PATH}/scale", stale, "merge-patch+json", dryRun="All").status == 409
