"""Go's profiles where nothing but ports can be asked."""

import contextlib
from pathlib import Path

import pytest
from aiohttp import web

from memtop.heap import runtime_detection
from memtop.heap.capture_methods import CaptureMethod
from memtop.heap.capture_plan import CaptureConstraints, plans_from_ports
from memtop.heap.runtime_detection import LanguageRuntime, PprofPort, find_pprof_ports
from memtop.kube.container_exec import ContainerRef

PLACE = ContainerRef("shop", "cart-1", "cart")


@pytest.fixture
async def ports(monkeypatch):
    """``ports[6060] = handler``: what answers behind a port; the others refuse."""
    handlers = {}

    class Forward:
        def __init__(self, client, namespace, pod, port):
            assert (namespace, pod) == ("shop", "cart-1")
            self.port = port

        @contextlib.asynccontextmanager
        async def listening(self):
            if self.port not in handlers:
                yield "http://127.0.0.1:1"
                return
            app = web.Application()
            app.router.add_get("/{tail:.*}", handlers[self.port])
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    monkeypatch.setattr(runtime_detection, "PortForward", Forward)
    return handlers


async def pprof(request):
    if request.path == "/debug/pprof/":
        return web.Response(text='<a href="heap?debug=1">heap</a>', content_type="text/html")
    if request.path == "/debug/pprof/cmdline":
        return web.Response(body=b"/app/cart\0--port\x1b[31m\x008080")
    return web.Response(status=404)


async def anything(request):
    return web.Response(text="<html>welcome</html>")


async def silent(request):
    raise web.HTTPFound("/login")


async def test_ports_that_serve_profiles_are_found_with_whose_they_are(ports):
    ports.update({6060: pprof, 8080: anything, 9090: silent})
    [one] = await find_pprof_ports(None, PLACE, [8080, 6060, 9090, 7070, 6060])
    assert one == PprofPort(6060, ("/app/cart", "--port", "8080"))
    assert one.program.words() == "Go, PID 1: /app/cart --port 8080"


async def test_without_one_there_is_nothing(ports):
    ports[8080] = anything
    assert await find_pprof_ports(None, PLACE, [8080]) == ()


def test_each_is_a_plan_that_needs_no_exec():
    found = plans_from_ports(
        PLACE,
        [PprofPort(6060, ("/app/cart",)), PprofPort(8080, ())],
        CaptureConstraints(None),
        Path("/here"),
        10**9,
        "s",
    )
    assert [(plan.capture.port, plan.capture.method) for plan in found] == [
        (6060, CaptureMethod.PORT),
        (8080, CaptureMethod.PORT),
    ]
    assert all(plan.program.runtime is LanguageRuntime.GO and not plan.capture.missing for plan in found)
    assert ("process", "Go, PID 1: /app/cart") in found[0].facts()
    assert found[0].target == Path("/here/shop_cart-1_cart_s.pb.gz")
