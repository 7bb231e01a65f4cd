"""``memtop doctor`` on the embedded cluster: what it says when all is well, and when something is not."""

import io
import os

import pytest

import memtop
from config.invocation import parse
from memtop.commands import doctor, doctor_api_checks
from memtop.commands.doctor_api_checks import CheckMark, failed, optional_missing, passed
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.kube.client import ApiResponse


@pytest.fixture(scope="module")
def demo_thread():
    with DemoThread(seed=7) as demo:
        yield demo


@pytest.fixture
def examine(demo_thread, tmp_path, monkeypatch):
    """``examine(user, *flags)``: the exit code and the report's lines."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(user="admin", *flags):
        path = tmp_path / f"kubeconfig-{user}"
        path.write_text(demo_thread.kubeconfig(user))
        out = io.StringIO()
        code = doctor.run_doctor(parse(["doctor", "--kubeconfig", str(path), *flags], os.environ), out)
        return code, out.getvalue().splitlines()

    yield run
    demo_thread.call(demo_thread.server.faults.clear)


def line(lines, words):
    found = [one for one in lines if words in one]
    assert found, f"no line has {words!r} in {lines}"
    return found[0]


@pytest.fixture
def harm(demo_thread):
    return lambda **fault: demo_thread.call(lambda: demo_thread.server.faults.add(Fault(**fault)))


def test_all_is_well(examine):
    code, lines = examine()
    assert code == 0
    assert lines[0].startswith("ok kubeconfig")
    assert "context memtop-demo, namespace production" in lines[0]
    assert line(lines, "Kubernetes v1.36").startswith("ok API server")
    assert line(lines, "to reach services by proxy: in all namespaces").startswith("ok right")
    assert line(lines, "newest sample").startswith("ok metrics API")
    found = line(lines, "observability/prometheus-service:9090 by service proxy")
    assert found.startswith("ok Prometheus")
    assert "(found by name prometheus-service)" in found
    line(lines, "memory: RSS, working set, usage; verdicts are made on RSS")
    line(lines, "kube-state-metrics: limits, restarts and OOM kills")
    line(lines, "reaches back about 1 d or more")
    assert line(lines, "agrees with the API server's").startswith("ok clock")
    assert line(lines, "can be written; samples are kept").startswith("ok state folder")
    assert not any(one.startswith("!!") for one in lines)


def test_a_reader_is_told_what_will_not_work(examine):
    code, lines = examine("readonly")
    assert code == 0
    assert line(lines, "to change Deployments: no; images and limits stay").startswith("-- right")
    assert line(lines, "you may not ask it; grant get on services/proxy").startswith("-- Prometheus")
    line(lines, "observability/prometheus-service:9090 (name prometheus-service), service proxy: ")
    assert line(lines, "newest sample").startswith("ok metrics API")


def test_one_namespace_is_enough(examine):
    code, lines = examine("one-namespace")
    assert code == 0
    assert "can be listed in production, though not in all namespaces" in line(lines, "pods  ")
    assert line(lines, "to list pods: not known, since the server does not let you ask").startswith("--")


def test_nobody_gets_nowhere(examine):
    code, lines = examine("nobody")
    assert code == 1
    assert line(lines, "cannot be listed").startswith("!! pods")


def test_without_metrics_prometheus_carries(examine, harm):
    harm(harm=Harm.ANSWER, path="metrics.k8s.io", status=404, body=b"404 page not found\n")
    code, lines = examine()
    assert line(lines, "not there; metrics-server provides it").startswith("!! metrics API")
    assert code == 0


def test_without_either_there_is_nothing_to_show(examine, harm):
    harm(harm=Harm.ANSWER, path="metrics.k8s.io", status=503, body=b"service unavailable\n")
    code, lines = examine("admin", "--no-prometheus")
    assert line(lines, "gives nothing: service unavailable").startswith("!! metrics API")
    line(lines, "is not asked")
    assert code == 1


def test_metrics_just_started(examine, harm):
    harm(harm=Harm.ANSWER, path="metrics.k8s.io", status=200, body=b'{"kind":"PodMetricsList","items":[]}')
    assert line(examine()[1], "has no samples yet").startswith("-- metrics API")


def test_a_prometheus_that_does_not_answer(examine, harm):
    harm(harm=Harm.ANSWER, path="/proxy/", status=503, body=b"no endpoints available")
    code, lines = examine()
    assert code == 0
    assert line(lines, "was found and does not answer").startswith("!! Prometheus")
    line(lines, "service proxy: no endpoints available")


def test_no_api_server(examine, harm):
    harm(harm=Harm.DROP)
    code, lines = examine()
    assert code == 1
    assert line(lines, "API server").startswith("!!")
    assert not any("Prometheus" in one for one in lines)
    line(lines, "state folder")


def test_not_logged_in(examine, harm):
    harm(harm=Harm.ANSWER, path="/version", status=401)
    code, lines = examine()
    assert code == 1
    assert "not logged in" in line(lines, "!! API server")


def test_a_server_that_says_who_we_are(examine, harm):
    body = b'{"status":{"userInfo":{"username":"ann@example"}}}'
    harm(harm=Harm.ANSWER, path="selfsubjectreviews", status=201, body=body)
    line(examine()[1], "the server knows you as ann@example")


@pytest.mark.parametrize(
    ("date", "mark", "words"),
    [
        ("Mon, 01 Jan 2024 00:00:00 GMT", CheckMark.GOOD, "agrees"),
        ("Mon, 01 Jan 2024 00:10:00 GMT", CheckMark.OPEN, "is 10 m ahead of this machine's"),
        ("Sun, 31 Dec 2023 23:00:00 GMT", CheckMark.OPEN, "is 1 h behind this machine's"),
        ("yesterday", CheckMark.OPEN, "does not say what time it is"),
        (None, CheckMark.OPEN, "does not say what time it is"),
    ],
)
def test_clocks(date, mark, words):
    headers = {} if date is None else {"Date": date}
    finding = doctor_api_checks.check_clock(
        doctor_api_checks.FirstResponse(ApiResponse(200, headers, b""), 0.01, 1704067200.0)
    )
    assert finding.mark is mark
    assert words in finding.words


def test_no_kubeconfig(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    out = io.StringIO()
    code = doctor.run_doctor(parse(["doctor", "--kubeconfig", str(tmp_path / "gone")], os.environ), out)
    assert code == 1
    assert out.getvalue().startswith("!! kubeconfig")


def test_the_version_and_what_the_installation_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    out = io.StringIO()
    invocation = parse(["--version", "--check", "--kubeconfig", str(tmp_path / "gone")], os.environ)
    assert doctor.run_doctor(invocation, out) == 1
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"memtop {memtop.__version__}, Python 3.")
    for words in ("kubeconfig", "terminal", "state"):
        line(lines, words)


def test_a_state_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    finding = doctor.check_state_folder(keep_history=True)
    assert finding.mark is CheckMark.OPEN
    assert "cannot be written" in finding.words


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def fileno(self):
        return 1


@pytest.mark.parametrize(
    ("size", "environ", "mark", "words"),
    [
        (
            (120, 36),
            {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
            CheckMark.GOOD,
            "120×36, 16 million colours",
        ),
        ((120, 36), {"TERM": "screen-256color"}, CheckMark.GOOD, "256 colours, Unicode"),
        ((120, 36), {"TERM": "xterm", "NO_COLOR": "1"}, CheckMark.GOOD, "no colours (NO_COLOR)"),
        ((60, 20), {"TERM": "xterm"}, CheckMark.OPEN, "panes become tabs below 80 columns"),
        ((120, 36), {"TERM": "dumb"}, CheckMark.BAD, "no screen can be drawn"),
    ],
)
def test_terminals(monkeypatch, size, environ, mark, words):
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size(size))
    finding = doctor.check_terminal(Terminal(), environ)
    assert finding.mark is mark
    assert words in finding.words


def test_marks_in_unicode_and_in_ascii():
    assert passed("pods", "fine", "more").lines(plain=False) == [
        "✓ pods          fine",
        "                  more",
    ]
    assert failed("pods", "not fine").lines(plain=True) == ["!! pods          not fine"]
    assert optional_missing("pods", "who knows").lines(plain=False)[0].startswith("– ")
