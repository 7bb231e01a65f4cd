"""What the tools of ``memtop mcp`` answer: frame, verdict, timeline, log, plan; read-only, of bounded size.

Everything here comes from the same places as the screens and the other commands; the types of the answers are
in `memtop.commands.frame_schema`. Nothing in this module can apply a plan.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from memtop.change import validation
from memtop.change.apply import record_not_applied
from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.change.change_plan import ChangePlan
from memtop.change.change_request import (
    KINDS_WITH_TEMPLATE,
    ChangeRequest,
    ResizePod,
    Restart,
    Scale,
    SetImage,
    SetMemory,
    Undo,
)
from memtop.change.planning import make_plan
from memtop.change.workload_state import memory_in_use, read_workload
from memtop.commands.frame_output import (
    ListedContainer,
    container_document,
    frame_document,
    iso_time,
    list_containers,
    whole_or_none,
)
from memtop.commands.logs import read_and_print, set_expression
from memtop.commands.once import SETTLE_SECONDS
from memtop.commands.timeline import KINDS, timeline_options
from memtop.kube.client import Client
from memtop.kube.object_ref import ROLLING_KINDS, ObjectRef, parse_object_name
from memtop.logs.buffer import LogBuffer
from memtop.logs.log_output import LinePrinter, LogPrinter, MatchPrinter
from memtop.logs.log_request import LOGGED_KINDS, LogRequest, find_log_target
from memtop.logs.search import Grep, LogFilter, LogSearch
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.row_order import filter_rows
from memtop.observe.slots import ContainerIdentity
from memtop.observe.view import RowFilter, View
from memtop.observe.watchlist import Watchlist
from memtop.timeline.timeline_report import timeline_document
from memtop.timeline.workload_timeline import gather_timeline

LONGEST_TEXT = 1_000
"""Characters of one text of an answer; a log line of a JSON logger may have 100,000."""
MOST_BYTES = 200_000
"""Bytes of an answer as JSON: some 50,000 tokens, which leaves a model room to think about them."""
LINES_SEARCHED = 20_000
"""Lines of a log that are read, counted from its end."""
CUT = " … [cut]"


class CannotAnswerError(Exception):
    """What was asked for makes no sense, or is not there; one sentence."""


ObjectName = Annotated[str, Meta(description="such as deployment/user-service or pod/user-service-5wrk4")]
Namespace = Annotated[str, Meta(description="by default that of the kubeconfig's context")]


class FrameQuestion(Struct, forbid_unknown_fields=True):
    """Which containers; by default the largest."""

    filter: Annotated[
        str,
        Meta(
            description="words that must all hold: part of a name, !not, label=value, ns=NAME, is=leaking, "
            "is=suspected, is=near-limit, is=oom-killed, is=evicted"
        ),
    ] = ""
    most: Annotated[int, Meta(ge=1, le=200, description="how many containers")] = 50


class VerdictQuestion(Struct, forbid_unknown_fields=True):
    """Of what."""

    object: ObjectName
    namespace: Namespace = ""


class TimelineQuestion(Struct, forbid_unknown_fields=True):
    """Of what."""

    object: ObjectName
    namespace: Namespace = ""
    container: Annotated[str, Meta(description="by default the one that grows most")] = ""


class LogQuestion(Struct, forbid_unknown_fields=True):
    """Which log, and what to look for in it."""

    object: ObjectName
    namespace: Namespace = ""
    container: Annotated[str, Meta(description="by default all but init containers")] = ""
    preset: Annotated[str, Meta(description="only lines that this preset of memtop's settings finds")] = ""
    pattern: Annotated[str, Meta(description="a regular expression in place of a preset")] = ""
    previous: Annotated[bool, Meta(description="the log of the run before: its last words")] = False
    most: Annotated[int, Meta(ge=1, le=500, description="how many lines, the newest")] = 100


class PlanQuestion(Struct, forbid_unknown_fields=True):
    """Which change to try. Nothing is changed; a person applies it, with memtop or kubectl."""

    object: ObjectName
    change: Literal["memory", "image", "restart", "undo", "scale"]
    namespace: Namespace = ""
    container: Annotated[str, Meta(description="needed where the pod has several")] = ""
    limit: Annotated[str, Meta(description="for memory: such as 2Gi")] = ""
    request: Annotated[str, Meta(description="for memory: such as 1Gi")] = ""
    image: Annotated[str, Meta(description="for image: such as user-service:1.2.4")] = ""
    revision: Annotated[int, Meta(ge=0, description="for undo: 0 is the one before the newest")] = 0
    replicas: Annotated[int, Meta(ge=0, le=10_000, description="for scale")] = 0


@dataclass(frozen=True)
class ClusterWatch:
    """The cluster as the tools see it: an engine that runs, and its newest frame.

    Attributes:
        plan: What is observed.
        presets: Regular expressions for logs by their names.
        engine: Observes.
        frames: Where its frames arrive.
    """

    plan: Watchlist
    presets: Mapping[str, str]
    engine: Engine
    frames: FrameInbox

    @classmethod
    def begin(cls, plan: Watchlist, presets: Mapping[str, str]) -> ClusterWatch:
        """Begins to observe."""
        frames = FrameInbox()
        engine = Engine(plan, frames.put, frames.fail, on_trouble=frames.say)
        engine.start()
        return cls(plan, presets, engine, frames)

    def end(self) -> None:
        """Ends it."""
        self.engine.stop()

    def ref(self, words: str, namespace: str, kinds: Sequence[str]) -> ObjectRef:
        """The object that a question names.

        Raises:
            CannotAnswerError: It names none.
        """
        scope = self.plan.scope.namespaces
        default = scope[0] if len(scope) == 1 else self.plan.target.namespace
        try:
            return parse_object_name([words], namespace or default, kinds)
        except ValueError as error:
            raise CannotAnswerError(f"{words!r} {error}") from None


class FrameInbox:
    """Keeps the newest frame for the tools, which run on another thread than the engine."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._frame: Frame | None = None
        self._failure = ""
        self.alone = asyncio.Lock()
        """Held by who shows another view, for the engine has one view at a time."""

    def put(self, frame: Frame) -> None:
        """Takes a frame; on the engine's thread."""
        with self._news:
            self._frame, self._failure = frame, ""
            self._news.notify_all()

    def fail(self, error: BaseException) -> None:
        """Takes the mistake of memtop's own that ended the engine."""
        self.say(f"memtop's engine has ended: {error}")

    def say(self, sentence: str) -> None:
        """Takes a sentence on why there is no frame."""
        with self._news:
            self._failure = sentence
            self._news.notify_all()

    async def wait(self, fits: Callable[[Frame], bool], patience: float = SETTLE_SECONDS) -> Frame:
        """The first frame that fits; after `patience` seconds the newest there is.

        Raises:
            CannotAnswerError: There is none.
        """
        return await asyncio.to_thread(self._wait, fits, patience)

    def _wait(self, fits: Callable[[Frame], bool], patience: float) -> Frame:
        with self._news:
            self._news.wait_for(
                lambda: bool(self._failure) or (self._frame is not None and fits(self._frame)), patience
            )
            if self._frame is None:
                raise CannotAnswerError(self._failure or "nothing is observed yet: ask again")
            return self._frame


def _complete(frame: Frame) -> bool:
    return frame.settled and frame.past_known


def _is_judged(frame: Frame) -> bool:
    """Whether the pods of the selected workload have been judged together, past included."""
    return frame.members is not None and frame.members.judgement is not None and _complete(frame)


async def answer_frame(watch: ClusterWatch, asked: FrameQuestion) -> dict[str, Any]:
    """What ``memtop --once -o json`` prints, of the containers asked for."""
    wanted = RowFilter(asked.filter)
    if wanted.problem:
        raise CannotAnswerError(wanted.problem)
    frame = await watch.frames.wait(_complete)
    document = frame_document(frame)
    everything = document["containers"]
    if wanted:
        rows = np.arange(len(frame.rows.identities), dtype=np.intp)
        fitting = set(filter_rows(frame.rows, rows, wanted, watch.plan.thresholds.warn).tolist())
        listed = [one.row for one in list_containers(frame)]
        everything = [one for one, row in zip(everything, listed, strict=True) if row in fitting]
    document["containers"] = everything[: asked.most]
    if len(everything) > asked.most:
        document["notes"].append(f"of {len(everything)} containers only the {asked.most} largest")
    return document


async def answer_verdict(watch: ClusterWatch, asked: VerdictQuestion) -> dict[str, Any]:
    """The verdict on a pod's or workload's containers, and on its pods together."""
    ref = watch.ref(asked.object, asked.namespace, (*KINDS, "CronJob", "Job", "ReplicaSet"))
    async with watch.frames.alone:
        listed = _containers_of(await watch.frames.wait(_complete), ref)
        if not listed:
            raise CannotAnswerError(f"no container of {ref} in {ref.namespace} runs, or none is observed")
        key = listed[0].identity.key
        watch.engine.show(View(selected=key))
        frame = await watch.frames.wait(
            lambda one: one.view.selected == key and one.detail is not None and _is_judged(one)
        )
        listed = _containers_of(frame, ref)
    members, detail = frame.members, frame.detail
    pooled = members.judgement if members is not None and ref.kind != "Pod" else None
    if ref.kind == "Pod" and detail is not None:
        pooled = detail.judgement
    judged = None
    if pooled is not None:
        judged = {
            "verdict": pooled.certainty,
            "confidence": round(pooled.confidence, 3),
            "evidence": pooled.evidence(),
            "growth_bytes_per_hour": _whole(pooled.rate),
            "growth_low": _whole(pooled.rate_low),
            "growth_high": _whole(pooled.rate_high),
            "seconds_to_limit": _whole(pooled.seconds_to_limit),
            "window_seconds": round(pooled.window_seconds),
            "samples": pooled.samples,
            "memory_deaths": pooled.memory_deaths,
        }
    return {
        "namespace": ref.namespace,
        "workload": {"kind": ref.kind, "name": ref.name},
        "time": iso_time(frame.time),
        "judged": judged,
        "basis": detail.basis if detail is not None else "",
        "past_known": frame.past_known,
        "containers": [container_document(frame.rows, one, frame.time) for one in listed],
        "notes": list(frame.notes),
    }


def _containers_of(frame: Frame, ref: ObjectRef) -> list[ListedContainer]:
    """The containers of a pod or workload, the largest first."""

    def belongs(who: ContainerIdentity) -> bool:
        if who.namespace != ref.namespace:
            return False
        named = (who.workload.kind, who.workload.name) == (ref.kind, ref.name)
        return named or (ref.kind == "Pod" and who.pod == ref.name)

    return [one for one in list_containers(frame) if belongs(one.identity)]


def _whole(value: float | None) -> int | None:
    return None if value is None else whole_or_none(value)


async def answer_timeline(watch: ClusterWatch, asked: TimelineQuestion) -> dict[str, Any]:
    """What ``memtop timeline -o json`` prints."""
    ref = watch.ref(asked.object, asked.namespace, KINDS)
    options = timeline_options(watch.plan, container=asked.container or None)
    told = await asyncio.wrap_future(
        watch.engine.submit(lambda client: gather_timeline(client, ref, options))
    )
    return timeline_document(told)


async def answer_log(watch: ClusterWatch, asked: LogQuestion) -> dict[str, Any]:
    """The newest lines of a log that a preset or an expression finds."""
    if asked.preset and asked.pattern:
        raise CannotAnswerError("preset and pattern exclude each other")
    if asked.preset and asked.preset not in watch.presets:
        raise CannotAnswerError(f"preset {asked.preset!r} is none of {', '.join(watch.presets)}")
    sought = None
    if asked.preset:
        sought = LogFilter(watch.presets[asked.preset], asked.preset, invert=False, context=0)
    elif asked.pattern:
        sought = LogFilter.typed(asked.pattern, invert=False, context=0)
    ref = watch.ref(asked.object, asked.namespace, LOGGED_KINDS)
    return await asyncio.wrap_future(
        watch.engine.submit(lambda client: _read_log(client, ref, asked, sought))
    )


async def _read_log(
    client: Client, ref: ObjectRef, asked: LogQuestion, sought: LogFilter | None
) -> dict[str, Any]:
    grep = Grep()
    try:
        if sought is not None:
            await set_expression(grep, sought, typed=False)
        found = await find_log_target(client, ref, asked.container)
        request = LogRequest(
            ref.namespace,
            found.pod,
            found.containers,
            previous=asked.previous,
            follow=False,
            tail=LINES_SEARCHED,
        )
        out = io.StringIO()
        lines = LinePrinter(out, times=True, owners=len(found.containers) > 1)
        printer: LogPrinter = lines
        if sought is not None:
            buffer = LogBuffer()
            printer = MatchPrinter(buffer, LogSearch(sought, buffer, grep), lines, out)
        status = await read_and_print(client, request, printer)
    finally:
        await grep.close()
    if status.failed:
        raise CannotAnswerError(status.words)
    written = out.getvalue().splitlines()
    matches = printer.count if isinstance(printer, MatchPrinter) else len(written)
    notes = [found.how_chosen] if found.how_chosen else []
    if len(written) > asked.most:
        notes.append(f"of {len(written)} lines only the newest {asked.most}")
    return {
        "namespace": ref.namespace,
        "pod": found.pod,
        "containers": list(found.containers),
        "previous": asked.previous,
        "searched_for": asked.preset or asked.pattern or None,
        "lines": written[-asked.most :],
        "matches": matches,
        "notes": notes,
    }


async def answer_plan(watch: ClusterWatch, asked: PlanQuestion) -> dict[str, Any]:
    """The plan of a change, tried by the server's dry run; never applied."""
    kinds = {
        "memory": (*KINDS_WITH_TEMPLATE, "Pod"),
        "image": KINDS_WITH_TEMPLATE,
        "scale": ("Deployment", "StatefulSet"),
    }.get(asked.change, ROLLING_KINDS)
    ref = watch.ref(asked.object, asked.namespace, kinds)
    plan = await asyncio.wrap_future(watch.engine.submit(lambda client: _preview(client, ref, asked)))
    return {
        "title": plan.title,
        "context": plan.context,
        "namespace": ref.namespace,
        "workload": {"kind": ref.kind, "name": ref.name},
        "fields": [{"path": one.path, "old": one.old, "new": one.new} for one in plan.changes],
        "lines": [{"label": one.label, "text": one.text, "weight": one.weight} for one in plan.lines],
        "kubectl": plan.kubectl,
        "refused": plan.refused or None,
        "applied": False,
    }


async def _preview(client: Client, ref: ObjectRef, asked: PlanQuestion) -> ChangePlan:
    found = await read_workload(client, ref)
    container = asked.container
    if not container and asked.change in {"memory", "image"}:
        ordinary = [one.name for one in found.containers if not one.init]
        if len(ordinary) != 1:
            raise CannotAnswerError(f"{ref} has several containers: say which of {', '.join(ordinary)}")
        container = ordinary[0]
    change: ChangeRequest
    match asked.change:
        case "memory":
            kind = ResizePod if ref.kind == "Pod" else SetMemory
            change = kind(ref, container, asked.limit or None, asked.request or None)
        case "image":
            change = SetImage(ref, container, asked.image)
        case "restart":
            change = Restart(ref)
        case "undo":
            change = Undo(ref, asked.revision or None)
        case "scale":
            change = Scale(ref, asked.replicas)
    if why := validation.request_problem(change, found, await memory_in_use(client, found)):
        raise CannotAnswerError(why)
    plan = await make_plan(client, change, client.target.context)
    await record_not_applied(client, plan, AuditLog(audit_log_path(os.environ)), outcome="dry run")
    return plan


def bounded(document: dict[str, Any]) -> dict[str, Any]:
    """The document with texts and lists cut until it is small enough; what is cut, is said in its notes."""
    cut: dict[str, Any] = _short(document)
    while len(msgspec.json.encode(cut)) > MOST_BYTES:
        name, longest = max(
            ((key, value) for key, value in cut.items() if isinstance(value, list)),
            key=lambda one: len(msgspec.json.encode(one[1])),
        )
        if not longest:
            break
        keep = len(longest) // 2
        cut[name] = longest[-keep:] if name == "lines" and keep else longest[:keep]
        if isinstance(cut.get("notes"), list) and name != "notes":
            cut["notes"] = [f"{name}: only {keep}, for the answer would be too long", *cut["notes"]]
    return cut


def _short(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + CUT
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value
