"""``memtop rules``: alert rules for this installation: printed, written, back-tested, applied and undone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from memtop.change.audit_log import AuditError, AuditLog, PlanOutcome, audit_log_path
from memtop.change.change_request import READ_ONLY_SENTENCE
from memtop.commands.change import ApplyTerms, Console, is_agreed, plan_table
from memtop.files import NewFileError
from memtop.kube.api_errors import CLUSTER_FAILURES, KubeconfigError
from memtop.kube.client import Client
from memtop.kube.connection_target import ClusterTarget
from memtop.kube.object_ref import parse_object_name
from memtop.observe.watchlist import DemoStartError, make_watchlist, open_watchlist
from memtop.rules.alert_rules import RuleSet, RuleThresholds
from memtop.rules.grafana_dashboard import (
    DashboardError,
    dashboard_json,
    dashboard_object,
    graph_panels,
)
from memtop.rules.proposed_rules import (
    LONGEST_BACKTEST,
    ProposedRules,
    RuleSource,
    backtest_lines,
    connect_rules,
    object_of_rules,
    own_threshold_words,
    propose_rules,
    rules_text,
    write_rules,
)
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_files import RuleForm, yaml_text
from memtop.rules.rule_plan import RulesPlan, apply_rules, last_applied, plan_rules, plan_undo, record_rules
from memtop.rules.rule_scope import RuleScope
from memtop.sanitize import sanitize

if TYPE_CHECKING:
    from config.invocation import Invocation

    _Printing = Callable[[Invocation, ClusterTarget, float, TextIO, TextIO], Coroutine[Any, Any, int]]

DONE, FAILED, MISTAKE = 0, 1, 2
RULE_WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")


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
    async with Client(target) as client, connect_rules(client, settings, selection, speed) as source:
        yield source


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
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    options, name = invocation.options, invocation.settings.alerts.name
    async with rule_source(invocation, target, speed) as source:
        proposed = await _proposed(invocation, source, options["backtest"] or options["learn"], err)
        if proposed is None:
            return FAILED
        rules = proposed.rules(learned=bool(options["learn"]))
        tell_scope(source.scope, rules, err)
        if options["backtest"]:
            for line in backtest_lines(proposed, rules):
                print(line, file=out)
            return DONE
        form: RuleForm = options["output"]
        text = rules_text(rules, form, name, source.scope)
        tests, folder = options["with_tests"], options["to"]
        if not tests and not folder:
            print(text, end="", file=out)
            return DONE
        try:
            written = write_rules(rules, text, form, Path(folder or "."), name, tests=tests)
        except NewFileError as error:
            raise ConfigError(str(error)) from None
        for path in written:
            print(path, file=out)
        return DONE


async def _proposed(
    invocation: Invocation, source: RuleSource, seconds: float, err: TextIO
) -> ProposedRules | None:
    """The rules, with their past where that is asked for; None, and a sentence, where that cannot be had."""

    def tell(what: str) -> None:
        if err.isatty():
            print(f"memtop: asking Prometheus about {what}", file=err)

    thresholds = RuleThresholds.of(invocation.settings)
    if not seconds:
        return ProposedRules(source.scope, thresholds)
    found = await propose_rules(source, thresholds, min(seconds, LONGEST_BACKTEST), tell)
    if found.problem:
        print(f"memtop: {found.problem}", file=err)
        return None
    return found


def tell_scope(scope: RuleScope, rules: RuleSet, err: TextIO) -> None:
    """Says what is to be known of rules, a line each."""
    for note in scope.notes:
        print(f"memtop: {note}", file=err)
    for name, why in rules.left_out.items():
        print(f"memtop: left out: {name}: {why}", file=err)
    for rule in rules.rules:
        if rule.workload is not None:
            print(f"memtop: {own_threshold_words(rule)}", file=err)
    for exception in scope.exceptions:
        if exception.off:
            off = ", ".join(sorted(exception.off))
            print(f"memtop: no {off} of {exception.workload.name}: {exception.reason}", file=err)


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
        learned = invocation.options["learn"]
        proposed = await _proposed(invocation, source, learned, console.err)
        if proposed is None:
            return None
        rules = proposed.rules(learned=bool(learned))
        tell_scope(source.scope, rules, console.err)
        name = invocation.settings.alerts.name
        made = object_of_rules(rules, source.scope, name, invocation.options["output"])
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
