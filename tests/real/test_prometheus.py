"""A real Prometheus: with a written past, and the cluster's own through proxy and port-forward."""

import contextlib
import dataclasses
import io
import json
import os
import time

import numpy as np
import pytest

from config.invocation import parse
from config.settings import Settings
from memtop.analysis.judgement import Verdict
from memtop.analysis.memory_series import Series
from memtop.analysis.verdict import judge_series
from memtop.background import run_in_thread
from memtop.commands import doctor
from memtop.history import prometheus_past, prometheus_queries
from memtop.history.past_series import ContainerName
from memtop.history.prometheus_client import PrometheusClient, direct_session
from memtop.history.prometheus_connection import NotFoundReason, PrometheusNotFoundError, connect_prometheus
from memtop.history.prometheus_queries import LIMITS_METRIC, RESTARTS_METRIC, probe_schema
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from tests.real import prometheus_server
from tests.real.conftest import kubectl_of
from tests.real.patience import eventually
from tests.real.prometheus_server import SCRAPE, Written

MIB = 2.0**20
DAY = 86400.0
STILL = 1800.0
"""Seconds for which it goes on after that day: the look-back of what is asked about the present is short."""
LIFE = 2.5 * 3600
KILLED = ContainerName("production", "user-service-1", "app")
HEALTHY = ContainerName("production", "billing-1", "app")
SLOW = ContainerName("production", "slow-1", "app")
TWICE = ContainerName("production", "scraped-twice-1", "app")


def labels(name, **more):
    return {"namespace": name.namespace, "pod": name.pod, "container": name.container, **more}


def memory(name, times, values, **more):
    """RSS and working set of one cgroup, in MiB."""
    return [
        Written(metric, labels(name, job="kubelet", **more), times, np.round(share * values * MIB))
        for metric, share in (("container_memory_rss", 0.9), ("container_memory_working_set_bytes", 1.0))
    ]


def aggregates(name, times):
    """The pod as a whole, and its pause container: neither is a container of anybody's."""
    pod = {"namespace": name.namespace, "pod": name.pod, "job": "kubelet", "id": "/kubepods/pod"}
    pause = {**pod, "container": "POD", "id": "/kubepods/pause"}
    return [Written("container_memory_rss", one, times, np.full(len(times), 2e9)) for one in (pod, pause)]


def world(now):
    """A day of four containers, scraped every 30 s, as the kubelet and kube-state-metrics tell it."""
    rng = np.random.default_rng(3)
    everything = np.arange(now - DAY, now + STILL, SCRAPE)
    series = []
    starts = np.arange(now - DAY, now, LIFE)
    for number, start in enumerate(starts):
        times = everything[(everything >= start + 60) & (everything < start + LIFE)]
        values = 100 + 900 * (times - start) / LIFE + rng.normal(0, 2, len(times))
        # Nothing says that a series has ended, so Prometheus goes on with it for five minutes, flat.
        series += memory(KILLED, times, values, id=f"/kubepods/user/{number}")
    series += aggregates(KILLED, everything)
    counts = np.searchsorted(starts[1:] + 60, everything, side="right")
    state = labels(KILLED, job="kube-state-metrics")
    series.append(Written(RESTARTS_METRIC, state, everything, counts))
    since = everything >= starts[1] + 60
    reason = "kube_pod_container_status_last_terminated_reason"
    series.append(Written(reason, {**state, "reason": "OOMKilled"}, everything[since], np.ones(since.sum())))
    series.append(
        Written(
            LIMITS_METRIC,
            {**state, "resource": "memory", "unit": "byte"},
            everything,
            np.full(len(everything), 1024 * MIB),
        )
    )
    teeth = 300 + 200 * ((everything / 1800) % 1) + rng.normal(0, 2, len(everything))
    series += memory(HEALTHY, everything, teeth, id="/kubepods/billing")
    series += memory(SLOW, everything, 200 + 5 * (everything - now + DAY) / 3600, id="/kubepods/slow")
    for job in ("kubelet", "cadvisor"):
        series += [
            dataclasses.replace(one, labels={**one.labels, "job": job})
            for one in memory(TWICE, everything, np.full(len(everything), 64.0), id="/kubepods/twice")
        ]
    return series


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The address of a Prometheus with that day in it, and the day's end."""
    if not prometheus_server.available():
        pytest.skip("no real Prometheus: neither prometheus nor promtool may be missing")
    now = float(int(time.time() - 60))
    with prometheus_server.prometheus(tmp_path_factory.mktemp("prometheus"), world(now)) as url:
        yield url, now


@pytest.fixture
def connection(written):
    with direct_session() as session:
        yield PrometheusClient(written[0], session, timeout=20)


NAMES = (KILLED, HEALTHY, SLOW, TWICE)


@pytest.fixture
def day(written, connection):
    """What is told of that day."""
    now = written[1]
    schema = probe_schema(connection, [name.pod for name in NAMES], now)
    grid = prometheus_queries.query_grid(now, DAY)
    return prometheus_past.ask_past(connection, schema, NAMES, ("rss", "working_set"), grid, [KILLED])


def test_the_schema_is_probed(written, connection):
    schema = probe_schema(connection, [name.pod for name in NAMES], written[1])
    assert schema.memory == ("rss", "working_set")
    assert schema.kube_state
    assert schema.known
    assert schema.jobs == ("cadvisor", "kubelet")
    assert schema.interval == pytest.approx(SCRAPE, rel=0.1)
    assert schema.selectors == ()


def test_only_containers_are_told_of(day):
    assert {name for name, _ in day.pasts} == set(NAMES)
    assert day.warnings == []


def test_a_days_leak_with_its_kills(day):
    past = day.pasts[KILLED, "rss"]
    assert len(past.restarts) == len(past.oom_kills) == 9
    assert past.limit == 1024 * MIB
    assert past.values.max() < 1024 * MIB
    for restart in past.restarts:
        # No echo: right before a start memory is high or nothing is known, right after it is low.
        assert past.values[past.times >= restart][0] < 150 * MIB
        assert past.values[past.times < restart][-1] > 800 * MIB
    judgement = judge_series(Series(past.times, past.values, past.restarts, past.oom_kills, past.limit))
    assert judgement.verdict is Verdict.LEAK
    assert judgement.rate == pytest.approx(0.9 * 900 * MIB / (LIFE / 3600), rel=0.05)


def test_a_slow_leak_and_a_healthy_sawtooth(day):
    slow, healthy = day.pasts[SLOW, "working_set"], day.pasts[HEALTHY, "working_set"]
    leak = judge_series(Series(slow.times, slow.values, limit=1024 * MIB))
    assert leak.verdict is Verdict.LEAK
    assert leak.rate == pytest.approx(5 * MIB, rel=0.02)
    assert leak.seconds_to_limit == pytest.approx((1024 - 320) / 5 * 3600, rel=0.05)
    assert judge_series(Series(healthy.times, healthy.values)).verdict is not Verdict.LEAK


def test_two_jobs_count_once(day):
    past = day.pasts[TWICE, "working_set"]
    assert np.unique(past.values).tolist() == [64 * MIB]
    assert not len(past.restarts)


def test_the_fastest_growers(written, connection):
    schema = probe_schema(connection, [name.pod for name in NAMES], written[1])
    found = prometheus_past.fastest_growers(connection, schema, ("production",), 2, 6 * 3600.0)
    assert SLOW in found
    assert len(found) == 2


def test_the_last_hour_in_detail(written, connection):
    now = written[1]
    schema = probe_schema(connection, [name.pod for name in NAMES], now)
    told = prometheus_past.ask_past(
        connection, schema, [KILLED], ("rss",), prometheus_queries.recent_grid(now, schema.interval), [KILLED]
    )
    steps = np.diff(told.pasts[KILLED, "rss"].times)
    assert np.median(steps) == SCRAPE


async def test_memtop_finds_the_clusters_prometheus_through_the_proxy(admin, clusters_prometheus):
    async with (
        Client(load_target(kubeconfig=str(admin))) as client,
        connect_prometheus(client, Settings().prometheus) as found,
    ):
        assert found.where == "observability/prometheus-service:9090"
        assert found.via == "service proxy"
        assert found.version
        schema = await run_in_thread(probe_schema, found.prometheus, ["session-store-0"], time.time())
    assert schema.known
    assert schema.kube_state


async def test_a_reader_may_not_ask_it(reader):
    async with Client(load_target(kubeconfig=str(reader))) as client:
        with pytest.raises(PrometheusNotFoundError) as raised:
            async with connect_prometheus(client, Settings().prometheus):
                pass
    assert raised.value.reason is NotFoundReason.FORBIDDEN
    proxy, forward = raised.value.attempts
    assert 'User "lab-readonly" cannot get resource "services/proxy"' in proxy
    assert forward.endswith("portforward is forbidden")


@contextlib.contextmanager
def forwarder(admin, kubectl, cluster_home, name="memtop-test-forwarder"):
    """A user who may list and forward, but not use the proxy; by impersonation."""

    def may(*words):
        return kubectl_of(cluster_home, "auth", "can-i", *words, "-A", "--as", name).returncode == 0

    rules = [
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]},
    ]
    group = "rbac.authorization.k8s.io"
    objects = [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        },
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "-f", "-", given=listed)
    try:
        rights = (("list", "services"), ("list", "pods"), ("create", "pods", "--subresource=portforward"))
        eventually(lambda: all(may(*right) for right in rights), "the server to learn of the rights")
        target = load_target(kubeconfig=str(admin))
        auth = dataclasses.replace(target.auth, impersonation=(("Impersonate-User", name),))
        yield dataclasses.replace(target, auth=auth)
    finally:
        kubectl("delete", "-f", "-", "--ignore-not-found", given=listed)


async def test_a_port_forward_where_the_proxy_is_forbidden(admin, kubectl, cluster_home, clusters_prometheus):
    with forwarder(admin, kubectl, cluster_home) as target:
        async with Client(target) as client, connect_prometheus(client, Settings().prometheus) as found:
            assert found.via == "port-forward"
            assert "services/proxy" in found.attempts[0]
            answer = await run_in_thread(found.prometheus.instant_query, "up")
            assert answer.streams
            big = await run_in_thread(found.prometheus.get, "label/__name__/values", [])
            assert b"container_memory_rss" in big


def test_doctor_on_the_real_cluster(admin, reader, nobody, clusters_prometheus, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def examine(path):
        out = io.StringIO()
        return doctor.run_doctor(
            parse(["doctor", "--kubeconfig", str(path)], os.environ), out
        ), out.getvalue()

    code, report = examine(admin)
    assert code == 0
    assert "observability/prometheus-service:9090 by service proxy" in report
    assert "!!" not in report
    code, report = examine(reader)
    assert code == 0
    assert "-- right         to change Deployments: no" in report
    code, report = examine(nobody)
    assert code == 1
    assert "!! pods" in report


def test_once_knows_at_once_what_prometheus_knows(frame, kubectl, clusters_prometheus):
    past = "/api/v1/namespaces/observability/services/prometheus-service:9090/proxy/api/v1/query?query="
    hour = "count(container_memory_rss%7Bcontainer%3D%22slow-leak-service%22%7D%20offset%2045m)"
    if not json.loads(kubectl("get", "--raw", past + hour))["data"]["result"]:
        pytest.skip("the cluster has not run for long enough: its Prometheus knows less than 45 minutes")
    shown = frame("-n", "production")
    (leaking,) = [one for one in shown["containers"] if one["container"] == "slow-leak-service"]
    assert shown["sources"]["prometheus"]["state"] == "live"
    assert leaking["verdict"] == "leak"
    assert leaking["growth_bytes_per_hour"] == pytest.approx(180 * MIB, rel=0.1)
