"""Reports: hostile names stay text, nothing is loaded, names can be exchanged, the incident is told."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from config import invocation as command_line
from memtop.advice.workload_evidence import CapturedFile, LogEvidence, MemberFacts, WorkloadEvidence
from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Series
from memtop.change.audit_log import AuditEntry, AuditField
from memtop.commands.report import run_report
from memtop.demo.thread import DemoThread
from memtop.kube.object_ref import ObjectRef
from memtop.kube.pod_facts import Termination
from memtop.report.html_report import html
from memtop.report.incident import ReportMoment, describe_incident, merge_moments
from memtop.report.markdown_report import escape_markdown, markdown
from memtop.report.redaction import names_of, redact, redaction_key

NOW = 1_795_363_200.0
HOSTILE = (
    '</td></svg><script src="http://evil.example/x.js">alert(1)</script><img src=x onerror=alert(1)>|`[a](b)'
)
VOID = {"meta", "br", "img", "link", "input", "hr", "base"}


class Tags(HTMLParser):
    """What a browser would make of a document: its tags, their attributes, and whether they are balanced."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def evidence(name: str = "user-service", **more: object) -> WorkloadEvidence:
    """A workload that leaks, with everything that a report can hold; its names are the given one."""
    leak = Judgement(
        Verdict.LEAK, 0.98, 512 * 2**20, 480 * 2**20, 544 * 2**20, 3600.0, window_seconds=6 * 3600.0,
        samples=360, cuts=3, oom_kills=3, limit=2 * 2**30,
    )  # fmt: skip
    times = NOW - 6 * 3600.0 + np.arange(360) * 60.0
    series = Series(
        times,
        2**29 + (np.arange(360) % 120) * 1e7,
        restarts=times[[121, 241]],
        oom_kills=times[[120, 240]],
        limit=2.0 * 2**30,
    )
    member = MemberFacts(
        f"{name}-7f86-ax2kq", name, "node-7", "Running", 1.5 * 2**30, 2.0 * 2**30, None, 3, 1,
        Termination("OOMKilled", 137, NOW - 600, NOW - 4000), leak,
    )  # fmt: skip
    change = AuditEntry(
        "2026-11-22T15:00:00Z", "a1", "applied", "set image", "Deployment", "production", name, "prod-eu",
        "https://api.example", f"{name}-alice",
        (AuditField("spec.image", f"reg/{name}:v1", f"reg/{name}:v2"),), why=f"said {name}",
    )  # fmt: skip
    given = WorkloadEvidence(
        ref=ObjectRef("Deployment", "production", name),
        context="prod-eu",
        at=NOW,
        members=(member,),
        after={name: (series,)},
        basis="working set from Prometheus",
        logs=(LogEvidence(f"{name}-7f86-ax2kq", name, True, (f"heap of {name} is full", "```"), 2, None),),
        plans=(change,),
        captures=(CapturedFile(f"{name}-7f86-ax2kq-{name}-1.hprof", 2**20, NOW),),
        missing=(f"events: {name} may not list them",),
        rules=(f"MemoryNearLimit (warning): near-limit of {name}, above 90 % of it",),
    )
    return replace(given, **more)  # type: ignore[arg-type]


def parsed(document: str) -> Tags:
    tags = Tags()
    tags.feed(document)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("name", ["user-service", HOSTILE])
def test_the_html_runs_nothing_and_loads_nothing(name: str) -> None:
    found = parsed(html(describe_incident(evidence(name))))
    names = {tag for tag, _ in found.tags}
    assert names.isdisjoint(
        {"script", "img", "iframe", "link", "object", "embed", "base", "form", "a", "use"}
    )
    assert {"svg", "polyline", "table"} <= names
    for _, attributes in found.tags:
        assert not any(
            one.startswith("on") or one in {"src", "href", "xlink:href", "style"} for one in attributes
        )
    policy = [one["content"] for tag, one in found.tags if tag == "meta" and "http-equiv" in one]
    assert policy
    assert str(policy[0]).startswith("default-src 'none'")


def test_a_hostile_name_is_shown_as_it_is() -> None:
    assert any(HOSTILE in words for words in parsed(html(describe_incident(evidence(HOSTILE)))).text)


def test_the_style_names_no_other_address() -> None:
    document = html(describe_incident(evidence()))
    assert "url(" not in document
    assert "@import" not in document


def test_hostile_names_are_no_markup_in_markdown() -> None:
    text = markdown(describe_incident(evidence(HOSTILE)))
    outside = [line for line in text.splitlines() if "script" in line and not line.startswith("heap of")]
    assert outside
    for line in outside:
        assert "<script" not in line.replace("\\<", "")
        assert "http://" not in line
        assert "`[a](b)" not in line
    rows = [line for line in text.splitlines() if line.startswith("| ") and "node-7" in line]
    assert all(line.replace("\\|", "").count("|") == 10 for line in rows)


def test_a_quoted_line_cannot_end_its_block() -> None:
    text = markdown(describe_incident(evidence()))
    assert text.count("````") == 2


def test_a_line_break_in_a_name_begins_no_heading() -> None:
    assert escape_markdown("a\n# b @team") == "a \\# b &#64;team"


def test_what_is_told() -> None:
    text = markdown(describe_incident(evidence()))
    for words in (
        "**leak**",
        "+512 MiB/h",
        "75 % of its limit",
        "OOM kill – a container",
        "set image",
        "Still unknown",
    ):
        assert words in text, words


def test_a_start_after_a_kill_is_no_second_moment() -> None:
    kinds = [one.kind for one in describe_incident(evidence()).moments]
    assert kinds.count("OOM kill") == 3  # two of the series, one that only the status tells of
    assert "restart" not in kinds


def test_what_dies_every_few_minutes_is_one_moment() -> None:
    kills = [ReportMoment(60.0 * minute, "OOM kill", "app is OOM-killed") for minute in range(50)]
    rollout = ReportMoment(1000.0, "rollout", "revision 2")
    told = list(merge_moments(sorted([*kills, rollout], key=lambda one: one.at)))
    assert [one.kind for one in told] == ["OOM kill", "rollout", "OOM kill"]
    assert told[0].words == f"app is OOM-killed: 17 times, last at {kills[16].time}"
    assert list(merge_moments(kills[:3])) == kills[:3]


@pytest.mark.parametrize("write", [markdown, html])
def test_redaction_leaves_no_name(write: object) -> None:
    known = evidence("user-service")
    redacted = redact(describe_incident(known), names_of(known), b"k" * 32)
    text = write(redacted)  # type: ignore[operator]
    for name in (
        "user-service",
        "production",
        "prod-eu",
        "node-7",
        "alice",
        "heap of",
        "may not list",
        "said",
    ):
        assert name not in text, name
    assert "2 lines of logs" in text
    assert "512 MiB/h" in text


def test_pseudonyms_are_stable_and_need_the_key() -> None:
    known = evidence()
    first = redact(describe_incident(known), names_of(known), b"k" * 32)
    again = redact(describe_incident(known), names_of(known), b"k" * 32)
    other = redact(describe_incident(known), names_of(known), b"x" * 32)
    assert first.name == again.name != other.name


def test_the_key_is_made_once_and_private(tmp_path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    key = redaction_key(environ)
    assert redaction_key(environ) == key
    file = next((tmp_path / "state").rglob("report.key"))
    assert file.stat().st_mode & 0o077 == 0


def test_nothing_known_is_said_and_not_hidden() -> None:
    nothing = evidence(members=(), after={}, logs=(), plans=(), captures=(), missing=())
    text = markdown(describe_incident(nothing))
    assert "not known: no container runs" in text
    assert "how its memory went over time: no sample of it is kept" in text
    assert "what its heap holds" in text
    parsed(html(describe_incident(nothing)))


@pytest.fixture(scope="module")
def demo():
    with DemoThread(pods=20) as served:
        yield served


def run(demo, tmp_path, monkeypatch, *words: str) -> tuple[int, str, str]:
    path = tmp_path / "kubeconfig"
    path.write_text(demo.kubeconfig())
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    invocation = command_line.parse(
        ["report", *words, "--kubeconfig", str(path), "-n", "production"], {"HOME": str(tmp_path)}
    )
    out, err = io.StringIO(), io.StringIO()
    return run_report(invocation, out, err), out.getvalue(), err.getvalue()


def test_the_demos_incident_goes_to_a_new_private_file(demo, tmp_path, monkeypatch) -> None:
    file = tmp_path / "r.md"
    words = ("deployment/user-service", "--file", str(file))
    assert run(demo, tmp_path, monkeypatch, *words)[0] == 0
    text = file.read_text()
    for words_ in ("**leak**", "user-service:v2.0.0", "Did it help?", "OOM kill"):
        assert words_ in text, words_
    assert file.stat().st_mode & 0o077 == 0
    code, _, said = run(demo, tmp_path, monkeypatch, *words)
    assert code == 1
    assert "there is such a file already" in said


def test_it_names_the_rules_proposed_and_the_captures_that_are_kept(demo, tmp_path, monkeypatch) -> None:
    kept = tmp_path / "state" / "memtop" / "heap"
    kept.mkdir(parents=True)
    (kept / "production_user-service-x2kq7_user-service_20261129-120000.hprof").write_bytes(b"x")
    (kept / "staging_user-service-x2kq7_user-service_20261129-120000.hprof").write_bytes(b"x")
    monkeypatch.setattr(
        "memtop.advice.workload_evidence.pod_name_pattern", lambda change: "user-service-x2kq7"
    )
    code, text, err = run(demo, tmp_path, monkeypatch, "deployment/user-service")
    assert code == 0, err
    for words in (
        "## Alert rules proposed",
        "MemoryNearLimit",
        "above 90 %",
        "production\\_user-service-x2kq7",
    ):
        assert words in text, words
    assert "staging" not in text


def test_a_workload_that_is_not_there(demo, tmp_path, monkeypatch) -> None:
    code, _, said = run(demo, tmp_path, monkeypatch, "deployment/nothing")
    assert code == 1
    assert "nothing" in said


@pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("google-chrome")), reason="no Chromium here"
)
def test_chromium_opens_it(tmp_path) -> None:
    file = tmp_path / "r.html"
    file.write_text(html(describe_incident(evidence(HOSTILE))))
    browser = shutil.which("chromium") or shutil.which("google-chrome") or ""
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "<script" not in done.stdout
