"""The facts that likely causes are judged by: what a container's log says, its heap flag, its gauges."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from config.settings import DEFAULT_PRESETS
from memtop.analysis.judgement import SURE_CONFIDENCE, Judgement, Verdict
from memtop.analysis.likely_causes import CauseFacts, GrownPart, LogHint
from memtop.analysis.memory_series import Floats, Series
from memtop.analysis.traffic import TrafficFit
from memtop.background import run_in_thread
from memtop.change.heap_flags import heap_flag
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError
from memtop.kube.client import Client
from memtop.kube.json_object import Json, name_of, objects, text
from memtop.logs.gc_log_parsers import GcEvents
from memtop.logs.heap_readings import summarise_readings
from memtop.logs.log_lines import parse_line
from memtop.quantity import bytes_or_none
from memtop.sanitize import sanitize

LOG_LINES, LOG_BYTES = 3000, 2**20
"""What is read of a log's end."""
LOG_SECONDS = 10.0
LONGEST_LINE = 2000
"""Characters of a line that are searched: a line of megabytes is data."""
HINTS: Mapping[str, str] = {
    "load": DEFAULT_PRESETS["load"],
    "cache": DEFAULT_PRESETS["cache"],
    "listeners": r"MaxListenersExceededWarning|possible EventEmitter memory leak|too many listeners",
    "direct": r"direct buffer memory|OutOfDirectMemoryError|Cannot reserve \d+ bytes of direct",
    "threads": r"unable to create (?:new )?native thread|can't start new thread|pthread_create failed",
    "buffered": (
        r"\b(?:log|output|send|retry|event|message)s?[- ](?:buffer|queue)\w* (?:is )?(?:full|overflow|limit)|"
        r"back[- ]?pressure|queue_full|buffer overflow"
    ),
}
"""What a log is searched for; memtop's own expressions, which cannot run away, and not the user's presets."""


@dataclass(frozen=True)
class LogFindings:
    """What the log of one container says.

    Attributes:
        hints: By what was looked for.
        heap_live: Bytes that collections left, the oldest first.
        notes: Why it could not be read.
    """

    hints: Mapping[str, LogHint] = field(default_factory=dict)
    heap_live: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


async def read_log_findings(client: Client, namespace: str, pod: Json | None, container: str) -> LogFindings:
    """Reads the end of a container's log, and of the run before where it has restarted, and searches both.

    Args:
        client: The connection.
        namespace: The pod's.
        pod: Whose log; None for none.
        container: Which container.
    """
    if pod is None or not container:
        return LogFindings()
    status = next(
        (one for one in objects(pod, "status", "containerStatuses") if text(one, "name") == container), {}
    )
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name_of(pod), safe='')}/log"
    wanted = {
        "container": container,
        "timestamps": "true",
        "tailLines": str(LOG_LINES),
        "limitBytes": str(LOG_BYTES),
    }
    told: list[bytes] = []
    notes: list[str] = []
    for previous in (True, False) if text(status, "restartCount") not in {"", "0"} else (False,):
        query = {**wanted, "previous": "true"} if previous else wanted
        try:
            answer = await client.request("GET", path, query, accept="*/*", timeout=LOG_SECONDS)
            told.append(answer.body)
        except ApiError as error:
            if error.status == 403:
                notes.append("logs may not be read")
                break
        except CLUSTER_FAILURES:
            continue
    hints, live = await run_in_thread(search_log, b"\n".join(told))
    return LogFindings(hints, live, tuple(notes))


def search_log(log: bytes) -> tuple[dict[str, LogHint], tuple[float, ...]]:
    """What of `HINTS` a log has, and what its collections left of the heap.

    Args:
        log: Lines with the time of each, as the API server writes it.
    """
    events, readings = GcEvents(), []
    compiled = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in HINTS.items()}
    found: dict[str, LogHint] = {}
    for raw in log.splitlines():
        line = parse_line(raw[:LONGEST_LINE], "").text
        if (reading := events.read(line)) is not None:
            readings.append(reading)
        for name, expression in compiled.items():
            if expression.search(line):
                count = found[name].count if name in found else 0
                found[name] = LogHint(count + 1, sanitize(line.strip())[:160])
    summary = summarise_readings(readings)
    live = summary.heap if summary is not None and summary.after_gc and not summary.heap_is_share else ()
    return found, live


def gather_facts(
    container: Json,
    judgement: Judgement | None,
    traffic: TrafficFit,
    gauges: Mapping[str, tuple[Floats, Floats]],
    log: LogFindings,
    series: Sequence[Series],
    level: float | None,
    now: float,
    grown: tuple[GrownPart, ...] = (),
) -> CauseFacts:
    """The facts of one container, for `memtop.analysis.likely_causes`.

    Args:
        container: Its part of the pod template.
        judgement: What its memory does; None where that is not known.
        traffic: What its floor rises with.
        gauges: Threads and the like.
        log: What its log says.
        series: Its samples in every pod.
        level: Memory in use now, bytes.
        now: The cluster's time, Unix seconds.
        grown: What grew between two captures.
    """
    flag = heap_flag(container)
    starts = [
        float(one.restarts.max()) if len(one.restarts) else float(one.timestamps[0])
        for one in series
        if len(one.values) and now - one.timestamps[-1] < 900.0
    ]
    return CauseFacts(
        verdict=Verdict.NOT_ENOUGH_DATA if judgement is None else judgement.verdict,
        certain=judgement is not None and judgement.confidence >= SURE_CONFIDENCE,
        rate=None if judgement is None else judgement.rate,
        level=level,
        limit=bytes_or_none(text(container, "resources", "limits", "memory")),
        age=now - max(starts) if starts else None,
        oom_kills=int(np.sum([len(one.oom_kills) for one in series])),
        restarts=int(np.sum([len(one.restarts) for one in series])),
        heap_flag="" if flag is None else flag.text,
        heap_flag_size=None if flag is None else float(flag.size),
        heap_live=log.heap_live,
        traffic=traffic,
        gauges=gauges,
        hints=log.hints,
        grown=grown,
    )
