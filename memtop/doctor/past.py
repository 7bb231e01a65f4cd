"""Check of Prometheus: where it was found, what it knows of this cluster, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtop.aside import aside
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.doctor.finding import Finding, bad, good, open_
from memtop.past import WORDS
from memtop.prometheus import queries
from memtop.prometheus.connection import Prometheus
from memtop.prometheus.labels import OOM_EVENTS, Schema, probe
from memtop.prometheus.reach import Found, NotFoundError, Why, reach
from memtop.wording import duration

if TYPE_CHECKING:
    from config.settings import Prometheus as PrometheusSettings

SPANS = (7 * 86400.0, 86400.0, 6 * 3600.0, 3600.0, 300.0)
"""Seconds of past that are looked for, the longest first."""


async def prometheus(
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
        return [open_("Prometheus", "is not asked (prometheus.enabled is off)")]
    try:
        async with reach(client, settings) as found:
            return await aside(_examined, found, settings, pods, now)
    except NotFoundError as error:
        return [_missing(error)]
    except (ApiError, Unreachable, CredentialError, KubeconfigError) as error:
        return [bad("Prometheus", f"was found, but then: {error}")]


def _missing(error: NotFoundError) -> Finding:
    match error.why:
        case Why.ABSENT:
            words = "none found; memtop judges by what it sees itself. --prometheus-url names one elsewhere"
        case Why.FORBIDDEN:
            words = (
                "you may not ask it; grant get on services/proxy (README, “Permissions”), or --prometheus-url"
            )
        case Why.SILENT:
            words = "was found and does not answer"
    mark = bad if error.why is Why.SILENT else open_
    return mark("Prometheus", words, *error.trail)


def _examined(found: Found, settings: PrometheusSettings, pods: list[str], now: float) -> list[Finding]:
    schema = probe(found.prometheus, pods, now)
    findings = [good("Prometheus", found.words(), *found.trail)]
    if not schema.memory:
        words = "it knows no memory of containers; it does not scrape the kubelets (cAdvisor)"
        return [*findings, bad("Prometheus", words)]
    if pods and not schema.known:
        findings.append(bad("Prometheus", "it knows none of the pods here; it may watch another cluster"))
    findings.append(_memory(schema, settings))
    findings.append(_state(schema))
    findings.append(_span(found.prometheus, schema))
    return findings


def _memory(schema: Schema, settings: PrometheusSettings) -> Finding:
    has = ", ".join(WORDS[metric] for metric in schema.memory)
    odd = []
    if schema.pod != "pod":
        odd.append(f"pods are called {schema.pod}")
    if schema.selectors:
        odd.append(f"several clusters, of which this is {schema.selectors[0]}")
    if len(schema.jobs) > 1:
        odd.append(f"scraped by {len(schema.jobs)} jobs, counted once")
    words = f"memory: {has}" + (f" ({'; '.join(odd)})" if odd else "")
    if settings.metric not in schema.memory:
        return open_("Prometheus", f"{words}; verdicts were to be made on {WORDS[settings.metric]}")
    return good("Prometheus", f"{words}; verdicts are made on {WORDS[settings.metric]}")


def _state(schema: Schema) -> Finding:
    if schema.kube_state:
        return good("Prometheus", "kube-state-metrics: limits, restarts and OOM kills of the past are known")
    kernel = "; OOM kills are counted by the kernel" if OOM_EVENTS in schema.names else ""
    return open_(
        "Prometheus", f"no kube-state-metrics: restarts of the past are read off the memory itself{kernel}"
    )


def _span(connection: Prometheus, schema: Schema) -> Finding:
    for seconds in SPANS:
        # A server that keeps exactly a day has no sample that is exactly a day old.
        if connection.instant(queries.oldest(schema, schema.memory[0], 0.97 * seconds)).streams:
            return good("Prometheus", f"its memory reaches back about {duration(seconds)} or more")
    return open_("Prometheus", "it has just begun: no sample is older than five minutes")
