"""Rules as a plan: what is sent, what is recorded, and the way back; against an API of one object."""

import json
from types import SimpleNamespace

import pytest

from memtop.change.audit_log import AuditEntry, AuditField, AuditLog
from memtop.kube.api_errors import ApiError
from memtop.rules import rule_plan
from memtop.rules.alert_rules import RuleThresholds, build_rules
from memtop.rules.rule_files import rule_object
from memtop.rules.rule_plan import apply_rules, last_applied, plan_rules, plan_undo
from tests.rules.installations import INSTALLATIONS

METRICS = INSTALLATIONS["kube-prometheus"]
SERVER = "https://api"


def made(form="configmap", **thresholds):
    rules = build_rules(METRICS, RuleThresholds(**thresholds))
    return rule_object(rules, form, "memory-alerts", "observability", {})


class OneObject:
    """An API server that has one object at most, and refuses what was made for another version of it."""

    def __init__(self, held=None):
        self.held, self.version, self.sent = held, 1, []
        self.target = SimpleNamespace(context="lab", shown_server=SERVER)

    async def get(self, path, params=None):
        if self.held is None:
            raise ApiError(404, "NotFound", "not found")
        metadata = {**self.held["metadata"], "resourceVersion": str(self.version), "uid": "u"}
        return json.dumps({**self.held, "metadata": metadata}).encode()

    async def request(self, method, path, params=None, *, body=None, content_type="", timeout=None):
        wanted = json.loads(body or b"{}")
        if (params and params.get("dryRun")) or wanted.get("dryRun"):
            return SimpleNamespace(body=b"{}")
        self.sent.append((method, path))
        if method == "POST":
            self.held = wanted
        else:
            version = (wanted.get("preconditions") or wanted["metadata"])["resourceVersion"]
            if version != str(self.version):
                raise ApiError(409, "Conflict", "the object has been modified")
            if method == "DELETE":
                self.held = None
            else:
                self.held = {**self.held, **{key: wanted[key] for key in ("data", "spec") if key in wanted}}
        self.version += 1
        return SimpleNamespace(body=b'{"metadata": {"resourceVersion": "%d"}}' % self.version)


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "audit.jsonl")


@pytest.fixture(autouse=True)
def _named(monkeypatch):
    async def somebody(_):
        return "somebody"

    monkeypatch.setattr(rule_plan, "current_user", somebody)


def labels_of(plan):
    return {line.label: line.text for line in plan.lines}


@pytest.mark.parametrize("form", ["configmap", "prometheusrule"])
async def test_rules_are_made_changed_and_taken_back_step_by_step(form, log):
    api = OneObject()
    first = await plan_rules(api, made(form))
    assert first.method == "POST"
    assert "MemoryNearLimit" in labels_of(first)["adds"]
    assert not api.sent
    assert await apply_rules(api, first, log) == ("", "")
    again = await plan_rules(api, made(form))
    assert again.method == ""
    second = await plan_rules(api, made(form, near_limit=0.8))
    assert labels_of(second)["changes"] == "MemoryNearLimit"
    assert any(line.endswith("> 0.8") for line in second.difference)
    assert await apply_rules(api, second, log) == ("", "")
    for method, left in (("PATCH", first.after), ("DELETE", "")):
        last = last_applied(list(log.entries()), SERVER, "memory-alerts")
        back = await plan_undo(api, last)
        assert back.method == method
        assert await apply_rules(api, back, log) == ("", "")
        assert (rule_plan.rules_as_text({"kind": back.ref.kind, **api.held}) if api.held else "") == left
    assert last_applied(list(log.entries()), SERVER, "memory-alerts") is None


async def test_what_was_changed_in_the_meantime_is_not_overwritten(log):
    api = OneObject(made())
    plan = await plan_rules(api, made(near_limit=0.8))
    api.version += 1
    why, _ = await apply_rules(api, plan, log)
    assert "changed in the meantime" in why
    assert api.held == made()
    assert [one.outcome for one in log.entries()] == ["conflict"]


async def test_it_says_whose_the_object_is_and_that_others_have_changed_the_rules():
    held = made()
    held["metadata"]["labels"] = {}
    plan = await plan_rules(OneObject(held), made(near_limit=0.8))
    assert "not by memtop" in labels_of(plan)["owner"]
    last = AuditEntry("t", "i", "applied", "apply rules", "ConfigMap", "observability", "memory-alerts",
                      "lab", SERVER, "me", (AuditField("data", "", "other"),))  # fmt: skip
    assert "not those" in labels_of(await plan_undo(OneObject(held), last))["changed"]


async def test_read_only_refuses():
    plan = await plan_rules(OneObject(), made(), read_only="memtop is read-only")
    assert plan.refused == "memtop is read-only"


async def test_nothing_is_sent_without_a_record(tmp_path):
    (tmp_path / "audit.jsonl").mkdir()
    api = OneObject()
    why, _ = await apply_rules(api, await plan_rules(api, made()), AuditLog(tmp_path / "audit.jsonl"))
    assert "without a record" in why
    assert not api.sent
