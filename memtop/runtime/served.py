"""Go programs of which nothing but their ports can be asked: an image without a shell, or no right to exec.

``net/http/pprof`` serves its profiles below ``/debug/pprof/``; a port-forward reaches it in any image, also
where the program listens on its loopback only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import aiohttp

from memtop.cluster.client import Client
from memtop.cluster.exec import Place
from memtop.cluster.portforward import PortForward
from memtop.cluster.sanitize import sanitize_bytes
from memtop.runtime.detect import Program, Runtime
from memtop.runtime.processes import Process

USUAL: Final = (6060, 8080)
"""Where Go programs serve profiles though their pod does not declare it: pprof's own port, and plain HTTP."""
MOST_PORTS = 6
SECONDS = 5.0
"""Longest wait for one port."""
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Served:
    """A port that serves Go's profiles.

    Attributes:
        port: Its number.
        command: The program's own arguments, which it tells there, sanitised.
    """

    port: int
    command: tuple[str, ...]

    @property
    def program(self) -> Program:
        """The program behind it, of which the process cannot be looked at."""
        name = PurePosixPath(self.command[0]).name if self.command else "go"
        return Program(Process(1, name, 0, 0, 0, 0, 0, self.command), Runtime.GO, options=self.command)


async def serving(client: Client, place: Place, ports: Iterable[int]) -> tuple[Served, ...]:
    """Which ports of a pod serve Go's profiles; asks for two small pages only.

    Args:
        client: As whom.
        place: The container; its pod's containers share their ports, so the command tells whose one is.
        ports: Which to try, of which `MOST_PORTS` are.

    Returns:
        Those that do; none where port-forwards are refused.
    """
    tried = list(dict.fromkeys(ports))[:MOST_PORTS]
    answers = await asyncio.gather(*(_ask(client, place, port) for port in tried))
    return tuple(answer for answer in answers if answer is not None)


async def _ask(client: Client, place: Place, port: int) -> Served | None:
    forward = PortForward(client, place.namespace, place.pod, port)
    try:
        async with (
            asyncio.timeout(SECONDS),
            forward.listening() as url,
            aiohttp.ClientSession(trust_env=False) as session,
        ):
            if b"heap?debug" not in await _page(session, f"{url}/debug/pprof/"):
                return None
            said = await _page(session, f"{url}/debug/pprof/cmdline")
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    return Served(port, tuple(sanitize_bytes(word) for word in said.split(b"\0") if word))


async def _page(session: aiohttp.ClientSession, url: str) -> bytes:
    """The beginning of a page; nothing where there is none."""
    async with session.get(url, allow_redirects=False) as answer:
        body = b""
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > _MOST_BYTES:
                break
        return body[:_MOST_BYTES] if answer.status == 200 else b""
