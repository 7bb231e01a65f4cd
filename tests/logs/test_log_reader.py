"""Reading logs from a server that does all a kubelet does, at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from memtop.kube.client import Client
from memtop.logs import buffer
from memtop.logs.log_lines import MAX_LINE_BYTES, LogMark
from memtop.logs.log_request import LogRequest
from memtop.logs.reader import LogReader
from tests.logs.conftest import Listener, PodApi, Stream, down, killed, refused, running, text

pytestmark = pytest.mark.usefixtures("no_waits")
Read = Callable[..., "asyncio.Task[None]"]
AWAY = "unable to retrieve container logs for containerd://c8293f3682c5"


def at(second: float, words: str) -> str:
    return f"2026-11-22T16:00:{second:012.9f}Z {words}"


async def test_a_log_is_followed(api: PodApi, read: Read, listener: Listener) -> None:
    stream = Stream()
    api.has(running())
    api.logs["web"] = [stream]
    read(tail=500)
    stream.write(at(1, "one"), at(2, "Heap usage: 1.8GB / 2GB (90%)"))
    await listener.until(lambda: len(listener.lines) == 2)
    stream.write(at(3, "three"))
    await listener.until(lambda: len(listener.lines) == 3)
    assert listener.texts == ["one", "Heap usage: 1.8GB / 2GB (90%)", "three"]
    assert listener.lines[0].seconds == 1795363201.0
    assert [(one.heap_after, one.time) for one in listener.readings] == [(1.8 * 2**30, 1795363202.0)]
    assert listener.status is not None
    assert listener.status.live
    assert api.asked == [{"container": "web", "timestamps": "true", "follow": "true", "tailLines": "500"}]


async def test_leaving_ends_the_request(api: PodApi, read: Read, listener: Listener) -> None:
    stream = Stream()
    api.has(running())
    api.logs["web"] = [stream]
    task = read()
    stream.write(at(1, "one"))
    await listener.until(lambda: listener.lines)
    task.cancel()
    async with asyncio.timeout(60):
        await stream.left.wait()


async def test_an_oom_kill_while_one_watches(api: PodApi, read: Read, listener: Listener) -> None:
    first, second = Stream(), Stream()
    api.has(running())
    api.logs["web"] = [first, second]
    read()
    first.write(at(1, "filling"), at(2, "full"))
    await listener.until(lambda: len(listener.lines) == 2)
    api.has(down(end=killed(5)))
    first.end()
    await listener.until(lambda: listener.status and "CrashLoopBackOff" in listener.status.words)
    assert listener.status is not None
    assert listener.status.ending is not None
    assert listener.status.ending.words() == "web was OOM-killed"
    assert not listener.status.ended
    assert len(api.asked) == 1, "a dead container's log is not asked for again"

    api.has(running(start=6, restarts=1, last=killed(5)))
    second.write(at(59, "starting"))
    await listener.until(lambda: "starting" in listener.texts)
    assert listener.texts == [
        "filling",
        "full",
        "web was OOM-killed, exit code 137",
        "web started again (restart 1)",
        "starting",
    ]
    assert [line.mark for line in listener.lines] == [
        LogMark.PLAIN,
        LogMark.PLAIN,
        LogMark.NOTE,
        LogMark.NOTE,
        LogMark.PLAIN,
    ]
    assert api.asked[1]["sinceTime"] == "2026-11-22T16:00:02Z"
    assert listener.status.live
    assert listener.status.ending is not None, "the previous log is still offered"


async def test_an_old_kill_is_no_news(api: PodApi, read: Read, listener: Listener) -> None:
    stream = Stream()
    api.has(running(start=6, restarts=1, last=killed(5)))
    api.logs["web"] = [stream]
    read()
    stream.write(at(1, "one"))
    await listener.until(lambda: listener.lines)
    assert listener.texts == ["one"]
    assert listener.status is not None
    assert listener.status.ending is None


async def test_nothing_comes_twice_after_a_broken_connection(
    api: PodApi, read: Read, listener: Listener
) -> None:
    first, second = Stream(), Stream()
    api.has(running())
    api.logs["web"] = [first, second]
    read()
    first.write(at(1, "a"), at(2.1, "b"), at(2.2, "c"), at(2.2, "c"), b"2026-11-22T16:00:02.3Z half a li")
    await listener.until(lambda: len(listener.lines) == 4)
    first.cut()
    second.write(at(2.1, "b"), at(2.2, "c"), at(2.2, "c"), at(2.2, "d"), at(2.3, "half a line"))
    await listener.until(lambda: len(listener.lines) == 6)
    assert listener.texts == ["a", "b", "c", "c", "d", "half a line"]
    assert api.asked[1]["sinceTime"] == "2026-11-22T16:00:02Z"
    assert "tailLines" not in api.asked[1]


async def test_a_reader_that_was_stopped_goes_on_where_it_was(
    api: PodApi, client: Client, listener: Listener
) -> None:
    first, second = Stream(), Stream()
    api.has(running())
    api.logs["web"] = [first, second]
    reader = LogReader(LogRequest("shop", "web", ("web",)), listener.channel)
    task = asyncio.create_task(reader.run(client))
    first.write(at(1, "a"))
    await listener.until(lambda: listener.lines)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    task = asyncio.create_task(reader.run(client))
    second.write(at(1, "a"), at(2, "b"))
    await listener.until(lambda: len(listener.lines) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert listener.texts == ["a", "b"]


async def test_a_log_that_is_just_put_away_is_asked_for_again(
    api: PodApi, read: Read, listener: Listener
) -> None:
    api.logs["web"] = [text(AWAY.encode()), text(AWAY.encode()), text(at(1, "last words"))]
    await read(previous=True)
    await listener.until(lambda: listener.status and listener.status.ended)
    assert listener.texts == ["last words"]
    assert listener.status is not None
    assert not listener.status.failed
    assert api.asked[0]["previous"] == "true"
    assert "follow" not in api.asked[0]


async def test_a_log_that_is_never_found_is_said_to_be(api: PodApi, read: Read, listener: Listener) -> None:
    api.logs["web"] = [text(AWAY.encode())]
    await read(previous=True)
    await listener.until(lambda: listener.status and listener.status.ended)
    assert not listener.lines
    assert listener.status is not None
    assert listener.status.failed
    assert "does not find web's log" in listener.status.words


async def test_a_container_that_itself_says_so_is_believed(
    api: PodApi, read: Read, listener: Listener
) -> None:
    api.logs["web"] = [text(at(1, AWAY))]
    await read(previous=True)
    await listener.until(lambda: listener.lines)
    assert listener.texts == [AWAY]


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (400, 'previous terminated container "web" in pod "web" not found', "web has no previous log"),
        (400, "container web is not valid for pod web", "the pod web has no container web"),
        (403, 'pods "web" is forbidden: User "x" cannot get pods/log', "you may not read this log: pods"),
        (404, 'pods "web" not found', "the pod is gone"),
    ],
)
@pytest.mark.parametrize("previous", [True, False])
async def test_a_refusal_is_said_in_plain_words(
    api: PodApi, read: Read, listener: Listener, status: int, message: str, words: str, previous: bool
) -> None:
    api.has(running())
    api.logs["web"] = [refused(status, message)]
    await read(previous=previous)
    await listener.until(lambda: listener.status and listener.status.ended)
    assert listener.status is not None
    assert listener.status.words.startswith(words)
    assert listener.status.failed


async def test_a_container_that_is_about_to_start_is_waited_for(
    api: PodApi, read: Read, listener: Listener
) -> None:
    stream = Stream()
    creating = {"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}
    api.has(creating, phase="Pending")
    waiting = 'container "web" in pod "web" is waiting to start: ContainerCreating'
    api.logs["web"] = [refused(400, waiting), stream]
    read()
    await listener.until(lambda: listener.status and "ContainerCreating" in listener.status.words)
    api.has(running())
    stream.write(at(1, "hello"))
    await listener.until(lambda: listener.lines)
    assert listener.texts == ["hello"]


async def test_a_finished_job_has_a_log_that_ends(api: PodApi, read: Read, listener: Listener) -> None:
    done = {"name": "web", "state": {"terminated": killed(5, "Completed", 0)}}
    api.has(done, phase="Succeeded")
    api.logs["web"] = [text(at(1, "done"))]
    await read()
    await listener.until(lambda: listener.status and listener.status.ended)
    assert listener.texts == ["done"]
    assert listener.status is not None
    assert listener.status.words == "web completed"
    assert not listener.status.failed


async def test_a_pod_that_goes_away(api: PodApi, read: Read, listener: Listener) -> None:
    stream = Stream()
    api.has(running())
    api.logs["web"] = [stream]
    task = read()
    stream.write(at(1, "bye"))
    await listener.until(lambda: listener.lines)
    api.pod = None
    stream.end()
    await task
    await listener.until(lambda: listener.status and listener.status.ended)
    assert listener.status is not None
    assert "the pod is gone" in listener.status.words
    assert listener.texts == ["bye"]


async def test_logs_can_be_read_where_pods_cannot(api: PodApi, read: Read, listener: Listener) -> None:
    first, second = Stream(), Stream()
    api.pod_refused = refused(403, "no")
    api.logs["web"] = [first, second]
    read()
    first.write(at(1, "a"))
    await listener.until(lambda: listener.lines)
    first.end()
    second.write(at(2, "b"))
    await listener.until(lambda: len(listener.lines) == 2)
    assert listener.texts == ["a", "b"]


async def test_containers_are_interleaved_by_time(api: PodApi, read: Read, listener: Listener) -> None:
    web, agent = Stream(), Stream()
    api.has(running("web"), running("agent"))
    api.logs["web"] = [text(at(1, "web 1"), at(3, "web 3"), at(5, "web 5")), web]
    api.logs["agent"] = [text(at(2, "agent 2"), at(4, "agent 4")), agent]
    read("web", "agent", tail=100)
    await listener.until(lambda: len(listener.lines) == 5)
    agent.write(at(4, "agent 4"), at(6, "agent 6"))
    await listener.until(lambda: len(listener.lines) == 6)
    assert listener.texts == ["web 1", "agent 2", "web 3", "agent 4", "web 5", "agent 6"]
    assert {line.text.split()[0] for line in listener.lines if line.container == "agent"} == {"agent"}
    await listener.until(lambda: listener.status and listener.status.words == "following 2 containers")
    assert [query["tailLines"] for query in api.asked[:2]] == ["50", "50"]


async def test_one_of_several_dies(api: PodApi, read: Read, listener: Listener) -> None:
    web, agent = Stream(), Stream()
    api.has(running("web"), running("agent"))
    api.logs = {"web": [text(), web], "agent": [text(), agent]}
    read("web", "agent")
    await asyncio.gather(web.opened.wait(), agent.opened.wait())
    api.has(running("web"), down("agent"))
    agent.end()
    await listener.until(lambda: listener.status and listener.status.ending)
    assert listener.status is not None
    assert listener.status.ending is not None
    assert listener.status.ending.container == "agent"
    web.write(at(9, "still here"))
    await listener.until(lambda: "still here" in listener.texts)


async def test_a_slow_screen_makes_the_server_wait(
    api: PodApi, read: Read, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of hundreds of megabytes takes no more memory than what may wait to be shown."""
    monkeypatch.setattr(buffer, "MAX_WAITING_LINES", 1_000)
    stream = Stream()
    api.has(running())
    api.logs["web"] = [stream]
    read()
    piece = (at(1, "x" * 1000) + "\n").encode() * 1_000
    for _ in range(200):
        stream.write(piece)
    await stream.opened.wait()
    before = -1
    while stream.sent != before:  # as long as the server can still send
        before = stream.sent
        await asyncio.sleep(0.1)
    assert 0 < stream.sent < 60 * len(piece)
    waiting = listener.channel.take()
    assert len(waiting.lines) <= 1_000 + 2_000
    listener.lines += waiting.lines
    await listener.until(lambda: len(listener.lines) == 200_000)


async def test_other_peoples_bytes(api: PodApi, read: Read, listener: Listener) -> None:
    stream = Stream()
    api.has(running())
    api.logs["web"] = [stream]
    read()
    stamp = b"2026-11-22T16:00:01Z "
    stream.write(stamp + b"\x1b[31mred\x1b[0m\x1b]0;title\x07\r\n")
    stream.write(stamp + b" 10%\r 50%\r100%\n")
    stream.write(stamp + b"bytes \xff\xfe\x00 end\n")
    stream.write(stamp + b"x" * 5_000_000 + b"\n")
    stream.write(stamp + b"[bold]no markup[/bold]\n")
    await listener.until(lambda: len(listener.lines) == 5)
    red, bar, binary, long, markup = listener.lines
    assert red.text == "red"
    assert bar.text == "100%"
    assert binary.text == "bytes �� end"
    assert long.mark is LogMark.CUT
    assert 1_000_000 < len(long.text) <= MAX_LINE_BYTES
    assert markup.text == "[bold]no markup[/bold]"
