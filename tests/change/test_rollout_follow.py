"""Following a rollout on the embedded cluster, whatever happens to the watches."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json

import pytest

from config.errors import ConfigError
from config.invocation import parse
from memtop.change import rollout_watch
from memtop.change.rollout_model import StuckCause
from memtop.change.rollout_watch import BackgroundState, follow_in_background, follow_rollout
from memtop.commands.change import Console
from memtop.commands.rollout import run_history, run_pause, run_restart, run_resume, run_status, run_undo
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import list_revisions
from tests.api import Api

APPS = "/apis/apps/v1/namespaces/production"
API = ObjectRef("Deployment", "production", "user-service")
PATIENCE = 60.0


class Cluster:
    """An embedded cluster whose time runs fast, and what is done to it."""

    def __init__(self, demo, folder):
        self.demo = demo
        self.api = Api(demo)
        self.folder = folder

    def kubeconfig(self, user="admin"):
        path = self.folder / user
        path.write_text(self.demo.kubeconfig(user))
        return str(path)

    def client(self, user="admin"):
        return Client(load_target(kubeconfig=self.kubeconfig(user)))

    def now(self):
        return self.demo.call(self.demo.server.cluster.clock.now)

    def patch(self, spec, ref=API):
        apps = APPS.replace("production", ref.namespace)
        return self.api.change(f"{apps}/{ref.kind.lower()}s/{ref.name}", {"spec": spec})

    def set_image(self, image):
        container = {"name": "user-service", "image": image}
        return self.patch({"template": {"spec": {"containers": [container]}}})

    async def until(self, told, holds):
        """The first of what is told that something is true of; all before it are kept in ``seen``."""
        async with asyncio.timeout(PATIENCE):
            async for one in told:
                if not isinstance(one, str) and holds(one):
                    return one
        raise AssertionError("it ended")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "memtop.change.rollout_watch.MEASURE_SECONDS", 0.3
    )  # thirty times as fast as the clock
    with DemoThread(pods=20, speed=30, bookmark_every=0.5) as demo:
        yield Cluster(demo, tmp_path)


@contextlib.asynccontextmanager
async def following(cluster, ref=API, user="admin"):
    async with (
        cluster.client(user) as client,
        contextlib.aclosing(follow_rollout(client, ref, cluster.now)) as told,
    ):
        yield told


async def test_a_rollout_is_followed_to_its_end(cluster):
    async with following(cluster) as told:
        first = await cluster.until(told, lambda one: True)
        assert [line.new for line in first.pods] == [True] * 3
        cluster.set_image("user-service:v2.1.0")
        going = await cluster.until(told, lambda one: not one.status.done and any(p.new for p in one.pods))
        assert {line.new for line in going.pods} == {True, False}
        assert going.previous.name == first.revision.name
        done = await cluster.until(told, lambda one: one.status.done and one.working_new_pods == 3)
        assert done.status.words == 'deployment "user-service" successfully rolled out'
        assert done.revision.images == {"user-service": "user-service:v2.1.0"}
        assert done.revision.number == first.revision.number + 1
        assert 0 < done.finished - done.started < 300
        measured = await cluster.until(told, lambda one: any(p.new and p.memory for p in one.pods))
        assert all(line.limit for line in measured.pods)


async def test_a_rollout_that_gets_stuck_and_is_undone(cluster):
    before = cluster.api.get(f"{APPS}/deployments/user-service").json["spec"]["template"]
    async with following(cluster) as told:
        cluster.set_image("user-service:no-such-tag")
        stuck = await cluster.until(told, lambda one: one.blocked is not None)
        assert stuck.blocked.cause is StuckCause.IMAGE
        assert "user-service:no-such-tag" in stuck.blocked.words
        cluster.patch({"template": before | {"$patch": "replace"}})
        done = await cluster.until(told, lambda one: one.status.done)
        assert done.stuck == () or all(not reason.blocking for reason in done.stuck)
        assert done.revision.images == {"user-service": "user-service:v2.0.0"}
        assert done.revision.number == stuck.revision.number + 1
        assert stuck.previous.number in done.revision.earlier


@pytest.mark.parametrize("trouble", ["closed", "expired", "restarted"])
async def test_it_survives_what_happens_to_its_watches(cluster, trouble):
    server = cluster.demo.server
    async with following(cluster) as told:
        await cluster.until(told, lambda one: True)
        if trouble == "closed":
            cluster.demo.call(server.close_watches)
        elif trouble == "expired":
            cluster.demo.call(server.expire_watches)
        else:
            cluster.demo.run(server.stop())
            dark = await cluster.until(told, lambda one: one.notes)
            assert dark.pods, "what was known stays"
            cluster.demo.run(server.start())
        cluster.set_image("user-service:v2.1.0")

        def arrived(one):  # its watches come back one by one: the workload may be seen before its revisions
            if not one.status.done or one.notes or one.revision is None:
                return False
            return one.revision.images == {"user-service": "user-service:v2.1.0"}

        assert await cluster.until(told, arrived)


async def test_leaving_ends_every_request(cluster):
    before = asyncio.all_tasks()
    async with cluster.client() as client:
        told = follow_rollout(client, API, cluster.now)
        await anext(told)
        assert asyncio.all_tasks() > before
        await told.aclose()
        assert asyncio.all_tasks() == before


async def test_what_is_missing_or_forbidden_is_said(cluster):
    async with cluster.client() as client:
        absent = follow_rollout(client, ObjectRef("Deployment", "production", "absent"), cluster.now)
        assert "not found" in await anext(absent)
        await absent.aclose()
    async with cluster.client("nobody") as client:
        forbidden = follow_rollout(client, API, cluster.now)
        assert "forbidden" in await anext(forbidden)
        await forbidden.aclose()
    async with cluster.client() as client:
        assert (
            await anext(follow_rollout(client, ObjectRef("Job", "production", "x")))
            == "a Job is not rolled out"
        )


async def test_where_only_getting_the_workload_is_allowed_it_is_asked_for_now_and_then(cluster, monkeypatch):
    monkeypatch.setattr("memtop.change.rollout_objects.RETRY_SECONDS", 0.2)
    cluster.demo.server.faults.add(Fault(Harm.ANSWER, path=r"/deployments\?", status=403))
    cluster.demo.server.faults.add(Fault(Harm.ANSWER, path=r"/events\?", status=403))
    async with following(cluster) as told:
        first = await cluster.until(told, lambda one: one.notes)
        assert len(first.notes) == 1, "only of the events"
        cluster.set_image("user-service:v2.1.0")
        done = await cluster.until(told, lambda one: one.status.done and one.revision.number > 2)
        assert done.working_new_pods == 3


async def test_a_workload_that_is_deleted(cluster):
    async with following(cluster) as told:
        await cluster.until(told, lambda one: True)
        cluster.api.request("DELETE", f"{APPS}/deployments/user-service")
        gone = await cluster.until(told, lambda one: one.deleted)
        assert gone.is_over


@pytest.mark.parametrize(
    "ref",
    [
        ObjectRef("StatefulSet", "production", "session-cache"),
        ObjectRef("DaemonSet", "kube-system", "node-agent"),
    ],
    ids=str,
)
async def test_the_other_kinds(cluster, ref):
    async with following(cluster, ref) as told:
        first = await cluster.until(told, lambda one: one.status.done)
        cluster.patch({"template": {"metadata": {"annotations": {"restarted": "now"}}}}, ref)
        await cluster.until(told, lambda one: not one.status.done)
        done = await cluster.until(told, lambda one: one.status.done)
        assert done.revision.number > first.revision.number
        assert done.working_new_pods == done.status.target == len([line for line in done.pods if line.new])


async def test_a_rollout_that_was_left_is_told_in_short_lines(cluster):
    told = []
    cluster.set_image("user-service:v2.1.0")
    async with cluster.client() as client, asyncio.timeout(PATIENCE):
        await follow_in_background(client, API, told.append, cluster.now)
    assert told[-1].state is BackgroundState.DONE
    assert told[-1].words == "rollout user-service done"
    assert len({line.words for line in told}) == len(told)
    assert all(line.words.startswith("rollout user-service ") for line in told)


async def test_one_that_was_left_is_followed_on_after_a_mistake_of_memtops_own(cluster, monkeypatch, caplog):
    told, mistakes = [], [KeyError("hunter2"), ValueError("hunter2")]

    def follow(*args, **kwargs):
        if mistakes:
            raise mistakes.pop()
        return rollout_watch.follow_it(*args, **kwargs)

    monkeypatch.setattr(rollout_watch, "follow_it", rollout_watch.follow_rollout, raising=False)
    monkeypatch.setattr(rollout_watch, "follow_rollout", follow)
    monkeypatch.setattr(rollout_watch, "RETRY_SECONDS", 0.0)
    cluster.set_image("user-service:v2.1.0")
    async with cluster.client() as client, asyncio.timeout(PATIENCE):
        await follow_in_background(client, API, told.append, cluster.now)
    assert [line.state for line in told[:2]] == [BackgroundState.UNKNOWN] * 2
    assert "hunter2" not in str(told)
    assert told[-1].state is BackgroundState.DONE
    assert caplog.text.count("Traceback") == 2


async def test_one_that_was_left_and_is_gone_already_is_told_as_gone(cluster):
    told, before = [], asyncio.all_tasks()
    absent = ObjectRef("Deployment", "production", "absent")
    async with cluster.client() as client, asyncio.timeout(PATIENCE):
        await follow_in_background(client, absent, told.append, cluster.now)
        assert asyncio.all_tasks() == before
    assert [(one.state, one.words) for one in told] == [(BackgroundState.GONE, "rollout absent: deleted")]


def test_ages_of_revisions_are_by_the_clusters_clock(cluster, monkeypatch):
    monkeypatch.setattr("memtop.observe.source.time.time", lambda: 0.0)  # this machine's clock is behind
    out = io.StringIO()
    words = ["rollout", "history", "deploy/user-service", "-n", "production"]
    assert run_history(parse([*words, "--kubeconfig", cluster.kubeconfig()], {}), out, io.StringIO()) == 0
    assert " ago " in out.getvalue()
    assert "just now" not in out.getvalue()


async def test_revisions_tell_what_each_was(cluster):
    cluster.set_image("user-service:v2.1.0")
    async with following(cluster) as told:
        await cluster.until(told, lambda one: one.status.done and one.revision.number > 1)
    async with cluster.client() as client:
        newest, before, *_ = await list_revisions(client, API)
        assert await list_revisions(client, ObjectRef("CronJob", "production", "x")) == ()
    assert (newest.current, newest.replicas, before.current, before.replicas) == (True, 3, False, 0)
    assert (newest.images["user-service"], before.images["user-service"]) == (
        "user-service:v2.1.0",
        "user-service:v2.0.0",
    )
    assert newest.created > before.created
    assert newest.limits["user-service"] == before.limits["user-service"] == 2 * 1024**3
    assert "pod-template-hash" not in newest.template["metadata"]["labels"]


def test_status_without_a_screen(cluster):
    """Sentences on stdout, reasons and failures on stderr, exit codes as kubectl's."""
    flags = ["--kubeconfig", cluster.kubeconfig(), "-n", "production"]

    def run(command, *words):
        out, err = io.StringIO(), io.StringIO()
        code = command(parse([*words, *flags], {}), out, err)
        return code, out.getvalue(), err.getvalue()

    cluster.set_image("user-service:v2.1.0")
    code, out, err = run(run_status, "rollout", "status", "deployment/user-service", "--timeout", "2m")
    assert (code, out.splitlines()[-1]) == (0, 'deployment "user-service" successfully rolled out')
    code, out, err = run(run_history, "rollout", "history", "deploy/user-service", "-o", "json")
    found = json.loads(out)["revisions"]
    assert (code, err, found[0]["current"]) == (0, "", True)
    assert found[0]["containers"][0]["image"] == "user-service:v2.1.0"
    code, out, _ = run(run_history, "rollout", "history", "deploy/user-service")
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        str(one["revision"]) for one in reversed(found)
    ]
    number = str(found[0]["revision"])
    code, out, _ = run(run_history, "rollout", "history", "deploy/user-service", "--revision", number)
    assert out.startswith(f"deployment.apps/user-service with revision #{number}")
    assert "image: user-service:v2.1.0" in out
    assert run(run_history, "rollout", "history", "deploy/user-service", "--revision", "99") == (
        1,
        "",
        "error: unable to find the specified revision 99\n",
    )
    cluster.patch({"progressDeadlineSeconds": 36_000})  # not before the command's own time is over
    cluster.set_image("user-service:no-such-tag")
    cluster.demo.advance(20)
    code, out, err = run(run_status, "rollout", "status", "deploy/user-service", "--timeout", "2s")
    assert (code, err.splitlines()[-1]) == (1, "error: timed out waiting for the condition")
    assert "cannot be pulled" in err
    code, out, _ = run(run_status, "rollout", "status", "deploy", "user-service", "--no-watch")
    assert (code, len(out.splitlines())) == (0, 1)
    code, _, err = run(run_status, "rollout", "status", "deploy/absent")
    assert (code, err) == (1, 'memtop: deployments.apps "absent" not found\n')


def test_plans_without_a_screen(cluster, monkeypatch):
    """Restart, pause, resume and undo, each after a yes given beforehand."""
    monkeypatch.setenv("XDG_STATE_HOME", str(cluster.folder))
    flags = ["--kubeconfig", cluster.kubeconfig(), "-n", "production", "--yes"]

    def run(command, *words):
        out, err = io.StringIO(), io.StringIO()
        code = command(parse(["rollout", *words, *flags], {}), Console(out, err, io.StringIO()))
        return code, out.getvalue() + err.getvalue()

    def deployment():
        return cluster.api.get(f"{APPS}/deployments/user-service").json

    cluster.set_image("user-service:v2.1.0")
    code, said = run(run_undo, "undo", "deployment/user-service")
    assert (code, deployment()["spec"]["template"]["spec"]["containers"][0]["image"]) == (
        0,
        "user-service:v2.0.0",
    ), said
    assert run(run_pause, "pause", "deployment/user-service")[0] == 0
    assert deployment()["spec"]["paused"] is True
    assert run(run_resume, "resume", "deployment/user-service")[0] == 0
    assert not deployment()["spec"].get("paused")
    assert run(run_restart, "restart", "sts/session-cache")[0] == 0
    store = cluster.api.get(f"{APPS}/statefulsets/session-cache").json
    assert "kubectl.kubernetes.io/restartedAt" in store["spec"]["template"]["metadata"]["annotations"]
    with pytest.raises(ConfigError, match="is a StatefulSet, which this cannot be done with"):
        run(run_pause, "pause", "sts/session-cache")
