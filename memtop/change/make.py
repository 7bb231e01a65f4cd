"""Making a plan: the object is read, the change tried on the server, and what it runs into gathered."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from memtop.change import check, kubectl, patch
from memtop.change.around import Around, around
from memtop.change.budgets import budget_lines
from memtop.change.dry_run import Answer, dry_run
from memtop.change.effect import effect, under_way
from memtop.change.essence import essence
from memtop.change.fields import field_label, written
from memtop.change.image_past import day, has_run, image_lines
from memtop.change.kinds import template_of
from memtop.change.nodes import Space, node_line, spaces
from memtop.change.owners import controller_lines, owner_lines, scaler_lines
from memtop.change.plan import Change, Line, Plan
from memtop.change.room import Demand, demand, footprint, limit_range_lines, quota_lines
from memtop.change.strategy import Strategy, pods
from memtop.change.subject import Subject, of
from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.client import Client
from memtop.cluster.describe.autoscalers import horizontal_sentences, vertical_sentences
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.refs import ObjectRef, fetch
from memtop.cluster.revisions import Revision, revisions
from memtop.cluster.tree import Json, labels, number

TRIES = 5
"""Times that an object is read again because it was written between reading and trying."""
LONGEST_VALUE = 120
"""Characters of a field's value that are shown."""
MOST_FIELDS = 20
"""Fields that are shown; a plan to undo may have more."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """All that the lines of a plan are made from."""

    wish: Wish
    context: str
    subject: Subject
    request: patch.Request
    answer: Answer
    effect: Strategy
    around: Around
    spaces: Sequence[Space] | str
    target: Revision | None
    command: str

    @property
    def after(self) -> Json:
        """The object as it would be."""
        return self.answer.after or self.subject.object


async def plan(client: Client, wish: Wish, context: str) -> Plan:
    """Makes a plan; nothing is changed.

    Args:
        client: The connection.
        wish: What is wanted.
        context: The kubeconfig's context, to be shown.

    Returns:
        The plan; one that cannot be applied says why.

    Raises:
        ApiError: The object is not there or may not be read.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
        KubeconfigError: A certificate or key is not usable.
    """
    nearby = asyncio.ensure_future(around(client, wish.ref, type(wish)))
    nodes = asyncio.ensure_future(_spaces(client, wish))
    try:
        for _ in range(TRIES):
            collection, subject = await _subject(client, wish)
            why, target = check.problem(wish, subject), None
            if not why and isinstance(wish, Undo):
                target, why = check.undone(wish, subject)
                if target is not None:  # what is shown is what is meant, whatever comes in between
                    wish = Undo(wish.ref, target.number)
            command = kubectl.command(wish, subject, client.target, os.environ)
            if why:
                return _refused(wish, subject, context, command, why)
            cause = kubectl.cause(wish, subject)
            request = patch.request(wish, subject, collection, cause, target, time.time())
            try:
                answer = await dry_run(client, request, subject.object)
            except ApiError:  # somebody wrote in between
                continue
            draft = _Draft(
                wish,
                context,
                subject,
                request,
                answer,
                effect(wish, subject),
                await nearby,
                await nodes,
                target,
                command,
            )
            return _plan(draft)
    finally:
        nearby.cancel()
        nodes.cancel()
        await asyncio.gather(nearby, nodes, return_exceptions=True)
    why = f"it is written so often that it changed {TRIES} times while the plan was made: try again"
    return _refused(wish, subject, context, command, why)


async def _subject(client: Client, wish: Wish) -> tuple[str, Subject]:
    collection, found = await fetch(client, wish.ref)
    known: tuple[Revision, ...] = ()
    note = ""
    if isinstance(wish, SetImage | Undo | Resume):
        try:
            known = await revisions(client, wish.ref, found)
        except (ApiError, Unreachable) as error:
            note = str(error)
    return collection, of(wish.ref, found, known, note)


async def _spaces(client: Client, wish: Wish) -> Sequence[Space] | str:
    return await spaces(client) if isinstance(wish, SetMemory | Scale) else ()


def _refused(wish: Wish, subject: Subject, context: str, command: str, why: str) -> Plan:
    lines = (_object_line(wish.ref, context), Line("refused", why, "critical"))
    version = subject.resource_version
    digest = essence(wish.ref.kind, subject.object)
    return Plan(
        wish, context, wish.ref, wish.title, (), lines, command, "", "", "", b"", version, why, False, digest
    )


def _plan(draft: _Draft) -> Plan:
    request, subject = draft.request, draft.subject
    changes = tuple(Change(written(steps), old, new) for steps, old, new in request.changed)
    return Plan(
        wish=draft.wish,
        context=draft.context,
        ref=subject.ref,
        title=draft.wish.title,
        changes=changes,
        lines=tuple(_lines(draft, changes)),
        kubectl=draft.command,
        method=request.method,
        path=request.path,
        content_type=request.content_type,
        body=msgspec.json.encode(request.body),
        version=subject.resource_version,
        refused=draft.answer.refused,
        opens_rollout=draft.effect.moves and not isinstance(draft.wish, DeletePod),
        essence=essence(subject.ref.kind, subject.object),
    )


def _lines(draft: _Draft, changes: Sequence[Change]) -> Iterator[Line]:
    wish, subject = draft.wish, draft.subject
    yield _object_line(subject.ref, draft.context)
    for change in changes[:MOST_FIELDS]:
        yield Line(field_label(change.path), f"{_short(change.old)} → {_short(change.new)}")
    if len(changes) > MOST_FIELDS:
        yield Line("", f"and {len(changes) - MOST_FIELDS} other fields")
    if draft.target is not None:
        yield Line("revision", _revision(draft.target, subject))
    yield from draft.answer.lines
    yield Line("pods", draft.effect.words, draft.effect.weight)
    yield from _now(subject, wish)
    if isinstance(wish, SetImage):
        yield from image_lines(wish, subject)
    yield from _others(draft)
    yield from _room(draft)
    template = template_of(subject.ref.kind, subject.object)
    yield from budget_lines(
        draft.around.budgets, labels(template, "metadata", "labels"), deletes=isinstance(wish, DeletePod)
    )
    if draft.request.cause:
        again = " of that revision" if isinstance(wish, Undo) else ""
        yield Line("recorded", f"change cause{again}: {draft.request.cause}")
    yield Line("kubectl", draft.command, "command")


def _object_line(ref: ObjectRef, context: str) -> Line:
    return Line("object", f"{ref.kind} {ref.name} in the namespace {ref.namespace}, context {context}")


def _short(value: str) -> str:
    """A value on one line; a script in a variable may have many."""
    words = " ".join(value.split())
    return (words if len(words) <= LONGEST_VALUE else f"{words[:LONGEST_VALUE]}…") or "none"


def _revision(target: Revision, subject: Subject) -> str:
    cause = f"; change cause: {target.change_cause}" if target.change_cause else ""
    doubt = "" if has_run(target, subject) else "; whether it ever ran is not known"
    return f"{target.number}, first on {day(target.created)}{cause}{doubt}"


def _now(subject: Subject, wish: Wish) -> Iterator[Line]:
    """How the workload is doing before it is changed."""
    if subject.replicas is None:
        return
    status = subject.object.get("status")
    daemons = subject.ref.kind == "DaemonSet"
    ready = number(status, "numberReady" if daemons else "readyReplicas") or 0
    words = f"{pods(subject.replicas)} wanted, {ready} ready"
    if ready < subject.replicas:
        yield Line("now", words, "warn")
    else:
        yield Line("now", words)
    if under_way(subject) and not subject.paused and not isinstance(wish, Pause):
        yield Line("now", "another rollout is under way: this one takes its place", "warn")


def _others(draft: _Draft) -> Iterator[Line]:
    """Who will revert it, or is affected by it."""
    wish, subject, near = draft.wish, draft.subject, draft.around
    if isinstance(wish, DeletePod):
        return
    changed = [steps for steps, _, _ in draft.request.changed]
    if isinstance(wish, Restart | Pause | Resume):  # what no manifest names, only a controller takes back
        yield from controller_lines(subject.object)
    else:
        becoming = {steps: new for steps, _, new in draft.request.changed}
        yield from owner_lines(subject.object, changed, becoming)
    ref = subject.ref
    if isinstance(wish, Scale):
        if isinstance(near.horizontal, str):
            yield Line(
                "owner", f"whether a HorizontalPodAutoscaler scales it is not known: {near.horizontal}"
            )
        else:
            yield from scaler_lines(near.horizontal, ref.kind, ref.name, wish.replicas)
    if isinstance(wish, SetMemory | Undo):
        if isinstance(near.vertical, str):
            yield Line("owner", f"whether a VerticalPodAutoscaler sets it is not known: {near.vertical}")
        else:
            for words in vertical_sentences(near.vertical, (ref,)):
                yield Line("owner", words, "warn")
    if isinstance(wish, SetMemory) and not isinstance(near.horizontal, str):
        for words in horizontal_sentences(near.horizontal, (ref,)):
            yield Line("scaling", words, "warn")


def _room(draft: _Draft) -> Iterator[Line]:
    """Whether there is room for the pods that come."""
    wish, kind = draft.wish, draft.subject.ref.kind
    if isinstance(wish, DeletePod | Pause) or draft.subject.replicas is None or draft.answer.refused:
        return
    template = template_of(kind, draft.after)
    before, after = footprint(template_of(kind, draft.subject.object)), footprint(template)
    had = draft.subject.replicas
    asked = demand(before, after, had, had, draft.effect.surge)
    if isinstance(wish, Scale):
        asked = demand(before, before, had, wish.replicas, 0)
    if asked != Demand(0, 0, 0):
        yield from quota_lines(draft.around.quotas, asked)
    if isinstance(wish, SetMemory | Undo):
        yield from limit_range_lines(draft.around.limit_ranges, template)
    more = after.request > before.request if isinstance(wish, SetMemory) else asked.pods > 0
    if isinstance(wish, SetMemory | Scale) and more:
        line = node_line(draft.spaces, after.request, asked.pods if isinstance(wish, Scale) else 1)
        if line is not None:
            yield line
