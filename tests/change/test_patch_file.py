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
    change_as_file,
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


DEPLOYMENT = """
spec:
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          resources: {{- toYaml .Values.resources | nindent 12 }}
"""
JOB = """
          resources: {{- toYaml (index .Values "pre-upgrade" "resources") | nindent 12 }}
"""


def release(**chart):
    """A release as Helm 3 stores it: the chart with its templates, the values on top, the manifest."""

    def stored(name, words):
        return {"name": name, "data": base64.b64encode(words.encode()).decode()}

    return {
        "name": "web",
        "version": 3,
        "namespace": "production",
        "info": {"status": "deployed"},
        "config": {"image": {"tag": "v2.0.0"}},
        "manifest": "---\n",
        "chart": {
            "metadata": {
                "name": "web",
                "version": "1.4.0",
                "dependencies": [{"name": "redis", "alias": "cache"}],
            },
            "values": {
                "image": {"repository": "user-service", "tag": "v1.0.0"},
                "resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}},
                "legacy": {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}},
            },
            "templates": [stored("templates/deployment.yaml", DEPLOYMENT), stored("templates/job.yaml", JOB)],
            **chart,
        },
    }


class FakeHelm:
    """A connection to a cluster that has the release's Deployment and its Secrets, as Helm labels them."""

    def __init__(self, *releases):
        self.releases = releases
        self.asked = []

    async def get(self, path, params=None, **_):
        self.asked.append((path, params))
        if path.endswith("/secrets"):
            items = [
                {
                    "metadata": {
                        "name": f"sh.helm.release.v1.web.v{number}",
                        "labels": {"version": f"{number}"},
                    },
                    "type": "helm.sh/release.v1",
                    "data": {"release": packed(json.dumps(one).encode())},
                }
                for number, one in enumerate(self.releases, 1)
            ]
            return json.dumps({"items": items}).encode()
        noted = {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "production"}
        return json.dumps({"metadata": {"name": "user-service", "annotations": noted}}).encode()


class TestStoredReleases:
    async def test_the_newest_is_read_and_only_values_that_a_template_reads_count(self, plan):
        old = release()
        old["chart"]["values"]["resources"]["limits"]["memory"] = "1Gi"
        client = FakeHelm(old, release())
        written = await change_as_file(client, await plan(MEMORY), "helm", EVIDENCE)
        assert client.asked[-1][1] == {"labelSelector": "owner=helm,name=web"}
        assert yaml.safe_load(written) == {
            "resources": {"limits": {"memory": "3Gi"}, "requests": {"memory": "1Gi"}}
        }
        assert "# resources.limits.memory: read by templates/deployment.yaml of the chart" in written

    async def test_a_tag_over_the_charts_own(self, plan):
        written = await change_as_file(FakeHelm(release()), await plan(IMAGE), "helm")
        assert yaml.safe_load(written) == {"image": {"tag": "v2.1.0"}}
        assert "image.tag: read by templates/deployment.yaml" in written

    async def test_a_value_that_nothing_reads_is_not_taken_for_the_field(self, plan):
        alike = {"legacy": {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}}}
        with pytest.raises(
            PatchFileError, match="has the value of the memory limit of user-service, but no template"
        ):
            await change_as_file(FakeHelm(release(values=alike)), await plan(MEMORY), "helm")

    async def test_values_of_a_chart_inside_are_not_checked_and_that_is_said(self, plan):
        inside = {"cache": {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}}}
        written = await change_as_file(FakeHelm(release(values=inside)), await plan(MEMORY), "helm")
        assert list(yaml.safe_load(written)) == ["cache"]
        assert "of the chart cache inside, whose templates are not stored: not checked" in written

    async def test_a_name_with_a_hyphen_is_read_by_index(self, plan):
        values = {
            "pre-upgrade": {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi"}}}
        }
        written = await change_as_file(FakeHelm(release(values=values)), await plan(MEMORY), "helm")
        assert "pre-upgrade.resources.limits.memory: read by templates/job.yaml" in written

    async def test_a_sibling_that_is_read_is_not_the_value(self, plan):
        release_ = HelmRelease("web", {}, {"t.yaml": "{{ .Values.image.repository }}"})
        assert release_.reader(("image", "repository")) == "t.yaml"
        assert release_.reader(("image", "tag")) == ""
        assert HelmRelease("web", {}, {"t.yaml": "{{ .Values.image }}"}).reader(("image", "tag")) == "t.yaml"
        assert HelmRelease("web", {}, {"t.yaml": "{{ .Values.images }}"}).reader(("image", "tag")) == ""

    async def test_without_templates_nothing_is_claimed(self, plan):
        written = helm_values(
            await plan(MEMORY), HelmRelease("web", release()["chart"]["values"] | {"legacy": 1})
        )
        assert "whether one reads it is not checked" in written
