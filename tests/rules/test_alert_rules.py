"""Alert rules: promtool accepts and tests them in all forms, under the names of several installations."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import yaml

from config.settings import Settings
from memtop.rules import alert_rules, rule_files, rule_scope, rule_tests
from memtop.rules.alert_rules import RULE_IDS, RuleException, RuleThresholds, build_rules
from memtop.rules.rule_expressions import PodSelection, RuleWorkload
from memtop.rules.rule_scope import RuleScope
from tests.rules.installations import INSTALLATIONS

WEB = RuleWorkload("shop", "Deployment", "web")
DB = RuleWorkload("shop", "StatefulSet", "db")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def promtool(*words):
    done = subprocess.run(
        ["promtool", *map(str, words)], check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scoped():
    """Rules for one Deployment beside a StatefulSet with thresholds of its own."""
    metrics = replace(INSTALLATIONS["kube-prometheus"], selection=PodSelection(("shop",)))
    own = RuleException(DB, frozenset({"leak"}), {"near-limit": 0.97, "limit-soon": 2.0})
    return build_rules(metrics, RuleThresholds(), [own])


SHORT = RuleThresholds(leak_window=2400, forecast_window=1200, limit_hours=1, restarts=5, loop_kills=2)
"""Windows in which promtool has some hundred moments to look at, and not a thousand."""
RULES = {name: build_rules(metrics, RuleThresholds()) for name, metrics in INSTALLATIONS.items()}
RULES["exceptions"] = scoped()


@needs_promtool
@pytest.mark.parametrize("name", [*list(INSTALLATIONS)[:2], "exceptions"])
def test_each_rule_fires_when_it_must_and_only_then(name, tmp_path):
    metrics = INSTALLATIONS.get(name, INSTALLATIONS["kube-prometheus"])
    own = RuleException(DB, frozenset({"leak"}), {"near-limit": 0.97, "limit-soon": 0.5})
    if name in {"one workload", "exceptions"}:
        metrics = replace(
            metrics, selection=PodSelection(("shop",), (WEB,) if name == "one workload" else ())
        )
    rules = build_rules(metrics, SHORT, [own] if name == "exceptions" else [])
    (tmp_path / "r.yml").write_text(rule_files.rule_file(rules))
    (tmp_path / "t.yml").write_text(rule_tests.rule_tests(rules, "r.yml"))
    assert f"{len(rules.rules)} rules found" in promtool("check", "rules", tmp_path / "r.yml")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "t.yml")
    tested = yaml.safe_load((tmp_path / "t.yml").read_text())["tests"]
    assert [one["name"].split(":")[0] for one in tested] == [rule.alert for rule in rules.rules]


@needs_promtool
def test_the_generated_tests_notice_a_wrong_rule(tmp_path):
    rules = build_rules(INSTALLATIONS["kube-prometheus"], SHORT)
    wrong = yaml.safe_load(rule_files.rule_file(rules))
    leak = wrong["groups"][1]["rules"][0]
    assert leak["alert"] == "MemoryLeakSuspected"
    leak["expr"] = "max by (namespace, pod, container) (rate(container_memory_rss[1h])) > 1048576"
    (tmp_path / "r.yml").write_text(yaml.safe_dump(wrong))
    (tmp_path / "t.yml").write_text(rule_tests.rule_tests(rules, "r.yml"))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "t.yml"], capture_output=True, check=False)
    assert done.returncode != 0


@needs_promtool
@pytest.mark.parametrize("form", ["file", "prometheusrule", "configmap"])
@pytest.mark.parametrize("name", ["kube-prometheus", "exceptions"])
def test_all_forms_hold_the_same_rules(form, name, tmp_path):
    rules = RULES[name]
    text = rule_files.rule_file(rules)
    if form != "file":
        made = rule_files.rule_object(rules, form, "memory-alerts", "observability", {"release": "x"})
        text = rule_files.yaml_text(made)
        assert made["metadata"]["labels"]["release"] == "x"
    groups = rule_files.groups_of(yaml.safe_load(text))
    assert groups == yaml.safe_load(rule_files.rule_file(rules))
    (tmp_path / "r.yml").write_text(yaml.safe_dump(groups))
    assert f"{len(rules.rules)} rules found" in promtool("check", "rules", tmp_path / "r.yml")


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_no_rule_has_the_faults_of_the_published_ones(name):
    for rule in RULES[name].rules:
        assert not re.search(r"(rate|increase)\(container_memory_", rule.expression)
        assert "container_memory_usage_bytes" not in rule.expression
        if "last_terminated_reason" in rule.expression:
            assert "restarts_total" in rule.expression
        assert (
            "container_spec_memory_limit_bytes" not in rule.expression
            or "> 0" in rule.expression
            or (rule.id == "no-limit")
        )


def test_what_has_no_metric_is_left_out_and_named():
    rules = RULES["no OOM events"]
    assert set(rules.left_out) == {"child-oom-kill", "pressure"}
    assert "container_oom_events_total" in rules.left_out["child-oom-kill"]
    assert {rule.id for rule in rules.rules} == set(RULE_IDS) - set(rules.left_out)
    assert "# left out: pressure" in rule_files.rule_file(rules)


def test_page_cache_is_named_where_there_is_no_rss():
    old = RULES["plain cAdvisor, old labels, one of several clusters"]
    near = next(rule for rule in old.rules if rule.id == "near-limit")
    assert "page cache included" in near.description
    assert 'cluster="a"' in near.expression
    assert "container_memory_rss" in next(iter(RULES["kube-prometheus"].rules)).expression


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_alerts_say_what_to_do_with_memtop(name):
    for rule in RULES[name].rules:
        assert any(step.startswith("memtop ") for step in rule.steps)
        words = rule.summary + rule.description
        assert "WHAT" not in words
        assert "MEMORY" not in words
        assert words.count("{{") == words.count("}}")
        assert "{{{" not in words


def test_thresholds_come_from_the_settings():
    settings = Settings()
    changed = replace(
        settings,
        observe=replace(settings.observe, critical_ratio=0.8),
        alerts=replace(settings.alerts, leak_window=7200.0, restarts=7),
    )
    rules = build_rules(INSTALLATIONS["kube-prometheus"], RuleThresholds.of(changed))
    found = {rule.id: rule for rule in rules.rules}
    assert found["near-limit"].expression.endswith("> 0.8")
    assert "[30m]" in found["leak"].expression
    assert ">= 7" in found["restarts"].expression


def test_a_workload_may_be_left_out_or_have_a_threshold_of_its_own():
    found = scoped().rules
    near = [rule for rule in found if rule.id == "near-limit"]
    assert [rule.workload for rule in near] == [None, DB]
    assert "> 0.97" in near[1].expression
    assert near[1].labels["workload"] == "db"
    leak = [rule for rule in found if rule.id == "leak"]
    assert len(leak) == 1
    assert 'unless on (namespace, pod) max by (namespace, pod) (container_memory_rss{namespace="shop"' in (
        leak[0].expression
    )
    assert not any("unless on" in rule.expression for rule in found if rule.id == "oom-kill")


@pytest.mark.parametrize(
    ("said", "off", "values"),
    [
        ("off", set(RULE_IDS), {}),
        ("leak=off", {"leak"}, {}),
        ("leak=off, near-limit=97%, limit-soon=2h, restarts=10", {"leak"},
         {"near-limit": 0.97, "limit-soon": 2.0, "restarts": 10.0}),
    ],
)  # fmt: skip
def test_annotations_are_read(said, off, values):
    assert rule_scope.read_annotation(said) == (off, values)


@pytest.mark.parametrize("said", ["leek=off", "oom-kill=3", "near-limit=200%", "near-limit="])
def test_a_wrong_annotation_is_a_sentence(said):
    with pytest.raises(ValueError, match=r"names a rule|gives a threshold|is not"):
        rule_scope.read_annotation(said)


def test_what_was_learned_gives_way_to_the_annotation():
    said = RuleException(DB, frozenset(), {"near-limit": 0.95}, "its annotation")
    scope = RuleScope(INSTALLATIONS["kube-prometheus"], (said,))
    learned = RuleException(DB, frozenset(), {"near-limit": 0.99, "leak": 0.5}, "learned")
    own = {
        rule.id: rule.threshold for rule in scope.rules(RuleThresholds(), [learned]).rules if rule.workload
    }
    assert own == {"near-limit": 0.95, "leak": 0.5}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod"])
def test_a_workloads_pods_are_told_from_those_of_one_with_a_longer_name(kind):
    one, longer = RuleWorkload("a", kind, "web"), RuleWorkload("a", "DaemonSet", "web-api")
    assert re.fullmatch(one.pod_regex, one.sample_pod(4))
    assert not re.fullmatch(one.pod_regex, longer.sample_pod(4))
    assert not re.fullmatch(RuleWorkload("a", "Deployment", "w.b").pod_regex, "web-7d4b9c6f5-x2kq2")


def test_every_rule_with_a_threshold_can_be_given_another():
    for rule, field in alert_rules.THRESHOLD_FIELDS.items():
        assert getattr(RuleThresholds().with_value(rule, 0.5), field) == 0.5
