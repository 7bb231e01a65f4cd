"""Advice: sizes from what was seen and never for a leak, flags against the limit, a dump, and their plans."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from config import invocation as command_line
from memtop.advice.code_advice import code_advice
from memtop.advice.proposals import propose
from memtop.advice.runtime_advice import runtime_of, runtime_settings
from memtop.advice.sizes import DailyPeaks, daily_peaks, quantity, size_advice
from memtop.advice.workload_evidence import MemberFacts, WorkloadEvidence
from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Series
from memtop.change.change_request import SetVariables
from memtop.commands.advise import run_advise
from memtop.commands.change import Console
from memtop.demo.thread import DemoThread
from memtop.heap.runtime_detection import LanguageRuntime
from memtop.kube.object_ref import ObjectRef
from tests.api import Api

GI, MI, DAY = 2**30, 2**20, 86_400.0
REF = ObjectRef("Deployment", "shop", "web")
STEADY = Judgement(Verdict.STEADY, 0.99, 0.0)
LEAK = Judgement(Verdict.LEAK, 0.99, 100.0 * MI, window_seconds=6 * 3600.0, oom_kills=2)
APP = "/apis/apps/v1/namespaces/production/deployments/user-service"


def week(peak: float = 900.0 * MI, spread: float = 0.0) -> DailyPeaks:
    return DailyPeaks(tuple(peak + spread * (-1) ** day for day in range(7)), 0.5 * peak, 7.0, 0, 0)


def container(**parts: object) -> dict[str, object]:
    return {"name": "app", "image": "shop:1", "resources": {"limits": {"memory": "1Gi"}}, **parts}


def settings(runtime: LanguageRuntime, limit: float | None = 1.0 * GI, heap: object = None, **parts: object):
    return {one.id: one for one in runtime_settings(REF, container(**parts), runtime, limit, heap)}  # type: ignore[arg-type]


def test_the_highest_of_each_day() -> None:
    times = np.arange(0, 3 * DAY, 600.0)
    found = daily_peaks([Series(times, 100.0 + times // DAY, oom_kills=times[[5]])])
    assert found is not None
    assert found.peaks == (100.0, 101.0, 102.0)
    assert found.oom_kills == 1
    assert daily_peaks([]) is None


def test_a_quiet_week_is_sized_by_its_highest_and_a_margin() -> None:
    found = size_advice(week(), STEADY, 4.0 * GI, 2.0 * GI)
    assert found.limit is not None
    assert 1.15 * 900 * MI <= found.limit < 1.2 * 900 * MI
    assert found.limit % (16 * MI) == 0
    assert found.sure.startswith("sure")
    assert found.worth_it


def test_days_that_differ_get_more_room() -> None:
    even, uneven = (size_advice(week(spread=one * MI), STEADY, 4.0 * GI, None) for one in (0, 200))
    assert even.limit is not None
    assert uneven.limit is not None
    assert uneven.limit > even.limit + 300 * MI


def test_what_is_missing_of_a_week_is_said() -> None:
    few = replace(week(), peaks=(900.0 * MI,) * 3, days=3.0)
    assert size_advice(few, STEADY, None, None).sure == "not yet sure: 3 d seen; 7 days wanted"


def test_a_leak_is_never_sized() -> None:
    found = size_advice(week(), LEAK, 1.0 * GI, None)
    assert (found.limit, found.request) == (None, None)
    assert "buys 10 h 14 m" in found.reason  # 1 GiB at 100 MiB/h
    assert not found.worth_it


def test_what_died_at_its_limit_needs_more_than_was_seen() -> None:
    found = size_advice(replace(week(), oom_kills=3), STEADY, 1.0 * GI, None)
    assert found.limit == 1.5 * GI
    assert "never seen" in found.reason


def test_a_size_that_is_about_right_stays() -> None:
    assert not size_advice(week(), STEADY, 1.05 * GI, 900.0 * MI).worth_it


def test_quantities() -> None:
    assert [quantity(one) for one in (2 * GI, 1536 * MI)] == ["2Gi", "1536Mi"]


@pytest.mark.parametrize(
    ("parts", "runtime"),
    [
        ({"image": "eclipse-temurin:21"}, LanguageRuntime.JVM),
        ({"command": ["node", "app.js"]}, LanguageRuntime.NODE),
        ({"args": ["python3", "-m", "app"]}, LanguageRuntime.PYTHON),
        ({"env": [{"name": "GOMEMLIMIT", "value": "1GiB"}]}, LanguageRuntime.GO),
        ({"image": "mcr/dotnet/aspnet:8.0"}, LanguageRuntime.DOTNET),
        ({}, LanguageRuntime.UNKNOWN),
    ],
)
def test_the_runtime_is_told_by_the_template(parts: dict[str, object], runtime: LanguageRuntime) -> None:
    assert runtime_of(container(**parts))[0] is runtime


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        (LanguageRuntime.JVM, "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75"),
        (LanguageRuntime.NODE, "NODE_OPTIONS=--max-old-space-size=768"),
        (LanguageRuntime.GO, "GOMEMLIMIT=921MiB"),
        (LanguageRuntime.DOTNET, "DOTNET_GCHeapHardLimit=0x30000000"),
    ],
)
def test_a_heap_without_a_flag(runtime: LanguageRuntime, words: str) -> None:
    request = settings(runtime)["heap"].request
    assert request is not None
    assert ["=".join(one) for one in request.variables] == [words]


def test_a_heap_that_outgrows_the_limit() -> None:
    found = settings(LanguageRuntime.JVM, env=[{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx2g -Dx=1"}])[
        "heap"
    ]
    assert found.request is not None
    assert found.request.variables == (("JAVA_TOOL_OPTIONS", "-Xmx2g -Dx=1 -Xmx768m"),)
    assert "200 %" in found.evidence


def test_a_heap_that_fits_is_left_alone() -> None:
    fits = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx700m"}]
    assert "heap" not in settings(LanguageRuntime.JVM, env=fits)
    assert settings(LanguageRuntime.JVM, limit=None) == {}


def test_a_dump_comes_with_room_and_a_heap_below_the_limit() -> None:
    request = settings(LanguageRuntime.JVM)["dump"].request
    assert request is not None
    assert (request.dump_folder, request.dump_size) == ("/dumps", "2Gi")
    assert "-Xmx768m -XX:+HeapDumpOnOutOfMemoryError" in request.variables[0][1]
    asked = [{"name": "NODE_OPTIONS", "value": "--heapsnapshot-near-heap-limit=2"}]
    assert "dump" not in settings(LanguageRuntime.NODE, env=asked)


def test_a_variable_from_elsewhere_is_not_planned() -> None:
    there = [{"name": "JAVA_TOOL_OPTIONS", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]
    assert settings(LanguageRuntime.JVM, env=there)["heap"].request is None


@pytest.mark.parametrize(
    "runtime", [one for one in LanguageRuntime if one.name in {"NODE", "JVM", "PYTHON", "GO"}]
)
def test_code_appears_where_the_evidence_calls_for_it(runtime: LanguageRuntime) -> None:
    leaking = {one.id: one for one in code_advice(runtime, LEAK, ("loaded a large dataset",))}
    quiet = {one.id for one in code_advice(runtime, STEADY, ())}
    assert set(leaking) == {"health", "cache", "stream", "forced-gc"}
    assert quiet == {"health"}
    assert "liveness" in leaking["health"].reason
    assert all(one.code for id_, one in leaking.items() if id_ != "forced-gc")


@pytest.fixture
def demo():
    with DemoThread(pods=20) as served:
        yield served


def run(demo, tmp_path, monkeypatch, *words: str) -> tuple[int, str, str]:
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig())
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("KUBECONFIG", str(path))
    flags = ("--kubeconfig", str(path), "-n", "production")
    invocation = command_line.parse(
        ["advise", "deployment/user-service", *words, *flags], {"HOME": str(tmp_path)}
    )
    out, err = io.StringIO(), io.StringIO()
    return run_advise(invocation, Console(out, err, io.StringIO())), out.getvalue(), err.getvalue()


def test_a_dump_is_planned_and_applied_after_a_yes(demo, tmp_path, monkeypatch) -> None:
    env = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Dsecret=1"}]
    template = {"spec": {"containers": [{"name": "user-service", "env": env}]}}
    Api(demo).change(APP, {"spec": {"template": template}})
    code, out, err = run(demo, tmp_path, monkeypatch, "--plan", "dump", "--yes")
    assert code == 0, err
    assert "volumes" in out
    spec = Api(demo).get(APP).json["spec"]["template"]["spec"]
    (app,) = (one for one in spec["containers"] if one["name"] == "user-service")
    (value,) = (one["value"] for one in app["env"] if one["name"] == "JAVA_TOOL_OPTIONS")
    assert value.startswith("-Dsecret=1 ")
    assert "HeapDumpPath=/dumps" in value
    assert {"name": "memory-dumps", "mountPath": "/dumps"} in app["volumeMounts"]
    assert {"name": "memory-dumps", "emptyDir": {"sizeLimit": "4Gi"}} in spec["volumes"]
    written = "".join(one.read_text() for one in tmp_path.rglob("audit.jsonl"))
    assert "set env" in written
    assert "secret" not in written


def test_the_demos_leak_is_not_sized(demo, tmp_path, monkeypatch) -> None:
    code, out, err = run(demo, tmp_path, monkeypatch, "-o", "json")
    assert code == 0, err
    found = {one["id"]: one for one in json.loads(out)}
    assert found["sizes"]["title"] == "no size can be given"
    assert not found["sizes"]["plannable"]
    assert "buys" in found["sizes"]["reason"]


def test_the_title_names_the_variables() -> None:
    assert SetVariables(REF, "app", (("A", "1"),)).title == "Set A of web"


def test_a_leak_is_not_sized_because_it_has_just_been_restarted() -> None:
    """The pods of a new revision are too young to be judged; the revision before leaked."""
    times = np.arange(0.0, 12 * 3600.0, 60.0)
    leaking = Series(times, 200.0 * MI + 30.0 * MI * times / 3600.0, limit=1.0 * GI)
    young = Series(times[:5] + times[-1] + 60.0, np.full(5, 210.0 * MI), limit=1.0 * GI)
    unjudged = Judgement(Verdict.NOT_ENOUGH_DATA, 1.0)
    member = MemberFacts("web-1", "app", "", "Running", 210.0 * MI, 1.0 * GI, None, 0, 0, None, unjudged)
    evidence = WorkloadEvidence(
        REF, "lab", float(times[-1]) + 400.0, (member,), before={"app": (leaking,)}, after={"app": (young,)}
    )
    [sizes] = [one for one in propose(evidence) if one.id == "sizes"]
    assert sizes.title == "no size can be given"
    assert "buys" in sizes.reason
    steady = Series(times + times[-1], np.full(len(times), 210.0 * MI), limit=1.0 * GI)
    fixed = replace(evidence, members=(replace(member, judgement=STEADY),), after={"app": (steady,)})
    [sizes] = [one for one in propose(fixed) if one.id == "sizes"]
    assert sizes.title.startswith("limit ")
