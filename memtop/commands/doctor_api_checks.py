"""What ``memtop doctor`` asks of the API server: does it answer, who are we, what is allowed, has it metrics.

Also here: `Finding`, the line that each check ends with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

from memtop.change.apply import REVIEW_VERSIONS
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, CredentialError
from memtop.kube.api_objects import METRICS_PATH, PodMetricsList
from memtop.kube.client import ApiResponse, Client
from memtop.kube.lenient_decoding import JSON_ERRORS, decode_lenient
from memtop.sanitize import sanitize
from memtop.wording import ago, duration


class CheckMark(StrEnum):
    """How a check ended."""

    GOOD = "✓"
    BAD = "✗"
    OPEN = "–"
    """Not there, not allowed or not known; memtop works without it."""


ASCII_MARKS = {CheckMark.GOOD: "ok", CheckMark.BAD: "!!", CheckMark.OPEN: "--"}
"""The marks where only ASCII can be printed."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        mark: How the check ended.
        subject: What was looked at.
        words: What was found, and what to do about it.
        more: Further lines, such as what a credential plugin said.
    """

    mark: CheckMark
    subject: str
    words: str
    more: tuple[str, ...] = ()

    def lines(self, *, plain: bool) -> list[str]:
        """The report's lines.

        Args:
            plain: Only ASCII marks.
        """
        mark = ASCII_MARKS[self.mark] if plain else self.mark.value
        return [f"{mark} {self.subject:<13} {self.words}", *(f"{'':<16}  {line}" for line in self.more)]


def passed(subject: str, words: str, *more: str) -> Finding:
    """All is well."""
    return Finding(CheckMark.GOOD, subject, words, more)


def failed(subject: str, words: str, *more: str) -> Finding:
    """Something that memtop needs is missing."""
    return Finding(CheckMark.BAD, subject, words, more)


def optional_missing(subject: str, words: str, *more: str) -> Finding:
    """Something that memtop can do without is missing, or cannot be told."""
    return Finding(CheckMark.OPEN, subject, words, more)


SLOW_SECONDS = 1.0
"""Seconds for a small answer from which on memtop will feel slow."""
SKEW_SECONDS = 5.0
"""Seconds between the clocks from which on it is worth a word; HTTP dates have a resolution of one."""
STALE_SECONDS = 120.0
"""Seconds after which a metrics sample is old; metrics servers measure every 15 to 60."""


@dataclass(frozen=True)
class CheckedRight:
    """Something that memtop does, and what the API calls it.

    Attributes:
        what: In words.
        verb: The API's verb.
        resource: The resource, with a subresource after a slash.
        group: The API group; empty for the core.
        without: What does not work without it.
        needed: Whether nothing works without it.
    """

    what: str
    verb: str
    resource: str
    group: str = ""
    without: str = ""
    needed: bool = False


CHECKED_RIGHTS = (
    CheckedRight("list pods", "list", "pods", needed=True),
    CheckedRight("watch pods", "watch", "pods", needed=True),
    CheckedRight("read logs", "get", "pods/log", without="no logs on the pod screen"),
    CheckedRight("read events", "list", "events", without="no events on the pod screen"),
    CheckedRight("list ReplicaSets", "list", "replicasets", "apps", without="Deployments' names are guessed"),
    CheckedRight("list nodes", "list", "nodes", without="MemoryPressure of nodes is not shown"),
    CheckedRight(
        "list services", "list", "services", without="Prometheus is looked for in a few namespaces only"
    ),
    CheckedRight("reach services by proxy", "get", "services/proxy", without="Prometheus needs another way"),
    CheckedRight("forward ports", "create", "pods/portforward", without="Prometheus needs another way"),
    CheckedRight("exec into pods", "create", "pods/exec", without="no shell and no heap dump"),
    CheckedRight(
        "change Deployments", "patch", "deployments", "apps", without="images and limits stay as they are"
    ),
    CheckedRight("change StatefulSets", "patch", "statefulsets", "apps", without="theirs stay as they are"),
    CheckedRight("change DaemonSets", "patch", "daemonsets", "apps", without="theirs stay as they are"),
    CheckedRight(
        "scale Deployments", "patch", "deployments/scale", "apps", without="their number of pods stays"
    ),
    CheckedRight("delete pods", "delete", "pods", without="no pod can be deleted from here"),
)


@dataclass(frozen=True)
class FirstResponse:
    """The API server's first answer.

    Attributes:
        response: The answer to ``/version``.
        seconds: How long it took.
        wall: This machine's time in the middle of that, Unix seconds.
    """

    response: ApiResponse
    seconds: float
    wall: float


async def check_reachable(client: Client) -> tuple[Finding, FirstResponse | None]:
    """Whether the API server answers, and how fast."""
    await _warm_up(client)
    began, wall = time.monotonic(), time.time()
    try:
        response = await client.request("GET", "/version")
    except CLUSTER_FAILURES as error:
        return _failure_finding("API server", error), None
    took = time.monotonic() - began
    version = _text_at(response.body, "gitVersion")
    words = f"{client.target.shown_server}, Kubernetes {version or 'of unknown version'}, "
    words += f"answers in {took * 1000:.0f} ms"
    slow = "; that is slow: everything will take its time" if took > SLOW_SECONDS else ""
    return passed("API server", words + slow), FirstResponse(response, took, wall + took / 2)


def check_clock(greeting: FirstResponse) -> Finding:
    """Whether the two clocks agree."""
    try:
        served = parsedate_to_datetime(greeting.response.headers.get("Date", "")).timestamp() + 0.5
    except (TypeError, ValueError):
        return optional_missing("clock", "the API server does not say what time it is")
    skew = served - greeting.wall
    if abs(skew) < SKEW_SECONDS:
        return passed("clock", "agrees with the API server's")
    way = "ahead of" if skew > 0 else "behind"
    return optional_missing(
        "clock",
        f"the API server's is {duration(abs(skew))} {way} this machine's; memtop shows times by the server's",
    )


async def check_identity(client: Client) -> Finding:
    """Who we are to the server, where it says so (Kubernetes 1.28 and newer)."""
    for version in REVIEW_VERSIONS:
        path = f"/apis/authentication.k8s.io/{version}/selfsubjectreviews"
        try:
            answer = await client.request("POST", path, body=_review_object("SelfSubjectReview", path))
        except ApiError as error:
            if error.status == 401:
                return failed("credentials", f"not accepted: {error.message}; log in again")
            continue
        except CLUSTER_FAILURES as error:
            return _failure_finding("credentials", error)
        name = _text_at(answer.body, "status", "userInfo", "username")
        return passed("credentials", f"accepted; the server knows you as {name}")
    user = sanitize(client.target.user) or "nobody in particular"
    return passed(
        "credentials", f"accepted, as {user} of the kubeconfig (this server does not say who that is)"
    )


async def check_rights(client: Client, namespaces: Sequence[str]) -> list[Finding]:
    """What we may do, in all namespaces or in those given."""
    allowed = await asyncio.gather(*(_allowed_where(client, right, namespaces) for right in CHECKED_RIGHTS))
    return [_right_finding(right, answer) for right, answer in zip(CHECKED_RIGHTS, allowed, strict=True)]


async def check_pods(client: Client, namespaces: Sequence[str]) -> Finding:
    """Whether pods can be listed: the one thing nothing works without, so it is tried and not asked."""
    try:
        await client.get("/api/v1/pods", {"limit": "1"})
        return passed("pods", "can be listed in all namespaces")
    except CLUSTER_FAILURES as error:
        problem = error
    for namespace in namespaces:
        try:
            await client.get(f"/api/v1/namespaces/{namespace}/pods", {"limit": "1"})
        except CLUSTER_FAILURES:
            continue
        return passed("pods", f"can be listed in {namespace}, though not in all namespaces")
    return failed("pods", f"cannot be listed: {problem}; name a namespace you may see with -n")


async def check_metrics(client: Client, namespaces: Sequence[str], now: Callable[[], float]) -> Finding:
    """Whether the metrics API has samples."""
    problem: Exception | None = None
    for path in ("pods", *(f"namespaces/{namespace}/pods" for namespace in namespaces)):
        try:
            body = await client.get(f"{METRICS_PATH}/{path}")
            items = decode_lenient(body, PodMetricsList, "the list of samples").items or []
        except ApiError as error:
            problem = problem or error
            if error.status == 404:
                return failed("metrics API", "not there; metrics-server provides it")
        except CLUSTER_FAILURES as error:
            problem = problem or error
        else:
            if not items:
                return optional_missing(
                    "metrics API", "has no samples yet; metrics-server needs a minute after its start"
                )
            age = now() - max(item.time or 0.0 for item in items)
            words = f"{len(items)} pods, the newest sample {ago(max(age, 0.0))}"
            return (
                optional_missing("metrics API", f"{words}, which is old")
                if age > STALE_SECONDS
                else passed("metrics API", words)
            )
    return failed("metrics API", f"gives nothing: {problem}")


async def _allowed_where(client: Client, right: CheckedRight, namespaces: Sequence[str]) -> str | None:
    """Where something is allowed: empty for nowhere; None if that may not be asked."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    resource, _, subresource = right.resource.partition("/")
    for namespace in ("", *(() if right.resource == "nodes" else namespaces)):
        wanted = {
            "verb": right.verb,
            "resource": resource,
            "subresource": subresource,
            "group": right.group,
            "namespace": namespace,
        }
        try:
            body = _review_object("SelfSubjectAccessReview", path, {"resourceAttributes": wanted})
            answer = await client.request("POST", path, body=body)
        except CLUSTER_FAILURES:
            return None
        if _value_at(answer.body, "status", "allowed") is True:
            return namespace or "all namespaces"
    return ""


def _right_finding(right: CheckedRight, where: str | None) -> Finding:
    if where is None:
        return optional_missing("right", f"to {right.what}: not known, since the server does not let you ask")
    if where:
        return passed("right", f"to {right.what}: in {where}")
    if right.needed:
        return failed("right", f"to {right.what}: no; memtop needs it (README, “Permissions”)")
    return optional_missing("right", f"to {right.what}: no; {right.without}")


async def _warm_up(client: Client) -> None:
    """Makes the connection, so that the next answer's time is the server's own."""
    try:
        await client.request("GET", "/version")
    except CLUSTER_FAILURES:
        return  # the next request says so


def _failure_finding(subject: str, error: Exception) -> Finding:
    output = error.output.splitlines()[-10:] if isinstance(error, CredentialError) else []
    words = str(error)
    if isinstance(error, ApiError) and error.status == 401:
        words = f"not logged in: {words}"
    return failed(subject, words, *output)


def _review_object(kind: str, path: str, spec: Mapping[str, object] | None = None) -> bytes:
    version = "/".join(path.split("/")[2:4])
    return msgspec.json.encode({"apiVersion": version, "kind": kind} | ({"spec": spec} if spec else {}))


def _value_at(body: bytes, *path: str) -> object:
    try:
        found: object = msgspec.json.decode(body)
    except JSON_ERRORS:
        return None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text_at(body: bytes, *path: str) -> str:
    found = _value_at(body, *path)
    return sanitize(found) if isinstance(found, str) else ""
