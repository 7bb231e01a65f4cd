"""Plans, made on the demo cluster: what they say, and that they change nothing."""

import json

import pytest

from memtop.change.change_request import (
    READ_ONLY_SENTENCE,
    DeletePod,
    Pause,
    Restart,
    Scale,
    SetImage,
    SetMemory,
    Undo,
    why_not_allowed,
)
from memtop.change.images import became_ready, image_lines
from memtop.change.planning import make_plan as make
from memtop.change.workload_state import memory_in_use, read_workload
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from tests.change.objects import revision, subject_of

USERS = ObjectRef("Deployment", "production", "user-service")
IMAGE = SetImage(USERS, "user-service", "user-service:v2.1.0")


def lines(plan, label):
    return [(line.weight, line.text) for line in plan.lines if line.label == label]


def line(plan, label):
    ((_, words),) = lines(plan, label)
    return words


async def test_a_plan_says_what_changes_and_changes_nothing(planner, got):
    before = await got(planner, "deployments", "user-service")
    plan = await make(planner, IMAGE, "demo")
    assert await got(planner, "deployments", "user-service") == before
    assert (plan.title, plan.refused, plan.opens_rollout) == ("Set the image of user-service", "", True)
    (change,) = plan.changes
    assert change.path == "spec.template.spec.containers[user-service].image"
    assert (change.old, change.new) == ("user-service:v2.0.0", "user-service:v2.1.0")
    assert line(plan, "image of user-service") == "user-service:v2.0.0 → user-service:v2.1.0"
    assert line(plan, "dry run") == "the server accepts it, admission included"
    assert line(plan, "pods").startswith("Rolling, one by one: 1 extra, none unavailable; 3 pods")
    assert line(plan, "now") == "3 pods wanted, 3 ready"
    assert "PodDisruptionBudget/user-service" in line(plan, "disruption")
    assert "not run here before" in line(plan, "image")
    assert plan.version == before["metadata"]["resourceVersion"]
    assert json.loads(plan.body)["metadata"]["resourceVersion"] == plan.version


async def test_the_same_in_kubectl(planner):
    plan = await make(planner, IMAGE, "demo")
    assert plan.kubectl.startswith(
        "kubectl set image deployment/user-service user-service=user-service:v2.1.0 -n production --context "
    )
    assert line(plan, "kubectl") == plan.kubectl
    plan = await make(planner, SetMemory(USERS, "user-service", "4Gi"), "demo")
    words = "kubectl set resources deployment/user-service -c=user-service --limits=memory=4Gi -n production"
    assert plan.kubectl.startswith(words)


async def test_an_image_that_was_tried_before(planner):
    plan = await make(planner, SetImage(USERS, "user-service", "user-service:v1.9.3"), "demo")
    words = line(plan, "image")
    assert words.startswith("it was tried here before: revision 1, first on 2026-11-")
    assert words.endswith("whether it ever ran is not known")
    assert "by revision 2 with user-service:v2.0.0 (kubectl set image" in words


async def test_an_image_that_may_be_another_tomorrow(planner):
    plan = await make(planner, SetImage(USERS, "user-service", "user-service:latest"), "demo")
    assert any(weight == "warn" and "tag latest" in words for weight, words in lines(plan, "image"))


@pytest.mark.parametrize(
    ("namespace", "name", "container", "image", "weight", "about"),
    [
        ("production", "user-service", "user-service", "user-service:v2.1.0", "warn", "next kubectl apply"),
        ("production", "billing", "billing", "billing:4.7.2", "warn", "next helm upgrade of the release"),
        ("payments", "ledger", "ledger", "ledger:3.0.5", "critical", "Argo CD (application"),
        ("staging", "thumbnailer", "thumbnailer", "thumbnailer:2.3", "critical", "Flux (Kustomization"),
    ],
)
async def test_who_will_revert_it(planner, namespace, name, container, image, weight, about):
    ref = ObjectRef("Deployment", namespace, name)
    plan = await make(planner, SetImage(ref, container, image), "demo")
    owners = lines(plan, "owner")
    assert [weight] == [one for one, _ in owners]
    assert about in owners[0][1]


async def test_nobody_reverts_a_restart(planner):
    ledger = ObjectRef("Deployment", "payments", "ledger")
    plan = await make(planner, Restart(ledger), "demo")
    assert lines(plan, "owner") == []
    assert line(plan, "restarted at").startswith("none → 20")


async def test_an_autoscaler_reverts_a_scale(planner):
    plan = await make(planner, Scale(ObjectRef("Deployment", "production", "order-service"), 7), "demo")
    assert ("critical", True) in [
        (weight, "HorizontalPodAutoscaler/" in words) for weight, words in lines(plan, "owner")
    ]
    assert line(plan, "replicas") == "2 → 7"
    assert line(plan, "pods") == "5 pods more: 7 pods then"


async def test_a_vertical_autoscaler_changes_memory_again(planner):
    indexer = ObjectRef("Deployment", "production", "search-indexer")
    plan = await make(planner, SetMemory(indexer, "indexer", "3Gi"), "demo")
    assert any("VerticalPodAutoscaler/search-indexer" in words for _, words in lines(plan, "owner"))


async def test_quota_and_limit_range(planner):
    ref = ObjectRef("Deployment", "staging", "user-service")
    plan = await make(planner, SetMemory(ref, "user-service", "40Gi"), "demo")
    assert "does not fit" in " ".join(words for weight, words in lines(plan, "quota") if weight == "critical")
    assert "so that pods will not be created" in " ".join(words for _, words in lines(plan, "limit range"))


async def test_a_request_that_no_node_can_hold(planner):
    plan = await make(planner, SetMemory(USERS, "user-service", "900Gi", "800Gi"), "demo")
    ((weight, words),) = lines(plan, "nodes")
    assert weight == "critical"
    assert "no node is that large" in words


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (
            "leaked +600 MiB/h, 12 OOM kills in 6 h",
            [("warn", "revision 1 leaked +600 MiB/h, 12 OOM kills in 6 h")],
        ),
        ("", []),
        (None, [("plain", "whether revision 1 leaked is not known")]),
    ],
)
async def test_undo_says_whether_the_revision_leaked(planner, known, said):
    asked = []

    async def read(client, ref, number):
        asked.append((ref, number))
        return known

    assert lines(await make(planner, Undo(USERS), "demo", read), "leak") == said
    assert asked == [(USERS, 1)]
    assert not lines(await make(planner, Undo(USERS), "demo"), "leak"), "nobody was asked"


async def test_undo_names_the_revision_it_leads_to(planner):
    plan = await make(planner, Undo(USERS), "demo")
    assert plan.change == Undo(USERS, 1)
    assert line(plan, "image of user-service") == "user-service:v2.0.0 → user-service:v1.9.3"
    assert line(plan, "revision").startswith("1, first on 2026-11-")
    assert line(plan, "revision").endswith("; whether it ever ran is not known")
    assert "--to-revision=1" in plan.kubectl


async def test_what_makes_no_sense_is_a_plan_that_cannot_be_applied(planner):
    plan = await make(planner, SetImage(USERS, "nope", "user-service:v2.1.0"), "demo")
    assert plan.refused == "user-service has no container 'nope'; it has user-service"
    assert (plan.method, plan.changes) == ("", ())
    assert line(plan, "refused") == plan.refused


async def test_a_server_that_refuses_says_why_in_its_own_words(unchanged, target_of):
    async with Client(target_of(unchanged, "readonly")) as reader:
        plan = await make(reader, IMAGE, "demo")
    assert plan.refused.startswith("the server refuses it: deployments.apps")
    assert "cannot patch resource" in plan.refused
    assert lines(plan, "dry run") == [("critical", plan.refused)]


async def test_what_may_not_be_read_is_said_and_holds_nothing_up(unchanged, target_of):
    async with Client(target_of(unchanged, "one-namespace")) as reader:
        plan = await make(reader, SetMemory(USERS, "user-service", "4Gi", "2Gi"), "demo")
    assert "forbidden" in plan.refused  # it may not patch either; but the plan is there
    assert line(plan, "memory limit of user-service") == "2Gi → 4Gi"


async def test_there_is_no_plan_for_what_is_not_there(planner):
    with pytest.raises(ApiError, match='"nope" not found'):
        await make(planner, Restart(ObjectRef("Deployment", "production", "nope")), "demo")


async def test_a_cron_jobs_template(planner):
    report = ObjectRef("CronJob", "production", "nightly-report")
    plan = await make(planner, SetMemory(report, "report", "5Gi"), "demo")
    (change,) = plan.changes
    assert change.path == "spec.jobTemplate.spec.template.spec.containers[report].resources.limits.memory"
    assert "next run" in line(plan, "pods")
    assert (plan.refused, plan.opens_rollout) == ("", False)


# -- rights


async def test_rights(unchanged, target_of):
    async with Client(target_of(unchanged)) as admin, Client(target_of(unchanged, "readonly")) as reader:
        assert await why_not_allowed(admin, USERS, SetImage, read_only=False) == ""
        assert await why_not_allowed(admin, USERS, SetImage, read_only=True) == READ_ONLY_SENTENCE
        words = "you may not patch deployments.apps in the namespace production"
        assert await why_not_allowed(reader, USERS, SetImage, read_only=False) == words
        assert "deployments.apps/scale" in await why_not_allowed(reader, USERS, Scale, read_only=False)
        pod = ObjectRef("Pod", "production", "x")
        assert "delete pods" in await why_not_allowed(reader, pod, DeletePod, read_only=False)
        assert "only Deployments" in await why_not_allowed(
            admin, ObjectRef("StatefulSet", "production", "session-cache"), Pause, read_only=False
        )


async def test_who_may_not_ask_is_not_refused_beforehand(unchanged, target_of):
    async with Client(target_of(unchanged, "one-namespace")) as reader:
        assert await why_not_allowed(reader, USERS, SetImage, read_only=False) == ""


# -- what forms need


async def test_a_subject(planner):
    found = await read_workload(planner, ObjectRef("Deployment", "production", "order-service"))
    assert [(one.name, one.init) for one in found.containers] == [
        ("order-service", False), ("log-agent", False), ("migrate", True),
    ]  # fmt: skip
    main = found.container("order-service")
    assert (main.limit, main.limit_bytes, main.request) == ("512Mi", 512 * 1024**2, "256Mi")
    assert (found.replicas, found.paused) == (2, False)
    assert found.strategy.startswith("Rolling")
    assert found.revisions[0].current


async def test_what_is_used(planner):
    found = await read_workload(planner, USERS)
    assert (await memory_in_use(planner, found))["user-service"] > 100 * 1024**2


def test_only_what_has_ready_pods_is_known_to_have_run():
    known = [
        revision(3, image="shop:v3", current=True, replicas=1, created=3000.0),
        revision(2, image="shop:v2", replicas=3, created=2000.0),
        revision(1, image="shop:v1", created=1000.0),
    ]
    found = subject_of(revisions=known, status={"readyReplicas": 3})
    assert [became_ready(one, found) for one in known] == [False, True, False]

    def told(image):
        return next(image_lines(SetImage(found.ref, "main", image), found)).text

    assert told("shop:v9").endswith("as far as 3 revisions since 1970-01-01 00:16 UTC can tell")
    assert told("shop:v2").startswith("it has run here before: revision 2")
    assert "it still has 3 pods" in told("shop:v2")
    assert told("shop:v3").startswith("it was tried here before: revision 3")
    assert told("shop:v3").endswith("; whether it ever ran is not known")
    done = {"readyReplicas": 0, "conditions": [{"type": "Progressing", "reason": "NewReplicaSetAvailable"}]}
    assert became_ready(known[0], subject_of(revisions=known, status=done))

    def seen(generation):
        status = done | {"observedGeneration": generation}
        return became_ready(known[0], subject_of(revisions=known, status=status, metadata={"generation": 7}))

    assert seen(7)
    assert not seen(6), "what the controller says is of the template before"
