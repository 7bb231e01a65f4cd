"""Checks of the API server: whether it answers, as whom, what we may do, and whether it has metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec

from memtop.cluster.client import Client, Response
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.objects import PodMetricsList
from memtop.cluster.sanitize import sanitize
from memtop.doctor.finding import Finding, bad, good, open_
from memtop.wording import ago, duration

SLOW = 1.0
"""Seconds for a small answer from which on memtop will feel slow."""
SKEWED = 5.0
"""Seconds between the clocks from which on it is worth a word; HTTP dates have a resolution of one."""
STALE = 120.0
"""Seconds after which a metrics sample is old; metrics servers measure every 15 to 60."""
REVIEWS = ("v1", "v1beta1", "v1alpha1")
FAILURES = (ApiError, Unreachable, CredentialError, KubeconfigError)


@dataclass(frozen=True)
class Right:
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


RIGHTS = (
    Right("list pods", "list", "pods", needed=True),
    Right("watch pods", "watch", "pods", needed=True),
    Right("read logs", "get", "pods/log", without="no logs on the pod screen"),
    Right("read events", "list", "events", without="no events on the pod screen"),
    Right("list ReplicaSets", "list", "replicasets", "apps", without="Deployments' names are guessed"),
    Right("list nodes", "list", "nodes", without="MemoryPressure of nodes is not shown"),
    Right("list services", "list", "services", without="Prometheus is looked for in a few namespaces only"),
    Right("reach services by proxy", "get", "services/proxy", without="Prometheus needs another way"),
    Right("forward ports", "create", "pods/portforward", without="Prometheus needs another way"),
    Right("exec into pods", "create", "pods/exec", without="no shell and no heap dump"),
    Right("change Deployments", "patch", "deployments", "apps", without="images and limits stay as they are"),
    Right("change StatefulSets", "patch", "statefulsets", "apps", without="theirs stay as they are"),
    Right("change DaemonSets", "patch", "daemonsets", "apps", without="theirs stay as they are"),
    Right("scale Deployments", "patch", "deployments/scale", "apps", without="their number of pods stays"),
    Right("delete pods", "delete", "pods", without="no pod can be deleted from here"),
)


@dataclass(frozen=True)
class Greeting:
    """The API server's first answer.

    Attributes:
        response: The answer to ``/version``.
        seconds: How long it took.
        wall: This machine's time in the middle of that, Unix seconds.
    """

    response: Response
    seconds: float
    wall: float


async def reachable(client: Client) -> tuple[Finding, Greeting | None]:
    """Whether the API server answers, and how fast."""
    await _warm(client)
    began, wall = time.monotonic(), time.time()
    try:
        response = await client.request("GET", "/version")
    except FAILURES as error:
        return _failed("API server", error), None
    took = time.monotonic() - began
    version = _text(response.body, "gitVersion")
    words = f"{sanitize(client.target.server)}, Kubernetes {version or 'of unknown version'}, "
    words += f"answers in {took * 1000:.0f} ms"
    slow = "; that is slow: everything will take its time" if took > SLOW else ""
    return good("API server", words + slow), Greeting(response, took, wall + took / 2)


def clock(greeting: Greeting) -> Finding:
    """Whether the two clocks agree."""
    try:
        served = parsedate_to_datetime(greeting.response.headers.get("Date", "")).timestamp() + 0.5
    except (TypeError, ValueError):
        return open_("clock", "the API server does not say what time it is")
    skew = served - greeting.wall
    if abs(skew) < SKEWED:
        return good("clock", "agrees with the API server's")
    way = "ahead of" if skew > 0 else "behind"
    return open_(
        "clock",
        f"the API server's is {duration(abs(skew))} {way} this machine's; memtop shows times by the server's",
    )


async def identity(client: Client) -> Finding:
    """Who we are to the server, where it says so (Kubernetes 1.28 and newer)."""
    for version in REVIEWS:
        path = f"/apis/authentication.k8s.io/{version}/selfsubjectreviews"
        try:
            answer = await client.request("POST", path, body=_object("SelfSubjectReview", path))
        except ApiError as error:
            if error.status == 401:
                return bad("credentials", f"not accepted: {error.message}; log in again")
            continue
        except FAILURES as error:
            return _failed("credentials", error)
        name = _text(answer.body, "status", "userInfo", "username")
        return good("credentials", f"accepted; the server knows you as {name}")
    user = sanitize(client.target.user) or "nobody in particular"
    return good(
        "credentials", f"accepted, as {user} of the kubeconfig (this server does not say who that is)"
    )


async def rights(client: Client, namespaces: Sequence[str]) -> list[Finding]:
    """What we may do, in all namespaces or in those given."""
    allowed = await asyncio.gather(*(_allowed(client, right, namespaces) for right in RIGHTS))
    return [_right(right, answer) for right, answer in zip(RIGHTS, allowed, strict=True)]


async def pods(client: Client, namespaces: Sequence[str]) -> Finding:
    """Whether pods can be listed: the one thing nothing works without, so it is tried and not asked."""
    try:
        await client.get("/api/v1/pods", {"limit": "1"})
        return good("pods", "can be listed in all namespaces")
    except FAILURES as error:
        problem = error
    for namespace in namespaces:
        try:
            await client.get(f"/api/v1/namespaces/{namespace}/pods", {"limit": "1"})
        except FAILURES:
            continue
        return good("pods", f"can be listed in {namespace}, though not in all namespaces")
    return bad("pods", f"cannot be listed: {problem}; name a namespace you may see with -n")


async def metrics(client: Client, namespaces: Sequence[str], now: Callable[[], float]) -> Finding:
    """Whether the metrics API has samples."""
    problem: Exception | None = None
    for path in ("pods", *(f"namespaces/{namespace}/pods" for namespace in namespaces)):
        try:
            body = await client.get(f"/apis/metrics.k8s.io/v1beta1/{path}")
            items = msgspec.json.decode(body, type=PodMetricsList).items or []
        except ApiError as error:
            problem = problem or error
            if error.status == 404:
                return bad("metrics API", "not there; metrics-server provides it")
        except (*FAILURES, msgspec.MsgspecError) as error:
            problem = problem or error
        else:
            if not items:
                return open_(
                    "metrics API", "has no samples yet; metrics-server needs a minute after its start"
                )
            age = now() - max(item.timestamp.timestamp() for item in items)
            words = f"{len(items)} pods, the newest sample {ago(max(age, 0.0))}"
            return (
                open_("metrics API", f"{words}, which is old") if age > STALE else good("metrics API", words)
            )
    return bad("metrics API", f"gives nothing: {problem}")


async def _allowed(client: Client, right: Right, namespaces: Sequence[str]) -> str | None:
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
            body = _object("SelfSubjectAccessReview", path, {"resourceAttributes": wanted})
            answer = await client.request("POST", path, body=body)
        except FAILURES:
            return None
        if _at(answer.body, "status", "allowed") is True:
            return namespace or "all namespaces"
    return ""


def _right(right: Right, where: str | None) -> Finding:
    if where is None:
        return open_("right", f"to {right.what}: not known, since the server does not let you ask")
    if where:
        return good("right", f"to {right.what}: in {where}")
    if right.needed:
        return bad("right", f"to {right.what}: no; memtop needs it (README, “Permissions”)")
    return open_("right", f"to {right.what}: no; {right.without}")


async def _warm(client: Client) -> None:
    """Makes the connection, so that the next answer's time is the server's own."""
    try:
        await client.request("GET", "/version")
    except FAILURES:
        return  # the next request says so


def _failed(subject: str, error: Exception) -> Finding:
    output = error.output.splitlines()[-10:] if isinstance(error, CredentialError) else []
    words = str(error)
    if isinstance(error, ApiError) and error.status == 401:
        words = f"not logged in: {words}"
    return bad(subject, words, *output)


def _object(kind: str, path: str, spec: Mapping[str, object] | None = None) -> bytes:
    version = "/".join(path.split("/")[2:4])
    return msgspec.json.encode({"apiVersion": version, "kind": kind} | ({"spec": spec} if spec else {}))


def _at(body: bytes, *path: str) -> object:
    try:
        found: object = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(body: bytes, *path: str) -> str:
    found = _at(body, *path)
    return sanitize(found) if isinstance(found, str) else ""
