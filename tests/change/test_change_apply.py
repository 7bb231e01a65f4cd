"""Plans applied to the demo cluster: what is written, what is not, and what the log says of it."""

import json
import time

import pytest

from memtop.change.apply import Applied, NotApplied, ObjectChanged, apply_plan, record_not_applied
from memtop.change.audit_log import AuditLog
from memtop.change.change_request import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo
from memtop.change.planning import make_plan as make
from memtop.demo.faults import Fault, Harm
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import list_revisions

USERS = ObjectRef("Deployment", "production", "user-service")
CACHE = ObjectRef("StatefulSet", "production", "session-cache")
IMAGE = SetImage(USERS, "user-service", "user-service:v2.1.0")
CAUSE = "kubernetes.io/change-cause"
MERGE = "application/merge-patch+json"


@pytest.fixture
def users(client, got):
    """The Deployment as it is now."""

    async def get():
        return await got(client, "deployments", "user-service")

    return get


async def write(client, patch, name="user-service"):
    """Somebody else's write."""
    path = f"/apis/apps/v1/namespaces/production/deployments/{name}"
    await client.request("PATCH", path, body=json.dumps(patch).encode(), content_type=MERGE)


def container(found):
    return found["spec"]["template"]["spec"]["containers"][0]


def template(found):
    """Its pod template, without the empty time that an API server adds."""
    made = found["spec"]["template"]
    kept = {key: value for key, value in made["metadata"].items() if key != "creationTimestamp"}
    return {**made, "metadata": kept}


def outcomes(log):
    return [one.outcome for one in log.entries()]


async def done(client, change, log):
    plan = await make(client, change, "demo")
    assert plan.refused == ""
    result = await apply_plan(client, plan, log)
    assert isinstance(result, Applied), result
    return plan, result


async def test_an_image(client, users, log):
    before = await users()
    _, result = await done(client, IMAGE, log)
    after = await users()
    assert container(after)["image"] == "user-service:v2.1.0"
    assert container(after)["resources"] == container(before)["resources"]
    cause = (
        "kubectl set image deployment/user-service user-service=user-service:v2.1.0 --namespace=production"
    )
    assert after["metadata"]["annotations"][CAUSE] == cause
    assert "memtop" in [one["manager"] for one in after["metadata"]["managedFields"]]
    assert abs(result.time - time.time()) < 60
    newest = (await list_revisions(client, USERS))[0]
    assert (newest.current, newest.change_cause) == (True, cause)


async def test_the_log_has_it_before_and_after(client, log):
    plan, result = await done(client, IMAGE, log)
    first, second = (json.loads(line) for line in log.path.read_text().splitlines())
    assert (first["outcome"], second["outcome"]) == ("begun", "applied")
    assert first["id"] == second["id"] == plan.id
    assert (first["version"], second["version"]) == (plan.version, result.version)
    assert (second["user"], second["server"]) == ("admin", client.target.server)


async def test_memory(client, users, log):
    await done(client, SetMemory(USERS, "user-service", "4Gi"), log)
    resources = container(await users())["resources"]
    assert resources["limits"]["memory"] == "4Gi"
    assert resources["requests"]["memory"] == "512Mi"


async def test_a_restart(client, users, log):
    await done(client, Restart(USERS), log)
    template = (await users())["spec"]["template"]["metadata"]
    assert "kubectl.kubernetes.io/restartedAt" in template["annotations"]


async def test_a_plan_in_the_middle_of_a_rollout_says_that_it_takes_its_place(client, log):
    await done(client, IMAGE, log)  # the demo's clock stands still: no pod has moved yet
    plan = await make(client, Restart(USERS), "demo")
    said = "another rollout is under way: this one takes its place"
    assert [(one.label, one.weight) for one in plan.lines if one.text == said] == [("now", "warn")]
    assert not [one for one in (await make(client, Pause(USERS), "demo")).lines if one.text == said]


async def test_there_and_back_again(client, users, log):
    before = await users()
    await done(client, IMAGE, log)
    await done(client, SetMemory(USERS, "user-service", "4Gi"), log)
    target = next(one for one in await list_revisions(client, USERS) if one.number == 2)
    await done(client, Undo(USERS, 2), log)
    after = await users()
    assert template(after) == template(before)
    assert after["metadata"]["annotations"][CAUSE] == target.change_cause
    current = next(one for one in await list_revisions(client, USERS) if one.current)
    assert (current.number, current.earlier, current.name) == (5, (2,), target.name)


async def test_a_stateful_set_there_and_back_again(client, got, log):
    before = await got(client, "statefulsets", "session-cache")
    await done(client, SetImage(CACHE, "cache", "cache:7.4"), log)
    await done(client, Undo(CACHE), log)
    after = await got(client, "statefulsets", "session-cache")
    assert template(after) == template(before)


async def test_a_number_of_pods(client, users, log):
    plan, _ = await done(client, Scale(USERS, 5), log)
    assert plan.path.endswith("/scale")
    assert (await users())["spec"]["replicas"] == 5


async def test_pause_and_resume(client, users, log):
    before = await list_revisions(client, USERS)
    await done(client, Pause(USERS), log)
    assert (await users())["spec"]["paused"] is True
    plan, _ = await done(client, IMAGE, log)
    assert not plan.opens_rollout
    assert await make(client, Restart(USERS), "demo")
    assert (await make(client, Restart(USERS), "demo")).refused
    assert len(await list_revisions(client, USERS)) == len(before)
    plan, _ = await done(client, Resume(USERS), log)
    assert plan.opens_rollout
    assert not (await users())["spec"].get("paused")
    assert len(await list_revisions(client, USERS)) == len(before) + 1


async def pod_of(client, start):
    listed = json.loads(await client.get("/api/v1/namespaces/production/pods"))["items"]
    name = next(one["metadata"]["name"] for one in listed if one["metadata"]["name"].startswith(start))
    return ObjectRef("Pod", "production", name)


async def test_a_pod(client, demo, got, log):
    ref = await pod_of(client, "user-service-")
    plan, _ = await done(client, DeletePod(ref), log)
    assert "ReplicaSet/user-service-" in next(line.text for line in plan.lines if line.label == "pods")
    assert "deletionTimestamp" in (await got(client, "pods", ref.name, group="/api/v1"))["metadata"]
    again = await make(client, DeletePod(ref), "demo")
    assert "being deleted already" in again.refused


# -- somebody else writes between plan and yes


async def test_a_change_in_between_makes_a_new_plan_and_writes_nothing(client, users, log):
    plan = await make(client, IMAGE, "demo")
    await write(client, {"spec": {"replicas": 4}})
    between = await users()
    result = await apply_plan(client, plan, log)
    assert isinstance(result, ObjectChanged)
    assert await users() == between
    assert any("4 pods" in line.text for line in result.plan.lines)
    assert result.plan.change == plan.change
    assert result.plan.id != plan.id
    assert [line.weight for line in result.plan.lines if line.label == "changed"] == ["warn"]
    (line,) = log.entries()
    assert (line.outcome, result.plan.id in line.why) == ("conflict", True)
    assert isinstance(await apply_plan(client, result.plan, log), Applied)
    assert outcomes(log) == ["conflict", "applied"]


async def test_the_same_change_by_somebody_else_leaves_nothing_to_do(client, log):
    plan = await make(client, IMAGE, "demo")
    image = {"name": "user-service", "image": "user-service:v2.1.0"}
    await client.request(
        "PATCH",
        plan.path,
        body=json.dumps({"spec": {"template": {"spec": {"containers": [image]}}}}).encode(),
        content_type=plan.content_type,
    )
    result = await apply_plan(client, plan, log)
    assert isinstance(result, ObjectChanged)
    assert result.plan.refused == "that is the image it has"


async def test_a_write_that_changes_nothing_of_it_does_not_stand_in_the_way(client, users, log):
    plan = await make(client, IMAGE, "demo")
    bookkeeping = {"deployment.kubernetes.io/desired-replicas": "9"}
    await write(client, {"metadata": {"annotations": bookkeeping}})
    assert (await users())["metadata"]["resourceVersion"] != plan.version
    assert isinstance(await apply_plan(client, plan, log), Applied)
    assert container(await users())["image"] == "user-service:v2.1.0"


def bookkeep(monkeypatch, times):
    """Has somebody write what the plan doesn't depend on just before each of so many requests; how often."""
    request, written = Client.request, []

    async def churning(self, method, path, *args, **options):
        if method == "PATCH" and len(written) < times:
            written.append(str(len(written)))
            bookkeeping = {"deployment.kubernetes.io/desired-replicas": written[-1]}
            body = json.dumps({"metadata": {"annotations": bookkeeping}}).encode()
            await request(self, "PATCH", path, body=body, content_type=MERGE)
        return await request(self, method, path, *args, **options)

    monkeypatch.setattr(Client, "request", churning)
    return written


async def test_neither_does_a_status_that_is_written_all_the_time(client, demo, users, log, monkeypatch):
    plan = await make(client, IMAGE, "demo")
    written = bookkeep(monkeypatch, times=4)
    assert isinstance(await apply_plan(client, plan, log), Applied)
    assert len(written) == 4


async def test_but_not_for_ever(client, log, monkeypatch, users):
    plan = await make(client, IMAGE, "demo")
    bookkeep(monkeypatch, times=1000)
    result = await apply_plan(client, plan, log)
    assert isinstance(result, NotApplied)
    assert "times in a row" in result.why
    assert container(await users())["image"] == "user-service:v2.0.0"


async def test_another_pod_of_the_same_name_is_not_deleted(client, demo, got, log):
    ref = ObjectRef("Pod", "production", "session-cache-1")
    plan = await make(client, DeletePod(ref), "demo")
    await client.request("DELETE", plan.path, {"gracePeriodSeconds": "0"})
    demo.advance(60)
    again = await got(client, "pods", ref.name, group="/api/v1")
    result = await apply_plan(client, plan, log)
    assert isinstance(result, ObjectChanged), result
    assert await got(client, "pods", ref.name, group="/api/v1") == again


async def test_an_object_that_is_gone(client, log):
    plan = await make(client, IMAGE, "demo")
    await client.request("DELETE", plan.path)
    result = await apply_plan(client, plan, log)
    assert isinstance(result, NotApplied)
    assert '"user-service" not found' in result.why
    assert outcomes(log) == ["failed"]


async def test_the_same_change_by_somebody_else_is_not_taken_for_ours(client, log, monkeypatch):
    plan = await make(client, IMAGE, "demo")
    image = {"name": "user-service", "image": "user-service:v2.1.0"}
    body = json.dumps({"spec": {"template": {"spec": {"containers": [image]}}}}).encode()
    await client.request("PATCH", plan.path, body=body, content_type=plan.content_type)

    async def unplanned(*_):
        raise Unreachable("timed out")

    monkeypatch.setattr("memtop.change.planning.make_plan", unplanned)
    result = await apply_plan(client, plan, log)
    assert result == NotApplied("it was changed meanwhile and nothing is written: timed out")
    assert outcomes(log) == ["failed"]


# -- what is not applied


async def test_nothing_is_written_without_a_record(client, users, tmp_path):
    (tmp_path / "file").write_text("")
    plan, before = await make(client, IMAGE, "demo"), await users()
    result = await apply_plan(client, plan, AuditLog(tmp_path / "file" / "audit.jsonl"))
    assert isinstance(result, NotApplied)
    assert result.why.startswith("nothing is changed without a record: the audit log ")
    assert await users() == before
    assert "cannot be written" in await record_not_applied(
        client, plan, AuditLog(tmp_path / "file" / "audit.jsonl")
    )


async def test_a_plan_that_was_declined(client, users, log):
    plan, before = await make(client, IMAGE, "demo"), await users()
    assert await record_not_applied(client, plan, log) == ""
    assert await users() == before
    (line,) = log.entries()
    assert (line.outcome, line.changes[0].new) == ("declined", "user-service:v2.1.0")


async def test_a_plan_that_the_server_refuses(demo, target_of, log):
    async with Client(target_of(demo, "readonly")) as reader:
        plan = await make(reader, IMAGE, "demo")
        result = await apply_plan(reader, plan, log)
    assert result == NotApplied(plan.refused)
    (line,) = log.entries()
    assert (line.outcome, line.user) == ("refused", "readonly")
    assert "cannot patch" in line.why


async def test_a_server_that_goes_away_leaves_it_open_whether_it_was_done(demo, target_of, log):
    async with Client(target_of(demo)) as client:
        plan = await make(client, IMAGE, "demo")
        demo.run(demo.server.stop())
        result = await apply_plan(client, plan, log)
    assert isinstance(result, NotApplied)
    assert "may or may not have been applied" in result.why
    assert outcomes(log) == ["failed"]


@pytest.fixture
def deaf(monkeypatch):
    """``deaf(before=True)``: patches get lost on their way there, or their answers on the way back."""

    def lose(*, before, error=None, changing="PATCH"):
        request = Client.request
        lost = error or Unreachable("timed out")

        async def losing(self, method, path, *args, **options):
            if method == changing and before:
                raise lost
            answer = await request(self, method, path, *args, **options)
            if method == changing:
                raise lost
            return answer

        monkeypatch.setattr(Client, "request", losing)

    return lose


async def test_an_answer_that_got_lost_after_the_change(client, users, log, deaf):
    plan = await make(client, IMAGE, "demo")
    deaf(before=False)
    result = await apply_plan(client, plan, log)
    assert isinstance(result, Applied)
    assert result.version == (await users())["metadata"]["resourceVersion"]
    assert outcomes(log) == ["applied"]


async def test_a_server_that_gives_up_waiting_for_its_own_change(client, log, deaf):
    plan = await make(client, IMAGE, "demo")
    deaf(before=False, error=ApiError(504, "Timeout", "request did not complete"))
    assert isinstance(await apply_plan(client, plan, log), Applied)


async def test_a_deletion_whose_answer_got_lost_is_known_by_the_pod_that_is_gone(client, demo, log, deaf):
    plan = await make(client, DeletePod(await pod_of(client, "user-service-")), "demo")
    deaf(before=False, changing="DELETE")
    demo.server.faults.add(Fault(Harm.ANSWER, path=plan.path, method="GET", status=404))
    result = await apply_plan(client, plan, log)
    assert isinstance(result, Applied), result
    (entry,) = log.entries()
    assert (entry.outcome, "is gone" in entry.why) == ("applied", True)


async def test_a_deletion_that_was_sent_twice_is_done(client, log, deaf):
    plan = await make(client, DeletePod(await pod_of(client, "user-service-")), "demo")
    deaf(before=False, changing="DELETE", error=ApiError(404, "NotFound", "pods not found"))
    assert isinstance(await apply_plan(client, plan, log), Applied)
    assert outcomes(log) == ["applied"]


async def test_a_request_that_got_lost(client, log, deaf):
    plan = await make(client, IMAGE, "demo")
    deaf(before=True)
    result = await apply_plan(client, plan, log)
    assert result == NotApplied("no clear answer came, and the object is as it was: timed out")
