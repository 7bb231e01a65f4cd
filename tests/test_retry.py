"""Trying again: each user of `Backoff` keeps to what a server asks for, and does not spin."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from config.settings import PrometheusSettings
from memtop import retry
from memtop.change import rollout_watch
from memtop.change import workload_state as follow_module
from memtop.change.rollout_objects import ObjectCache, follow_collection
from memtop.change.rollout_watch import follow_rollout as rollout_follow
from memtop.change.workload_state import follow_workload as change_follow
from memtop.describe import description_facts
from memtop.history.past_requests import PastCache
from memtop.kube import event_watch
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.core_events import EventCollector
from memtop.kube.list_watch import EMPTY_PAUSE, MAX_GAP, WatchPosition, list_and_watch, pod_collection
from memtop.kube.object_ref import ObjectRef
from memtop.logs.buffer import LogChannel
from memtop.logs.log_request import LogRequest
from memtop.logs.reader import LogReader
from memtop.observe.prometheus_source import PrometheusPast
from memtop.observe.source import Source
from memtop.retry import FIRST_DELAY, MAX_DELAY, MAX_RETRY_AFTER, STEADY_SECONDS, Backoff, retry_after
from memtop.stabilisation import stabilisation_watch
from memtop.stabilisation.past_samples import PrometheusSamples


@pytest.mark.parametrize("value", ["", "soon", "-3", "²", "Sun, 99 Nov 2026 14:03:00 GMT"])
def test_what_is_neither_number_nor_date_says_nothing(value):
    assert retry_after({"Retry-After": value}) is None


def test_seconds_are_read():
    assert retry_after({"Retry-After": " 7 "}) == 7.0


@pytest.mark.parametrize(
    "date",
    ["Sun, 22 Nov 2026 14:03:30 GMT", "Sunday, 22-Nov-26 14:03:30 GMT", "Sun Nov 22 14:03:30 2026"],
)
def test_a_date_counts_from_the_servers_own_clock(date):
    assert retry_after({"Retry-After": date, "Date": "Sun, 22 Nov 2026 14:03:00 GMT"}) == 30.0


def test_a_date_in_the_past_asks_for_no_wait():
    headers = {"Retry-After": "Sun, 22 Nov 2026 14:03:00 GMT", "Date": "Sun, 22 Nov 2026 15:00:00 GMT"}
    assert retry_after(headers) == 0.0


def test_without_the_servers_clock_this_machines_counts():
    wait = retry_after({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert wait is not None
    assert 30 < wait <= 61


def test_no_server_may_silence_memtop_for_long():
    assert retry_after({"Retry-After": "999999999"}) == MAX_RETRY_AFTER
    assert retry_after({"Retry-After": "Fri, 22 Nov 2126 14:03:00 GMT"}) == MAX_RETRY_AFTER


class Clock:
    """Time that passes only while somebody waits; `waited` holds each wait in seconds."""

    def __init__(self):
        self.now = 0.0
        self.waited = []
        self.patience = 12
        self.enough = asyncio.Event()

    async def rest(self, until, seconds):
        self.waited.append(seconds)
        self.now += seconds
        if len(self.waited) >= self.patience:
            self.enough.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch):
    """Every `Backoff` waits on this clock; no wait after the 11th ends."""
    clock = Clock()
    monkeypatch.setattr(retry, "wait_or_until", clock.rest)
    monkeypatch.setattr(retry, "steady_now", lambda: clock.now)
    return clock


async def test_waits_grow_and_an_attempt_that_worked_for_long_ends_that(clock):
    backoff = Backoff()
    for _ in range(10):
        await backoff.wait()
    assert all(0.1 <= wait <= MAX_DELAY for wait in clock.waited)
    assert clock.waited[-1] >= MAX_DELAY / 4
    backoff.begin()
    backoff.succeeded()
    clock.now += STEADY_SECONDS
    assert backoff.next_pause() <= FIRST_DELAY


async def test_an_attempt_that_works_and_breaks_at_once_ends_nothing(clock):
    backoff = Backoff()
    for _ in range(10):
        backoff.begin()
        backoff.succeeded()
        await backoff.wait()
    assert clock.waited[-1] >= MAX_DELAY / 4


async def test_a_long_wait_for_an_answer_is_no_attempt_that_works(clock):
    backoff = Backoff()
    for _ in range(10):
        backoff.begin()
        clock.now += 60.0
        await backoff.wait()
    assert clock.waited[-1] >= MAX_DELAY / 4


def test_retry_after_is_kept_to_but_not_for_ever():
    assert 17.0 <= Backoff().next_pause(ApiError(429, "", "", 17.0)) <= 17.0 * 1.1
    assert MAX_RETRY_AFTER <= Backoff().next_pause(ApiError(429, "", "", 1e9)) <= MAX_RETRY_AFTER * 1.1


POD = ObjectRef("Pod", "ns", "a", "uid-a")
API = ObjectRef("Deployment", "ns", "a", "uid-a")


class Script:
    """A client whose lists and watches are scripted: a failure, or a watch that breaks, at each request."""

    def __init__(self, listing, watching):
        self.listing, self.watching = listing, watching
        self.asked = 0

    async def request(self, method, path, *args, **kwargs):
        self.asked += 1
        if isinstance(self.listing, Exception):
            raise self.listing
        body = json.dumps({"metadata": {"resourceVersion": "1", "name": "a", "uid": "uid-a"}, "items": []})
        return Answered(body.encode(), {})

    async def get(self, path, *args, **kwargs):
        return (await self.request("GET", path)).body

    async def minor_version(self):
        return None

    @contextlib.asynccontextmanager
    async def stream(self, *args, **kwargs):
        self.asked += 1

        async def lines():
            if isinstance(self.watching, bytes):
                yield self.watching
            elif self.watching is not None:
                raise self.watching

        yield lines()

    @contextlib.asynccontextmanager
    async def chunks(self, *args, **kwargs):
        self.asked += 1
        if isinstance(self.listing, Exception):
            raise self.listing
        yield _nothing()


async def _nothing():
    for piece in ():
        yield piece


@dataclass
class Answered:
    body: bytes
    headers: dict


async def source(client):
    position = WatchPosition()  # as the observer has it: one for all attempts

    async def run(source):
        async for _ in list_and_watch(client, pod_collection("ns"), position):
            source.set_live()

    await Source("pods", run, lambda: 0.0, lambda: None).loop()


async def collection(client):
    await follow_collection(client, pod_collection("ns"), ObjectCache({}), {}, asyncio.Event())


async def pod_events(client):
    await event_watch._watch_object(client, POD, EventCollector(()), asyncio.Event())


async def describe(client):
    await description_facts.follow_object(client, POD, lambda _: None)


async def workload(client):
    await change_follow(client, API, lambda _: None)


async def rollout(client):
    async for _ in rollout_follow(client, API):
        pass


async def log(client):
    await LogReader(LogRequest("ns", "a", ("web",)), LogChannel(lambda: None)).run(client)


async def log_to_its_end(client):
    await LogReader(LogRequest("ns", "a", ("web",), follow=False), LogChannel(lambda: None)).run(client)
    await asyncio.Event().wait()


async def rollout_metrics(client):
    seen = SimpleNamespace(ref=API, workload={}, own_pods=list, memory={}, nodes={})
    await rollout_watch._poll_memory_and_nodes(client, seen, asyncio.Event())


USERS = (source, collection, pod_events, describe, workload)
"""What lists and watches, or looks and watches, again and again."""


def by_name(user):
    return user.__name__


async def waits(clock, user, client):
    """Runs somebody until the clock has been waited on often enough."""
    task = asyncio.ensure_future(user(client))
    try:
        async with asyncio.timeout(30):
            await clock.enough.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("user", [*USERS, rollout, rollout_metrics, log], ids=by_name)
async def test_everybody_keeps_to_retry_after(clock, user):
    client = Script(ApiError(429, "TooManyRequests", "slow down", 60.0), None)
    await waits(clock, user, client)
    assert min(clock.waited) >= 60.0
    assert client.asked <= 2 * len(clock.waited)


async def test_a_log_that_is_read_once_keeps_to_retry_after(clock):
    clock.patience = 3
    await waits(clock, log_to_its_end, Script(ApiError(429, "TooManyRequests", "slow down", 60.0), None))
    assert min(clock.waited) >= 60.0


BUSY = ApiError(429, "TooManyRequests", "slow down", 60.0)
CHANGE = SimpleNamespace(key=(1, "a"), selector="app=a")


async def test_the_metrics_of_a_stabilisation_keep_to_retry_after():
    watch = stabilisation_watch.StabilisationWatch(
        client := Script(BUSY, None), API, stabilisation_watch.StabilisationOptions(interval=5.0)
    )
    for _ in range(3):
        assert await watch._see_metrics(CHANGE) == "metrics: slow down"
    assert client.asked == 1
    assert watch._ask_metrics_at - asyncio.get_running_loop().time() >= 59.0


async def test_prometheus_of_a_stabilisation_keeps_to_retry_after():
    samples = PrometheusSamples(client := Script(BUSY, None), PrometheusSettings(namespaces=("a",)))
    client.target = SimpleNamespace(namespace="a")
    await samples.refresh(CHANGE, [], 0.0)
    asked = client.asked
    await samples.refresh(CHANGE, [], 0.0)
    assert (asked, client.asked) == (2, 2), "services and the operator's resources, once"
    assert samples._next_try - asyncio.get_running_loop().time() >= 59.0


@pytest.mark.parametrize("settings", [PrometheusSettings(), PrometheusSettings(service="a/b")])
async def test_looking_for_prometheus_keeps_to_retry_after(clock, settings):
    async def search(client):
        client.target = SimpleNamespace(namespace="a")
        past = PrometheusPast(
            client,
            settings,
            PastCache("rss"),
            hours=1.0,
            speed=1.0,
            now=lambda: 0.0,
            live=list,
            namespaces=(),
            on_change=lambda: None,
            back=None,
        )
        await Source("prometheus", past.run, lambda: 0.0, lambda: None).loop()

    clock.patience = 3
    await waits(clock, search, Script(BUSY, None))
    assert min(clock.waited) >= 60.0


TOO_OLD = b'{"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}'


@pytest.mark.parametrize("user", USERS, ids=by_name)
@pytest.mark.parametrize("watching", [TOO_OLD, Unreachable("cut")], ids=["410", "breaks"])
async def test_everybody_waits_longer_while_watches_fail_at_once(clock, user, watching, monkeypatch):
    monkeypatch.setattr(description_facts, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(follow_module, "FOLLOW_PAUSE", 0.0)
    monkeypatch.setattr(follow_module, "read_workload", stands)
    monkeypatch.setattr(follow_module, "_pod_creation_times", born)
    await waits(clock, user, Script(None, watching))
    assert len(clock.waited) == clock.patience
    assert min(clock.waited[-3:]) >= MAX_DELAY / 4


async def test_a_proxy_that_ends_every_watch_at_once_is_asked_ever_more_rarely(clock):
    await waits(clock, source, Script(None, None))
    assert len(clock.waited) == clock.patience
    assert min(clock.waited) >= EMPTY_PAUSE / 2
    assert min(clock.waited[-3:]) >= MAX_GAP / 4


async def test_a_change_that_is_watched_keeps_to_retry_after(clock, monkeypatch):
    async def refused(_):
        raise ApiError(429, "TooManyRequests", "slow down", 60.0)

    monkeypatch.setattr(stabilisation_watch.StabilisationWatch, "read_and_judge", refused)

    async def user(client):
        async for _ in stabilisation_watch.follow_stabilisation(
            client, API, stabilisation_watch.StabilisationOptions(interval=5.0)
        ):
            pass

    await waits(clock, user, Script(None, None))
    assert len(clock.waited) == clock.patience
    assert min(clock.waited) >= 60.0


@dataclass
class Stands:
    resource_version: str = "1"


async def stands(*_):
    return Stands()


async def born(*_):
    return {}
