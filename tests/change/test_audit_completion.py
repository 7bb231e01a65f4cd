"""A change whose memtop was ended before it knew the answer is written down at the next start."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

import pytest
from msgspec.structs import replace

from memtop.change.apply import Applied, apply_plan
from memtop.change.audit_completion import complete_begun, value_at, was_ended
from memtop.change.audit_log import AuditLog
from memtop.change.change_request import DeletePod, Restart, Scale, SetVariables
from memtop.change.planning import make_plan
from memtop.demo.faults import Fault, Harm
from memtop.kube.client import Client
from tests.change.test_change_apply import IMAGE, USERS, pod_of


@pytest.fixture(scope="module")
def ended():
    """What the log calls a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{platform.node()}:{process.pid}"


@pytest.fixture
def killed(log, ended, monkeypatch):
    """``await killed(client, plan)``: applies it as a memtop that is killed while it waits for the answer."""

    class KilledError(BaseException):
        pass

    async def apply(client, plan, *, before=False):
        request = Client.request

        async def killing(self, method, *args, **options):
            if method == plan.method and before:
                raise KilledError
            answer = await request(self, method, *args, **options)
            if method == plan.method:
                raise KilledError
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(Client, "request", killing)
            with pytest.raises(KilledError):
                await apply_plan(client, plan, log)
        (*_, begun) = log.entries()
        assert begun.outcome == "begun"
        log.write(replace(begun, process=ended))

    return apply


CHANGES = [
    IMAGE,
    Restart(USERS),
    Scale(USERS, 5),
    SetVariables(USERS, "user-service", (("PASSWORD", "hunter2"),)),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.action)
async def test_what_the_cluster_has_was_applied(client, log, killed, change):
    await killed(client, await make_plan(client, change, "demo"))
    (written,) = await complete_begun(client, log)
    (entry,) = log.entries()
    assert (entry.outcome, entry.process, written.id) == ("applied", "", entry.id)
    assert entry.why
    assert "hunter2" not in log.path.read_text()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.action)
async def test_what_never_arrived_is_not_called_applied(client, log, killed, change):
    await killed(client, await make_plan(client, change, "demo"), before=True)
    await complete_begun(client, log)
    (entry,) = log.entries()
    assert entry.outcome != "applied"


async def test_an_image_that_never_arrived_has_failed(client, log, killed):
    await killed(client, await make_plan(client, IMAGE, "demo"), before=True)
    await complete_begun(client, log)
    (entry,) = log.entries()
    assert (entry.outcome, "as it was" in entry.why) == ("failed", True)


async def test_a_pod_that_is_gone_was_deleted(client, demo, log, killed):
    plan = await make_plan(client, DeletePod(await pod_of(client, "user-service-")), "demo")
    await killed(client, plan)
    demo.advance(120.0)
    await complete_begun(client, log)
    (entry,) = log.entries()
    assert entry.outcome == "applied"


async def test_a_pod_that_is_still_there_was_not(client, log, killed):
    plan = await make_plan(client, DeletePod(await pod_of(client, "user-service-")), "demo")
    await killed(client, plan, before=True)
    await complete_begun(client, log)
    (entry,) = log.entries()
    assert (entry.outcome, "still there" in entry.why) == ("failed", True)


async def test_a_change_of_a_memtop_that_still_runs_is_its_own_to_write(client, log, killed):
    await killed(client, await make_plan(client, IMAGE, "demo"))
    (begun,) = log.entries()
    log.write(replace(begun, process=f"{platform.node()}:{os.getppid()}"))
    assert await complete_begun(client, log) == []


async def test_a_change_of_another_cluster_is_left_alone(client, log, killed):
    await killed(client, await make_plan(client, IMAGE, "demo"))
    (begun,) = log.entries()
    log.write(replace(begun, server="https://elsewhere"))
    assert await complete_begun(client, log) == []


async def test_it_waits_until_the_cluster_answers(client, demo, log, killed):
    await killed(client, await make_plan(client, IMAGE, "demo"))
    fault = demo.server.faults.add(Fault(Harm.ANSWER, method="GET", status=503, times=1))
    assert await complete_begun(client, log, patient=False) == []
    fault.times = 2
    (written,) = await complete_begun(client, log)
    assert written.outcome == "applied"


async def test_a_change_that_has_its_outcome_is_not_looked_at_again(client, log):
    assert isinstance(await apply_plan(client, await make_plan(client, IMAGE, "demo"), log), Applied)
    assert await complete_begun(client, log) == []


async def test_after_ten_minutes_no_process_waits_any_more(client, log, killed):
    await killed(client, await make_plan(client, IMAGE, "demo"))
    (begun,) = log.entries()
    alive = replace(begun, process=f"{platform.node()}:{os.getpid()}")
    assert not was_ended(alive, time.time())
    assert was_ended(alive, time.time() + 700.0)
    assert not was_ended(replace(begun, process="another-machine:1"), time.time())
    assert was_ended(replace(begun, process=""), time.time() + 700.0)


def test_a_log_that_cannot_be_read_ends_nothing(tmp_path):
    assert list(AuditLog(tmp_path / "none").entries()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", "3"),
        ("spec.template.spec.containers[app].image", "shop:v1"),
        ("spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]", "now"),
        ("spec.template.spec.containers[other].image", ""),
        ("spec.template.spec.containers[0].name", "app"),
        ("", '{"spec":'),
    ],
)
def test_a_field_is_found_by_the_path_that_the_log_has(path, value):
    template = {
        "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},
        "spec": {"containers": [{"name": "app", "image": "shop:v1"}]},
    }
    assert value_at({"spec": {"replicas": 3, "template": template}}, path).startswith(value)
