"""Why lives ended: what their status says, and the log of what only its log explains."""

import asyncio

import pytest

from memtop.analysis.memory_series import EndCause, HeapFill
from memtop.kube.api_errors import ApiError
from memtop.observe.last_words import HEAP_SECONDS, MIN_RESTARTS, LastWords, full_heap
from memtop.observe.live_verdicts import LiveVerdicts

V8 = b"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n"
JVM = b"Terminating due to java.lang.OutOfMemoryError: Java heap space\n"


class Logs:
    """An API server that has one log."""

    def __init__(self, body):
        self.body = body
        self.asked = []

    async def request(self, method, path, params, **_):
        self.asked.append((path, params))
        if isinstance(self.body, ApiError):
            raise self.body
        return type("Answer", (), {"body": self.body})


def put(shelf, world, reason="Error", code=139, at=-60.0, restarts=MIN_RESTARTS, name="web-1"):
    ended = world.ended(at, reason, code, started=at - 158)
    shelf.put(world.pod(name, world.container(last=ended, state=world.running(at + 5), restarts=restarts)))
    return shelf.slot(name)


async def read(shelf, world, body):
    logs = Logs(body)
    words = LastWords(logs, shelf.store, lambda: world.NOW, lambda: None)
    task = asyncio.create_task(words.run())
    await asyncio.sleep(0)
    while not words.settled:
        await asyncio.sleep(0)
    task.cancel()
    return logs


def causes(shelf, slot):
    return [end.cause for end in shelf.store.lives[slot].life_ends()]


@pytest.mark.parametrize(("code", "body"), [(139, V8), (134, V8), (3, JVM), (1, JVM), (137, JVM)])
async def test_the_log_of_the_life_before_says_that_it_ran_out_of_heap(shelf, world, code, body):
    slot = put(shelf, world, code=code)
    logs = await read(shelf, world, body)
    assert causes(shelf, slot) == [EndCause.HEAP_LIMIT]
    (path, params), *_ = logs.asked
    assert path == "/api/v1/namespaces/shop/pods/web-1/log"
    assert (params["previous"], params["container"]) == ("true", "app")


async def test_a_log_that_says_nothing_of_memory_is_another_cause_and_asked_for_once(shelf, world):
    slot = put(shelf, world, code=1)
    assert len((await read(shelf, world, b"connection refused\n")).asked) == 1
    assert causes(shelf, slot) == [EndCause.OTHER]
    put(shelf, world, code=1, at=-20.0, restarts=MIN_RESTARTS + 1)
    assert not (await read(shelf, world, b"connection refused\n")).asked
    assert causes(shelf, slot) == [EndCause.OTHER, EndCause.OTHER]


@pytest.mark.parametrize(("reason", "code"), [("OOMKilled", 137), ("Completed", 0), ("Error", 143)])
async def test_what_the_status_explains_costs_no_request(shelf, world, reason, code):
    put(shelf, world, reason, code)
    assert not (await read(shelf, world, V8)).asked


async def test_few_restarts_cost_no_request(shelf, world):
    put(shelf, world, restarts=MIN_RESTARTS - 1)
    assert not (await read(shelf, world, V8)).asked


async def test_logs_that_may_not_be_read_leave_the_cause_unknown(shelf, world):
    slot = put(shelf, world)
    put(shelf, world, name="web-2")
    assert len((await read(shelf, world, ApiError(403, "Forbidden", "no"))).asked) == 1
    assert causes(shelf, slot) == []


async def test_what_the_kubelet_says_instead_of_a_log_is_no_log(shelf, world):
    slot = put(shelf, world)
    await read(shelf, world, b"unable to retrieve container logs for containerd://1")
    assert causes(shelf, slot) == []


def test_a_termination_message_is_enough(shelf, world):
    ended = world.ended(-60, "Error", 1)
    ended["terminated"]["message"] = V8.decode()
    shelf.put(world.pod("web-1", world.container(last=ended, restarts=1)))
    assert causes(shelf, shelf.slot("web-1")) == [EndCause.HEAP_LIMIT]


@pytest.mark.parametrize(("resource", "cause"), [("memory", EndCause.EVICTION), ("disk", EndCause.OTHER)])
def test_an_eviction_counts_only_for_memory(shelf, world, resource, cause):
    status = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": f"The node was low on resource: {resource}. Container app was using 1Gi.",
        "startTime": world.moment(-300),
        "containerStatuses": [],
    }
    shelf.put(world.pod("web-1", status=status))
    assert causes(shelf, shelf.slot("web-1")) == [cause]


def test_every_end_that_was_seen_is_judged_also_without_a_sample(shelf, world):
    for number in range(4):
        put(shelf, world, "OOMKilled", 137, at=400.0 * number, restarts=number + 1)
    verdicts = LiveVerdicts(shelf.store, 15.0, 24.0)
    series = verdicts.series(shelf.slot("web-1"))
    assert [(end.at - world.NOW, end.at - end.started_at) for end in series.ends] == [
        (400.0 * number, 158.0) for number in range(4)
    ]
    assert series.started_at == world.NOW + 1205
    assert series.restart_count == 4


MI = 2**20
"""What the JVM calls M."""


def collections(*lines, every=4.0):
    """A log of one line each so many seconds, as the API server sends it."""
    return "".join(
        f"2026-11-29T05:31:{every * number:012.9f}Z [{number}.000s][info][gc] GC({number}) {line}\n"
        for number, line in enumerate(lines)
    ).encode()


FULL = "Pause Full (Allocation Failure) 154M->141M(154M) 1200.000ms"
YOUNG = "Pause Young (Allocation Failure) 154M->150M(154M) 9.000ms"


def test_full_collections_that_free_nothing_are_a_full_heap():
    heap = full_heap(collections(YOUNG, FULL, YOUNG, FULL, FULL, FULL))
    assert (heap.live, heap.size) == (141 * MI, 154 * MI)
    assert heap.collecting == pytest.approx(4 * 1.2 / 20)


@pytest.mark.parametrize(
    "lines",
    [
        [YOUNG] * 6,
        [FULL] * 2,
        [FULL, FULL, FULL, "Pause Full (Allocation Failure) 154M->60M(154M) 20.000ms"],
        ["Mark-Compact 96.0 (97.5) -> 95.8 (97.5) MB, 3.70 / 0.00 ms (average mu = 1.000) allocation failure"]
        * 5,
        ["listening on 8080"] * 5,
    ],
)
def test_other_logs_tell_of_no_full_heap(lines):
    assert full_heap(collections(*lines)) is None


async def test_the_log_of_what_is_looked_at_is_asked_for_now_and_then(shelf, world):
    shelf.put(world.pod("web-1", world.container(state=world.running(-600))))
    slot = shelf.slot("web-1")
    logs, now = Logs(collections(FULL, FULL, FULL)), [world.NOW]
    words = LastWords(logs, shelf.store, lambda: now[0], lambda: None)
    words.set_wanted([slot])
    assert not words.settled
    task = asyncio.create_task(words.run())
    while not words.settled:
        await asyncio.sleep(0)
    assert shelf.store.full_heaps[slot] == HeapFill(141 * MI, 154 * MI, pytest.approx(3.6 / 8))
    assert words.settled, "it was asked a moment ago"
    assert len(logs.asked) == 1
    now[0] += HEAP_SECONDS
    assert not words.settled
    task.cancel()


async def test_a_heap_is_not_that_of_the_next_life(shelf, world):
    shelf.put(world.pod("web-1", world.container(state=world.running(-600))))
    slot = shelf.slot("web-1")
    shelf.store.note_heap(slot, HeapFill(141.0 * MI, 154.0 * MI))
    put(shelf, world, code=3)
    assert slot not in shelf.store.full_heaps


async def test_a_log_that_nobody_thought_of_costs_only_itself(shelf, world, monkeypatch):
    slot = put(shelf, world)
    put(shelf, world, code=3, name="web-2", restarts=MIN_RESTARTS + 1)
    monkeypatch.setattr("memtop.observe.last_words.LOOK_SECONDS", 0.0)
    logs = Logs(V8)
    broken = [True]

    async def request(*args, **options):
        if broken.pop() if broken else False:
            raise ValueError("no idea")
        return await Logs.request(logs, *args, **options)

    logs.request = request
    words = LastWords(logs, shelf.store, lambda: world.NOW, lambda: None)
    task = asyncio.create_task(words.run())
    async with asyncio.timeout(10):
        while not causes(shelf, slot):
            await asyncio.sleep(0)
    task.cancel()
