"""Commands in a container, as ``kubectl exec`` runs them, over the API server's WebSocket.

``v4.channel.k8s.io`` puts the number of a channel before the bytes of every message: 0 is what the command
reads, 1 and 2 are what it writes, 3 is how it ended (a Status object) and 4 is the size of its terminal.
There is no way to close channel 0 only, so no command that is run here may wait for the end of its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
import msgspec

from memtop.kube.api_discovery import is_allowed
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.api_objects import Pod
from memtop.kube.client import Client
from memtop.kube.lenient_decoding import JSON_ERRORS, decode_lenient
from memtop.kube.pod_facts import container_facts
from memtop.kube.websocket import open_websocket
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize

EXEC_PROTOCOL = "v4.channel.k8s.io"
MAX_INPUT = 32 * 1024
"""Bytes of one message to the command."""
MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes of output that `run` keeps of each stream."""
_NO_SUCH_PROGRAM_WORDS = ("executable file not found", "no such file or directory", "permission denied")


class ExecChannel(enum.IntEnum):
    """What the bytes of a message are."""

    INPUT = 0
    OUTPUT = 1
    ERRORS = 2
    END = 3
    RESIZE = 4


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """One container of one pod."""

    namespace: str
    pod: str
    container: str

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        return f"/api/v1/namespaces/{quote(self.namespace)}/pods/{quote(self.pod)}"


class NotRunning(Exception):  # noqa: N818  (a state of the container and not a mistake)
    """The container has no process that a command could be run beside; the sentence says how it is."""


class NoSuchProgram(Exception):  # noqa: N818
    """The image has no such program, or it can't be run; the sentence names it."""


@dataclass(frozen=True, slots=True)
class ExecEnd:
    """How a command ended.

    Attributes:
        code: Its exit code; 137 is SIGKILL. None where it was never started.
        message: The server's sentence where it failed, sanitised.
    """

    code: int | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that has ended, with what it wrote.

    Attributes:
        code: Its exit code.
        output: What it wrote to its standard output.
        errors: What it wrote to its standard error.
        cut: Whether it wrote more than was kept.
    """

    code: int
    output: bytes
    errors: bytes
    cut: bool = False


class Execution:
    """A command that runs; iterate over it for what it writes, as it comes.

    While nobody takes what it writes, it has to wait.

    Attributes:
        end: How it ended; None until the iteration is over.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, container_ref: ContainerRef) -> None:
        self.end: ExecEnd | None = None
        self._socket = socket
        self._container_ref = container_ref

    async def __aiter__(self) -> AsyncIterator[tuple[ExecChannel, bytes]]:
        """Yields the channel (output or errors) and the bytes.

        Raises:
            Unreachable: The connection was lost before the command ended.
        """
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == ExecChannel.END:
                self.end = _parse_end(data)
                return
            if data and channel in (ExecChannel.OUTPUT, ExecChannel.ERRORS):
                yield ExecChannel(channel), data
        raise Unreachable(
            f"the connection to {self._container_ref.container} was lost before the command ended"
        )

    async def write(self, data: bytes) -> None:
        """Sends bytes to the command's input; waits while it does not take them.

        Raises:
            Unreachable: The connection is lost, or the command has ended.
        """
        for start in range(0, len(data), MAX_INPUT):
            await self._send(ExecChannel.INPUT, data[start : start + MAX_INPUT])

    async def resize(self, columns: int, lines: int) -> None:
        """Tells the command the size of its terminal; before its first output that may go unheard.

        Raises:
            Unreachable: As `write`.
        """
        await self._send(ExecChannel.RESIZE, msgspec.json.encode({"Width": columns, "Height": lines}))

    async def _send(self, channel: ExecChannel, data: bytes) -> None:
        try:
            await self._socket.send_bytes(bytes([channel]) + data)
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            raise Unreachable(f"the connection to {self._container_ref.container} is closed") from error


@contextlib.asynccontextmanager
async def execute(
    client: Client,
    container_ref: ContainerRef,
    command: Sequence[str],
    *,
    terminal: bool = False,
    typing: bool = False,
) -> AsyncGenerator[Execution, None]:
    """Runs a command in a container; leaving the context closes its streams.

    The container's runtime lets a command go on whose streams are closed, until it writes or reads again.

    Args:
        client: As whom.
        container_ref: Where.
        command: The program and its arguments; no shell looks at them.
        terminal: Whether it gets a terminal. Then its errors come as output.
        typing: Whether it has an input.

    Raises:
        NotRunning: The container does not run.
        ApiError: It is forbidden, there is no such pod or container, or the kubelet refuses.
        Unreachable: No connection came about.
        CredentialError: No credential could be had.
    """
    params = [
        ("container", container_ref.container),
        ("stdin", str(typing).lower()),
        ("stdout", "true"),
        ("stderr", str(not terminal).lower()),
        ("tty", str(terminal).lower()),
        *(("command", word) for word in command),
    ]
    async with contextlib.AsyncExitStack() as stack:
        opening = open_websocket(client, f"{container_ref.path}/exec", params, [EXEC_PROTOCOL])
        try:
            socket = await stack.enter_async_context(opening)
        except ApiError as error:
            raise await _handshake_error(client, container_ref, error) from None
        yield Execution(socket, container_ref)


async def run_command(
    client: Client,
    container_ref: ContainerRef,
    command: Sequence[str],
    *,
    timeout: float = 30.0,
    most: int = MAX_OUTPUT,
) -> CommandResult:
    """Runs a command that needs no input to its end, and keeps what it writes.

    Args:
        client: As whom.
        container_ref: Where.
        command: The program and its arguments.
        timeout: Seconds for all of it.
        most: Bytes to keep of its output and of its errors; the rest is read and dropped.

    Raises:
        NoSuchProgram: The image has no such program.
        NotRunning: The container does not run.
        ApiError: As `execute`.
        Unreachable: As `execute`, or the command took too long or was cut short.
        CredentialError: As `execute`.
    """
    kept = {ExecChannel.OUTPUT: bytearray(), ExecChannel.ERRORS: bytearray()}
    cut = False
    try:
        async with asyncio.timeout(timeout), execute(client, container_ref, command) as execution:
            async for channel, data in execution:
                room = most - len(kept[channel])
                cut = cut or len(data) > room
                kept[channel] += data[: max(0, room)]
    except TimeoutError:
        raise Unreachable(
            f"{sanitize(command[0])} in {container_ref.container} took longer than {timeout:g} s"
        ) from None
    code = exit_code_of(execution, command)
    return CommandResult(code, bytes(kept[ExecChannel.OUTPUT]), bytes(kept[ExecChannel.ERRORS]), cut)


def exit_code_of(execution: Execution, command: Sequence[str]) -> int:
    """The exit code of an execution that has been read to its end.

    Raises:
        NoSuchProgram: The image has no such program.
        Unreachable: The runtime could not run it for another reason, or it has not ended.
    """
    end = execution.end
    if end is None:
        raise Unreachable(f"{sanitize(command[0])} has not ended")
    if end.code is not None:
        return end.code
    if any(words in end.message for words in _NO_SUCH_PROGRAM_WORDS):
        raise NoSuchProgram(f"the image has no program {sanitize(command[0])!r} that could be run")
    raise Unreachable(f"the container's runtime could not run {sanitize(command[0])}: {end.message}")


async def exec_refusal(client: Client, namespace: str) -> str:
    """Why commands can't be run in a namespace's containers, as far as can be asked; empty if they can.

    A WebSocket is a GET, which most API servers authorize as ``get pods/exec``; kubectl's own exec and newer
    servers want ``create pods/exec``.
    """
    create, get = await asyncio.gather(
        is_allowed(client, namespace, "create", "pods", "exec"),
        is_allowed(client, namespace, "get", "pods", "exec"),
    )
    if create is False and get is False:
        return f"you may not run commands in containers of {namespace} (pods/exec is forbidden)"
    if get is False:
        return f"running commands over a WebSocket needs the verb get on pods/exec in {namespace} as well"
    if create is False:
        return f"running commands needs the verb create on pods/exec in {namespace} as well"
    return ""


class _ExitCause(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _ExitDetails(msgspec.Struct):
    causes: list[_ExitCause] = []


class _ExitStatus(msgspec.Struct):
    status: str = ""
    message: str = ""
    details: _ExitDetails | None = None


def _parse_end(data: bytes) -> ExecEnd:
    """What the Status on the last channel says."""
    try:
        said = msgspec.json.decode(data, type=_ExitStatus)
    except JSON_ERRORS:
        return ExecEnd(None, sanitize(data[:1000].decode("utf-8", "replace")))
    if said.status == "Success":
        return ExecEnd(0)
    for cause in said.details.causes if said.details is not None else ():
        if cause.reason == "ExitCode" and (code := parse_whole(cause.message)) is not None:
            return ExecEnd(code, sanitize(said.message))
    return ExecEnd(None, sanitize(said.message))


async def _handshake_error(client: Client, container_ref: ContainerRef, error: ApiError) -> Exception:
    """The reason behind a refused handshake, which itself says no more than a number.

    The same request without an upgrade is refused in words, unless the kubelet is the one that refused:
    then the container does not run.
    """
    if error.status not in (403, 404):
        try:
            pod = decode_lenient(await client.get(container_ref.path), Pod, "the pod")
        except ApiError as other:
            return other
        except Unreachable:
            return error
        state = next(
            (each.state for each in container_facts(pod) if each.name == container_ref.container), None
        )
        if state is not None and state != "Running":
            return NotRunning(
                f"{container_ref.container} does not run ({state}): there is nothing to look into"
            )
    try:
        await client.request(
            "GET", f"{container_ref.path}/exec", {"container": container_ref.container, "command": "true"}
        )
    except ApiError as other:
        return error if "pgrade" in other.message else other
    except Unreachable:
        return error
    return error
