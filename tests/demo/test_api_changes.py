import copy

import pytest

from memtop.demo.api.patch import json_patched, merge_patched, strategic_patched
from memtop.demo.api.status import ApiStatusError

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
