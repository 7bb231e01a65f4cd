"""``memtop doctor``: what memtop can reach and may do, a line each, with what to do where it cannot.

Here are the checks of this machine and of Prometheus; those of the API server are in
`memtop.commands.doctor_api_checks`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

from config.private_files import private_folder
from config.sources import state_folder
from memtop import __version__
from memtop.background import run_in_thread
from memtop.commands import doctor_api_checks
from memtop.commands.doctor_api_checks import CheckMark, Finding, failed, optional_missing, passed
from memtop.history import prometheus_queries
from memtop.history.past_series import METRIC_WORDS
from memtop.history.prometheus_client import PrometheusClient
from memtop.history.prometheus_connection import (
    NotFoundReason,
    PrometheusConnection,
    PrometheusNotFoundError,
    connect_prometheus,
)
from memtop.history.prometheus_past import PODS_ONLY_WORDS
from memtop.history.prometheus_queries import OOM_EVENTS_METRIC, MetricSchema, probe_schema
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, KubeconfigError, Unreachable
from memtop.kube.api_objects import ObjectMeta
from memtop.kube.client import Client
from memtop.kube.lenient_decoding import decode_lenient
from memtop.observe.source import ServerClock
from memtop.observe.watchlist import DemoStartError, Watchlist, open_watchlist
from memtop.sanitize import sanitize
from memtop.wording import duration

if TYPE_CHECKING:
    from config.invocation import Invocation
    from config.settings import PrometheusSettings, Settings

MIN_TERMINAL = (80, 24)


def check_terminal(out: TextIO, environ: Mapping[str, str]) -> Finding:
    """What the terminal can show.

    Args:
        out: Where the report goes.
        environ: The environment variables.
    """
    if not out.isatty():
        return optional_missing("terminal", "the output goes elsewhere, so nothing can be said of it")
    try:
        columns, lines = os.get_terminal_size(out.fileno())
    except OSError:
        return optional_missing("terminal", "it does not say how large it is")
    unicode = speaks_unicode(out)
    words = f"{columns}×{lines}" if unicode else f"{columns} x {lines}"
    words += f", {_colour_words(environ)}, {'Unicode' if unicode else 'only ASCII'}"
    advice = []
    if columns < MIN_TERMINAL[0] or lines < MIN_TERMINAL[1]:
        advice.append(f"panes become tabs below {MIN_TERMINAL[0]} columns or {MIN_TERMINAL[1]} lines")
    if not unicode:
        advice.append("set LC_ALL=C.UTF-8, or --symbols ascii")
    if environ.get("TERM", "dumb") == "dumb":
        return failed(
            "terminal", f"{words}; TERM is {environ.get('TERM') or 'not set'}: no screen can be drawn"
        )
    return optional_missing("terminal", "; ".join([words, *advice])) if advice else passed("terminal", words)


def check_state_folder(keep_history: bool) -> Finding:
    """Whether memtop can keep samples and preferences.

    Args:
        keep_history: Whether samples are to be kept on disk.
    """
    folder = state_folder(os.environ)
    try:
        private_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as error:
        return optional_missing(
            "state folder", f"{folder} cannot be written: {error.strerror}; nothing is kept between runs"
        )
    kept = (
        "samples are kept there between runs"
        if keep_history
        else "samples are not kept (keep-history is off)"
    )
    return passed("state folder", f"{_home_relative(folder)} can be written; {kept}")


def speaks_unicode(out: TextIO) -> bool:
    """Whether what is printed may hold more than ASCII."""
    return (out.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}


def _colour_words(environ: Mapping[str, str]) -> str:
    if environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in environ.get("TERM", "") else "16 colours"


def _home_relative(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


HISTORY_SPANS = (7 * 86400.0, 86400.0, 6 * 3600.0, 3600.0, 300.0)
"""Seconds of past that are looked for, the longest first."""


async def check_prometheus(
    client: Client, settings: PrometheusSettings, pods: list[str], now: float
) -> list[Finding]:
    """Looks for Prometheus and at what it has.

    Args:
        client: The connection to the API server.
        settings: Those of Prometheus.
        pods: Names of pods that run here.
        now: The cluster's time, Unix seconds.
    """
    if not settings.enabled:
        return [optional_missing("Prometheus", "is not asked (prometheus.enabled is off)")]
    try:
        async with connect_prometheus(client, settings) as found:
            return await run_in_thread(_examine_prometheus, found, settings, pods, now)
    except PrometheusNotFoundError as error:
        return [_prometheus_missing(error)]
    except CLUSTER_FAILURES as error:
        return [failed("Prometheus", f"was found, but then: {error}")]


def _prometheus_missing(error: PrometheusNotFoundError) -> Finding:
    match error.reason:
        case NotFoundReason.ABSENT:
            words = "none found; memtop judges by what it sees itself. --prometheus-url names one elsewhere"
        case NotFoundReason.FORBIDDEN:
            words = (
                "you may not ask it; grant get on services/proxy (README, “Permissions”), or --prometheus-url"
            )
        case NotFoundReason.SILENT:
            words = "was found and does not answer"
    mark = failed if error.reason is NotFoundReason.SILENT else optional_missing
    return mark("Prometheus", words, *error.attempts)


def _examine_prometheus(
    found: PrometheusConnection, settings: PrometheusSettings, pods: list[str], now: float
) -> list[Finding]:
    schema = probe_schema(found.prometheus, pods, now)
    findings = [passed("Prometheus", found.words(), *found.attempts)]
    if not schema.memory:
        words = "it knows no memory of containers; it does not scrape the kubelets (cAdvisor)"
        return [*findings, failed("Prometheus", words)]
    if pods and not schema.known:
        findings.append(failed("Prometheus", "it knows none of the pods here; it may watch another cluster"))
    findings.append(_check_memory_metrics(schema, settings))
    findings.append(_check_kube_state_metrics(schema))
    findings.append(_check_retention(found.prometheus, schema))
    return findings


def _check_memory_metrics(schema: MetricSchema, settings: PrometheusSettings) -> Finding:
    has = ", ".join(METRIC_WORDS[metric] for metric in schema.memory)
    odd = []
    if schema.pod != "pod":
        odd.append(f"pods are called {schema.pod}")
    if schema.pods_only:
        odd.append(PODS_ONLY_WORDS)
    if schema.selectors:
        odd.append(f"several clusters, of which this is {schema.selectors[0]}")
    if len(schema.jobs) > 1:
        odd.append(f"scraped by {len(schema.jobs)} jobs, counted once")
    words = f"memory: {has}" + (f" ({'; '.join(odd)})" if odd else "")
    if settings.metric not in schema.memory:
        return optional_missing(
            "Prometheus", f"{words}; verdicts were to be made on {METRIC_WORDS[settings.metric]}"
        )
    return passed("Prometheus", f"{words}; verdicts are made on {METRIC_WORDS[settings.metric]}")


def _check_kube_state_metrics(schema: MetricSchema) -> Finding:
    if schema.kube_state:
        return passed(
            "Prometheus", "kube-state-metrics: limits, restarts and OOM kills of the past are known"
        )
    kernel = "; OOM kills are counted by the kernel" if OOM_EVENTS_METRIC in schema.names else ""
    return optional_missing(
        "Prometheus", f"no kube-state-metrics: restarts of the past are read off the memory itself{kernel}"
    )


def _check_retention(connection: PrometheusClient, schema: MetricSchema) -> Finding:
    for seconds in HISTORY_SPANS:
        # A server that keeps exactly a day has no sample that is exactly a day old.
        if connection.instant_query(
            prometheus_queries.oldest_sample_query(schema, schema.memory[0], 0.97 * seconds)
        ).streams:
            return passed("Prometheus", f"its memory reaches back about {duration(seconds)} or more")
    return optional_missing("Prometheus", "it has just begun: no sample is older than five minutes")


ESSENTIAL_CHECKS = ("kubeconfig", "API server", "credentials", "pods")
"""Subjects without which nothing works."""
MEMORY_SOURCES = ("metrics API", "Prometheus")
"""Subjects of which one must be well, or there is no memory to show."""
PODS_LISTED = 100


def run_doctor(invocation: Invocation, out: TextIO) -> int:
    """Checks everything and prints a line for each.

    Args:
        invocation: The settings; its option ``demo`` checks the embedded cluster, and ``check`` says first
            which version of memtop this is, of which Python.
        out: Where the report goes.

    Returns:
        0 if all that memtop needs is there, else 1.
    """
    settings = invocation.settings
    findings: list[Finding] = []
    plain = not speaks_unicode(out)
    if invocation.options.get("check"):
        print(f"memtop {__version__}, Python {platform.python_version()}", file=out)

    def tell(finding: Finding) -> None:
        findings.append(finding)
        for line in finding.lines(plain=plain):
            print(line, file=out, flush=True)

    async def examine(plan: Watchlist) -> None:
        async for finding in check_cluster(plan, settings):
            tell(finding)

    try:
        with open_watchlist(settings, os.environ, demo=bool(invocation.options.get("demo"))) as plan:
            target = plan.target
            where = f"{sanitize(target.source)}, context {sanitize(target.context)}"
            tell(passed("kubeconfig", f"{where}, namespace {sanitize(target.namespace)}"))
            if target.insecure:
                tell(
                    optional_missing(
                        "kubeconfig", "the server's certificate is not checked (insecure-skip-tls-verify)"
                    )
                )
            asyncio.run(examine(plan))
    except KubeconfigError as error:
        tell(failed("kubeconfig", invocation.blame(error, error.setting)))
    except DemoStartError as error:
        tell(failed("kubeconfig", str(error)))
    tell(check_terminal(out, os.environ))
    tell(check_state_folder(settings.observe.keep_history))
    return 0 if is_healthy(findings) else 1


def is_healthy(findings: list[Finding]) -> bool:
    """Whether all that memtop needs is there."""
    needed = all(
        finding.mark is not CheckMark.BAD for finding in findings if finding.subject in ESSENTIAL_CHECKS
    )
    carried = any(finding.mark is CheckMark.GOOD for finding in findings if finding.subject in MEMORY_SOURCES)
    return needed and carried


async def check_cluster(plan: Watchlist, settings: Settings) -> AsyncIterator[Finding]:
    """Checks what a plan leads to; each finding comes as soon as it is known.

    Args:
        plan: The cluster, and what of it is observed.
        settings: Those of Prometheus count.
    """
    namespaces = plan.scope.namespaces or (plan.target.namespace,)
    async with Client(plan.target) as client:
        finding, greeting = await doctor_api_checks.check_reachable(client)
        yield finding
        if greeting is None:
            return
        who = await doctor_api_checks.check_identity(client)
        yield who
        if who.mark is CheckMark.BAD:
            return
        clock = ServerClock(plan.speed)
        clock.observe(greeting.response.headers.get("Date"))
        yield await doctor_api_checks.check_pods(client, namespaces)
        for right in await doctor_api_checks.check_rights(client, namespaces):
            yield right
        yield await doctor_api_checks.check_metrics(client, namespaces, clock.now)
        names = await _pod_names(client, plan.scope.namespaces, plan.target.namespace)
        for finding in await check_prometheus(client, settings.prometheus, names, clock.now()):
            yield finding
        if plan.speed == 1:
            yield doctor_api_checks.check_clock(greeting)


class _NamedPod(msgspec.Struct):
    metadata: ObjectMeta


class _PodNames(msgspec.Struct):
    items: list[_NamedPod] | None = None


async def _pod_names(client: Client, namespaces: tuple[str, ...], fallback: str) -> list[str]:
    """Some running pods, to look for in Prometheus."""
    query = {"limit": str(PODS_LISTED), "fieldSelector": "status.phase=Running"}
    named = [f"namespaces/{name}/pods" for name in namespaces]
    for path in (*named, "pods", f"namespaces/{fallback}/pods"):
        try:
            raw = await client.get(f"/api/v1/{path}", query)
            found = decode_lenient(raw, _PodNames, "the list of pods").items
        except (ApiError, Unreachable):
            continue
        if found:
            return [pod.metadata.name for pod in found]
    return []
