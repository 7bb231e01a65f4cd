"""The `exec` subresource of pods: commands and shells in simulated containers, over a WebSocket."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
from aiohttp import WSMsgType, web

from memtop.demo.api.router import ResourceRequest
from memtop.demo.api.status_errors import ApiStatusError, not_found
from memtop.demo.api_resources import PODS
from memtop.demo.container_filesystem import ContainerFiles
from memtop.demo.container_runs import Phase
from memtop.demo.container_shell import SHELLS, InteractiveShell, Shell, execute
from memtop.demo.shell_programs import ProgramResult
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_pod import Container, SimulatedPod

PROTOCOL = "v4.channel.k8s.io"
NEWER_PROTOCOL = "v5.channel.k8s.io"
"""The same, and the client may say that its input ends, which nothing here waits for."""
CHUNK = 32 * 1024
CHECK_INTERVAL = 0.25  # real seconds between checks that the container still runs
PROMPT = b"/ # "
KILLED = 137
NEVER_STARTED = -1
_MISSING = (
    "Internal error occurred: error executing command in container: failed to exec in container: failed to "
    'start exec: OCI runtime exec failed: exec failed: unable to start container process: exec: "{0}": '
    "executable file not found in $PATH: unknown"
)


class ExecHandler:
    """Serves commands in containers; what they write is forgotten when the container ends."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._files: dict[str, ContainerFiles] = {}
        self._pids = itertools.count(4711)

    async def __call__(self, resource_request: ResourceRequest) -> web.StreamResponse:
        """Answer a request to run a command.

        Raises:
            ApiStatusError: 404 without such a pod, 400 without such a container or an upgrade, 500 where the
                container does not run.
        """
        query = resource_request.request.query
        pod = self._cluster.pods.get((resource_request.target.namespace or "", resource_request.target.name))
        if pod is None:
            raise not_found(PODS, resource_request.target.name)
        container = _container(pod, query.get("container", ""))
        if resource_request.request.headers.get("Upgrade", "").lower() != "websocket":
            raise ApiStatusError(
                400,
                "Upgrade request required: the demo cluster has exec over WebSockets only, which kubectl "
                "speaks from 1.31 on, and from 1.29 on with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true",
            )
        files = self._inside(pod, container)
        socket = web.WebSocketResponse(protocols=(PROTOCOL, NEWER_PROTOCOL))
        await socket.prepare(resource_request.request)
        session = _Session(socket, files, next(self._pids))
        await session.run(query.getall("command", []), terminal=query.get("tty") == "true")
        return socket

    def _inside(self, pod: SimulatedPod, container: Container) -> ContainerFiles:
        now = self._cluster.clock.now()
        state = container.timeline.state(now)
        if state.phase is not Phase.RUNNING or state.run is None or pod.deleted is not None:
            message = f'unable to upgrade connection: container not found ("{container.name}")'
            raise ApiStatusError(500, message)
        name = pod.run_id(container, state.run.index)
        gone = [key for key, files in self._files.items() if not files.lives()]
        for key in gone:
            del self._files[key]
        if name not in self._files:
            self._files[name] = ContainerFiles(container, state.run, self._cluster.clock.now)
        return self._files[name]


def _container(pod: SimulatedPod, name: str) -> Container:
    for container in pod.mains:
        if container.name == (name or pod.mains[0].name):
            return container
    raise ApiStatusError(400, f"container {name} is not valid for pod {pod.name}")


class _Session:
    """One command: its output, and its exit status on the error channel."""

    def __init__(self, socket: web.WebSocketResponse, files: ContainerFiles, pid: int) -> None:
        self._socket = socket
        self._files = files
        self._pid = pid

    async def run(self, command: Sequence[str], *, terminal: bool) -> None:
        """Run the command and send its exit status."""
        self._files.begin(self._pid, tuple(command))
        try:
            code = await self._command(command, terminal)
            await self._socket.send_bytes(b"\x03" + msgspec.json.encode(_status(code, command)))
            await self._socket.close()
        except (ConnectionError, RuntimeError):
            return  # the client has disconnected
        finally:
            self._files.end(self._pid)

    async def _command(self, command: Sequence[str], terminal: bool) -> int:
        if not command or not self._files.program.shell:
            return NEVER_STARTED
        name = command[0].rpartition("/")[2]
        if name in SHELLS:
            script = command[2] if len(command) > 2 and command[1] == "-c" else None
            shell = Shell(self._files, self._pid, command[4:])
            if script is not None:
                try:
                    return await self._write(shell.run(script))
                except InteractiveShell:
                    script = None
            return await self._interact(shell) if terminal else 0
        outcome = execute(self._files, command, b"")
        return NEVER_STARTED if outcome is None else await self._write(outcome)

    async def _write(self, outcome: ProgramResult) -> int:
        for channel, data in ((b"\x02", outcome.errors), (b"\x01", outcome.output)):
            for start in range(0, len(data), CHUNK):
                if not self._files.lives():
                    return KILLED
                await self._socket.send_bytes(channel + data[start : start + CHUNK])
        return outcome.code

    async def _interact(self, shell: Shell) -> int:
        """Run an interactive shell: one line at a time, echoed as a terminal does."""
        await self._socket.send_bytes(b"\x01" + PROMPT)
        line = bytearray()
        while self._files.lives():
            try:
                message = await self._socket.receive(CHECK_INTERVAL)
            except TimeoutError:
                continue
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return 0
            if message.type is not WSMsgType.BINARY or message.data[:1] != b"\x00":
                continue
            for byte in message.data[1:]:
                done = await self._typed(byte, line, shell)
                if done is not None:
                    return done
        return KILLED

    async def _typed(self, byte: int, line: bytearray, shell: Shell) -> int | None:
        """Take one byte from the keyboard; returns the exit code once the shell ends."""
        echo = b""
        if byte in (0x0A, 0x0D):
            words = line.decode("utf-8", "replace").strip()
            line.clear()
            await self._socket.send_bytes(b"\x01\r\n")
            if words.split()[:1] == ["exit"]:
                return int(words.split()[1]) if words.split()[1:] and words.split()[1].isdecimal() else 0
            outcome = shell.run(words)
            output = (outcome.output + outcome.errors).replace(b"\n", b"\r\n")
            for start in range(0, len(output), CHUNK):
                await self._socket.send_bytes(b"\x01" + output[start : start + CHUNK])
            echo = PROMPT
        elif byte == 0x04 and not line:
            return 0
        elif byte == 0x03:
            line.clear()
            echo = b"^C\r\n" + PROMPT
        elif byte in (0x08, 0x7F) and line:
            line.pop()
            echo = b"\b \b"
        elif byte >= 0x20:
            line.append(byte)
            echo = bytes([byte])
        if echo:
            await self._socket.send_bytes(b"\x01" + echo)
        return None


def _status(code: int, command: Sequence[str]) -> dict[str, object]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    if code == NEVER_STARTED:
        message = _MISSING.format(command[0] if command else "")
        return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
