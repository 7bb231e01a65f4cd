"""Commands in real containers: what they write, how they end, who may not, and containers that die."""

from __future__ import annotations

import asyncio

import pytest

from memtop.kube.api_errors import ApiError, Unreachable
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
from tests.real.patience import PATIENCE, eventually


async def test_output_errors_and_exit_codes_come_back(client, place):
    shell = place("app=steady-service")
    done = await run_command(client, shell, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.code, done.output, done.errors) == (3, b"out\n", b"err\n")
    done = await run_command(client, shell, ["echo", "no $HOME", "a b", "ü"])
    assert (done.code, done.output.decode()) == (0, "no $HOME a b ü\n"), "no shell looks at the words"
    assert (await run_command(client, shell, ["sh", "-c", "kill -9 $$"])).code == 137


async def test_much_output_is_whole_or_cut_where_asked(client, place):
    shell = place("app=steady-service")
    done = await run_command(
        client, shell, ["sh", "-c", "head -c 20000000 /dev/zero"], most=30_000_000, timeout=PATIENCE
    )
    assert (len(done.output), done.cut) == (20_000_000, False)
    done = await run_command(
        client, shell, ["sh", "-c", "head -c 20000 /dev/zero"], most=1000, timeout=PATIENCE
    )
    assert (len(done.output), done.cut) == (1000, True)


async def test_a_terminal_echoes_and_knows_its_size(client, place):
    # The size comes on a way of its own, perhaps after the line that was typed after it.
    sized = 'until [ "$(stty size 2>&1)" = "31 97" ]; do sleep 0.1; done; stty size; exit 5'
    words = ["sh", "-c", f"echo ready; read line; echo got $line; {sized}"]
    async with (
        asyncio.timeout(PATIENCE),
        execute(client, place("app=steady-service"), words, terminal=True, typing=True) as shell,
    ):
        said = b""
        async for _, data in shell:
            said += data
            if said == b"ready\r\n":
                await shell.resize(97, 31)
                await shell.write(b"hello\r")
        assert b"hello\r\ngot hello\r\n31 97\r\n" in said
        assert exit_code_of(shell, words) == 5


async def test_input_reaches_the_command(client, place):
    async with (
        asyncio.timeout(PATIENCE),
        execute(client, place("app=steady-service"), ["head", "-c", "200000"], typing=True) as head,
    ):
        await head.write(b"x" * 200_000)
        assert sum([len(data) async for channel, data in head if channel is ExecChannel.OUTPUT]) == 200_000


async def test_what_is_not_there_is_named(client, place):
    shell = place("app=steady-service")
    with pytest.raises(NoSuchProgram, match="'no-such-program'"):
        await run_command(client, shell, ["no-such-program"])
    with pytest.raises(ApiError, match="container other is not valid"):
        await run_command(client, ContainerRef(shell.namespace, shell.pod, "other"), ["true"])
    with pytest.raises(ApiError, match='pods "no-such-pod" not found'):
        await run_command(client, ContainerRef("production", "no-such-pod", "x"), ["true"])


async def test_a_container_that_does_not_run_is_said_to_be_so(client, place, kubectl):
    waiting = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}"
    words = ("-n", "production", "get", "pods", "-l", "app=missing-image", "-o", waiting)
    eventually(lambda: kubectl(*words) == "ErrImageNeverPull", "the kubelet to look for the image")
    with pytest.raises(NotRunning, match="ErrImageNeverPull"):
        await run_command(client, place("app=missing-image"), ["true"])
    with pytest.raises((NotRunning, ApiError), match=r"Unschedulable|Pending|does not have a host"):
        await run_command(client, place("app=too-big"), ["true"])


async def test_a_reader_is_told_why_not(client, as_user, place):
    shell = place("app=steady-service")
    assert await exec_refusal(client, "production") == ""
    async with Client(as_user("kubeconfig-readonly")) as reader:
        assert "pods/exec is forbidden" in await exec_refusal(reader, "production")
        with pytest.raises(ApiError, match=r"cannot get resource .pods/exec.") as raised:
            await run_command(reader, shell, ["true"])
        assert raised.value.status == 403


async def test_a_command_that_takes_too_long_is_left(client, place):
    with pytest.raises(Unreachable, match=r"took longer than 0\.5 s"):
        await run_command(client, place("app=steady-service"), ["sleep", "30"], timeout=0.5)
