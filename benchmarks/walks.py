"""How many modules three walks through memtop enter, counted on the embedded cluster by a profile hook.

    python -m benchmarks.walks [pod|change|once]

A module counts once, as soon as one of its functions is called between the start and the end of the walk, on
whichever thread; imports and the bodies of classes are no calls. The cluster runs in another process.

- ``pod``: from the first object of a watch that is decoded to the first line of a table painted after
  the next frame.
- ``change``: from the key ``i`` through form, plan, PATCH and rollout to the verdict that the fix holds.
- ``once``: all of ``memtop --demo --once -o json``.

The hook sees everything that happens meanwhile, such as the sources' other requests, so that the figures are
upper bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from types import CodeType, FrameType

from config import settings_from
from memtop.demo.child_process import DemoChild, DemoOptions
from memtop.observe.watchlist import at_speed, make_watchlist
from tests.test_structure import PACKAGES
from tests.tui.stage import Stage
from tui.app import Memtop
from tui.cli import main as run_memtop

SPEED = 600.0
CHANGE_SPEED = 240.0
"""Times the pace of the clock, on the walk of the key ``i``, so that the engine keeps up under the hook."""


class Walk:
    """Collects the modules that are entered while it is on.

    Args:
        begins: Whether a call is the start of the walk; None for a walk that `on` begins.
        ends: Whether a call is its end.
    """

    def __init__(
        self,
        begins: Callable[[str, str], bool] | None = None,
        ends: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.modules: dict[str, None] = {}
        self.on = False
        self.over = threading.Event()
        self._begins = begins
        self._ends = ends
        self._ended = False
        self._passed: set[CodeType] = set()  # functions that can add nothing more

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Takes an event of the profiler."""
        code = frame.f_code
        if event != "call" or code in self._passed or self._ended:
            return
        module, function = frame.f_globals.get("__name__", ""), code.co_name
        foreign = module.partition(".")[0] not in PACKAGES or module.startswith("memtop.demo")
        if foreign or function == "<module>" or not code.co_flags & inspect.CO_NEWLOCALS:  # a class's body
            self._passed.add(code)
            return
        if not self.on and self._begins is not None:
            self.on = self._begins(module, function)
        if not self.on:
            return
        self.modules[module] = None
        if self._ends is None:
            self._passed.add(code)
        elif self._ends(module, function):
            self._ended = True
            self.over.set()

    def print(self, title: str) -> None:
        """Prints what was entered, in order."""
        print(f"{title}: {len(self.modules)} modules")
        print("  " + " ".join(self.modules), flush=True)


@contextlib.asynccontextmanager
async def opened(walk: Walk, speed: float = SPEED) -> AsyncIterator[Stage]:
    """The app on the embedded cluster, every thread of it watched by the walk."""
    with DemoChild(DemoOptions(pods=20, speed=speed)) as demo:
        cluster = {"kubeconfig": str(demo.wait()), "namespaces": ("production",)}
        settings = settings_from({"cluster": cluster, "observe": {"keep_history": False}})
        plan = at_speed(make_watchlist(settings, os.environ), speed)
        app = Memtop(settings, plan, lambda other: make_watchlist(other, {}))
        threading.setprofile(walk)
        sys.setprofile(walk)
        try:
            async with app.run_test(size=(120, 36), notifications=True) as pilot:
                yield Stage(app, pilot)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


async def pod() -> None:
    """From an event of the pods' watch to the cells."""
    framed = False

    def begins(module: str, function: str) -> bool:
        return ready and (module, function) == ("memtop.kube.list_watch", "decode_item")

    def ends(module: str, function: str) -> bool:
        nonlocal framed
        framed |= function == "on_frame_ready"
        return framed and (module, function) == ("widgets.table", "render_line")

    ready = False
    walk = Walk(begins, ends)
    async with opened(walk) as stage:
        await shown(stage, "pods live", "OOMKilled")
        ready = True
        while not walk.over.is_set():
            await stage.pilot.pause(0.2)
    walk.print("pod event to cell")


async def shown(stage: Stage, *words: str) -> None:
    """Waits for words on the screen."""
    while not all(word in stage.text for word in words):
        await stage.pilot.pause(0.2)


async def change() -> None:
    """From the key to the verdict."""
    walk = Walk()
    async with opened(walk, CHANGE_SPEED) as stage:
        await shown(stage, "user-service")
        await stage.type("/user-service")
        await stage.press("enter")
        await shown(stage, "leak", "OOM kills")
        walk.on = True
        await stage.press("i")
        await shown(stage, "user-service:v2.0.0")
        await stage.type("v2.1.0")
        await stage.press("enter")
        await shown(stage, "the server accepts it", "kubectl set image", "Cancel")
        await stage.press("y")
        await shown(stage, "successfully rolled out")
        await stage.press("b")
        await shown(stage, "HOLDING")
        walk.over.set()
    walk.print("key i to verdict")


def once() -> None:
    """The command without a screen."""
    walk = Walk()
    walk.on = True
    threading.setprofile(walk)
    sys.setprofile(walk)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            run_memtop(["--demo", "--once", "-o", "json"])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    walk.print("--once -o json")


def main() -> None:
    """Prints the walks that were asked for, or all."""
    chosen = sys.argv[1:] or ["pod", "change", "once"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder}
        if "pod" in chosen:
            asyncio.run(pod())
        if "change" in chosen:
            asyncio.run(change())
        if "once" in chosen:
            once()


if __name__ == "__main__":
    main()
