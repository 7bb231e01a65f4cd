"""The rules proposed for some pods, with what they would have done, as files and as objects.

One set is made by the settings and what workloads say by annotation. The other one has learned: what was
healthy in the past and would have paged has thresholds of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memtop.background import run_in_thread
from memtop.files import new_file
from memtop.history.prometheus_connection import (
    PrometheusConnection,
    PrometheusNotFoundError,
    connect_prometheus,
)
from memtop.kube.api_errors import ApiError, Unreachable
from memtop.kube.client import Client
from memtop.kube.object_ref import ObjectRef
from memtop.observe.source import ServerClock
from memtop.rules.alert_rules import AlertRule, RuleSet, RuleThresholds
from memtop.rules.backtest import HEADINGS, ask_rule_past, backtest_rows
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_files import RuleForm, rule_file, rule_object, yaml_text
from memtop.rules.rule_history import Backtest, RulePast, evaluate_rules, learn_exceptions
from memtop.rules.rule_scope import RuleScope, read_scope
from memtop.rules.rule_tests import rule_tests
from memtop.wording import counted, duration, share

if TYPE_CHECKING:
    from config.settings import Settings

LONGEST_BACKTEST = 30 * 86400.0
"""Seconds; a Prometheus seldom remembers more."""


@dataclass(frozen=True)
class RuleSource:
    """Where rules come from: a cluster, its Prometheus, and what they are made for.

    Attributes:
        client: The connection to the API server.
        found: Its Prometheus; None where none answers.
        scope: What rules are made for.
        speed: Seconds of cluster time per second here.
    """

    client: Client
    found: PrometheusConnection | None
    scope: RuleScope
    speed: float = 1.0


@contextlib.asynccontextmanager
async def connect_rules(
    client: Client, settings: Settings, selection: PodSelection, speed: float = 1.0
) -> AsyncGenerator[RuleSource, None]:
    """Connects to the cluster's Prometheus, and probes what both have.

    Args:
        client: The connection to the API server.
        settings: How to find Prometheus, and where rules are to go.
        selection: Which pods rules are for.
        speed: Seconds of cluster time per second here.

    Raises:
        ApiError: The cluster refuses.
        Unreachable: No whole answer came.
    """
    async with contextlib.AsyncExitStack() as stack:
        found = None
        if settings.prometheus.enabled:
            with contextlib.suppress(PrometheusNotFoundError):
                found = await stack.enter_async_context(connect_prometheus(client, settings.prometheus))
        yield RuleSource(client, found, await read_scope(client, settings, selection, found), speed)


async def server_time(source: RuleSource) -> float:
    """The cluster's time, Unix seconds."""
    clock = ServerClock(source.speed)
    response = await source.client.request("GET", "/version")
    clock.observe(response.headers.get("Date"))
    return clock.now()


@dataclass(frozen=True, eq=False)
class ProposedRules:
    """Rules for some pods.

    Attributes:
        scope: What they are made for.
        thresholds: Those of the settings.
        past: What Prometheus remembers of them; None before it was asked.
        where: Which Prometheus that is; empty without one.
        problem: Why nothing is known of the past; empty where something is, or nobody has asked.
    """

    scope: RuleScope
    thresholds: RuleThresholds
    past: RulePast | None = None
    where: str = ""
    problem: str = ""

    def rules(self, *, learned: bool) -> RuleSet:
        """The rules.

        Args:
            learned: Whether thresholds are learned from the past, as far as it is known.
        """
        plain = self.scope.rules(self.thresholds)
        if not learned or self.past is None:
            return plain
        return self.scope.rules(self.thresholds, learn_exceptions(self.past, plain, self.scope.workloads))

    def backtest(self, rules: RuleSet) -> Backtest | None:
        """What one of its sets would have done; None where that is not known."""
        return None if self.past is None else evaluate_rules(self.past, rules)

    def tested(self, *, learned: bool) -> BacktestedRules:
        """One of its sets, with what it would have done; takes its time where there are many pods."""
        rules = self.rules(learned=learned)
        return BacktestedRules(rules, self.backtest(rules))


@dataclass(frozen=True, eq=False)
class BacktestedRules:
    """A set of rules.

    Attributes:
        rules: The set.
        backtest: What it would have done; None where that is not known.
    """

    rules: RuleSet
    backtest: Backtest | None


async def propose_rules(
    source: RuleSource,
    thresholds: RuleThresholds,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> ProposedRules:
    """Asks for the past of the rules. Cancelled, it asks nothing more.

    Args:
        source: Whom to ask.
        thresholds: From where on rules fire.
        seconds: How far back.
        tell: Told what is being asked, from another thread.

    Raises:
        ApiError: The cluster refuses to tell its time.
        Unreachable: It does not answer.
        CredentialError: No credential could be had.
    """
    proposed = ProposedRules(source.scope, thresholds)
    if source.found is None:
        return replace(proposed, problem="no Prometheus answers, so nothing is known of the past")
    proposed = replace(proposed, where=source.found.where)
    now, prometheus, rules = await server_time(source), source.found.prometheus, proposed.rules(learned=False)
    withdrawn = threading.Event()

    def pause(wait: float) -> None:
        if withdrawn.wait(wait):
            raise _WithdrawnError

    try:
        past = await run_in_thread(
            lambda: ask_rule_past(prometheus, rules, seconds, now, pause=pause, tell=tell)
        )
    except (ApiError, Unreachable, ValueError) as error:
        return replace(proposed, problem=str(error))
    finally:
        withdrawn.set()
    return replace(proposed, past=past)


class _WithdrawnError(Exception):
    """Nobody waits for the answer any more."""


# -- in words


_FIRES_WHEN = {
    "near-limit": "it is near its limit",
    "leak": "its floor grows",
    "limit-soon": "the limit comes soon",
    "oom-kill": "each OOM kill",
    "child-oom-kill": "a child is killed",
    "oom-loop": "kills in an hour",
    "restarts": "restarts in an hour",
    "no-limit": "it has no limit",
    "pressure": "it waits for memory",
}


def threshold_words(rule: AlertRule) -> str:
    """From where on a rule fires, in a few words."""
    limit = rule.threshold
    if limit is None:
        return _FIRES_WHEN[rule.id]
    match rule.id:
        case "near-limit":
            return f"above {share(limit)} of it"
        case "leak":
            return f"floor + {share(limit)}"
        case "limit-soon":
            return f"within {limit:g} h"
        case "pressure":
            return f"waits {share(limit)}"
        case _:
            return f"{limit:g} {_FIRES_WHEN[rule.id]}"


async def rules_in_words(client: Client, settings: Settings, workload: ObjectRef) -> tuple[str, ...]:
    """The rules proposed for a workload, one line each, with the thresholds of the settings.

    Raises:
        ApiError: The cluster refuses.
        Unreachable: No whole answer came.
        CredentialError: No credential could be had.
    """
    own = RuleWorkload(workload.namespace, workload.kind, workload.name)
    async with connect_rules(client, settings, PodSelection((workload.namespace,), (own,))) as source:
        rules = ProposedRules(source.scope, RuleThresholds.of(settings)).rules(learned=False)
    lines = [f"{one.alert} ({one.severity}): {one.id}, {threshold_words(one)}" for one in rules.rules]
    lines += [f"no {name}: {why}" for name, why in rules.left_out.items()]
    named = f"{workload.kind.lower()}/{workload.name} -n {workload.namespace}"
    return (*lines, f"memtop rules {named} --backtest 7d says what they would have done")


def own_threshold_words(rule: AlertRule) -> str:
    """That a workload has a threshold of its own, and where it comes from."""
    name = rule.workload.name if rule.workload is not None else "all"
    why = f" ({rule.reason})" if rule.reason else ""
    return f"{rule.id} of {name} has a threshold of its own: {rule.threshold:g}{why}"


def backtest_lines(proposed: ProposedRules, rules: RuleSet) -> Iterator[str]:
    """The table of what a set of rules would have done, as lines."""
    found = proposed.backtest(rules)
    if found is None:
        return
    rows = [HEADINGS, *backtest_rows(found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def backtest_sentence(found: Backtest) -> str:
    """What a set of rules would have done, in a sentence."""
    pages = sum(len(one.pages) for one in found.histories)
    wrong = sum(len(one.false_alarms) for one in found.histories)
    leads = [lead for one in found.histories for lead in one.leads]
    kills = max((one.kills for one in found.histories), default=0)
    words = f"In {duration(found.seconds)} they would have paged {counted(pages, 'time')}"
    if pages:
        words += f", {wrong} of them in vain" if wrong else ", none of them in vain"
    if not kills:
        return f"{words}; there was no OOM kill"
    if not leads:
        return f"{words}; {counted(kills, 'OOM kill')}, none announced"
    announced = max(len(one.leads) for one in found.histories)
    ahead = duration(float(np.median(leads)))
    return (
        f"{words}; {announced} of {counted(kills, 'OOM kill')} announced, half of them {ahead} ahead or more"
    )


# -- as files and objects


def rules_text(rules: RuleSet, form: RuleForm, name: str, scope: RuleScope) -> str:
    """The rules in one of their forms.

    Args:
        rules: The rules.
        form: Which.
        name: Of the object.
        scope: What they are made for.
    """
    return rule_file(rules) if form == "file" else yaml_text(object_of_rules(rules, scope, name, form))


def object_of_rules(rules: RuleSet, scope: RuleScope, name: str, form: RuleForm) -> dict[str, Any]:
    """The object with the rules; ``auto`` is what this cluster's Prometheus reads."""
    if form == "auto":
        form = "prometheusrule" if scope.operator else "configmap"
    return rule_object(rules, form, name, scope.namespace, scope.labels)


def write_rules(
    rules: RuleSet, text: str, form: RuleForm, folder: Path, name: str, *, tests: bool
) -> Sequence[Path]:
    """Writes rules, and their tests if asked for, to new files of a folder that is there.

    The tests need a plain rule file, so it is written beside an object too.

    Raises:
        NewFileError: A file is there already, or cannot be written.
    """
    plain = f"{name}.rules.yml"
    files = {plain if form == "file" else f"{name}.yaml": text}
    if tests:
        files[plain] = rule_file(rules)
        files[f"{name}.rules.test.yml"] = rule_tests(rules, plain)
    for file, content in files.items():
        with new_file(folder / file, str(folder / file)) as stream:
            stream.write(content)
    return [folder / file for file in files]
