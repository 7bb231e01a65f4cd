"""A change as a file: strategic-merge patch, kustomize patch, Helm values."""

import base64
import gzip
import json

import pytest
import yaml

from memtop.change.change_request import Restart, SetImage, SetMemory
from memtop.change.patch_file import (
    HelmRelease,
    PatchFileError,
    _unpacked_release,
    commit_message,
    helm_values,
    patch_file,
)
from memtop.change.planning import make_plan
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef

USERS = ObjectRef("Deployment", "production", "user-service")
MEMORY = SetMemory(USERS, "user-service", limit="3Gi", request="1Gi")
IMAGE = SetImage(USERS, "user-service", "user-service:v2.1.0")
EVIDENCE = ["leak: floor rises 624 MiB/h"]


@pytest.fixture
async def plan(demo, target_of):
    """``await plan(request)``"""

    async def make(request):
        client = Client(target_of(demo, "admin"))
        try:
            return await make_plan(client, request, "memtop-demo")
        finally:
            await client.close()

    return make


async def test_a_strategic_merge_patch_has_the_change_and_nothing_else(plan):
    written = patch_file(await plan(MEMORY), "patch", EVIDENCE)
    resources = {"limits": {"memory": "3Gi"}, "requests": {"memory": "1Gi"}}
    assert yaml.safe_load(written) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "user-service", "namespace": "production"},
        "spec": {"template": {"spec": {"containers": [{"name": "user-service", "resources": resources}]}}},
    }


async def test_its_top_is_a_commit_message_with_the_evidence(plan):
    made = await plan(MEMORY)
    message = commit_message(made, EVIDENCE).splitlines()
    assert message[0] == "Set memory limit and request of user-service"
    assert "memory limit of user-service: 2Gi -> 3Gi" in message
    assert message[-1] == EVIDENCE[0]
    comments = [
        line.removeprefix("# ") for line in patch_file(made, "patch", EVIDENCE).splitlines() if line[0] == "#"
    ]
    assert [line for line in comments if line != "#"] == [line for line in message if line]


async def test_a_kustomization_targets_the_object(plan):
    (entry,) = yaml.safe_load(patch_file(await plan(IMAGE), "kustomize"))["patches"]
    assert entry["target"] == {
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
        "name": "user-service",
        "namespace": "production",
    }
    assert yaml.safe_load(entry["patch"]) == yaml.safe_load(patch_file(await plan(IMAGE), "patch"))


async def test_what_sets_no_field_of_a_manifest_has_no_helm_values(plan):
    with pytest.raises(PatchFileError, match="no Helm values for restart"):
        helm_values(await plan(Restart(USERS)), HelmRelease("web", {}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}}, ["resources"]),
        (
            {
                "user-service": {
                    "resources": {"limits": {"memory": "2048Mi"}, "requests": {"memory": "512Mi"}}
                },
                "worker": {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}},
            },
            ["user-service", "resources"],
        ),
    ],
)
async def test_helm_values_are_those_the_field_is_made_from(plan, values, expected):
    written = yaml.safe_load(helm_values(await plan(MEMORY), HelmRelease("web", values)))
    for step in expected:
        written = written[step]
    assert written == {"limits": {"memory": "3Gi"}, "requests": {"memory": "1Gi"}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no value of the release web is the memory limit of user-service"),
        (
            {"a": {"limits": {"memory": "2Gi"}}, "b": {"limits": {"memory": "2Gi"}}},
            "may be the memory limit of user-service: a.limits.memory, b.limits.memory",
        ),
    ],
)
async def test_helm_values_that_are_not_clear_are_not_guessed(plan, values, words):
    with pytest.raises(PatchFileError, match=words):
        helm_values(await plan(MEMORY), HelmRelease("web", values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"image": {"repository": "user-service", "tag": "v2.0.0"}}, {"image": {"tag": "v2.1.0"}}),
        ({"image": "user-service:v2.0.0"}, {"image": "user-service:v2.1.0"}),
    ],
)
async def test_helm_values_of_an_image(plan, values, expected):
    assert yaml.safe_load(helm_values(await plan(IMAGE), HelmRelease("web", values))) == expected


def packed(plain):
    return base64.b64encode(base64.b64encode(gzip.compress(plain))).decode()


def test_a_stored_release_is_unpacked():
    assert _unpacked_release(packed(json.dumps({"config": {"a": 1}}).encode()), "web") == {"config": {"a": 1}}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "%%%",
        base64.b64encode(b"%%%").decode(),
        packed(b"[]"),
        packed(b"{"),
        packed(b"[" * 100_000),
        packed(b" " * 2**27),
    ],
    ids=["empty", "no base64", "no inner base64", "a list", "cut short", "nested", "a bomb"],
)
def test_a_stored_release_that_cannot_be_read_is_one_sentence(data):
    with pytest.raises(PatchFileError, match="the Helm release web"):
        _unpacked_release(data, "web")
