"""The server's dry run: what is asked, and what is made of the answer."""

import copy
import json

import pytest

from memtop.change.api_request import ApiRequest, build_request, dry_run
from memtop.change.change_request import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo
from memtop.kube.api_errors import ApiError
from memtop.kube.client import ApiResponse
from tests.change.objects import container, ref, revision, subject_of, workload

PATH = "/apis/apps/v1/namespaces/production/deployments"


class Server:
    """Answers one request with what it is told to."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    async def request(self, method, path, params, *, body, content_type):
        self.sent.append((method, path, dict(params), json.loads(body), content_type))
        if isinstance(self.answer, Exception):
            raise self.answer
        return ApiResponse(200, {}, json.dumps(self.answer).encode())


def requested(change, target=None, **options):
    subject = subject_of(change.ref.kind, **options)
    return build_request(change, subject, PATH, "kubectl does it", target, 1_769_829_165.0)


IMAGE = requested(SetImage(ref(), "main", "shop:v2"))


def answered(edit):
    found = workload()
    edit(found)
    return found


def with_image(image):
    def edit(found):
        found["spec"]["template"]["spec"]["containers"][0]["image"] = image

    return edit


async def asked(answer, made=IMAGE):
    return await dry_run(Server(answer), made, workload())


async def test_it_is_a_dry_run_in_memtops_name():
    server = Server(answered(with_image("shop:v2")))
    await dry_run(server, IMAGE, workload())
    ((method, path, params, body, content_type),) = server.sent
    assert (method, path) == ("PATCH", f"{PATH}/shop")
    assert params == {"dryRun": "All", "fieldManager": "memtop"}
    assert content_type == "application/strategic-merge-patch+json"
    assert body["metadata"]["resourceVersion"] == "7"


async def test_of_a_deletion_the_server_reads_the_body():
    made = requested(DeletePod(ref("Pod")))
    server = Server({})
    await dry_run(server, made, workload())
    ((method, _, params, body, _),) = server.sent
    assert (method, params["dryRun"], body["dryRun"]) == ("DELETE", "All", ["All"])
    assert body["preconditions"] == {"uid": "u1", "resourceVersion": "7"}
    assert "dryRun" not in made.body  # what is sent later is no dry run


async def test_as_wanted():
    found = await asked(answered(with_image("shop:v2")))
    assert [line.text for line in found.lines] == ["the server accepts it, admission included"]
    assert found.refused == ""


async def test_a_refusal_in_the_servers_words():
    found = await asked(ApiError(403, "Forbidden", 'admission webhook "policy" denied the request: no tag'))
    assert found.refused.endswith('admission webhook "policy" denied the request: no tag')


async def test_a_conflict_is_not_a_refusal():
    with pytest.raises(ApiError):
        await asked(ApiError(409, "Conflict", "the object has been modified"))


async def test_a_webhook_that_cannot_be_tried():
    found = await asked(ApiError(400, "BadRequest", 'admission webhook "x" does not support dry run'))
    assert found.refused == ""
    assert found.lines[0].weight == "warn"


async def test_a_server_that_puts_it_back():
    found = await asked(workload())
    assert "would change nothing" in found.refused


async def test_a_server_that_makes_something_else_of_it():
    found = await asked(answered(with_image("mirror/shop:v2")))
    (line,) = found.lines
    assert line.weight == "critical"
    assert line.text == ("the server would set spec.template.spec.containers[main].image to mirror/shop:v2")


async def test_what_else_would_change():
    def edit(found):
        with_image("shop:v2")(found)
        found["spec"]["template"]["spec"]["nodeName"] = "a"

    found = await asked(answered(edit))
    assert found.lines[1].text == "the server would also change spec.template.spec.nodeName: none → a"


async def test_a_quantity_may_be_written_otherwise():
    made = requested(SetMemory(ref(), "main", "1024Mi"))
    after = workload(containers=[container(limit="1Gi")])
    found = await dry_run(Server(after), made, workload())
    assert [line.weight for line in found.lines] == ["plain"]


async def test_scaling():
    made = requested(Scale(ref(), 5))
    assert (await asked({"spec": {"replicas": 5}}, made)).refused == ""
    refused = await asked({"spec": {"replicas": 4}}, made)
    assert refused.refused == "the server would scale it to 4 and not to 5"
    assert [(line.label, line.weight) for line in refused.lines] == [("dry run", "critical")]


# -- the requests


def body(change, target=None, **options) -> dict:
    made: ApiRequest = requested(change, target, **options)
    return made.body


def test_an_image_touches_one_field():
    metadata = {"resourceVersion": "7", "annotations": {"kubernetes.io/change-cause": "kubectl does it"}}
    element = {"name": "main", "image": "shop:v2"}
    assert IMAGE.body == {"metadata": metadata, "spec": {"template": {"spec": {"containers": [element]}}}}


def test_an_init_containers_image():
    found = body(SetImage(ref(), "setup", "a:b"), init=[container("setup")])
    assert found["spec"]["template"]["spec"] == {"initContainers": [{"name": "setup", "image": "a:b"}]}


def test_memory_touches_only_what_changes():
    found = body(SetMemory(ref(), "main", "1Gi", "128Mi"))  # the request is that already
    (element,) = found["spec"]["template"]["spec"]["containers"]
    assert element == {"name": "main", "resources": {"limits": {"memory": "1Gi"}}}
    assert body(SetMemory(ref(), "main", "1Gi", "131072Ki"))["spec"] == found["spec"]


def test_a_restart_as_kubectl_marks_it():
    found = body(Restart(ref()))
    annotation = {"kubectl.kubernetes.io/restartedAt": "2026-01-31T03:12:45Z"}
    assert found["spec"]["template"] == {"metadata": {"annotations": annotation}}


def test_a_cron_jobs_template_is_deeper():
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container()]}}}}}
    found = body(SetImage(ref("CronJob"), "main", "shop:v2"), spec=spec)
    element = {"name": "main", "image": "shop:v2"}
    assert found["spec"] == {"jobTemplate": {"spec": {"template": {"spec": {"containers": [element]}}}}}
    assert "annotations" not in found["metadata"]  # a CronJob has no history to show it in


def test_undo_replaces_the_whole_template_and_brings_its_cause_back():
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container(image="shop:v0")]}}
    target = revision(1, template=copy.deepcopy(template), cause="the first")
    made = requested(Undo(ref(), 1), target)
    assert made.body["spec"]["template"] == {"$patch": "replace", **template}
    assert made.body["metadata"]["annotations"] == {"kubernetes.io/change-cause": "the first"}
    assert [(steps[-1], old, new) for steps, old, new in made.changed] == [("image", "shop:v1", "shop:v0")]


def test_undo_to_a_revision_without_a_cause_removes_the_present_one():
    metadata = {"annotations": {"kubernetes.io/change-cause": "now"}}
    found = body(Undo(ref(), 1), revision(1), metadata=metadata)
    assert found["metadata"]["annotations"] == {"kubernetes.io/change-cause": None}
    assert "annotations" not in body(Undo(ref(), 1), revision(1))["metadata"]


def test_scale_and_pause():
    scale = requested(Scale(ref(), 5))
    assert (scale.path, scale.content_type) == (f"{PATH}/shop/scale", "application/merge-patch+json")
    assert scale.body == {"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 5}}
    assert body(Pause(ref()))["spec"] == {"paused": True}
    assert body(Resume(ref()))["spec"] == {"paused": None}
