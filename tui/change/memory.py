"""The form that asks for a memory limit and a request, and says what they buy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from memtop.change.check import amount, problem
from memtop.change.subject import Container, Subject
from memtop.change.wish import SetMemory
from memtop.quantity import QuantityError, parse_bytes
from memtop.wording import UNKNOWN, bytes_, share
from tui.change.amounts import HINT, resolved
from tui.change.asked import Asked
from tui.change.usage import Usage, bought
from widgets.confirm import PlanLine
from widgets.form import Field, Said, Values


class _FieldError(ValueError):
    """What stands in one field is nothing that could be meant."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


def asked(subject: Subject, container: Container, uses: Mapping[str, Usage]) -> Asked:
    """What to ask.

    Args:
        subject: The workload.
        container: Which of its containers.
        uses: What its containers do now.
    """
    usage = uses.get(container.name, Usage())
    used = {name: one.held for name, one in uses.items() if one.held is not None}
    limit, request = container.limit, container.request

    def wish(values: Values) -> SetMemory:
        return SetMemory(
            subject.ref,
            container.name,
            _wanted("limit", values, limit, container.limit_bytes),
            _wanted("request", values, request, container.request_bytes),
        )

    def check(values: Values) -> Said:
        try:
            wanted = wish(values)
        except _FieldError as error:
            return Said(str(error), error.field)
        if wanted.limit is None and wanted.request is None:
            return Said(_untouched(values, container), "limit")
        why = problem(wanted, subject, used)
        return Said(why, _field(wanted), () if why else tuple(_means(wanted, container, usage)))

    return Asked(
        title=f"Memory of {container.name} in {subject.ref}",
        fields=(
            Field("limit", "limit", limit, HINT, (0, len(limit))),
            Field("request", "request", request, HINT, (0, len(request))),
        ),
        check=check,
        wish=wish,
        facts=tuple(_facts(subject, container, usage)),
    )


def _facts(subject: Subject, container: Container, usage: Usage) -> Iterator[PlanLine]:
    used = bytes_(usage.held)
    if usage.held is not None:
        of = f", {share(usage.held / container.limit_bytes)} of the limit" if container.limit_bytes else ""
        used += f"{of} (the fullest of {usage.pods} pods)" if usage.pods > 1 else of
    yield PlanLine("in use", used)
    judgement = usage.judgement
    words = UNKNOWN if judgement is None else f"{judgement.certainty}: {judgement.evidence()}"
    yield PlanLine("verdict", words)
    yield PlanLine("now", f"limit {container.limit or 'none'}, request {container.request or 'none'}")
    yield PlanLine("pods", subject.strategy)


def _untouched(values: Values, container: Container) -> str:
    emptied = [name for name, had in (("limit", container.limit), ("request", container.request)) if had]
    if any(not values[name] for name in emptied):
        return "what is left empty stays as it is"
    return "that is what it has"


def _wanted(field: str, values: Values, written: str, now: int | None) -> str | None:
    """The quantity that one field asks for; None where it asks for none, or for what there is."""
    try:
        quantity = resolved(values[field], now)
    except ValueError as error:
        raise _FieldError(field, str(error)) from None
    return quantity if quantity not in {"", written} else None


def _field(wanted: SetMemory) -> str:
    """The field that a problem is about: the limit, unless only the request can be meant."""
    if wanted.limit is None:
        return "request"
    try:
        amount(wanted.limit, "limit")
    except ValueError:
        return "limit"
    try:
        amount(wanted.request or wanted.limit, "request")
    except ValueError:
        return "request"
    return "limit"


def _means(wanted: SetMemory, container: Container, usage: Usage) -> Iterator[PlanLine]:
    for name, quantity, before in (
        ("limit", wanted.limit, container.limit_bytes),
        ("request", wanted.request, container.request_bytes),
    ):
        if quantity is not None:
            yield PlanLine(name, f"{quantity}{_in_words(quantity)}{_compared(quantity, before)}")
    if wanted.limit is not None:
        leaks = usage.rate is not None
        yield PlanLine(
            "buys",
            bought(parse_bytes(wanted.limit), container.limit_bytes, usage),
            "warn" if leaks else "plain",
        )


def _in_words(quantity: str) -> str:
    size = bytes_(parse_bytes(quantity), "")
    return "" if size.removesuffix("B") == quantity else f" ({bytes_(parse_bytes(quantity))})"


def _compared(quantity: str, before: int | None) -> str:
    if not before:
        return ", so far none"
    try:
        ratio = parse_bytes(quantity) / before
    except QuantityError:
        return ""
    times = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return f", {times} times as much as now" if ratio >= 1 else f", {share(ratio)} of what it is now"
