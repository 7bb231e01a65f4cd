"""Asks for the end of the log of what dies again and again, where only its log says whether memory ran out.

A JVM that ends of OutOfMemoryError or a Node.js at V8's heap limit leaves no OOM kill behind: its status says
``Error`` and an exit code. One log of one life is enough: what ends the same way again has the same cause.
So the requests are few: only of containers that have restarted several times, one for each exit code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from urllib.parse import quote

from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.pod_facts import Termination, says_out_of_memory
from memtop.observe.container_store import ContainerStore

MIN_RESTARTS = 3
"""Restarts from which a container's log is worth a request: fewer are no repeated death."""
MAX_CONTAINERS = 50
"""Containers whose logs are asked for at most; after a failure of a whole node many have restarted."""
TAIL_LINES = 100
"""Lines of a log's end: V8 writes some 30 lines of stack after its last words."""
LOOK_SECONDS = 1.0
"""Seconds between two looks for ends that nobody has explained."""
FORBIDDEN_SECONDS = 600.0
"""Seconds after which logs are asked for again where that was forbidden."""
REQUEST_TIMEOUT = 10.0


class LastWords:
    """Explains the ends of containers by their logs.

    Args:
        client: The connection to the API server.
        store: The containers; it is told what their logs say.
        now: The cluster's time, Unix seconds.
        on_change: Called whenever an end has been explained.
    """

    def __init__(
        self,
        client: Client,
        store: ContainerStore,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._on_change = on_change
        self._tried: dict[tuple[int, int], Termination] = {}
        self._silent_until = float("-inf")
        self._asking = False

    @property
    def settled(self) -> bool:
        """Whether every log that can be asked for now has been."""
        return not self._asking and not self._open()

    def _open(self) -> bool:
        return self._silent_until <= self._now() and next(self._unexplained(), None) is not None

    async def run(self) -> None:
        """Asks for what can be asked for, until cancelled."""
        while True:
            while self._open():
                slot, end = next(self._unexplained())
                self._tried[slot, int(self._store.columns.generation[slot])] = end
                self._asking = True
                try:
                    await self._explain(slot, end)
                finally:
                    self._asking = False
            await asyncio.sleep(LOOK_SECONDS)

    def _unexplained(self) -> Iterator[tuple[int, Termination]]:
        """The newest ends whose cause is in a log that can be had now, and has not been asked for."""
        columns = self._store.columns
        unread = [
            (slot, end)
            for slot, lives in self._store.lives.items()
            if columns.restarts[slot] >= MIN_RESTARTS and (end := lives.unread_end()) is not None
        ]
        unread.sort(key=lambda found: -int(columns.restarts[found[0]]))
        for slot, end in unread[:MAX_CONTAINERS]:
            if self._tried.get((slot, int(columns.generation[slot]))) == end:
                continue
            # Between its end and the wait for its next start, the previous log is that of the life before.
            waits = self._store.states.words[columns.state[slot]] == "CrashLoopBackOff"
            if waits or columns.started_at[slot] > (end.finished_at or 0.0) - 1.0:
                yield slot, end

    async def _explain(self, slot: int, end: Termination) -> None:
        identity = self._store.identities[slot]
        if identity is None:
            return
        path = (
            f"/api/v1/namespaces/{quote(identity.namespace, safe='')}/pods/{quote(identity.pod, safe='')}/log"
        )
        params = {"container": identity.container, "previous": "true", "tailLines": str(TAIL_LINES)}
        try:
            answer = await self._client.request("GET", path, params, accept="*/*", timeout=REQUEST_TIMEOUT)
        except ApiError as error:
            if error.status == 403:
                self._silent_until = self._now() + FORBIDDEN_SECONDS
            return  # the log may be gone with its container; the next end has another
        except (Unreachable, CredentialError, KubeconfigError):
            return
        text = answer.body.decode(errors="replace")
        if not text or text.startswith("unable to retrieve container logs"):
            return
        if self._store.identities[slot] is identity:
            self._store.note_last_words(slot, end.exit_code, says_out_of_memory(text))
            self._on_change()
