"""From a service where Prometheus may be to a connection that answers, and the list of what was tried."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import requests
from requests.auth import AuthBase

from memtop.background import run_in_thread
from memtop.history import prometheus_finder
from memtop.history.prometheus_client import PrometheusClient, direct_auth, direct_session
from memtop.history.prometheus_finder import PrometheusCandidate
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, Unreachable
from memtop.kube.api_objects import ObjectMeta
from memtop.kube.client import Client
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.requests_session import requests_session
from memtop.kube.websocket import PortForward
from memtop.log_file import get_logger

if TYPE_CHECKING:
    from config.settings import PrometheusSettings

LOGGER = get_logger("prometheus")
KNOWN_PATHS = ("", "/prometheus", "/select/0/prometheus")
"""Where the API may be below an address that somebody gave: Prometheus, Mimir, VictoriaMetrics' cluster."""


class NotFoundReason(StrEnum):
    """Why no Prometheus answers."""

    ABSENT = "not found"
    FORBIDDEN = "not allowed to ask"
    SILENT = "does not answer"


class PrometheusNotFoundError(Exception):
    """No Prometheus answers.

    Attributes:
        reason: Whether there is none, rights are missing, or what is there does not answer.
        attempts: What was tried, one sentence each.
        retry_after: Seconds that one of those tried asks to wait; None if none does.
    """

    def __init__(self, why: NotFoundReason, trail: Sequence[str], retry_after: float | None = None) -> None:
        super().__init__(f"{why}: {'; '.join(trail)}")
        self.reason = why
        self.attempts = tuple(trail)
        self.retry_after = retry_after


@dataclass(frozen=True)
class PrometheusConnection:
    """A Prometheus that answers.

    Attributes:
        prometheus: The connection.
        where: The service, ``NAMESPACE/NAME:PORT``, or the address.
        via: How it is reached: ``service proxy``, ``port-forward`` or ``its address``.
        found_by: How it was found, such as ``label app=prometheus-server`` or ``--prometheus-url``.
        kind: Prometheus, Thanos, VictoriaMetrics or Mimir, as far as its service says.
        version: What it says of its version; empty where it says nothing.
        attempts: What was tried before.
    """

    prometheus: PrometheusClient
    where: str
    via: str
    found_by: str
    kind: str
    version: str = ""
    attempts: tuple[str, ...] = ()

    def words(self) -> str:
        """One line for people."""
        version = f" {self.version}" if self.version else ""
        return f"{self.kind}{version} at {self.where} by {self.via} (found by {self.found_by})"


class _ContainerPort(msgspec.Struct, rename="camel"):
    container_port: int
    name: str = ""


class _PortedContainer(msgspec.Struct):
    ports: list[_ContainerPort] = []


class _PortedPodSpec(msgspec.Struct):
    containers: list[_PortedContainer] = []


class _ReadyCondition(msgspec.Struct):
    type: str
    status: str = ""


class _PodPhase(msgspec.Struct):
    phase: str = ""
    conditions: list[_ReadyCondition] = []


class _ServicePod(msgspec.Struct):
    metadata: ObjectMeta
    spec: _PortedPodSpec
    status: _PodPhase


class _ServicePodList(msgspec.Struct):
    items: list[_ServicePod] | None = None


@contextlib.asynccontextmanager
async def connect_prometheus(
    client: Client, wanted: PrometheusSettings
) -> AsyncGenerator[PrometheusConnection, None]:
    """Finds a Prometheus that answers and stays connected while the context lasts.

    Args:
        client: The connection to the API server.
        wanted: The settings of Prometheus.

    Yields:
        What was found.

    Raises:
        NotFoundError: Nothing answers.
        Unreachable: The API server did not answer.
        CredentialError: No credential could be had.
    """
    try:
        async with contextlib.AsyncExitStack() as stack:
            found = await _find_answering(client, wanted, stack)
            LOGGER.info(
                "Prometheus chosen: %s; tried before: %s", found.words(), "; ".join(found.attempts) or "none"
            )
            yield found
    except PrometheusNotFoundError as error:
        LOGGER.info("no Prometheus: %s", error)
        raise


async def _find_answering(
    client: Client, wanted: PrometheusSettings, stack: contextlib.AsyncExitStack
) -> PrometheusConnection:
    """The first that answers; the stack keeps it connected."""
    if wanted.url is not None:
        session = stack.enter_context(direct_session())
        return await _connect_address(wanted, wanted.url, session)
    if wanted.service is not None:
        looked = await prometheus_finder.find_named_candidate(client, wanted.service)
    else:
        namespaces = (*wanted.namespaces, client.target.namespace)
        looked = await prometheus_finder.find_candidates(client, namespaces, wanted.namespaces)
    trail = list(looked.attempts)
    refusals = 0
    waits: list[float | None] = [looked.retry_after]
    for place in looked.candidates:
        async with contextlib.AsyncExitStack() as attempt:
            try:
                found = await _connect_service(client, place, wanted, trail, attempt)
            except ApiError as error:
                refusals += error.status == 403
                waits.append(error.retry_after)
                continue
            except CLUSTER_FAILURES:
                continue
            stack.push_async_exit(attempt.pop_all())
            return found
    if looked.candidates:
        raise PrometheusNotFoundError(
            NotFoundReason.FORBIDDEN if refusals == len(looked.candidates) else NotFoundReason.SILENT,
            trail,
            prometheus_finder.longest_wait(waits),
        )
    raise PrometheusNotFoundError(
        NotFoundReason.FORBIDDEN if looked.forbidden else NotFoundReason.ABSENT, trail, looked.retry_after
    )


async def _connect_address(
    wanted: PrometheusSettings, url: str, session: requests.Session
) -> PrometheusConnection:
    base = url.rstrip("/").removesuffix("/api/v1")
    shown = base.partition("://")[2].rpartition("@")[2]
    problem, wait = "", None
    for path in KNOWN_PATHS:
        prometheus = PrometheusClient(
            f"{base}{path}",
            session,
            timeout=wanted.timeout,
            headers=wanted.headers,
            auth=_auth_from_settings(wanted),
        )
        try:
            version = await run_in_thread(_check_version, prometheus)
        except ApiError as error:
            problem, wait = problem or str(error), wait or error.retry_after
            if error.status != 404:
                break
        except CLUSTER_FAILURES as error:
            problem = problem or str(error)
            break
        else:
            where = f"{shown}{path}"
            return PrometheusConnection(
                prometheus, where, "its address", "--prometheus-url", prometheus_finder.PROMETHEUS, version
            )
    raise PrometheusNotFoundError(NotFoundReason.SILENT, [f"--prometheus-url, {shown}: {problem}"], wait)


async def _connect_service(
    client: Client,
    place: PrometheusCandidate,
    wanted: PrometheusSettings,
    trail: list[str],
    stack: contextlib.AsyncExitStack,
) -> PrometheusConnection:
    """Through the service proxy, else, where that is forbidden, through a port-forward.

    Headers and login of the settings go only to a service that the settings name: one that was found may be
    anybody's.

    The API server keeps ``Authorization`` to itself, so how to log in at Prometheus counts for the
    port-forward only.
    """
    headers = {**place.headers, **(wanted.headers if wanted.service is not None else {})}
    try:
        session = stack.enter_context(
            await run_in_thread(requests_session, client.target, client.credentials)
        )
        url = f"{client.target.server}{place.proxy_path}"
        via, prometheus = (
            "service proxy",
            PrometheusClient(url, session, timeout=wanted.timeout, headers=headers),
        )
        version = await run_in_thread(_check_version, prometheus)
    except CLUSTER_FAILURES as error:
        trail.append(f"{place} ({place.found_by}), service proxy: {error}")
        if not isinstance(error, ApiError) or error.status not in {401, 403}:
            raise
        try:
            via, prometheus = (
                "port-forward",
                await _connect_port_forward(client, place, wanted, headers, stack),
            )
            version = await run_in_thread(prometheus.version)
        except CLUSTER_FAILURES as second:
            trail.append(f"{place}, port-forward: {second}")
            raise
    if wanted.service is None and (kept := _withheld_settings(wanted)):
        trail.append(
            f"{kept} not sent to {place}: --prometheus-service or --prometheus-url says whom to trust"
        )
    return PrometheusConnection(
        prometheus, str(place), via, place.found_by, place.kind, version, tuple(trail)
    )


async def _connect_port_forward(
    client: Client,
    place: PrometheusCandidate,
    wanted: PrometheusSettings,
    headers: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
) -> PrometheusClient:
    pod, port = await _pod_behind(client, place)
    forward = PortForward(client, place.namespace, pod, port)
    await forward.check()
    address = await stack.enter_async_context(forward.listening())
    session = stack.enter_context(direct_session())
    session.trust_env = False  # the listener is on this machine: no proxy is on the way
    session.verify = not place.tls  # its certificate cannot be for 127.0.0.1; the API server's was checked
    url = f"{address.replace('http:', 'https:') if place.tls else address}{place.path}"
    auth = _auth_from_settings(wanted) if wanted.service is not None else None
    prometheus = PrometheusClient(url, session, timeout=wanted.timeout, headers=headers, auth=auth)
    try:
        await run_in_thread(_check_version, prometheus)
    except Unreachable as error:
        raise Unreachable(forward.problem or str(error)) from None
    return prometheus


def _withheld_settings(wanted: PrometheusSettings) -> str:
    """What the settings hold that is only for a Prometheus they name; empty for nothing."""
    login = wanted.username or wanted.password or wanted.bearer_token or wanted.bearer_token_file
    return " and ".join(filter(None, ["headers" if wanted.headers else "", "login" if login else ""]))


def _auth_from_settings(wanted: PrometheusSettings) -> AuthBase:
    return direct_auth(wanted.username, wanted.password, wanted.bearer_token, wanted.bearer_token_file)


async def _pod_behind(client: Client, place: PrometheusCandidate) -> tuple[str, int]:
    """A pod that a service leads to, and its port; one that is ready, if there is one.

    Raises:
        Unreachable: There is none that runs.
    """
    if not place.selector:
        raise Unreachable("the service selects no pods")
    selector = ",".join(f"{name}={value}" for name, value in place.selector.items())
    body = await client.get(f"/api/v1/namespaces/{place.namespace}/pods", {"labelSelector": selector})
    running = [
        pod
        for pod in decode_lenient(body, _ServicePodList, "the pods of the service").items or []
        if pod.status.phase == "Running"
    ]
    running.sort(
        key=lambda pod: not any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    )
    for pod in running:
        if isinstance(place.target_port, int):
            return pod.metadata.name, place.target_port
        for container in pod.spec.containers:
            for port in container.ports:
                if port.name == place.target_port:
                    return pod.metadata.name, port.container_port
    raise Unreachable("no pod behind the service runs")


def _check_version(prometheus: PrometheusClient) -> str:
    """The version of what answers; raises what `PrometheusClient.instant_query` raises if nothing does."""
    prometheus.instant_query("1")
    return prometheus.version()
