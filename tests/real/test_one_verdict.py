"""The open screen and ``--once`` say the same of every container, each minute, and what they say is true.

``MEMTOP_VERDICT_MINUTES`` is how long is watched: 5 minutes unless it says otherwise, 60 by hand before a
release. ``MEMTOP_VERDICT_TABLE`` names a file for the table that goes into ``benchmarks/README.md``.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from config import settings_from
from memtop.analysis.judgement import VERDICTS, Judgement, Verdict
from memtop.commands.once import observe_once
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.slots import ContainerIdentity
from memtop.observe.watchlist import Watchlist, make_watchlist

pytestmark = pytest.mark.long

MINUTES = int(os.environ.get("MEMTOP_VERDICT_MINUTES", "5"))
TABLE = os.environ.get("MEMTOP_VERDICT_TABLE", "")
SECOND = 50.0
"""Second of each minute at which both are asked: a verdict is of a moment that is known 100 s later."""
NAMESPACES = ("production", "staging", "observability")
LEAKING = (
    *("user-service", "checkout-service", "slow-leak-service"),
    *("log-agent", "session", "session-api"),
)
"""Containers that leak, by what the cluster's README says they do."""
HEALTHY = (
    *("steady-service", "sawtooth-service", "order-service", "session-store", "node-agent"),
    *("billing", "batch-nolimit", "shell", "prometheus"),
)
ALARMS = {Verdict.LEAK.value, Verdict.OOM_LOOP.value}
DEATHS, AGE = 3, 1200.0
"""A leak is called one after so many deaths, or so many seconds."""
Name = tuple[str, str, str]


@dataclass
class History:
    """What was said of one container, minute by minute."""

    screen: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    due: list[bool] = field(default_factory=list)


def said(frame: Frame) -> dict[Name, tuple[str, str]]:
    """The verdict on each container that runs for good, in the words of the screen, and its evidence."""
    found = {}
    for row, identity in enumerate(frame.rows.identities):
        if isinstance(identity, ContainerIdentity) and identity.container in (*LEAKING, *HEALTHY):
            judged = frame.rows.judgements[row]
            words = Judgement(VERDICTS[frame.rows.verdict[row]], float(frame.rows.confidence[row])).certainty
            found[identity.namespace, identity.pod, identity.container] = words, judged.evidence()
    return found


def has_to_be_known(frame: Frame, born: dict[Name, float]) -> dict[Name, bool]:
    """Whether what leaks has died often enough, or is old enough, to be called a leak."""
    known = {}
    for row, identity in enumerate(frame.rows.identities):
        if isinstance(identity, ContainerIdentity) and identity.container in LEAKING:
            name = identity.namespace, identity.pod, identity.container
            age = frame.time - born.setdefault(name, frame.time)
            known[name] = bool(frame.rows.restarts[row] >= DEATHS) or age > AGE
    return known


class OpenScreen:
    """An engine that goes on observing, as behind a screen; its newest frame is kept."""

    def __init__(self, plan: Watchlist) -> None:
        self.frame: Frame | None = None
        self.crash: BaseException | None = None
        self._news = threading.Event()
        self.engine = Engine(plan, self._take, self._crashed)

    def _take(self, frame: Frame) -> None:
        self.frame = frame
        self._news.set()

    def _crashed(self, error: BaseException) -> None:
        self.crash = error
        self._news.set()

    def next(self) -> Frame:
        """A frame built after now."""
        self._news.clear()
        self._news.wait(30)
        assert self.crash is None, self.crash
        assert self.frame is not None
        return self.frame


@pytest.fixture
def plan(admin: Path) -> Watchlist:
    settings = settings_from(
        {
            "cluster": {"kubeconfig": str(admin), "namespaces": NAMESPACES},
            "observe": {"keep_history": False},
        }
    )
    return make_watchlist(settings, os.environ)


@pytest.fixture
def screen(plan: Watchlist) -> Iterator[OpenScreen]:
    screen = OpenScreen(plan)
    screen.engine.start()
    yield screen
    screen.engine.stop()


def in_stretches(words: list[str]) -> str:
    """``leak 12, steady 3``: how many minutes each verdict lasted."""
    return ", ".join(f"{word} {len(list(minutes))}" for word, minutes in groupby(words))


def as_markdown_table(histories: dict[Name, History]) -> str:
    lines = [
        f"| container | minutes | open screen | `--once` | differ |\n|{'---|' * 5}",
        *(
            f"| {pod.rsplit('-', 2)[0] if container != 'session-store' else pod}/{container}"
            f" | {len(history.screen)} | {in_stretches(history.screen)} | {in_stretches(history.once)}"
            f" | {len(history.differences)} |"
            for (_, pod, container), history in sorted(
                histories.items(), key=lambda item: (item[0][2] not in LEAKING, item[0])
            )
        ),
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(MINUTES * 60 + 600)
def test_the_open_screen_and_once_agree_and_are_right(
    screen: OpenScreen, plan: Watchlist, clusters_prometheus: None
) -> None:
    histories: dict[Name, History] = defaultdict(History)
    born: dict[Name, float] = {}
    deadline = time.monotonic() + 120
    while not (screen.next().settled and screen.next().past_known):
        assert time.monotonic() < deadline, "the first answers did not come within 2 minutes"
    for minute in range(MINUTES):
        time.sleep((SECOND - time.time()) % 60)
        once = observe_once(plan, 0.0)
        open_ = screen.next()
        here, there, due = said(open_), said(once), has_to_be_known(open_, born)
        for name in here.keys() & there.keys():
            history = histories[name]
            history.screen.append(here[name][0])
            history.once.append(there[name][0])
            history.evidence.append(here[name][1])
            history.due.append(due.get(name, False))
            if here[name][0] != there[name][0]:
                history.differences.append(
                    f"minute {minute}: screen {here[name]}, --once {there[name]}, at {open_.time:.0f}"
                )
        if TABLE:
            details = [
                f"{name} {difference}"
                for name, history in histories.items()
                for difference in history.differences
            ]
            last = [f"{name[1:]}: {history.evidence[-1]}" for name, history in histories.items()]
            Path(TABLE).write_text("\n".join([as_markdown_table(histories), *details, "", *last, ""]))
    assert {container for _, _, container in histories} == {*LEAKING, *HEALTHY}
    wrong = [f"{name}: {words}" for name, history in histories.items() for words in history.differences]
    for name, history in histories.items():
        if name[2] in LEAKING:
            alarmed = np.array([word in ALARMS for word in history.screen])
            missed = np.flatnonzero(np.array(history.due) & ~alarmed)
            wrong += [
                f"{name}: {history.screen[at]} in minute {at}: {history.evidence[at]}" for at in missed[:3]
            ]
            left = np.flatnonzero(alarmed[:-1] & ~alarmed[1:])
            wrong += [f"{name}: no longer alarmed after minute {at}" for at in left]
        else:
            unqualified = [at for at, word in enumerate(history.screen) if word in ALARMS]
            wrong += [f"{name}: {history.screen[at]}, {history.evidence[at]}" for at in unqualified[:3]]
    assert not wrong, "\n".join(wrong)
