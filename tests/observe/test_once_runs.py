"""``memtop --once`` from end to end: against the embedded cluster, and when there is trouble."""

import io
import json

import pytest

from config import invocation as command_line
from memtop.commands import once
from memtop.demo.faults import Fault, Harm


@pytest.fixture
def run(kubeconfig, tmp_path, monkeypatch):
    """``run("-o", "json", user="admin")``: exit code, what was printed, and what was said of it."""
    monkeypatch.setattr(once, "SETTLE_SECONDS", 20.0)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}

    def go(*words, user="admin", path=None, **variables):
        words = ("--once", "--no-prometheus", "--no-keep-history", *words)
        if path is None:
            path = kubeconfig(user)
        invocation = command_line.parse([*words, "--kubeconfig", str(path)], environ | variables)
        out, err = io.StringIO(), io.StringIO()
        return once.run_once(invocation, out, err), out.getvalue(), err.getvalue()

    return go


def test_a_table_of_everything(run):
    code, out, err = run()
    assert code == 0, err
    assert "user-service" in out
    assert out.splitlines()[0].split()[:3] == ["NAMESPACE", "POD", "MEMORY"]
    assert err == ""


def test_json_of_one_namespace(run):
    code, out, _ = run("-o", "json", "-n", "production")
    document = json.loads(out)
    assert code == 0
    assert document["namespace"] == "production"
    assert {one["namespace"] for one in document["containers"]} == {"production"}
    assert document["sources"]["pods"]["state"] == "live"
    leaking = [one for one in document["containers"] if one["workload"]["name"] == "user-service"]
    assert all(one["working_set_bytes"] > 0 or one["state"] != "Running" for one in leaking)


def test_only_what_a_selector_selects(run):
    _, out, _ = run("-o", "json", "-l", "app=user-service")
    assert {one["workload"]["name"] for one in json.loads(out)["containers"]} == {"user-service"}


def test_all_formats_show_the_same_containers(run):
    table = run("-n", "production", "-l", "app=user-service")[1]
    markdown = run("-n", "production", "-l", "app=user-service", "-o", "markdown")[1]
    names = {line.split()[1] for line in table.splitlines()[1:]}
    assert names
    assert all(name in markdown for name in names)


def test_watching_first_goes_on_for_that_long(run):
    code, out, _ = run("-o", "json", "--watch-for", "1200ms", "--interval", "1s")
    assert code == 0
    assert json.loads(out)["containers"]


def test_one_namespace_is_enough(run):
    code, out, err = run("-o", "json", user="one-namespace")
    assert code == 0
    assert {one["namespace"] for one in json.loads(out)["containers"]} == {"production"}
    assert "listing all namespaces is forbidden: only production is shown" in err


def test_a_user_without_rights_is_told_the_way_out(run):
    err = run(user="nobody")[2]
    assert "name a namespace that you may see with -n; `memtop doctor` says" in err


def test_a_user_without_rights_gets_a_sentence_and_nothing_else(run):
    code, out, err = run(user="nobody")
    assert (code, out) == (1, "")
    assert "memtop: pods: pods is forbidden" in err


def test_a_namespace_that_does_not_exist(run):
    code, out, err = run("-n", "produktion")
    assert (code, out) == (2, "")
    assert "there is no namespace 'produktion'" in err
    assert "-n" in err


def test_a_context_that_does_not_exist(run):
    code, out, err = run("--context", "elsewhere")
    assert (code, out) == (2, "")
    assert err.startswith("memtop: flag --context: the context 'elsewhere' is not in ")
    assert "variable MEMTOP_CONTEXT: the context 'else'" in run(MEMTOP_CONTEXT="else")[2]


def test_why_there_are_no_verdicts(run, demo):
    demo.server.faults.add(Fault(Harm.ANSWER, path="/proxy/", status=403))
    demo.server.faults.add(Fault(Harm.ANSWER, path="/portforward", status=403))
    code, out, err = run("--prometheus", "-n", "production", "-l", "app=user-service")
    assert code == 0
    assert out
    assert "memtop: prometheus: not allowed to ask" in err
    assert "(--watch-for 10m)" in err


def test_a_kubeconfig_that_does_not_exist(run, tmp_path):
    code, out, err = run(path=tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert "nowhere" in err


def test_a_server_that_is_down(run, tmp_path, demo):
    path = tmp_path / "down"
    path.write_text(demo.kubeconfig().replace(demo.url, "http://127.0.0.1:9"))
    code, out, err = run(path=path)
    assert (code, out) == (1, "")
    assert err.startswith("memtop: pods: ")
    assert "127.0.0.1:9" in err


def test_a_server_that_does_not_answer_in_time(run, demo, monkeypatch):
    monkeypatch.setattr(once, "SETTLE_SECONDS", 3.0)
    demo.server.faults.add(Fault(Harm.HANG, path="/api/v1/pods"))
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "pods: no answer within 3 s" in err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(Harm.ANSWER, path="metrics.k8s.io", status=404), "metrics-server provides it"),
        (
            Fault(Harm.ANSWER, path="metrics.k8s.io", status=503, body=b"service unavailable"),
            "service unavailable",
        ),
        (Fault(Harm.ANSWER, path="metrics.k8s.io", status=403), "made to fail"),
    ],
)
def test_without_metrics_the_rest_is_printed_and_the_gap_is_named(run, demo, fault, words):
    demo.server.faults.add(fault)
    code, out, err = run("-o", "json", "-n", "production")
    assert code == 0
    assert words in err
    containers = json.loads(out)["containers"]
    assert containers
    assert all(one["working_set_bytes"] is None for one in containers)
    assert any(one["restarts"] for one in containers)
