"""``memtop watch``: lines, exit codes, the user's command, signals."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from config.errors import ConfigError
from config.invocation import parse
from memtop.commands import watch as watch_command
from memtop.kube.api_errors import ApiError
from memtop.stabilisation import verdict_report
from memtop.stabilisation.stabilisation_watch import INTERNAL_ERROR
from tests.stabilisation.made import AT, seen

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u, namespace: shop}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
"""


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """``watch(told, "--until", "forever")``: the exit code, and what went to stdout and stderr."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    asked = []

    def run(told, *words, what="deployment/web"):
        async def follow(client, ref, options):
            asked.append((ref, options))
            for one in told:
                if isinstance(one, Exception):
                    raise one
                yield one
            await asyncio.Event().wait()

        monkeypatch.setattr(watch_command, "follow_stabilisation", follow)
        flags = ("--kubeconfig", str(tmp_path / "kubeconfig"))
        invocation = parse(["watch", what, *flags, *words], os.environ)
        out, err = io.StringIO(), io.StringIO()
        code = watch_command.run_watch(invocation, out, err)
        return code, out.getvalue().splitlines(), err.getvalue().splitlines()

    run.asked = asked
    return run


def test_one_line_for_each_change_of_verdict(watch):
    told = [seen("watching"), seen("watching", sentence="still"), seen("holding", AT + 7200, "no growth")]
    code, lines, _ = watch(told)
    assert code == 0
    assert lines == [
        "2026-11-22T16:01:00Z  watching        because",
        "2026-11-22T18:00:00Z  holding         no growth",
    ]


@pytest.mark.parametrize("verdict", ["still leaking", "worse", "only postponed"])
def test_no_fix_ends_with_one(watch, verdict):
    assert watch([seen("watching"), seen(verdict)])[0] == 1


def test_what_is_not_known_in_time_ends_with_three(watch):
    assert watch([seen("watching")], "--timeout", "50ms")[0] == 3


def test_for_ever_goes_on_after_a_verdict_and_ends_with_the_last(watch):
    told = [seen("watching"), seen("holding"), seen("still leaking")]
    code, lines, _ = watch(told, "--until", "forever", "--timeout", "100ms")
    assert code == 1
    assert len(lines) == 3


def test_a_look_in_haste_decides_nothing(watch):
    code, lines, _ = watch([seen("holding", without_prometheus=True), seen("still leaking")])
    assert code == 1
    assert len(lines) == 1


def test_quiet_prints_the_last_verdict_only(watch):
    told = [seen("watching"), seen("holding", AT + 7200, "no growth")]
    assert watch(told, "--quiet")[1] == ["2026-11-22T18:00:00Z  holding         no growth"]
    assert watch([seen("watching")], "--quiet", "--timeout", "50ms")[1] == [
        "2026-11-22T16:01:00Z  watching        because"
    ]


@pytest.mark.parametrize(
    ("told", "code", "outcome", "verdict"),
    [
        ([seen("watching"), seen("holding")], 0, "holding", "holding"),
        ([seen("still leaking")], 1, "not holding", "still leaking"),
        ([seen("watching")], 3, "not known in time", "watching"),
        (["connection refused"], 3, "not known in time", None),
    ],
)
def test_a_result_file_says_how_it_ended(watch, tmp_path, told, code, outcome, verdict):
    result = tmp_path / "gate" / "result.json"
    for _ in range(2):  # a second run of the same job writes it anew
        assert watch(told, "--timeout", "80ms", "--result", str(result))[0] == code
        found = json.loads(result.read_text())
        assert (found["exit_code"], found["outcome"], found["verdict"]) == (code, outcome, verdict)
        assert found["workload"] == {"kind": "Deployment", "name": "web"}
    assert result.stat().st_mode & 0o777 == 0o600


def test_a_result_file_that_cannot_be_written_is_no_success(watch, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = watch([seen("holding")], "--result", str(tmp_path / "file" / "result.json"))
    assert code == 2
    assert "cannot be written" in err[-1]


def test_json_has_both_sides(watch):
    _, lines, _ = watch([seen("holding")], "-o", "json")
    told = json.loads(lines[0])
    assert told["verdict"] == "holding"
    assert told["workload"] == {"kind": "Deployment", "name": "web"}
    assert told["change"] == {
        "at": "2026-11-22T16:00:00Z",
        "revision": 2,
        "previous_revision": 1,
        "what": "1 → 2",
    }
    assert told["before"]["growth_bytes_per_hour"] is None
    assert told["after"]["pods"] == 1


def test_what_is_in_the_way_is_said_once_and_that_it_is_over_too(watch):
    away = replace(seen("watching"), problem="connection refused")
    told = ["no route", "no route", seen("watching"), away, away, seen("watching"), seen("holding")]
    _, lines, err = watch(told)
    assert len(lines) == 2
    assert err == [
        "memtop: no route; still trying",
        "memtop: the cluster answers again",
        "memtop: connection refused; still trying",
        "memtop: the cluster answers again",
    ]


def test_a_mistake_of_memtops_own_is_said_whatever_else_is_in_the_way(watch):
    away = replace(seen("watching"), problem="connection refused")
    wrong = replace(seen("watching"), problem=f"{INTERNAL_ERROR}: ValueError in gather.py, line 7: no shape")
    told = [seen("watching"), away, wrong, wrong, seen("watching"), seen("holding")]
    code, lines, err = watch(told)
    assert (code, len(lines)) == (0, 2)
    assert err == [
        "memtop: connection refused; still trying",
        "memtop: a mistake of memtop's own: ValueError in gather.py, line 7: no shape; still trying",
        "memtop: it works again",
    ]


def test_where_the_past_comes_from_is_said_once(watch):
    told = [seen("watching", notes=("Prometheus: not found",))] * 3 + [seen("holding")]
    assert watch(told)[2] == ["memtop: Prometheus: not found"]


def test_what_does_not_exist_ends_with_two(watch):
    code, lines, err = watch([ApiError(404, "NotFound", 'deployments.apps "web" not found')])
    assert (code, lines) == (2, [])
    assert "not found" in err[0]


def test_the_namespace_is_the_contexts_or_the_flags(watch):
    watch([seen("holding")])
    watch([seen("holding")], "-n", "other")
    assert [ref.namespace for ref, _ in watch.asked] == ["shop", "other"]


def test_mistakes_are_named(watch):
    with pytest.raises(ConfigError, match="one namespace"):
        watch([], "-n", "a", "-n", "b")
    with pytest.raises(ConfigError, match=r"--exec: .*is no command"):
        watch([], "--exec", "say 'hello")
    with pytest.raises(ConfigError, match="which this cannot be done with"):
        watch([], what="pod/web")


# -- the user's command


def test_a_command_runs_when_the_verdict_changes_and_knows_both(watch, tmp_path):
    out = tmp_path / "said"
    script = f'echo "$MEMTOP_PREVIOUS_VERDICT>$MEMTOP_VERDICT $MEMTOP_WORKLOAD" >> {out}'
    watch([seen("watching"), seen("watching"), seen("holding")], "--exec", f"sh -c '{script}'")
    assert out.read_text() == "watching>holding deployment/web\n"


def test_a_command_of_the_settings_does_too(watch, tmp_path, monkeypatch):
    out = tmp_path / "said"
    monkeypatch.setenv("MEMTOP_WATCH_COMMAND", f"touch {out}")
    watch([seen("watching"), seen("holding")])
    assert out.exists()


def test_a_command_that_fails_is_said_and_ends_nothing(watch):
    told = [seen("watching"), seen("holding"), seen("still leaking")]
    _, lines, err = watch(told, "--exec", "no-such-program x", "--until", "forever", "--timeout", "1s")
    assert len(lines) == 3
    assert err == ["memtop: no-such-program cannot be run: No such file or directory"] * 2


async def test_a_command_that_complains_is_quoted_without_escapes():
    words = await verdict_report.run_command(
        ("sh", "-c", "printf 'bad\\033[31m luck' >&2; exit 7"), seen("holding"), "watching"
    )
    assert words.startswith("sh ended with 7: bad")
    assert "\x1b" not in words


async def test_a_command_that_does_not_end_is_killed():
    words = await verdict_report.run_command(("sleep", "60"), seen("holding"), "watching", patience=0.05)
    assert words == "sleep did not end within 0.05 s and was killed"


def test_no_shell_reads_what_the_cluster_says():
    assert verdict_report.split_command("notify --title 'did it help' $HOME") == (
        "notify",
        "--title",
        "did it help",
        "$HOME",
    )


# -- as a process


@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGTERM, ("nohup",))],
)
def test_a_signal_ends_it_cleanly_and_nohup_keeps_it_through_a_hangup(tmp_path, number, before):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "tui.cli", "watch", "deployment/web", "--kubeconfig", str(path)],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "still trying" in process.stderr.readline()
    if before:
        process.send_signal(signal.SIGHUP)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert out == err == ""
