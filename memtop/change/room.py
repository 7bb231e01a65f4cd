"""Whether there is room for what a change asks for: quotas and limit ranges of the namespace.

The server's dry run does not say: both are looked at only when a pod is created, so that a rollout that does
not fit gets stuck half-way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memtop.change.around import Listed
from memtop.change.plan import Line
from memtop.change.subject import Container, containers
from memtop.cluster.tree import Json, labels, mapping, name_of, objects, text, texts
from memtop.quantity import QuantityError, bytes_or_none, parse_bytes
from memtop.wording import bytes_

_SCOPES = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes of a quota that pods with memory limits and without a deadline are in."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one pod of a template asks for.

    Attributes:
        limit: Memory limit in bytes; None where a container has none.
        request: Memory request in bytes; a container without one requests its limit.
    """

    limit: int | None
    request: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What a change asks for beyond what is used now, at its peak.

    Attributes:
        pods: More pods.
        limit: More bytes of limits; None where pods have none.
        request: More bytes of requests.
    """

    pods: int
    limit: int | None
    request: int


def footprint(template: Json) -> Footprint:
    """What a pod of a template asks for: its containers together, or its hungriest init container."""
    limits: dict[bool, list[int | None]] = {False: [], True: []}
    requests: dict[bool, list[int]] = {False: [], True: []}
    for one in containers(template):
        limits[one.init].append(one.limit_bytes)
        asked = one.limit_bytes if one.request_bytes is None else one.request_bytes
        requests[one.init].append(asked or 0)
    request = max(sum(requests[False]), *requests[True], 0)
    if None in limits[False]:
        return Footprint(None, request)
    return Footprint(max(sum(filter(None, limits[False])), *filter(None, limits[True]), 0), request)


def demand(before: Footprint, after: Footprint, had: int, has: int, surge: int) -> Demand:
    """What going from some pods to others asks for at its peak.

    While a Deployment rolls there are at most so many new pods as it wants, and so many in all as it wants
    and may have extra: whichever are larger, at the beginning or at the end the extra ones are of the others.

    Args:
        before: A pod as it is.
        after: A pod as it will be.
        had: How many there are.
        has: How many there will be.
        surge: How many more there are meanwhile.
    """

    def peak(old: int, new: int) -> int:
        return max(surge * new, has * new - had * old + surge * old)

    limit = None if before.limit is None or after.limit is None else peak(before.limit, after.limit)
    return Demand(has + surge - had, limit, peak(before.request, after.request))


def quota_lines(quotas: Listed, asked: Demand) -> Iterator[Line]:
    """Whether each quota has room for what is asked for."""
    if isinstance(quotas, str):
        yield Line("quota", f"whether a ResourceQuota has room for it is not known: {quotas}")
        return
    for quota in quotas:
        scopes = {*texts(quota, "spec", "scopes")}
        if not scopes <= _SCOPES or mapping(quota, "spec", "scopeSelector"):
            continue
        hard = labels(quota, "status", "hard") or labels(quota, "spec", "hard")
        used = labels(quota, "status", "used")
        for resource, bound in hard.items():
            more = _of(asked, resource)
            line = None if more is None else _quota_line(name_of(quota), resource, bound, used, more)
            if line is not None:
                yield line


def _of(asked: Demand, resource: str) -> int | None:
    match resource:
        case "limits.memory":
            return asked.limit
        case "requests.memory" | "memory":
            return asked.request
        case "pods" | "count/pods":
            return asked.pods
        case _:
            return None


def _quota_line(name: str, resource: str, bound: str, used: dict[str, str], more: int) -> Line | None:
    try:
        most, taken = parse_bytes(bound), parse_bytes(used.get(resource, "0"))
    except QuantityError:
        return None
    say = str if resource.endswith("pods") else bytes_
    state = f"ResourceQuota/{name} allows {say(most)} of {resource}, {say(taken)} used"
    if taken + max(more, 0) > most:
        words = f"{state}: up to {say(more)} more does not fit, so that pods will not be created"
        return Line("quota", words, "critical") if more > 0 else None
    return Line(
        "quota", f"{state}: up to {say(more)} more fits" if more > 0 else f"{state}: no more is needed"
    )


def limit_range_lines(limit_ranges: Listed, template: Json) -> Iterator[Line]:
    """What of a template the namespace's limit ranges do not allow."""
    if isinstance(limit_ranges, str):
        yield Line("limit range", f"whether a LimitRange allows it is not known: {limit_ranges}")
        return
    for one in limit_ranges:
        for item in objects(one, "spec", "limits"):
            found = list(_violations(item, template))
            for words in found:
                yield Line(
                    "limit range",
                    f"LimitRange/{name_of(one)} {words}, so that pods will not be created",
                    "critical",
                )
            bounds = _bounds(item)
            if bounds and not found:
                what = f"a {text(item, 'type').lower()}"
                yield Line("limit range", f"LimitRange/{name_of(one)} allows {what} {bounds}: it fits")


def _bounds(item: Json) -> str:
    if text(item, "type") not in {"Container", "Pod"}:
        return ""
    least, most = _memory(item, "min"), _memory(item, "max")
    if least is not None and most is not None:
        return f"from {bytes_(least)} to {bytes_(most)}"
    if most is not None:
        return f"at most {bytes_(most)}"
    return "" if least is None else f"at least {bytes_(least)}"


def _violations(item: Json, template: Json) -> Iterator[str]:
    least, most = _memory(item, "min"), _memory(item, "max")
    asked: list[tuple[str, int | None, int]] = []
    if text(item, "type") == "Container":
        for one in containers(template):
            who, (limit, request) = f"the container {one.name}", _filled_in(item, one)
            asked.append((who, limit, request))
            if limit is not None and limit < request:
                yield (
                    f"gives {who} a limit of {bytes_(limit)} since it has none, which is less than the "
                    f"{bytes_(request)} it requests"
                )
    elif text(item, "type") == "Pod":
        whole = footprint(template)
        asked.append(("a pod", whole.limit, whole.request))
    for who, limit, request in asked:
        if most is not None and (limit is None or limit > most):
            has = "no limit" if limit is None else f"a limit of {bytes_(limit)}"
            yield f"allows {who} at most {bytes_(most)}, and it would have {has}"
        if least is not None and request < least:
            yield f"wants at least {bytes_(least)} for {who}, and it would request {bytes_(request)}"
        ratio = text(item, "maxLimitRequestRatio", "memory")
        if ratio and limit is not None and request and limit > parse_ratio(ratio) * request:
            yield (
                f"allows a limit {ratio} times the request, and {who} would have {bytes_(limit)} to "
                f"{bytes_(request)}"
            )


def _filled_in(item: Json, one: Container) -> tuple[int | None, int]:
    """A container's limit and request in bytes with what a limit range gives to what is not set.

    A request that is missing beside a limit is the limit: the API sees to that before a limit range is asked.
    """
    limit, request = one.limit_bytes, one.request_bytes
    if request is None:
        request = _memory(item, "defaultRequest") if limit is None else limit
    if limit is None:
        limit = _memory(item, "default")
    return limit, (limit if request is None else request) or 0


def parse_ratio(written: str) -> float:
    """A ratio as a limit range has it; infinite where it is none."""
    try:
        return float(written)
    except ValueError:
        return float("inf")


def _memory(item: Json, key: str) -> int | None:
    return bytes_or_none(text(item, key, "memory"))
