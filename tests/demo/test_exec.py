"""Commands in simulated containers, asked for as memtop asks real ones."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from memtop.demo.thread import DemoThread
from memtop.heap.capture_plan import plan_captures
from memtop.heap.capture_run import CaptureFailedError, fetch_capture, plan_to_resume, take_capture
from memtop.heap.cgroup_memory import heap_or_cache_sentence, read_breakdown
from memtop.heap.container_probe import NoShellError, probe_container
from memtop.heap.file_transfer import remove_file
from memtop.heap.runtime_detection import LanguageRuntime, detect_programs
from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.container_exec import (
    ContainerRef,
    ExecChannel,
    NoSuchProgram,
    NotRunning,
    exec_refusal,
    execute,
    exit_code_of,
    run_command,
)
from memtop.kube.kubeconfig import load_target


@pytest.fixture
def connect(tmp_path):
    """``async with connect(demo, "readonly") as client``."""

    @contextlib.asynccontextmanager
    async def open_(demo, user="admin"):
        path = tmp_path / f"{user}.kubeconfig"
        path.write_text(demo.kubeconfig(user))
        async with Client(load_target(kubeconfig=str(path))) as client:
            yield client

    return open_


def place(demo, app, container=None):
    """A running container of an app."""

    def find():
        now = demo.server.cluster.clock.now()
        for pod in demo.server.cluster.pods.values():
            for each in pod.mains:
                fits = pod.name.startswith(app) and container in (None, each.name)
                if fits and each.timeline.state(now).phase.value == "Running":
                    return ContainerRef(pod.namespace, pod.name, each.name)
        raise LookupError(app)

    return demo.call(find)


async def test_commands_end_as_they_do_elsewhere(frozen, connect):
    there = place(frozen, "user-service")
    async with connect(frozen) as client:
        done = await run_command(client, there, ["sh", "-c", "echo out; nonsense; exit 3"])
        assert (done.code, done.output) == (3, b"out\n")
        assert b"not found" in done.errors
        assert (
            await run_command(client, there, ["sh", "-c", 'echo "$1" | wc -c', "sh", "abc"])
        ).output == b"4\n"
        assert (await run_command(client, there, ["cat", "/nowhere"])).code == 1
        with pytest.raises(NoSuchProgram):
            await run_command(client, there, ["no-such-program"])
        with pytest.raises(ApiError, match="not found"):
            await run_command(client, ContainerRef("production", "nobody", "x"), ["ls"])
        with pytest.raises(ApiError, match="container x is not valid"):
            await run_command(client, ContainerRef(there.namespace, there.pod, "x"), ["ls"])


async def test_a_shell_to_type_into(frozen, connect):
    async with connect(frozen) as client, asyncio.timeout(20):
        words = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"]
        there = place(frozen, "billing")
        async with execute(client, there, words, terminal=True, typing=True) as shell:
            await shell.resize(100, 30)
            await shell.write(b"echo hex\x7fllo\rps\rexit 4\r")
            said = b"".join([data async for channel, data in shell if channel is ExecChannel.OUTPUT])
        assert b"/ # echo hex\b \bllo\r\nhello\r\n" in said
        assert b"java -Xmx" in said
        assert exit_code_of(shell, words) == 4


async def test_memory_agrees_with_the_metrics(frozen, connect):
    there = place(frozen, "user-service")
    async with connect(frozen) as client:
        asked = await probe_container(client, there)
    memory = read_breakdown(asked)
    truth = frozen.server.cluster.pods[(there.namespace, there.pod)].mains[0]
    level = truth.timeline.state(frozen.server.cluster.clock.now()).run
    assert level is not None
    assert memory.version == 2
    assert memory.limit == truth.limit
    assert memory.anon / memory.working_set == pytest.approx(0.94, abs=0.01)
    assert heap_or_cache_sentence(memory).startswith("It is heap")
    assert detect_programs(asked)[0].runtime is LanguageRuntime.JVM


async def test_a_heap_dump_arrives_whole_and_is_removed(frozen, connect, tmp_path):
    there = place(frozen, "billing")
    async with connect(frozen) as client:
        plan = (await plan_captures(client, there, tmp_path))[0]
        assert plan.capture.title == "heap dump with jcmd"
        taken = await take_capture(client, plan, lambda _: None)
        assert taken.path.read_bytes().startswith(b"JAVA PROFILE")
        assert "SHA-256 equal" in taken.verification
        assert any(
            taken.left_file in each.capture.title for each in await plan_captures(client, there, tmp_path)
        )
        assert await remove_file(client, there, taken.left_file) == ""
        with pytest.raises(CaptureFailedError, match="is not there"):
            await fetch_capture(
                client, plan_to_resume(plan, taken.left_file), taken.left_file, lambda _: None
            )


@pytest.mark.parametrize(
    ("app", "runtime"),
    [
        ("session-api", LanguageRuntime.NODE),
        ("thumbnailer", LanguageRuntime.PYTHON),
        ("grafana", LanguageRuntime.GO),
    ],
)
async def test_runtimes_are_told_apart(frozen, connect, tmp_path, app, runtime):
    async with connect(frozen) as client:
        found = await plan_captures(client, place(frozen, app), tmp_path)
    assert found[0].program.runtime is runtime
    assert not found[0].capture.missing


async def test_an_image_without_a_shell(frozen, connect):
    async with connect(frozen) as client:
        with pytest.raises(NoShellError):
            await probe_container(client, place(frozen, "order-service", "log-agent"))


async def test_who_may_not_is_told(frozen, connect):
    async with connect(frozen, "readonly") as client:
        assert "forbidden" in await exec_refusal(client, "production")
        with pytest.raises(ApiError, match="pods/exec") as raised:
            await run_command(client, place(frozen, "billing"), ["ls"])
    assert raised.value.status == 403


async def test_a_shell_dies_with_its_container_and_so_do_its_files(connect):
    with DemoThread(pods=30, seed=7, speed=0) as demo:
        there = place(demo, "user-service")
        words = ["sh", "-c", "exec sh"]
        async with connect(demo) as client, asyncio.timeout(20):
            await run_command(client, there, ["sh", "-c", "echo x > /tmp/kept"])
            assert (await run_command(client, there, ["cat", "/tmp/kept"])).output == b"x\n"
            async with execute(client, there, words, terminal=True, typing=True) as shell:
                pod = demo.server.cluster.pods[(there.namespace, there.pod)]
                end = pod.mains[0].timeline.state(demo.server.cluster.clock.now()).run.end
                demo.advance(end - demo.server.cluster.clock.now() + 3)
                async for _ in shell:
                    pass
            assert exit_code_of(shell, words) == 137
            with pytest.raises(NotRunning):
                await run_command(client, there, ["ls"])
            demo.advance(20)
            assert (await run_command(client, there, ["cat", "/tmp/kept"])).code == 1
