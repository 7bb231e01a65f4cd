"""``memtop rules``: alert rules for this installation: printed, written, back-tested, applied and undone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from memtop.background import run_in_thread
from memtop.change.audit_log import AuditError, AuditLog, PlanOutcome, audit_log_path
from memtop.change.change_request import READ_ONLY_SENTENCE
from memtop.commands.change import ApplyTerms, Console, is_agreed, plan_table
from memtop.files import NewFileError, new_file
from memtop.history.prometheus_connection import (
    PrometheusConnection,
    PrometheusNotFoundError,
    connect_prometheus,
)
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.object_ref import parse_object_name
from memtop.observe.source import ServerClock
from memtop.observe.watchlist import DemoStartError, make_watchlist, open_watchlist
from memtop.rules.alert_rules import RuleSet, RuleThresholds
from memtop.rules.backtest import HEADINGS, backtest_rows, run_backtest
from memtop.rules.grafana_dashboard import (
    DashboardError,
    dashboard_json,
    dashboard_object,
    graph_panels,
)
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_files import RuleForm, rule_file, rule_object, yaml_text
from memtop.rules.rule_plan import RulesPlan, apply_rules, last_applied, plan_rules, plan_undo, record_rules
from memtop.rules.rule_scope import RuleScope, read_scope
from memtop.rules.rule_tests import rule_tests
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.invocation import Invocation

    _Printing = Callable[[Invocation, ClusterTarget, float, TextIO, TextIO], Coroutine[Any, Any, int]]

DONE, FAILED, MISTAKE = 0, 1, 2
LONGEST_BACKTEST = 30 * 86400.0
"""Seconds; a Prometheus seldom remembers more."""
RULE_WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")


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
async def rule_source(
    invocation: Invocation, target: ClusterTarget, speed: float
) -> AsyncGenerator[RuleSource, None]:
    """Connects to the cluster and its Prometheus, and probes what they have.

    Raises:
        ConfigError: A mistake in the arguments.
        ApiError: The cluster refuses.
        Unreachable: No whole answer came.
    """
    settings = invocation.settings
    selection = read_selection(invocation, target)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(target))
        found = None
        if settings.prometheus.enabled:
            with contextlib.suppress(PrometheusNotFoundError):
                found = await stack.enter_async_context(connect_prometheus(client, settings.prometheus))
        yield RuleSource(client, found, await read_scope(client, settings, selection, found), speed)


def read_selection(invocation: Invocation, target: ClusterTarget) -> PodSelection:
    """Which pods the settings and the arguments ask for.

    Raises:
        ConfigError: An argument names no workload, or there is not exactly one namespace for it.
    """
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    cluster = invocation.settings.cluster
    namespaces = () if cluster.all_namespaces else cluster.namespaces
    if not invocation.arguments:
        return PodSelection(namespaces)
    if len(namespaces) > 1:
        words = f"{invocation.command!r} with workloads needs one namespace"
        raise invocation.mistake("cluster.namespaces", words)
    namespace = next(iter(namespaces), target.namespace)
    found = []
    for word in invocation.arguments:
        try:
            ref = parse_object_name([word], namespace, RULE_WORKLOAD_KINDS)
        except ValueError as error:
            raise ConfigError(f"command {invocation.command!r}: {word!r} {error}") from None
        found.append(RuleWorkload(namespace, ref.kind, ref.name))
    return PodSelection((namespace,), tuple(found))


def run_rules(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints rules, or writes them to files.

    Args:
        invocation: Workloads among its arguments; its options ``output``, ``with_tests`` and ``to``.
        out: Where rules go.
        err: Where it is said what is left out, and what is in the way.

    Returns:
        The exit code.

    Raises:
        ConfigError: A mistake in the arguments, or a file that cannot be written.
    """
    return _run_on_cluster(invocation, _print_rules, out, err)


async def _print_rules(
    invocation: Invocation, target: ClusterTarget, speed: float, out: TextIO, err: TextIO
) -> int:
    async with rule_source(invocation, target, speed) as source:
        rules = source.scope.rules(RuleThresholds.of(invocation.settings))
        tell_scope(source.scope, rules, err)
        if invocation.options["backtest"]:
            return await _print_backtest(invocation, source, rules, out, err)
        form: RuleForm = invocation.options["output"]
        text = rules_text(invocation, source.scope, rules, form)
        tests, folder = invocation.options["with_tests"], invocation.options["to"]
        if not tests and not folder:
            print(text, end="", file=out)
            return DONE
        for path in write_rules(
            rules, text, form, Path(folder or "."), invocation.settings.alerts.name, tests=tests
        ):
            print(path, file=out)
        return DONE


async def _print_backtest(
    invocation: Invocation, source: RuleSource, rules: RuleSet, out: TextIO, err: TextIO
) -> int:
    """Prints what the rules would have done in the past."""
    if source.found is None:
        print("memtop: no Prometheus answers, so nothing is known of the past", file=err)
        return FAILED
    seconds = min(invocation.options["backtest"], LONGEST_BACKTEST)
    now, prometheus = await server_time(source), source.found.prometheus

    def tell(what: str) -> None:
        if err.isatty():
            print(f"memtop: asking Prometheus about {what}", file=err)

    try:
        found = await run_in_thread(lambda: run_backtest(prometheus, rules, seconds, now, tell=tell))
    except ValueError as error:
        print(f"memtop: {error}", file=err)
        return FAILED
    rows = [HEADINGS, *backtest_rows(found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        print(
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=out
        )
    return DONE


async def server_time(source: RuleSource) -> float:
    """The cluster's time, Unix seconds."""
    clock = ServerClock(source.speed)
    response = await source.client.request("GET", "/version")
    clock.observe(response.headers.get("Date"))
    return clock.now()


def tell_scope(scope: RuleScope, rules: RuleSet, err: TextIO) -> None:
    """Says what is to be known of rules, a line each."""
    for note in scope.notes:
        print(f"memtop: {note}", file=err)
    for name, why in rules.left_out.items():
        print(f"memtop: left out: {name}: {why}", file=err)
    for rule in rules.rules:
        if rule.workload is not None:
            print(
                f"memtop: {rule.id} of {rule.workload.name} has a threshold of its own: {rule.threshold:g}",
                file=err,
            )


def rules_text(invocation: Invocation, scope: RuleScope, rules: RuleSet, form: RuleForm) -> str:
    """The rules in one of their forms."""
    if form == "file":
        return rule_file(rules)
    return yaml_text(rule_object(rules, form, invocation.settings.alerts.name, scope.namespace, scope.labels))


def write_rules(
    rules: RuleSet, text: str, form: RuleForm, folder: Path, name: str, *, tests: bool
) -> Sequence[Path]:
    """Writes rules, and their tests if asked for, to new files of a folder that is there.

    The tests need a plain rule file, so it is written beside an object too.

    Raises:
        ConfigError: A file cannot be written.
    """
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    plain = f"{name}.rules.yml"
    files = {plain if form == "file" else f"{name}.yaml": text}
    if tests:
        files[plain] = rule_file(rules)
        files[f"{name}.rules.test.yml"] = rule_tests(rules, plain)
    try:
        for file, content in files.items():
            with new_file(folder / file, str(folder / file)) as stream:
                stream.write(content)
    except NewFileError as error:
        raise ConfigError(str(error)) from None
    return [folder / file for file in files]


def run_rules_apply(invocation: Invocation, console: Console) -> int:
    """Plans rules as an object of the cluster and, after a yes, puts them there; returns the exit code."""
    return _with_plan(invocation, console, _planned_rules)


def run_rules_undo(invocation: Invocation, console: Console) -> int:
    """Plans the way back from the rules applied last and, after a yes, takes it; returns the exit code."""
    return _with_plan(invocation, console, _planned_undo)


_MakePlan = Callable[["Invocation", Client, Console, str], Coroutine[Any, Any, RulesPlan | None]]


def _with_plan(invocation: Invocation, console: Console, make: _MakePlan) -> int:
    options, safety = invocation.options, invocation.settings.safety
    terms = ApplyTerms(
        yes=options["yes"],
        dry_run=options["dry_run"],
        confirm=options["confirm"],
        read_only=safety.read_only,
        protected=safety.protected_contexts,
    )
    log = AuditLog(audit_log_path(os.environ))
    with asyncio.Runner() as runner:
        try:
            target = make_watchlist(invocation.settings, os.environ).target
            client = Client(target)
        except KubeconfigError as error:
            console.warn(str(error))
            return FAILED
        try:
            plan = runner.run(
                make(invocation, client, console, READ_ONLY_SENTENCE if terms.read_only else "")
            )
            if plan is None:
                return FAILED
            return _apply(runner, client, plan, terms, console, log)
        except (*CLUSTER_FAILURES, AuditError) as error:
            console.warn(str(error))
            return FAILED
        finally:
            runner.run(client.close())


def _apply(
    runner: asyncio.Runner,
    client: Client,
    plan: RulesPlan,
    terms: ApplyTerms,
    console: Console,
    log: AuditLog,
) -> int:
    if not plan.method and not plan.refused:
        console.say(f"nothing to do: {plan.ref.kind.lower()}/{plan.ref.name} has these rules already")
        return DONE
    for line in (*plan.difference, plan.title, *plan_table(plan.lines, None)):
        console.say(line)
    outcome: PlanOutcome = "refused" if plan.refused else "dry run"
    if plan.refused or terms.dry_run:
        runner.run(record_rules(client, plan, log, outcome))
        console.warn(f"nothing is changed: {plan.refused}") if plan.refused else console.say(
            "dry run: nothing is changed"
        )
        return FAILED if plan.refused else DONE
    if not is_agreed(console, terms, plan.context, plan.ref.name):
        runner.run(record_rules(client, plan, log, "declined"))
        console.warn("nothing is changed")
        return FAILED if console.is_interactive else MISTAKE
    why, warning = runner.run(apply_rules(client, plan, log))
    if warning:
        console.warn(warning)
    if why:
        console.warn(why)
        return FAILED
    done = {"POST": "created", "PATCH": "configured", "DELETE": "deleted"}[plan.method]
    console.say(f"{plan.ref.kind.lower()}/{plan.ref.name} {done}")
    return DONE


async def _planned_rules(
    invocation: Invocation, client: Client, console: Console, read_only: str
) -> RulesPlan | None:
    async with rule_source(invocation, client.target, 1.0) as source:
        rules = source.scope.rules(RuleThresholds.of(invocation.settings))
        tell_scope(source.scope, rules, console.err)
        form: RuleForm = invocation.options["output"]
        if form == "auto":
            form = "prometheusrule" if source.scope.operator else "configmap"
        made = rule_object(
            rules, form, invocation.settings.alerts.name, source.scope.namespace, source.scope.labels
        )
    return await plan_rules(client, made, read_only=read_only)


async def _planned_undo(
    invocation: Invocation, client: Client, console: Console, read_only: str
) -> RulesPlan | None:
    alerts = invocation.settings.alerts
    entries = list(AuditLog(audit_log_path(os.environ)).entries())
    last = last_applied(entries, client.target.shown_server, alerts.name, alerts.namespace or "")
    if last is None:
        console.warn(f"no rules named {alerts.name} have been applied to this cluster from this machine")
        return None
    return await plan_undo(client, last, read_only=read_only)


def run_dashboard(invocation: Invocation, out: TextIO, err: TextIO) -> int:
    """Prints a Grafana dashboard, or the ConfigMap that holds it; returns the exit code."""
    return _run_on_cluster(invocation, _print_dashboard, out, err)


def _run_on_cluster(invocation: Invocation, work: _Printing, out: TextIO, err: TextIO) -> int:
    """Does a command's work on the cluster that is meant, or on the demo's; returns the exit code."""
    try:
        with open_watchlist(invocation.settings, os.environ, demo=invocation.options["demo"]) as plan:
            return asyncio.run(work(invocation, plan.target, plan.speed, out, err))
    except (*CLUSTER_FAILURES, DemoStartError, DashboardError) as error:
        print(f"memtop: {sanitize(str(error))}", file=err)
        return FAILED


async def _print_dashboard(
    invocation: Invocation, target: ClusterTarget, speed: float, out: TextIO, err: TextIO
) -> int:
    async with rule_source(invocation, target, speed) as source:
        scope = source.scope
    for note in scope.notes:
        print(f"memtop: {note}", file=err)
    for panel in graph_panels(scope.metrics):
        if panel.missing:
            print(f"memtop: left out: {panel.title}: {panel.missing}", file=err)
    written = dashboard_json(scope.metrics)
    if invocation.options["output"] == "configmap":
        written = yaml_text(dashboard_object(written, scope.namespace))
    print(written, end="", file=out)
    return DONE
