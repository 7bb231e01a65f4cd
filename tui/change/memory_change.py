"""The form for a memory limit and request, its amounts such as ``+25%``, and what a new limit gains."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from memtop.analysis.judgement import Judgement, Verdict
from memtop.change.change_request import ResizePod, SetMemory
from memtop.change.validation import parse_memory, request_problem
from memtop.change.workload_state import TemplateContainer, WorkloadState
from memtop.kube.object_ref import ObjectRef
from memtop.observe.frame import Frame, WorkloadMembers
from memtop.observe.slots import ContainerIdentity
from memtop.quantity import QuantityError, parse_bytes
from memtop.wording import UNKNOWN, bytes_, duration, rate, share
from tui.change.change_forms import ChangeForm
from widgets.confirm import PlanLine
from widgets.form import FormChoice, FormField, FormNote, FormValues

AMOUNT_HINT: Final = "2Gi, +25%, +512Mi, x2"
_MEBIBYTE: Final = 1024**2
_PERCENT_AMOUNT = re.compile(r"([+-])\s*(\d+(?:\.\d+)?)\s*%")
_FACTOR_AMOUNT = re.compile(r"[x*×]\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*[x×]")
_ADDED_AMOUNT = re.compile(r"([+-])\s*(\d.*)")
_NEGATIVE = re.compile(r"-\s*\d+(?:\.\d+)?")
"""Nobody wants a few bytes less: a number below 0 without a unit is as good as none."""


def resolve_amount(text: str, now: int | None) -> str:
    """The quantity that is meant, as Kubernetes writes it; an absolute one is returned as it is.

    Args:
        text: What was typed.
        now: What it is relative to, bytes; None where there is nothing yet.

    Raises:
        ValueError: It is relative to nothing, or to something in no understandable way.
    """
    found = None if _NEGATIVE.fullmatch(text.strip()) else _relative_amount(text.strip())
    if found is None:
        return text.strip()
    if now is None:
        raise ValueError(f"there is nothing yet that {text.strip()!r} could be relative to")
    factor, more = found
    size = now * factor + more
    if size <= 0:
        raise ValueError(f"{text.strip()!r} leaves nothing")
    if math.isinf(size):
        raise ValueError(f"{text.strip()!r} is more than the API can count")
    whole = math.ceil(size / _MEBIBYTE)
    return f"{whole // 1024}Gi" if whole % 1024 == 0 else f"{whole}Mi"


def _relative_amount(text: str) -> tuple[float, float] | None:
    """The factor and the bytes to add; None for an absolute amount."""
    if share := _PERCENT_AMOUNT.fullmatch(text):
        part = float(share[2]) / 100
        return (1 + part if share[1] == "+" else 1 - part), 0.0
    if times := _FACTOR_AMOUNT.fullmatch(text):
        return float(times[1] or times[2]), 0.0
    if more := _ADDED_AMOUNT.fullmatch(text):
        try:
            size = float(parse_bytes(more[2].strip()))
        except QuantityError as error:
            raise ValueError(str(error)) from None
        except OverflowError:
            size = math.inf
        return 1.0, size if more[1] == "+" else -size
    return None


@dataclass(frozen=True, slots=True)
class PooledUsage:
    """What one container of a workload does, over all its pods.

    Attributes:
        working_set: Working set of the pod that holds the most, bytes; None while unknown.
        pods: How many pods were seen.
        judgement: What is judged of them, a leak of any revision first; None before anything is.
    """

    working_set: float | None = None
    pods: int = 0
    judgement: Judgement | None = None

    @property
    def rate(self) -> float | None:
        """Bytes per hour that a leak adds; None where there is none, or it could not be measured."""
        found = self.judgement
        if found is None or found.verdict is not Verdict.LEAK or not found.rate or found.rate <= 0:
            return None
        return found.rate


def workload_members(frame: Frame | None, workload: ObjectRef) -> WorkloadMembers | None:
    """What a frame knows of a workload's containers; None unless that is what it looked at."""
    members = None if frame is None else frame.members
    if members is None:
        return None
    key = members.key
    named = (key.workload.kind, key.namespace, key.workload.name)
    return members if named == (workload.kind, workload.namespace, workload.name) else None


def usage_by_container(members: WorkloadMembers | None) -> Mapping[str, PooledUsage]:
    """What every container of a workload does, by its name."""
    if members is None:
        return {}
    slots: dict[str, list[int]] = {}
    for slot in members.slots.tolist():
        identity = members.rows.identities[slot]
        if isinstance(identity, ContainerIdentity):
            slots.setdefault(identity.container, []).append(slot)
    return {name: _pooled_usage(members, name, own) for name, own in slots.items()}


def _pooled_usage(members: WorkloadMembers, container: str, slots: list[int]) -> PooledUsage:
    sizes = [float(members.rows.working_set[slot]) for slot in slots]
    held = max((size for size in sizes if math.isfinite(size)), default=None)
    return PooledUsage(held, len(slots), _worst_judgement(members, container, slots))


def _worst_judgement(members: WorkloadMembers, container: str, slots: list[int]) -> Judgement | None:
    """The pooled judgement of any revision; before there is one, that of any single pod."""
    judged = [judgement for (name, _), judgement in members.parts.items() if name == container]
    judged = judged or [members.rows.judgements[slot] for slot in slots]
    return max(judged, key=lambda one: one.confidence if one.verdict is Verdict.LEAK else -1.0, default=None)


def limit_gain_words(limit: int, before: int | None, usage: PooledUsage) -> str:
    """What another limit gains or loses, in words; empty where nothing is known to be gained.

    Args:
        limit: The new one, bytes.
        before: The present one, bytes; None without one.
        usage: What the container does.
    """
    if usage.working_set is None:
        return "what it uses now is not known"
    growth = usage.rate
    if growth is None:
        why = "no leak is known that would fill it"
        if usage.judgement is None or usage.judgement.verdict is Verdict.NOT_ENOUGH_DATA:
            why = "whether anything fills it is not judged yet"
        return f"{bytes_(limit - usage.working_set)} more than the fullest pod holds; {why}"
    then = duration(max(0.0, limit - usage.working_set) / growth * 3600)
    if before is None:
        return f"at {rate(growth)} the fullest pod reaches it in about {then}; so far there is no limit"
    now = duration(max(0.0, before - usage.working_set) / growth * 3600)
    return f"at {rate(growth)} the fullest pod reaches it in about {then} instead of {now}: the leak stays"


class _FieldError(ValueError):
    """What stands in one field is nothing that could be meant."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


_WHERE: Final = {
    "pod": "only this pod, in place: it is not replaced",
    "both": "this pod in place, then a second plan for the template",
    "template": "new pods: a rollout",
}
"""Where other memory can be set for a pod that can be resized."""


def memory_form(
    subject: WorkloadState,
    container: TemplateContainer,
    uses: Mapping[str, PooledUsage],
    pod: ObjectRef | None = None,
) -> ChangeForm:
    """What to ask.

    Args:
        subject: The workload.
        container: Which of its containers.
        uses: What its containers do now.
        pod: The pod that can be resized in place; None where none can.
    """
    usage = uses.get(container.name, PooledUsage())
    used = {name: one.working_set for name, one in uses.items() if one.working_set is not None}
    limit, request = container.limit, container.request
    chooses = pod is not None and pod != subject.ref

    def template_request(values: FormValues) -> SetMemory:
        return SetMemory(
            subject.ref,
            container.name,
            _wanted_quantity("limit", values, limit, container.limit_bytes),
            _wanted_quantity("request", values, request, container.request_bytes),
        )

    def to_request(values: FormValues) -> SetMemory | ResizePod:
        wanted, where = (
            template_request(values),
            values.get("where", "pod" if pod == subject.ref else "template"),
        )
        if pod is None or where == "template":
            return wanted
        template = subject.ref if where == "both" else None
        return ResizePod(pod, container.name, wanted.limit, wanted.request, template)

    def check(values: FormValues) -> FormNote:
        if values.get("where", "pod") not in _WHERE:
            return FormNote(f"where is one of {', '.join(_WHERE)}", "where")
        try:
            wanted = template_request(values)
        except _FieldError as error:
            return FormNote(str(error), error.field)
        if wanted.limit is None and wanted.request is None:
            return FormNote(_nothing_changed(values, container), "limit")
        resized = to_request(values)
        if isinstance(resized, ResizePod):
            # A limit below what is in use is accepted; the plan says what that means.
            why = request_problem(resized, subject) if pod == subject.ref else ""
        else:
            why = request_problem(wanted, subject, used)
        return FormNote(
            why, _problem_field(wanted), () if why else tuple(_memory_meaning(wanted, container, usage))
        )

    return ChangeForm(
        title=f"Memory of {container.name} in {subject.ref}",
        fields=(
            FormField("limit", "limit", limit, AMOUNT_HINT, (0, len(limit))),
            FormField("request", "request", request, AMOUNT_HINT, (0, len(request))),
            *([FormField("where", "where", "template", ", ".join(_WHERE))] if chooses else []),
        ),
        check=check,
        to_request=to_request,
        choices=tuple(FormChoice({"where": where}, where, note) for where, note in _WHERE.items())
        if chooses
        else (),
        offers="Where to set it",
        facts=tuple(_usage_facts(subject, container, usage)),
    )


def _usage_facts(
    subject: WorkloadState, container: TemplateContainer, usage: PooledUsage
) -> Iterator[PlanLine]:
    used = bytes_(usage.working_set)
    if usage.working_set is not None:
        of = (
            f", {share(usage.working_set / container.limit_bytes)} of the limit"
            if container.limit_bytes
            else ""
        )
        used += f"{of} (the fullest of {usage.pods} pods)" if usage.pods > 1 else of
    yield PlanLine("in use", used)
    judgement = usage.judgement
    words = UNKNOWN if judgement is None else f"{judgement.certainty}: {judgement.evidence()}"
    yield PlanLine("verdict", words)
    yield PlanLine("now", f"limit {container.limit or 'none'}, request {container.request or 'none'}")
    yield PlanLine("pods", subject.strategy)


def _nothing_changed(values: FormValues, container: TemplateContainer) -> str:
    emptied = [name for name, had in (("limit", container.limit), ("request", container.request)) if had]
    if any(not values[name] for name in emptied):
        return "what is left empty stays as it is"
    return "that is what it has"


def _wanted_quantity(field: str, values: FormValues, written: str, now: int | None) -> str | None:
    """The quantity that one field asks for; None where it asks for none, or for what there is."""
    try:
        quantity = resolve_amount(values[field], now)
    except ValueError as error:
        raise _FieldError(field, str(error)) from None
    return quantity if quantity not in {"", written} else None


def _problem_field(wanted: SetMemory) -> str:
    """The field that a problem is about: the limit, unless only the request can be meant."""
    if wanted.limit is None:
        return "request"
    try:
        parse_memory(wanted.limit, "limit")
    except ValueError:
        return "limit"
    try:
        parse_memory(wanted.request or wanted.limit, "request")
    except ValueError:
        return "request"
    return "limit"


def _memory_meaning(
    wanted: SetMemory, container: TemplateContainer, usage: PooledUsage
) -> Iterator[PlanLine]:
    for name, quantity, before in (
        ("limit", wanted.limit, container.limit_bytes),
        ("request", wanted.request, container.request_bytes),
    ):
        if quantity is not None:
            yield PlanLine(name, f"{quantity}{_quantity_words(quantity)}{_compared_words(quantity, before)}")
    if wanted.limit is not None:
        leaks = usage.rate is not None
        yield PlanLine(
            "buys",
            limit_gain_words(parse_bytes(wanted.limit), container.limit_bytes, usage),
            "warn" if leaks else "plain",
        )


def _quantity_words(quantity: str) -> str:
    size = bytes_(parse_bytes(quantity), "")
    return "" if size.removesuffix("B") == quantity else f" ({bytes_(parse_bytes(quantity))})"


def _compared_words(quantity: str, before: int | None) -> str:
    if not before:
        return ", so far none"
    try:
        ratio = parse_bytes(quantity) / before
    except QuantityError:
        return ""
    times = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return f", {times} times as much as now" if ratio >= 1 else f", {share(ratio)} of what it is now"
