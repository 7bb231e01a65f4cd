"""What an engine shows and keeps as rights come and go, and as contexts are left."""

from __future__ import annotations

import gc
import json
import queue
import threading
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from memtop.kube import list_watch
from memtop.kube.api_errors import ApiError
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.list_watch import FullList, WatchPosition
from memtop.observe.engine import Engine
from memtop.observe.observer import Observer
from memtop.observe.source import NamespacesForbidden, Source
from memtop.observe.view import Scope, SourceCondition
from memtop.observe.watchlist import Watchlist

PATIENCE = 30.0  # seconds


def target(url):
    return ClusterTarget("test", "c", "u", url, "shop", "a test")


async def refused_after(monkeypatch, *steps):
    """What becomes of a list of all pods that tells some steps and is refused then."""

    async def told(*_, **__):
        for step in steps:
            yield step
        raise ApiError(403, "Forbidden", "pods is forbidden")

    monkeypatch.setattr(list_watch, "list_and_watch", told)
    observer = Observer(target("http://127.0.0.1:1"), Scope(), interval=15, hours=1, on_change=lambda: None)
    observer._unlisted = {None}
    source = Source("pods", lambda _: None, lambda: 0.0, lambda: None)
    await observer._watch_pods(None, WatchPosition(), source)


async def test_a_refusal_at_the_start_says_that_all_namespaces_are_forbidden(monkeypatch):
    with pytest.raises(NamespacesForbidden):
        await refused_after(monkeypatch)


async def test_a_refusal_in_the_middle_is_a_failure_of_the_source_alone(monkeypatch):
    with pytest.raises(ApiError, match="pods is forbidden"):
        await refused_after(monkeypatch, FullList(iter(()), 0))


class Handler(BaseHTTPRequestHandler):
    """Lists no pods; those of all namespaces only to who may."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        code, body = 404, {"code": 404, "message": "not found"}
        if path == "/api/v1/pods" and not self.server.allowed:
            code, body = 403, {"code": 403, "message": "pods is forbidden"}
        elif path.endswith("/pods") and "metrics" not in path and "watch" not in query:
            code, body = 200, {"metadata": {"resourceVersion": "1"}, "items": []}
        raw = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.allowed = True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def status_of(frame):
    """The state of the source of pods."""
    return next((one.state for one in frame.sources if one.name == "pods"), SourceCondition.CONNECTING)


def test_stores_of_contexts_that_were_left_are_collected(server):
    left = []
    for _ in range(3):
        frames, crashes = queue.Queue(), []
        engine = Engine(Watchlist(target(server.url), Scope()), frames.put, crashes.append)
        engine.start()
        while status_of(frames.get(timeout=PATIENCE)) is SourceCondition.CONNECTING:
            pass
        left.append(weakref.ref(engine._observer.store))
        engine.stop()
        assert not crashes
    del engine, frames
    gc.collect()
    assert [store() for store in left] == [None] * 3


def test_rights_that_come_bring_all_namespaces_back(server):
    server.allowed = False
    frames, crashes = queue.Queue(), []
    engine = Engine(Watchlist(target(server.url), Scope()), frames.put, crashes.append)
    engine.start()

    def narrowed(frame):
        return any("listing all namespaces is forbidden: only shop" in note for note in frame.notes)

    def listed(frame):
        return any(
            one.name == "pods" and one.state is not SourceCondition.CONNECTING for one in frame.sources
        )

    try:
        while not (narrowed(frame := frames.get(timeout=PATIENCE)) and listed(frame)):
            pass
        server.allowed = True
        engine.retry()
        while narrowed(frame := frames.get(timeout=PATIENCE)):
            pass
    finally:
        engine.stop()
    assert not crashes
    assert frame.scope == "all namespaces"
