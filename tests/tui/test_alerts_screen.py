"""The alerts screen: by its key on the embedded cluster, and what it shows of a past made by hand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.settings import Settings
from memtop.change.audit_log import AuditLog
from memtop.demo.thread import DemoThread
from memtop.history.past_series import ContainerName
from memtop.history.prometheus_answers import MetricStream
from memtop.kube.object_ref import ObjectRef
from memtop.rules.alert_rules import RuleThresholds
from memtop.rules.proposed_rules import ProposedRules
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_history import DAY, STEP, RulePast
from memtop.rules.rule_scope import RuleScope
from tests.rules.installations import INSTALLATIONS
from tests.tui.cluster import FakeCluster
from tests.tui.conftest import Serve
from tests.tui.stage import Stage
from tests.tui.test_pictures import SIZES, AppOn, Compare
from tui.alerts.rule_rows import AlertProposal, alert_head, alert_lines
from tui.alerts.screen import AlertsScreen
from tui.app import Memtop

NOW = 1_795_953_900.0
CART = RuleWorkload("shop", "Deployment", "cart")
NIGHTLY = RuleWorkload("shop", "StatefulSet", "ledger")


def _stream(hours: list[float], value: float) -> MetricStream:
    """True for forty minutes from so many hours before now."""
    times = np.concatenate([NOW - hour * 3600 + np.arange(9) * STEP for hour in sorted(hours, reverse=True)])
    return MetricStream({}, times, np.full(len(times), value))


def _proposed() -> ProposedRules:
    """A shop whose cart leaks and whose ledger is full each night and healthy."""
    cart, ledger = (
        ContainerName("shop", "cart-7d4b9c6f5-x2kq2", "app"),
        ContainerName("shop", "ledger-0", "db"),
    )
    metrics = replace(INSTALLATIONS["kube-prometheus"], selection=PodSelection(("shop",)))
    nights = [24.0 * night + 5 for night in range(1, 7)] + [24.0 * night + 8 for night in range(1, 7)]
    past = RulePast(
        7 * DAY,
        NOW,
        {
            ("near-limit", None): {cart: _stream([30.0, 6.0], 0.96), ledger: _stream(nights, 0.93)},
            ("limit-soon", None): {cart: _stream([33.0, 9.0], 2.5)},
        },
        {cart: MetricStream({}, np.array([NOW - 29 * 3600, NOW - 5 * 3600]), np.ones(2))},
        {cart: True, ledger: False},
    )
    scope = RuleScope(metrics, workloads=(CART, NIGHTLY))
    return ProposedRules(scope, RuleThresholds(), past, "monitoring/prometheus:9090")


async def test_the_key_proposes_rules_and_puts_them_into_the_demo(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are tested on the demo's own past, applied after a yes, found unchanged, and undone."""
    monkeypatch.chdir(tmp_path)
    with DemoThread(pods=20, speed=10) as demo:
        async with serve(demo, speed=10, size=(140, 50), namespaces=("production",)) as stage:
            await stage.select("user-service", workload=True)
            await stage.press("A")
            await stage.until(lambda: isinstance(stage.app.screen, AlertsScreen), "the screen")
            await stage.press("g", "g")  # 30 d, then 1 d
            await stage.shows(
                "In 1 d they would have paged", "OOM kills announced", "near-limit", "What the alert says"
            )
            await stage.press("F")
            await stage.until(lambda: len(list(tmp_path.glob("user-service-alerts*"))) == 2, "the files")
            await stage.press("a")
            await stage.shows("Put the alert rules into configmap/memory-alerts", "the server accepts it")
            await stage.press("y")
            await stage.shows("configmap/memory-alerts created")
            await stage.press("a")
            await stage.shows("Nothing to do")
            await stage.press("u")
            await stage.shows("Take the alert rules back", "undoes")
            await stage.press("y")
            await stage.shows("configmap/memory-alerts deleted")


def _never(work: Callable[..., Any]) -> Future[Any]:
    return Future()


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_alert_rules(
    snap_compare: Compare, app_on: AppOn, night: FakeCluster, size: str, tmp_path: Path
) -> None:
    """The sentence, a row a rule with the learned one apart, and all of the selected rule."""

    async def prepare(pilot: Any) -> None:
        app = pilot.app
        assert isinstance(app, Memtop)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.overview.frame is not None, "the first frame")
        screen = AlertsScreen(
            ObjectRef("Deployment", "shop", "cart"),
            _never,
            lambda: NOW,
            Settings(),
            AuditLog(tmp_path / "audit.jsonl"),
        )
        app.open_screen(screen)
        await stage.until(lambda: app.screen is screen, "the screen")
        screen.post_message(screen.Told(AlertProposal.of(_proposed())))
        await stage.shows("of ledger", "in vain")
        await pilot.pause()

    assert snap_compare(app_on(night), terminal_size=SIZES[size], run_before=prepare)


def test_thresholds_are_learned_from_the_healthy_alone() -> None:
    """The nightly batch pages nobody any more; the leak pages as before."""
    told = AlertProposal.of(_proposed())
    near = [one for one in told.learned.rules.rules if one.id == "near-limit"]
    assert [(one.workload, one.threshold) for one in near] == [(None, 0.9), (NIGHTLY, pytest.approx(0.9379))]
    assert told.as_set.backtest is not None
    assert told.learned.backtest is not None
    [noisy] = [one for one in told.as_set.backtest.histories if one.rule.id == "near-limit"]
    plain, own = [one for one in told.learned.backtest.histories if one.rule.id == "near-limit"]
    assert (len(noisy.pages), len(noisy.false_alarms), noisy.noisy) == (14, 12, True)
    assert (len(plain.pages), len(own.pages), plain.noisy) == (2, 0, False)
    assert len(plain.leads) == 2


def test_the_head_says_what_they_would_have_done_and_what_was_learned() -> None:
    lines = [line.plain.strip() for line in alert_head(AlertProposal.of(_proposed()), "", 200, learned=True)]
    assert lines[0] == (
        "In 7 d they would have paged 4 times, none of them in vain; 2 of 2 OOM kills announced, "
        "half of them 2 h 22 m ahead or more (by monitoring/prometheus:9090)."
    )
    assert lines[1].startswith(
        "near-limit of ledger has a threshold of its own: 0.9379 (learned from 7 d: 12"
    )
    said = [line.plain for line in alert_head(AlertProposal.of(_proposed()), "", 200, learned=False)]
    assert "12 of them in vain" in said[0]


def test_a_noisy_rule_says_so_and_which_threshold_would_have_been_quiet() -> None:
    told = AlertProposal.of(_proposed())
    assert told.as_set.backtest is not None
    [noisy] = [one for one in told.as_set.backtest.histories if one.rule.id == "near-limit"]
    lines = [str(line) for line in alert_lines(noisy.rule, noisy, 7 * DAY, 120)]
    assert any("12 pages in 7 d without an incident; 93 %" in line for line in lines)
    assert sum("in vain" in line for line in lines) == 10  # of the twelve pages that are told one by one


def test_where_nothing_is_known_of_the_past_it_says_why() -> None:
    told = AlertProposal.of(replace(_proposed(), past=None, problem="no Prometheus answers"))
    lines = [line.plain for line in alert_head(told, "Asking", 200, learned=True)]
    assert lines[0] == " no Prometheus answers"
    assert "those of the settings" in lines[1]
