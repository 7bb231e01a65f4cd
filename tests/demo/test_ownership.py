import pytest

from memtop.demo.api_resources import DEPLOYMENTS
from memtop.demo.object_metadata import (
    FieldWriter,
    field_paths,
    fields_v1,
    managed_fields_entry,
    managed_values,
    updated_managed_fields,
)

APPS = "/apis/apps/v1/namespaces"
USER_SERVICE = f"{APPS}/production/deployments/user-service"
IMAGE = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"user-service"}', "f:image")


def owners(obj):
    """Who owns which fields: {(manager, operation): set of paths}."""
    return {
        (entry["manager"], entry["operation"]): set(field_paths(entry["fieldsV1"]))
        for entry in obj["metadata"]["managedFields"]
    }


def image(name):
    containers = [{"name": "user-service", "image": name}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def test_a_tree_of_fields_is_read_as_it_was_written():
    obj = {
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "args": ["1"], "resources": {}}], "selector": {"a": {"b": 1}}},
    }
    paths = set(managed_values(obj))
    assert ("f:spec", "f:selector") in paths
    assert ("f:spec", "f:containers", 'k:{"name":"c"}', ".") in paths
    assert ("f:metadata", "f:labels", "f:a") in paths
    assert set(field_paths(fields_v1(paths))) == paths


def test_what_is_removed_is_owned_by_nobody():
    first, second = FieldWriter("first"), FieldWriter("second")
    before = {"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}}
    before["metadata"]["managedFields"] = [
        managed_fields_entry(first, DEPLOYMENTS, managed_values(before), 0.0)
    ]
    after = {"metadata": {"name": "x"}, "spec": {"a": 1, "c": 3}}
    assert [
        (entry["manager"], entry["fieldsV1"])
        for entry in updated_managed_fields(before, after, second, DEPLOYMENTS, 1.0)
    ] == [
        ("first", {"f:spec": {"f:a": {}}}),
        ("second", {"f:spec": {"f:c": {}}}),
    ]


def test_who_changes_an_image_takes_it_over(fresh_api):
    before = owners(fresh_api.get(USER_SERVICE).json)
    assert before["kubectl-set", "Update"] == {IMAGE}
    assert IMAGE not in before["kubectl-client-side-apply", "Update"]
    answer = fresh_api.patch(USER_SERVICE, image("user-service:v2.1.0"), fieldManager="memtop").json
    assert owners(answer)["memtop", "Update"] == {IMAGE}
    assert ("kubectl-set", "Update") not in owners(answer)


def test_a_dry_run_says_who_would_own_it_and_changes_no_owner(fresh_api):
    before = fresh_api.get(USER_SERVICE).json["metadata"]
    answer = fresh_api.patch(USER_SERVICE, image("user-service:v2.1.0"), fieldManager="memtop", dryRun="All")
    assert owners(answer.json)["memtop", "Update"] == {IMAGE}
    assert fresh_api.get(USER_SERVICE).json["metadata"] == before


def test_a_change_of_scale_is_noted_with_its_subresource(fresh_api):
    fresh_api.patch(
        f"{USER_SERVICE}/scale", {"spec": {"replicas": 4}}, "merge-patch+json", fieldManager="memtop"
    )
    entry = fresh_api.get(USER_SERVICE).json["metadata"]["managedFields"][-1]
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "memtop",
        "scale",
        {"f:spec": {"f:replicas": {}}},
    )


@pytest.mark.parametrize(
    ("path", "manager", "trace"),
    [
        ("production/deployments/billing", ("helm", "Update"), "meta.helm.sh/release-name"),
        ("payments/deployments/ledger", ("argocd-controller", "Apply"), "argocd.argoproj.io/tracking-id"),
        (
            "staging/deployments/thumbnailer",
            ("kustomize-controller", "Apply"),
            "kustomize.toolkit.fluxcd.io/name",
        ),
        (
            "production/statefulsets/session-cache",
            ("kubectl-client-side-apply", "Update"),
            "kubectl.kubernetes.io/last-applied-configuration",
        ),
    ],
)
def test_what_brought_a_workload_has_left_its_traces(api, path, manager, trace):
    obj = api.get(f"{APPS}/{path}").json
    assert any(step[-1] == "f:image" for step in owners(obj)[manager])
    assert trace in {**obj["metadata"]["labels"], **obj["metadata"]["annotations"]}
