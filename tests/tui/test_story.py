"""The whole incident on the embedded cluster, an hour in six seconds: from the leak to the fix that holds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from config import settings_from
from memtop.change.audit_log import AuditLog, audit_log_path
from memtop.demo.child_process import DemoChild, DemoOptions
from memtop.observe.watchlist import at_speed, make_watchlist
from tests.tui.stage import Stage
from tui.app import Memtop

SPEED = 600.0
LONG = 180.0
"""Seconds until the fix must be known to hold: thirty hours of the cluster's."""


async def shows(stage: Stage, *words: str) -> None:
    """Waits for words that take hours of the cluster's time to come."""
    deadline = time.monotonic() + LONG
    while not all(word in stage.text for word in words):
        assert time.monotonic() < deadline, f"waited for {words}; the screen was\n{stage.text}"
        await stage.pilot.pause(0.2)


@pytest.mark.long
async def test_from_a_leak_to_a_fix_that_holds(tmp_path: Path) -> None:
    with DemoChild(DemoOptions(pods=20, speed=SPEED)) as demo:
        cluster = {"kubeconfig": str(demo.wait()), "namespaces": ("production",)}
        settings = settings_from({"cluster": cluster, "observe": {"keep_history": False}})
        app = Memtop(
            settings,
            at_speed(make_watchlist(settings, os.environ), SPEED),
            lambda other: make_watchlist(other, {}),
        )
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            stage = Stage(app, pilot)
            await stage.shows("user-service")
            await stage.type("/user-service")
            await stage.press("enter")
            await shows(stage, "leak", "OOM kills")
            await stage.press("i")
            await stage.shows("runs now", "user-service:v2.0.0")
            await stage.type("v2.1.0")
            await stage.press("enter")
            await stage.shows("the server accepts it", "kubectl set image", "Cancel")
            await stage.press("y")
            await stage.shows("successfully rolled out")
            await stage.press("b")
            await stage.shows("Did it help?", "v2.0.0 → v2.1.0")
            await shows(stage, "WATCHING", "before: revision 2")
            await shows(stage, "HOLDING", "no OOM kill")
    entry = list(AuditLog(audit_log_path(os.environ)).entries())[-1]
    assert (entry.action, entry.outcome, entry.name) == ("set image", "applied", "user-service")
