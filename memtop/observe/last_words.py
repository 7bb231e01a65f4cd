"""Asks for the end of the log of what dies again and again, where only its log says whether memory ran out.

A JVM that ends of OutOfMemoryError or a Node.js at V8's heap limit leaves no OOM kill behind: its status says
``Error`` and an exit code. One log of one life is enough: what ends the same way again has the same cause.
So the requests are few: only of containers that have restarted several times, one for each exit code.

A JVM that is flat at its heap limit looks like a warm-up that is over. What its full collections leave tells
the two apart; so the present log is asked for, too, of what somebody looks at and has grown and levelled off,
or has run out of heap before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from urllib.parse import quote

import numpy as np

from memtop.analysis.memory_series import EndCause, HeapFill
from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.client import Client
from memtop.kube.pod_facts import Termination, says_out_of_memory
from memtop.logs.gc_log_parsers import GcEvents
from memtop.logs.heap_readings import HeapReading, ReadingKind
from memtop.logs.log_lines import parse_line
from memtop.observe.container_store import ContainerStore

MIN_RESTARTS = 3
"""Restarts from which a container's log is worth a request: fewer are no repeated death."""
MAX_CONTAINERS = 50
"""Containers whose logs are asked for at most; after a failure of a whole node many have restarted."""
TAIL_LINES = 100
"""Lines of a log's end: V8 writes some 30 lines of stack after its last words."""
LOOK_SECONDS = 1.0
"""Seconds between two looks for ends that nobody has explained."""
JUDGE_LOOKS, JUDGE_LOOK_SECONDS = 20, 0.1
"""How often and how many seconds apart it is looked whether what a log said is judged."""
FORBIDDEN_SECONDS = 600.0
"""Seconds after which logs are asked for again where that was forbidden."""
REQUEST_TIMEOUT = 10.0
LOGGER = logging.getLogger("memtop.last_words")
MAX_LOG_BYTES = 2**20
GC_LINES = 400
"""Lines of the present log in which collections are looked for."""
HEAP_SECONDS = 120.0
"""Seconds after which the present log of a container is asked for again."""
MAX_HEAPS = 20
"""Containers whose present log is asked for at most."""
FULL_COLLECTIONS, FULL_SHARE = 3, 0.9
"""So many full collections in a row that leave so much of the heap find nothing to free: a JVM that may still
grow makes its heap larger instead (``MinHeapFreeRatio`` is 40 %)."""
MIN_SPAN_SECONDS = 5.0
"""A shorter piece of a log says nothing of a share of the time."""
_JVM_FULL = re.compile(r"Pause Full|\[Full GC")


class LastWords:
    """Explains the ends of containers by their logs.

    Args:
        client: The connection to the API server.
        store: The containers; it is told what their logs say.
        now: The cluster's time, Unix seconds.
        on_change: Called whenever an end has been explained.
        judged: Whether what has been explained is judged; until then this is not settled.
    """

    def __init__(
        self,
        client: Client,
        store: ContainerStore,
        now: Callable[[], float],
        on_change: Callable[[], None],
        judged: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._on_change = on_change
        self._judged = judged
        self._tried: dict[int, tuple[int, Termination]] = {}
        self._silent_until = float("-inf")
        self._asking = False
        self._looked_at: tuple[int, ...] = ()
        self._heap_read: dict[int, tuple[int, float]] = {}

    @property
    def settled(self) -> bool:
        """Whether every log that can be asked for now has been."""
        return not self._asking and not self._open()

    def set_wanted(self, slots: Iterable[int]) -> None:
        """Says which containers somebody looks at whose heap may be full, what matters most first."""
        self._looked_at = tuple(slots)[:MAX_HEAPS]

    def _open(self) -> bool:
        if self._silent_until > self._now():
            return False
        return next(self._unexplained(), None) is not None or next(self._unread_heaps(), None) is not None

    async def run(self) -> None:
        """Asks for what can be asked for, until cancelled."""
        while True:
            try:
                while self._open():
                    self._asking = True
                    await self._read_next()
                    await self._await_verdicts()
            except Exception:  # a mistake of memtop's own, or a log that nobody thought of, costs only itself
                LOGGER.exception("the end of a log could not be read")
            finally:
                self._asking = False
            await asyncio.sleep(LOOK_SECONDS)

    async def _await_verdicts(self) -> None:
        for _ in range(JUDGE_LOOKS):
            if self._judged():
                return
            await asyncio.sleep(JUDGE_LOOK_SECONDS)

    async def _read_next(self) -> None:
        unexplained = next(self._unexplained(), None)
        if unexplained is not None:
            slot, end = unexplained
            self._tried[slot] = self._generation(slot), end
            text = await self._log(slot, {"previous": "true", "tailLines": str(TAIL_LINES)})
            if text:
                self._store.note_last_words(slot, end.exit_code, says_out_of_memory(text))
                self._on_change()
            return
        slot = next(self._unread_heaps())
        self._heap_read[slot] = self._generation(slot), self._now()
        text = await self._log(slot, {"timestamps": "true", "tailLines": str(GC_LINES)})
        self._store.note_heap(slot, full_heap(text.encode()))
        self._on_change()

    def _unread_heaps(self) -> Iterator[int]:
        """Running containers whose heap may be full, and has not been looked at for a while."""
        columns, now = self._store.columns, self._now()
        out_of_heap = (
            slot
            for slot, lives in self._store.lives.items()
            if (last := lives.last) is not None and lives.cause_of(last) is EndCause.HEAP_LIMIT
        )
        for slot in islice(dict.fromkeys((*self._looked_at, *out_of_heap)), MAX_HEAPS):
            generation, read = self._heap_read.get(slot, (0, now))
            due = generation != self._generation(slot) or now - read >= HEAP_SECONDS
            if due and np.isfinite(columns.started_at[slot]):
                yield slot

    def _generation(self, slot: int) -> int:
        return int(self._store.columns.generation[slot])

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
            if self._tried.get(slot) == (self._generation(slot), end):
                continue
            # Between its end and the wait for its next start, the previous log is that of the life before.
            waits = self._store.states.words[columns.state[slot]] == "CrashLoopBackOff"
            if waits or columns.started_at[slot] > (end.finished_at or 0.0) - 1.0:
                yield slot, end

    async def _log(self, slot: int, wanted: dict[str, str]) -> str:
        """A part of a container's log; empty where there is none to be had."""
        identity = self._store.identities[slot]
        if identity is None:
            return ""
        namespace, pod = quote(identity.namespace, safe=""), quote(identity.pod, safe="")
        path, params = f"/api/v1/namespaces/{namespace}/pods/{pod}/log", {"container": identity.container}
        try:
            params |= {**wanted, "limitBytes": str(MAX_LOG_BYTES)}
            answer = await self._client.request("GET", path, params, accept="*/*", timeout=REQUEST_TIMEOUT)
        except ApiError as error:
            if error.status == 403:
                self._silent_until = self._now() + FORBIDDEN_SECONDS
            return ""  # the log may be gone with its container; the next end has another
        except (Unreachable, CredentialError, KubeconfigError):
            return ""
        text = answer.body.decode(errors="replace")
        gone = (
            text.startswith("unable to retrieve container logs")
            or self._store.identities[slot] is not identity
        )
        return "" if gone else text


def full_heap(log: bytes) -> HeapFill | None:
    """The heap of a JVM whose newest full collections all left it full; None if it is not, or tells nothing.

    V8 and others tell of the memory that they hold and not of what they may, so that they always look full.

    Args:
        log: The end of its log, with the time of each line.
    """
    events = GcEvents()
    full: list[HeapReading] = []
    times: list[float] = []
    for raw in log.splitlines():
        line = parse_line(raw, "")
        if line.seconds is not None:
            times.append(line.seconds)
        reading = events.read(line.text)
        if reading is not None and reading.kind is ReadingKind.FULL and _JVM_FULL.search(line.text):
            full.append(reading)
    newest = [(one.heap_after or 0.0, one.heap_total or np.inf) for one in full[-FULL_COLLECTIONS:]]
    if len(newest) < FULL_COLLECTIONS or any(live < FULL_SHARE * size for live, size in newest):
        return None
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    stopped = sum(one.pause_seconds or 0.0 for one in full)
    return HeapFill(*newest[-1], min(stopped / span, 1.0) if span >= MIN_SPAN_SECONDS and stopped else None)
