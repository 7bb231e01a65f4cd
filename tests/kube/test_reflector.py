"""List once, then watch: what the reflector asks for, and what it makes of the answers."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web

from memtop.kube import list_watch
from memtop.kube.api_errors import ApiError, Unreachable, Unreadable
from memtop.kube.client import Client
from memtop.kube.list_watch import (
    FirstPage,
    FullList,
    ListPart,
    ObjectChange,
    WatchAlive,
    WatchExpired,
    WatchPosition,
    list_and_watch,
)


def pod(name, version):
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": version}}


def page(*names, version="10", **metadata):
    return {
        "metadata": {"resourceVersion": version} | metadata,
        "items": [pod(name, "1") for name in names],
    }


def event(kind, name, version):
    return {"type": kind, "object": pod(name, version)}


def bookmark(version):
    return {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": version}}}


def gone(message="too old"):
    return {"kind": "Status", "code": 410, "reason": "Expired", "message": message}


class Server:
    """Answers lists and watches in the order they are given; the last watch stays open."""

    def __init__(self):
        self.lists, self.watches, self.asked = [], [], []

    async def answer(self, request):
        query = dict(request.query)
        self.asked.append(query)
        if "watch" not in query:
            answer = self.lists.pop(0)
            return web.json_response(answer, status=answer.get("code", 200))
        answer = self.watches.pop(0) if self.watches else []
        if isinstance(answer, dict):
            return web.json_response(answer, status=answer["code"])
        response = web.StreamResponse()
        await response.prepare(request)
        for line in answer:
            raw = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
            await response.write(raw)
        if not self.watches:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        return response


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def updates(server, serve, target):
    """``updates()``: what the reflector yields from the server."""
    async with Client(target(await serve(server.answer))) as client, contextlib.AsyncExitStack() as stack:

        def start(collection=None, position=None, **options):
            pods = collection or list_watch.pod_collection("ns")
            found = list_and_watch(client, pods, position or WatchPosition(), **options)
            stack.push_async_callback(found.aclose)
            return found

        yield start


async def take(updates, number):
    return [await asyncio.wait_for(anext(updates), 5) for _ in range(number)]


def names(listed):
    return [item.metadata.name for item in listed.items]


async def test_a_small_collection_costs_one_request_and_a_watch_from_its_version(server, updates):
    server.lists = [page("a", "b", version="10")]
    server.watches = [[event("MODIFIED", "a", "11")]]
    listed, alive, changed = await take(updates(), 3)
    assert (names(listed), listed.count) == (["a", "b"], 2)
    assert isinstance(alive, WatchAlive)
    assert (changed.type, changed.object.metadata.name) == ("MODIFIED", "a")
    assert [query.get("resourceVersion") for query in server.asked] == [None, "10"]
    assert server.asked[1]["allowWatchBookmarks"] == "true"


async def test_a_large_collection_is_previewed_and_then_asked_for_whole_from_the_cache(server, updates):
    server.lists = [
        page("a", **{"continue": "token", "remainingItemCount": 2}),
        page("a", "b", "c", version="12"),
    ]
    preview, listed, _ = await take(updates(), 3)
    assert isinstance(preview, FirstPage)
    assert (names(preview), preview.remaining) == (["a"], 2)
    assert isinstance(listed, FullList)
    assert names(listed) == ["a", "b", "c"]
    assert server.asked[0]["limit"] == "100"
    assert server.asked[1] == {"resourceVersion": "0"}
    assert server.asked[2]["resourceVersion"] == "12"


async def test_a_large_collection_can_be_had_in_parts_as_it_comes_in(server, updates):
    many = [f"pod-{number}" for number in range(40)]
    server.lists = [
        page("pod-0", **{"continue": "token", "remainingItemCount": 39}),
        page(*many, version="12"),
    ]
    found = updates(in_parts=True)
    assert isinstance((await take(found, 1))[0], FirstPage)
    parts = []
    while isinstance(update := (await take(found, 1))[0], ListPart):
        parts += [item.metadata.name for item in update.items]
    assert parts == many
    assert isinstance(update, FullList)
    assert (names(update), update.count) == ([], 40)
    await take(found, 1)
    assert server.asked[-1]["resourceVersion"] == "12"


async def test_a_selector_goes_with_every_request(server, updates):
    server.lists = [page("a")]
    await take(updates(list_watch.pod_collection(None, "app=shop")), 2)
    assert [query["labelSelector"] for query in server.asked] == ["app=shop", "app=shop"]


async def test_a_list_tells_the_servers_time(server, updates):
    server.lists = [page()]
    assert (await take(updates(), 1))[0].date.endswith("GMT")


async def test_a_watch_that_ends_goes_on_from_the_last_version_seen(server, updates):
    server.lists = [page(version="10")]
    server.watches = [[event("ADDED", "a", "11")], [bookmark("40")], [event("DELETED", "a", "41")]]
    kinds = [type(update).__name__ for update in await take(updates(), 7)]
    assert kinds == ["FullList", "WatchAlive", "ObjectChange", *["WatchAlive"] * 3, "ObjectChange"]
    assert [query["resourceVersion"] for query in server.asked[1:]] == ["10", "11", "40"]


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_all_the_time(server, updates):
    server.lists, server.watches = [page()], [[] for _ in range(1000)]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            async for _ in updates():
                pass
    assert len(server.asked) <= 3, "a list and two watches"


async def test_watches_that_end_without_a_word_again_and_again_are_a_failure(server, updates, monkeypatch):
    monkeypatch.setattr(list_watch, "EMPTY_PAUSE", 0.2)
    monkeypatch.setattr(list_watch, "MAX_GAP", 0.01)
    position = WatchPosition()
    server.lists, server.watches = [page()], [[] for _ in range(1000)]
    with pytest.raises(Unreadable, match="without a word"):
        await take(updates(position=position), 99)
    assert position.version is None, "only a list tells whether there is anything"
    asked = len(server.asked)
    server.lists = [page()]
    with pytest.raises(Unreadable, match="without a word"):
        await take(updates(position=position), 99)
    assert len(server.asked) - asked > asked, "a collection that is only quiet is listed ever more rarely"


async def test_watches_that_end_at_once_but_tell_something_are_none(server, updates, monkeypatch):
    monkeypatch.setattr(list_watch, "EMPTY_PAUSE", 0.2)
    monkeypatch.setattr(list_watch, "MAX_GAP", 0.01)
    server.lists, server.watches = [page()], [[], [], [event("ADDED", "a", "11")], []] * 4
    changes = [one for one in await take(updates(), 21) if isinstance(one, ObjectChange)]
    assert len(changes) == 4


async def test_deletions_are_told(server, updates):
    server.lists = [page("a")]
    server.watches = [[event("DELETED", "a", "11")]]
    deleted = (await take(updates(), 3))[2]
    assert isinstance(deleted, ObjectChange)
    assert (deleted.type, deleted.object.metadata.uid) == ("DELETED", "uid-a")


async def test_after_a_failure_it_goes_on_where_it_was_without_a_new_list(server, updates):
    position = WatchPosition()
    server.lists = [page("a", version="10")]
    server.watches = [
        [event("ADDED", "b", "11")],
        {"kind": "Status", "code": 500, "reason": "InternalError", "message": "away"},
        [event("ADDED", "c", "12")],
    ]
    with pytest.raises(ApiError, match="away"):
        await take(updates(position=position), 9)
    alive, changed = await take(updates(position=position), 2)
    assert isinstance(alive, WatchAlive)
    assert changed.object.metadata.name == "c"
    assert [query.get("resourceVersion") for query in server.asked] == [None, "10", "11", "11"]


async def test_a_list_that_was_not_taken_in_is_asked_for_again(server, updates):
    position = WatchPosition()
    server.lists = [page("a"), page("a")]
    await take(updates(position=position), 1)
    assert position.version is None
    assert isinstance((await take(updates(position=position), 1))[0], FullList)


@pytest.mark.parametrize(
    "refusal",
    [
        gone(),
        {"kind": "Status", "code": 504, "reason": "Timeout", "message": "Too large resource version: 99"},
    ],
)
async def test_a_version_that_the_server_does_not_have_any_more_is_forgotten(server, updates, refusal):
    position = WatchPosition(version="99")
    server.watches = [refusal, []]
    with pytest.raises(WatchExpired):
        await take(updates(position=position), 1)
    assert position.version is None


async def test_410_as_an_event_asks_for_a_new_list(server, updates, recording):
    server.lists = [page()]
    server.watches = [[recording("error-410-watch-event.json").strip() + b"\n"], []]
    with pytest.raises(WatchExpired, match="too old resource version"):
        await take(updates(), 3)


async def test_410_as_the_status_of_a_watch_asks_for_a_new_list(server, updates):
    server.lists, server.watches = [page()], [gone(), []]
    with pytest.raises(WatchExpired):
        await take(updates(), 2)


async def test_410_on_a_list_asks_for_a_new_list(server, updates):
    server.lists = [gone()]
    with pytest.raises(WatchExpired):
        await take(updates(), 1)


async def test_another_error_event_is_the_apis_refusal(server, updates):
    status = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is away"}
    server.lists, server.watches = [page()], [[{"type": "ERROR", "object": status}], []]
    with pytest.raises(ApiError, match="etcd is away") as caught:
        await take(updates(), 3)
    assert caught.value.status == 500


async def test_a_refused_list_is_the_apis_refusal(server, updates):
    server.lists = [{"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden"}]
    with pytest.raises(ApiError, match="pods is forbidden"):
        await take(updates(), 1)


@pytest.mark.parametrize("line", [b'{"type":"ADDED","object":{"meta\n', b"<html>\n", b'{"type":"ADDED"}\n'])
async def test_an_event_that_cannot_be_read_is_a_failure_in_words(server, updates, line):
    server.lists, server.watches = [page()], [[line], []]
    position = WatchPosition()
    with pytest.raises(Unreadable, match="cannot be read"):
        await take(updates(position=position), 3)
    assert position.version is None


async def test_an_object_of_a_list_that_cannot_be_read_costs_only_itself(server, updates):
    items = [pod("a", "1"), {"metadata": 7}, pod("b", "2")]
    server.lists = [{"metadata": {"resourceVersion": "1"}, "items": items}]
    listed = (await take(updates(), 1))[0]
    assert [one.metadata.name for one in listed.items] == ["a", "b"]


async def test_a_line_cut_short_by_the_connection_is_not_taken_for_an_event(serve_bytes, target):
    async def answer(head, reader, writer):
        if b"watch=true" in head:
            line = json.dumps(event("ADDED", "a", "11")).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + line[: len(line) // 2])
        else:
            body = json.dumps(page()).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    port = await serve_bytes(answer)
    async with Client(target(f"http://127.0.0.1:{port}")) as client:
        updates = list_and_watch(client, list_watch.pod_collection("ns"), WatchPosition())
        with pytest.raises(Unreachable):
            await take(updates, 9)
        await updates.aclose()


async def test_a_recorded_watch_is_read_whole(server, updates, recording):
    lines = recording("watch-pods-checkout-service.jsonl").splitlines(keepends=True)
    server.lists, server.watches = [page()], [lines, []]
    found = (await take(updates(), 2 + len(lines)))[2:]
    kinds = [update.type if isinstance(update, ObjectChange) else "BOOKMARK" for update in found]
    assert kinds == [json.loads(line)["type"] for line in lines]


async def test_owners_are_asked_for_as_metadata_only(serve, target):
    accepted = []

    async def answer(request):
        accepted.append(request.headers["Accept"])
        if "watch" in request.query:
            raise web.HTTPForbidden
        return web.json_response(page("rs"))

    async with Client(target(await serve(answer))) as client:
        updates = list_and_watch(client, list_watch.replica_set_collection("ns"), WatchPosition())
        listed = await anext(updates)
        assert names(listed) == ["rs"]
        with pytest.raises(ApiError):
            await anext(updates)
    assert "as=PartialObjectMetadataList" in accepted[0]
    assert "as=PartialObjectMetadata;" in accepted[1]
