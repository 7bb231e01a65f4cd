"""The embedded cluster as an HTTP server on loopback, and the kubeconfig that points at it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import ssl
from collections import Counter
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Self
from urllib.parse import urlsplit

import yaml
from aiohttp import web

from memtop.demo.api.authorization import USERS, User
from memtop.demo.api.router import Router
from memtop.demo.api.status_errors import ApiStatusError, json_response
from memtop.demo.child_process import DEFAULT_PODS, DEFAULT_SEED
from memtop.demo.container_logs import LogHandler
from memtop.demo.exec_handler import ExecHandler
from memtop.demo.faults import Faults, Harm, apply_fault, cut_response
from memtop.demo.promql.prometheus_api import Prometheus, ProxyHandler
from memtop.demo.scenario.cluster_builder import build
from memtop.demo.scenario.demo_workloads import behaviour_of
from memtop.demo.simulated_cluster import Cluster, churn
from memtop.demo.simulated_time import Clock

CONTEXT = "memtop-demo"


def kubeconfig_text(
    server: str, user: str, namespace: str, *, token: str, authority: bytes | None = None
) -> str:
    """Return a kubeconfig.

    Args:
        server: URL of the API server, without a trailing slash.
        user: who to be; the context is named `memtop-demo`, or `memtop-demo-USER` for others than admin.
        namespace: the context's namespace.
        token: the user's bearer token.
        authority: PEM of the certificate authority, when the server speaks TLS.
    """
    context = CONTEXT if user == "admin" else f"{CONTEXT}-{user}"
    cluster: dict[str, str] = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": context, "context": {"cluster": CONTEXT, "user": user, "namespace": namespace}}
        ],
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


_log = logging.getLogger(__name__)

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
LARGEST_BODY = 8 * 1024 * 1024


class DemoServer:
    """A simulated cluster that speaks the Kubernetes API over HTTP.

    Use it as an async context manager. The state survives `stop` and `start`, as when an API server
    restarts.

    Args:
        pods: how many pods in all, roughly.
        speed: simulated seconds per real second.
        seed: the seed of the whole cluster.
        churn: pod changes per real second without a cause, for benchmarks.
        port: port on loopback; 0 for any.
        containers: containers of each ordinary pod, 1 or 2.
        epoch: simulated time at the start; the real time if None.
        bookmark_every: real seconds between bookmarks of a watch.
        ssl_context: speak TLS with this.
        secret: what the paths of all requests begin with, so that only those who may read the kubeconfig get
            an answer (kubectl sends no token over plain HTTP). With one, requests to other hosts' names and
            those that another site's page makes are refused too. Empty for none.

    Attributes:
        cluster: the simulated cluster.
        faults: the faults on demand.
        seen: how often each request was made, by method and path with query.
    """

    def __init__(
        self,
        pods: int = DEFAULT_PODS,
        speed: float = 1.0,
        seed: int = DEFAULT_SEED,
        churn: float = 0.0,
        port: int = 0,
        *,
        containers: int = 1,
        epoch: float | None = None,
        bookmark_every: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
        secret: str = "",
    ) -> None:
        self.cluster = Cluster(Clock(speed, epoch), seed, behaviour_of)
        self.faults = Faults()
        self.port = port
        self.seen: Counter[tuple[str, str]] = Counter()
        self._pods = pods
        self._containers = containers
        self._churn = churn
        self._ssl = ssl_context
        self._secret = secret
        self._router = Router(self.cluster, bookmark_every)
        self._prometheus = Prometheus(self.cluster)
        self._router.serves("log", LogHandler(self.cluster))
        self._router.serves("exec", ExecHandler(self.cluster))
        self._router.serves("proxy", ProxyHandler(self.cluster, self._prometheus))
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Build the cluster and start serving."""
        build(self.cluster, self._pods, self._containers)
        self._go_on(self.cluster.actions.run())
        if self._churn > 0:
            self._go_on(churn(self.cluster, self._churn))
        await self.start()
        return self

    def _go_on(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a task until the server ends; a failure is logged."""
        task = asyncio.create_task(coroutine)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def __aexit__(self, *_: object) -> None:
        """Stop serving."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stop()

    @property
    def url(self) -> str:
        """Where the API server is; with a secret, that is part of it."""
        return f"{self.shown_url}/{self._secret}" if self._secret else self.shown_url

    @property
    def shown_url(self) -> str:
        """The same without the secret."""
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self.port}"

    @property
    def prometheus_url(self) -> str:
        """Where the Prometheus API is, without the API server in between."""
        return f"{self.url}/prometheus"

    def kubeconfig(
        self, user: str = "admin", namespace: str = "production", authority: bytes | None = None
    ) -> str:
        """Return a kubeconfig for a user: `admin`, `readonly`, `one-namespace` or `nobody`.

        Clients send no token over plain HTTP (kubectl does not), so the user is in the URL's path as well.
        """
        server = self.url if user == "admin" else f"{self.url}/as/{user}"
        return kubeconfig_text(server, user, namespace, token=USERS[user].token, authority=authority)

    async def start(self) -> None:
        """Listen, on the same port as before if it was stopped."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(self._date)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._ssl)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._runner is not None:
            self.close_watches()
            await self._runner.cleanup()
            self._runner = None

    def advance(self, seconds: float) -> None:
        """Jump ahead by simulated `seconds` and let everything due in between happen."""
        self.cluster.clock.advance(seconds)
        self.cluster.actions.catch_up()
        self.cluster.actions.wake()

    def close_watches(self) -> None:
        """Close every watch, as an API server does after the time-out."""
        for watch in tuple(self._router.watches):
            watch.end()

    def expire_watches(self) -> None:
        """Answer every watch with 410, and every later one that resumes from before now."""
        for resource_watch in tuple(self._router.watches):
            resource_watch.expire()
        self.cluster.store.compact()

    async def _date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.cluster.clock.now(), usegmt=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen[request.method, request.path_qs] += 1
        fault = self.faults.take(request.method, request.path_qs)
        if fault is not None:
            harmed = await apply_fault(request, fault)
            if harmed is not None:
                return harmed
        try:
            response = await self._answer(request)
        except ApiStatusError as error:
            response = error.response()
        if fault is not None and fault.harm is Harm.CUT and isinstance(response, web.Response):
            return await cut_response(request, response)
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = self._path_of(request)
        user = USERS["admin"]
        if path.startswith("/as/"):
            name, _, rest = path.removeprefix("/as/").partition("/")
            path = f"/{rest}"
            user = _user(name)
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith("Bearer "):
            user = _user(authorization.removeprefix("Bearer ").removeprefix("demo-"))
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/demo/clock":
            return json_response({"now": self.cluster.clock.now(), "speed": self.cluster.clock.speed})
        if path.startswith("/prometheus/"):
            return await self._prometheus.answer(request, path.removeprefix("/prometheus"))
        return await self._router.answer(request, path, user)

    def _path_of(self, request: web.Request) -> str:
        """The path of a request that may be answered, without the secret.

        Raises:
            ApiStatusError: It knows no secret, or comes from a page of another site.
        """
        if not self._secret:
            return request.path
        first, _, rest = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(first.encode("utf-8", "replace"), self._secret.encode()):
            raise ApiStatusError(401, "Unauthorized")
        # A name that a foreign site has pointed to this machine, or a request that its page makes.
        if urlsplit(f"//{request.host}").hostname not in OWN_HOSTS:
            raise ApiStatusError(
                403, f"the demo cluster answers to {', '.join(OWN_HOSTS)}, and to no other name"
            )
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise ApiStatusError(403, "the demo cluster does not answer pages of other sites")
        return f"/{rest}"


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failure := task.exception()) is not None:
        _log.error("the simulation has stopped", exc_info=failure)


def _user(name: str) -> User:
    if name not in USERS:
        raise ApiStatusError(401, "Unauthorized")
    return USERS[name]
