"""Heap captures from real containers: a JVM, Node.js, a Go program, one without a shell, one that dies."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from memtop.heap.capture_methods import CaptureMethod
from memtop.heap.capture_plan import plan_captures
from memtop.heap.capture_run import (
    CaptureFailedError,
    CaptureStep,
    fetch_capture,
    plan_to_resume,
    take_capture,
)
from memtop.heap.cgroup_memory import heap_or_cache_sentence, read_breakdown
from memtop.heap.container_probe import NoShellError, probe_container, propose_debug_container
from memtop.heap.file_transfer import partial_path, remove_file
from memtop.heap.runtime_detection import LanguageRuntime, detect_programs
from memtop.kube.container_exec import ContainerRef, run_command
from tests.real.conftest import kubectl_of
from tests.real.patience import PATIENCE, eventually


@pytest.fixture
def pod(kubectl, cluster_home):
    """``pod(image, command…, mounts={"/there": "/here"})``: a running pod of the test's own, gone with it.

    ``says`` is what its log says once it is ready.
    """
    made = []

    def make(image, *command, limit="256Mi", mounts=None, says="", **more):
        name = f"memtop-test-{uuid.uuid4().hex[:8]}"
        container = {
            "name": "main",
            "image": image,
            "imagePullPolicy": "Never",
            "resources": {"limits": {"memory": limit}, "requests": {"memory": "16Mi"}},
            "volumeMounts": [
                {"name": f"v{at}", "mountPath": path, "readOnly": True}
                for at, path in enumerate(mounts or {})
            ],
            **({"command": list(command)} if command else {}),
            **more,
        }
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"memtop": "test"}},
            "spec": {
                "containers": [container],
                "terminationGracePeriodSeconds": 0,
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "volumes": [
                    {"name": f"v{at}", "hostPath": {"path": str(path)}}
                    for at, path in enumerate((mounts or {}).values())
                ],
            },
        }
        kubectl("-n", "default", "create", "-f", "-", given=json.dumps(body))
        made.append(name)
        ready = ("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={PATIENCE:.0f}s")
        kubectl("-n", "default", *ready)
        if says:
            eventually(lambda: says in kubectl("-n", "default", "logs", name), f"{name} to say {says}")
        return ContainerRef("default", name, "main")

    yield make
    for name in made:
        kubectl_of(cluster_home, "-n", "default", "delete", "pod", name, "--wait=false")


def chosen(found, title):
    return next(plan for plan in found if title in plan.capture.title)


async def test_the_heap_of_a_jvm_arrives_whole(client, place, tmp_path):
    there = place("app=billing-jvm")
    plan = (await plan_captures(client, there, tmp_path))[0]
    assert plan.program.runtime is LanguageRuntime.JVM
    assert "GC.heap_dump" in plan.capture.command_text
    assert dict(plan.facts())["memory"].startswith("working set")
    steps: list[CaptureStep] = []
    taken = await take_capture(client, plan, steps.append)
    try:
        content = taken.path.read_bytes()
        assert content.startswith(b"JAVA PROFILE")
        summed = await run_command(client, there, ["sha256sum", taken.left_file])
        assert summed.output.decode().split()[0] == hashlib.sha256(content).hexdigest()
        assert (len(content), taken.path.stat().st_mode & 0o077) == (taken.size, 0)
        assert "SHA-256 equal" in taken.verification
        assert any(0 < step.bytes_done <= step.size for step in steps), "progress was told"
        again = chosen(await plan_captures(client, there, tmp_path), taken.left_file)
        assert again.capture.method is CaptureMethod.LEFT, "what is left is offered the next time"
        assert again.capture.size == taken.size
    finally:
        assert await remove_file(client, there, taken.left_file) == ""
    assert not any(
        taken.left_file in plan.capture.title for plan in await plan_captures(client, there, tmp_path)
    )


async def test_a_broken_transfer_is_taken_up_where_it_ended(client, place, tmp_path):
    there = place("app=billing-jvm")
    path = "/tmp/memtop-test-resume.bin"
    await run_command(client, there, ["sh", "-c", f"head -c 3000000 /dev/urandom > {path}"])
    try:
        plan = plan_to_resume((await plan_captures(client, there, tmp_path))[0], path)
        whole = (await run_command(client, there, ["cat", path])).output
        partial_path(plan.target).write_bytes(whole[:1_234_567])
        steps: list[CaptureStep] = []
        taken = await fetch_capture(client, plan, path, steps.append)
        assert taken.path.read_bytes() == whole
        assert min(step.bytes_done for step in steps if step.size) >= 1_234_567, (
            "what was here is not asked for again"
        )
        partial_path(plan.target).write_bytes(b"x" * 1000)
        with pytest.raises(CaptureFailedError, match="not what is in the container") as failed:
            await fetch_capture(client, plan, path, steps.append)
        assert failed.value.remote == path
        assert not partial_path(plan.target).exists()
    finally:
        await remove_file(client, there, path)


async def test_a_command_that_fails_leaves_the_container_as_it_was(client, place, tmp_path):
    there = place("app=billing-jvm")
    plan = (await plan_captures(client, there, tmp_path))[0]
    await run_command(client, there, ["sh", "-c", f"echo in the way > {plan.capture.remote}"])
    with pytest.raises(CaptureFailedError, match=r"jcmd failed .*File exists"):
        await take_capture(client, plan, lambda _: None)
    assert (await run_command(client, there, ["ls", plan.capture.remote])).code != 0
    assert not list(tmp_path.iterdir())


async def test_node_is_asked_through_its_inspector_and_left_closed(client, pod, tmp_path):
    script = "global.kept = 'memtop-was-here'; setInterval(()=>{}, 100); console.log('up')"
    there = pod("localhost/lab/node:1", "node", "-e", script, says="up")
    plan = chosen(await plan_captures(client, there, tmp_path), "inspector")
    assert plan.program.runtime is LanguageRuntime.NODE
    taken = await take_capture(client, plan, lambda _: None)
    content = json.loads(taken.path.read_bytes())
    assert content["snapshot"]["node_count"] > 1000
    assert any("memtop-was-here" in text for text in content["strings"])

    async def closed() -> bool:
        ports = await run_command(client, there, ["cat", "/proc/net/tcp"])
        return ":240D 00000000:0000 0A" not in ports.output.decode()  # 9229, listening

    async with asyncio.timeout(PATIENCE):
        while not await closed():
            await asyncio.sleep(0.2)


async def test_node_writes_a_snapshot_on_its_signal(client, pod, tmp_path):
    script = "setInterval(()=>{}, 100); console.log('up')"
    there = pod("localhost/lab/node:1", "node", "--heapsnapshot-signal=SIGUSR2", "-e", script, says="up")
    plan = chosen(await plan_captures(client, there, tmp_path), "signal USR2")
    taken = await take_capture(client, plan, lambda _: None)
    assert json.loads(taken.path.read_bytes())["snapshot"]["node_count"] > 1000
    assert taken.left_file.endswith(".heapsnapshot")
    assert await remove_file(client, there, taken.left_file) == ""


async def test_a_go_programs_profile(client, place, clusters_prometheus, tmp_path):
    plan = (await plan_captures(client, place("app=prometheus", "observability"), tmp_path))[0]
    assert plan.program.runtime is LanguageRuntime.GO
    taken = await take_capture(client, plan, lambda _: None)
    assert taken.path.read_bytes()[:2] == b"\x1f\x8b"
    assert "checksum holds" in taken.verification


@pytest.fixture(scope="session")
def leaking_go(tmp_path_factory):
    """A folder with ``leak``, a static Go program that serves its profiles on the pod's loopback only."""
    compilers = [shutil.which("go"), *map(str, Path("/usr/lib").glob("go*/bin/go"))]
    compiler = next((path for path in compilers if path and Path(path).exists()), None)
    if compiler is None:
        pytest.skip("no Go compiler")
    folder = tmp_path_factory.mktemp("go")
    folder.chmod(0o755)
    (folder / "leak.go").write_text(LEAK)
    subprocess.run(
        [compiler, "build", "-o", str(folder / "leak"), str(folder / "leak.go")],
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "CGO_ENABLED": "0", "GO111MODULE": "off",
            "GOCACHE": str(tmp_path_factory.mktemp("cache")),
        },
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return folder


LEAK = """package main

import (
	"net/http"
	_ "net/http/pprof"
	"time"
)

var kept [][]byte

func keepSessions() {
	for {
		kept = append(kept, make([]byte, 256<<10))
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {
	go keepSessions()
	panic(http.ListenAndServe("127.0.0.1:6060", nil))
}
"""


async def test_a_go_program_in_an_image_without_a_shell(client, pod, leaking_go, tmp_path):
    there = pod("localhost/lab/pause:1", "/go/leak", mounts={"/go": leaking_go})
    with pytest.raises(NoShellError):
        await probe_container(client, there)
    async with asyncio.timeout(PATIENCE):
        while True:  # until it listens, and has leaked enough to be sampled
            with contextlib.suppress(NoShellError):
                [plan] = await plan_captures(client, there, tmp_path)
                taken = await take_capture(client, plan, lambda _: None)
                if b"main.keepSessions" in gzip.decompress(taken.path.read_bytes()):
                    break
            await asyncio.sleep(0.5)
    assert plan.program.words() == "Go, PID 1: /go/leak"
    assert plan.capture.method is CaptureMethod.PORT
    assert "checksum holds" in taken.verification
    assert taken.left_file == ""


@pytest.fixture
def python_with(pod):
    """``python_with(script, tools)``: a pod that runs a script with the Python and the gdb of its node.

    The node has to be this machine. ``tools`` is a folder that the pod sees as ``/tools``.
    """
    if not Path("/usr/bin/python3").exists():
        pytest.skip("this machine has no /usr/bin/python3")
    userland = {"/usr": "/usr", "/bin": "/usr/bin", "/lib": "/usr/lib", "/lib64": "/usr/lib64"}

    def start(script, tools, *environ):
        return pod(
            "localhost/lab/busybox:1", "/usr/bin/python3", "-c", script,
            mounts={**userland, "/tools": tools}, limit="512Mi",
            env=[{"name": "PATH", "value": "/tools:/usr/bin"}, *environ],
            securityContext={"capabilities": {"add": ["SYS_PTRACE"]}},
        )  # fmt: skip

    return start


KEEP = """import time
kept = []
def keep_sessions():
    while True:
        kept.append("memtop-was-here")
        time.sleep(0.1)
keep_sessions()
"""


@pytest.mark.skipif(not Path("/usr/bin/gcore").exists(), reason="this machine has no gdb")
async def test_a_core_dump_with_gcore(client, python_with, tmp_path):
    there = python_with(KEEP, tmp_path)
    plan = chosen(await plan_captures(client, there, tmp_path), "gcore")
    assert plan.program.runtime is LanguageRuntime.PYTHON
    taken = await take_capture(client, plan, lambda _: None)
    assert taken.path.read_bytes()[:4] == b"\x7fELF"
    assert b"memtop-was-here" in taken.path.read_bytes()
    assert "SHA-256 equal" in taken.verification
    assert await remove_file(client, there, taken.left_file) == ""


async def test_the_stacks_of_python_with_py_spy(client, python_with, tmp_path):
    """Needs ``py-spy`` on the PATH; the one of PyPI is linked statically and runs in any image."""
    found = shutil.which("py-spy")
    if found is None:
        pytest.skip("py-spy is not installed")
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(found, tools / "py-spy")
    for folder in (tools, *tools.parents[:3]):
        folder.chmod(0o755)
    plan = chosen(await plan_captures(client, python_with(KEEP, tools), tmp_path), "py-spy")
    taken = await take_capture(client, plan, lambda _: None)
    assert "keep_sessions (<string>:" in taken.path.read_text()
    assert taken.left_file == ""


async def test_the_heap_of_dotnet_with_createdump(client, python_with, tmp_path):
    """Needs a folder with PyPI's pythonnet and dotnetcore2, made by ``pip install --target``."""
    packages = os.environ.get("MEMTOP_TEST_DOTNET")
    if not packages:
        pytest.skip("MEMTOP_TEST_DOTNET names no folder with a .NET runtime")
    host = (
        "import sys, time; sys.path.insert(0, '/tools')\n"
        "import pythonnet; pythonnet.load('coreclr')\n"
        "import System; print(System.Environment.Version, flush=True)\n"
        "while True: time.sleep(1)"
    )
    there = python_with(
        host,
        packages,
        {"name": "DOTNET_ROOT", "value": "/tools/dotnetcore2/bin"},
        {"name": "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "value": "1"},
    )
    async with asyncio.timeout(PATIENCE):
        while True:  # until the runtime is loaded
            plan = chosen(await plan_captures(client, there, tmp_path), "dump")
            if plan.program.runtime is LanguageRuntime.DOTNET:
                break
            await asyncio.sleep(0.5)
    assert plan.capture.command[0].endswith("/createdump")
    taken = await take_capture(client, plan, lambda _: None)
    assert taken.path.read_bytes()[:4] == b"\x7fELF"
    assert "SHA-256 equal" in taken.verification
    assert await remove_file(client, there, taken.left_file) == ""


async def test_an_image_without_a_shell_says_so_and_what_could_be_done(client, pod, tmp_path):
    there = pod("localhost/lab/pause:1")
    with pytest.raises(NoShellError, match="neither a shell nor cat"):
        await plan_captures(client, there, tmp_path)
    said = await propose_debug_container(client, there)
    assert "1.20" in said.obstacle
    assert f"kubectl debug -it {there.pod} -n default" in said.command


async def test_a_container_that_dies_in_mid_transfer(client, pod, kubectl, tmp_path):
    script = "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"
    there = pod("localhost/lab/busybox:1", "sh", "-c", script, says="up")
    path = "/tmp/memtop-test-big.bin"
    await run_command(
        client, there, ["sh", "-c", f"head -c 60000000 /dev/urandom > {path}"], timeout=PATIENCE
    )
    listed = [plan for plan in await plan_captures(client, there, tmp_path) if plan.capture.remote == path]
    killed: list[CaptureStep] = []

    def tell(step: CaptureStep) -> None:
        """Kills at the first bytes; until it is dead nothing more is read here, so that much is left."""
        if step.bytes_done and not killed:
            killed.append(step)
            pod = ("-n", "default", "get", "pod", there.pod, "-o", "jsonpath={.status.phase}")
            kubectl("-n", "default", "exec", there.pod, "--", "kill", "-TERM", "1")
            eventually(lambda: kubectl(*pod) == "Failed", "the end of the container")

    plan = listed[0]
    with pytest.raises(CaptureFailedError) as failed:
        await asyncio.wait_for(fetch_capture(client, plan, path, tell), PATIENCE)
    assert any(path in left for left in failed.value.left)
    assert not plan.target.exists()
    assert 0 < partial_path(plan.target).stat().st_size < 60_000_000


async def test_memory_by_kind_agrees_with_the_metrics(client, place, cluster_home):
    there = place("app=slow-leak-service")
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/production/pods/{there.pod}"
    measured = ("get", "--raw", path)
    eventually(lambda: not kubectl_of(cluster_home, *measured).returncode, "its first sample")
    memory = read_breakdown(await probe_container(client, there))
    assert memory.limit == 512 * 1024 * 1024
    assert heap_or_cache_sentence(memory).startswith("It is heap")
    assert memory.processes[0].name == "python3"
    assert 0.7 < memory.processes[0].anon / memory.anon < 1.3
    usage = json.loads(await client.get(path))["containers"][0]["usage"]["memory"]
    assert abs(int(usage.removesuffix("Ki")) * 1024 - memory.working_set) < 24 * 1024 * 1024


async def test_memory_of_a_service_that_leaks(client, pod):
    there = pod("localhost/lab/user-service:v2.0.0", limit="128Mi")
    asked = await probe_container(client, there)
    assert detect_programs(asked)[0].runtime is LanguageRuntime.PYTHON
    assert read_breakdown(asked).limit == 128 * 1024 * 1024
    async with asyncio.timeout(PATIENCE):  # it takes 4 MiB every 5 s
        while "It is heap" not in (
            said := heap_or_cache_sentence(read_breakdown(await probe_container(client, there)))
        ):
            await asyncio.sleep(0.5)
    assert "python3 (PID 1)" in said


async def test_page_cache_is_told_from_heap(client, pod):
    writes = "head -c 60000000 /dev/zero > /tmp/file; cat /tmp/file > /dev/null; while :; do sleep 1; done"
    there = pod("localhost/lab/busybox:1", "sh", "-c", writes)
    async with asyncio.timeout(PATIENCE):
        while read_breakdown(await probe_container(client, there)).file < 50_000_000:
            await asyncio.sleep(0.3)
    assert heap_or_cache_sentence(read_breakdown(await probe_container(client, there))).startswith(
        "It is page cache"
    )
