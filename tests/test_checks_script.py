"""What ``.ci/run`` says at its end: whether the real cluster was there, and why not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci/run"
REPORT = """<testsuites><testsuite tests="3" failures="0" errors="0" skipped="1">
<testcase classname="tests.real.test_a" name="one"/><testcase classname="tests.tui.test_story" name="long"/>
<testcase classname="tests.real.test_b" name="two"><skipped message="{why}"/></testcase>
</testsuite></testsuites>"""

pytestmark = pytest.mark.skipif(shutil.which("timeout") is None, reason="needs coreutils, as .ci/run does")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run(up="exit 1")``: the script in a tree where every program is a stand-in, and what it printed."""

    def program(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def go(*, up: str | None, skip: str = "no Prometheus here") -> subprocess.CompletedProcess[str]:
        tree, home = tmp_path / "tree", tmp_path / "home"
        program(tree / ".ci/run", "")
        shutil.copy(SCRIPT, tree / ".ci/run")
        report = tmp_path / "report.xml"
        report.write_text(REPORT.format(why=skip), encoding="utf-8")
        # pytest's stand-in leaves a report where it is told to.
        program(
            tree / ".venv/bin/python",
            f"[[ $* != *pytest* ]] || cp '{report}' "
            f'"$(sed -n "s/.*--junitxml=\'\\(.*\\)\'.*/\\1/p" <<< "$PYTEST_ADDOPTS")"',
        )
        for name in ("git", "make", "tmux", "prometheus", "curl", "ip", "sysctl"):
            program(tmp_path / "bin" / name, "exit 0")
        program(
            tmp_path / "bin/kubectl", f"[ -e '{home}/is-up' ] || {{ echo 'connection refused'; exit 1; }}"
        )
        if up is not None:
            program(tmp_path / "shared/cluster/up", up.format(home=home))
            program(tmp_path / "shared/cluster/down", f"rm -f '{home}/is-up'")
        environ = {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "MEMTOP_CLUSTER_HOME": str(home),
        }
        return subprocess.run(
            [tree / ".ci/run"], env=environ, capture_output=True, text=True, check=False, timeout=60
        )

    return go


def test_a_cluster_that_does_not_start_is_a_failure_with_its_reason_in_full(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "home/log").mkdir(parents=True)
    (tmp_path / "home/log/kubelet.log").write_text("no cgroups for me\n", encoding="utf-8")
    up = "for n in $(seq 40); do echo step $n; done; echo 'FATAL: cannot start the kubelet'; exit 3"
    done = run(up=up)
    assert done.returncode == 1
    assert "FAILED: a real cluster" in done.stdout
    for said in ("step 1\n", "step 40\n", "no cgroups for me"):
        assert said in done.stdout
    end = done.stdout[done.stdout.index("== all together") :]
    assert "real cluster: NO." in end
    assert "exit code 3" in end
    assert "FATAL: cannot start the kubelet" in end
    assert "a real cluster" in end[end.index("not as they should be") :]


def test_a_cluster_that_says_it_started_and_does_not_answer_is_a_failure(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run(up="mkdir -p {home}; touch {home}/kubeconfig")
    assert "FAILED: a real cluster" in done.stdout
    assert "does not answer: connection refused" in done.stdout[done.stdout.index("== all together") :]


def test_the_last_lines_say_that_a_cluster_was_there_and_how_many_tests_ran(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run(up="mkdir -p {home}; touch {home}/kubeconfig {home}/is-up")
    end = done.stdout[done.stdout.index("== all together") :]
    assert "real cluster: yes, it was started" in end
    assert "1 of 2 tests against real servers ran; 1 skipped: no Prometheus here" in end
    assert "FAILED: the real cluster was used" not in done.stdout
    assert not (tmp_path / "home/is-up").exists(), "what the script started it stops again"


def test_tests_that_find_no_cluster_although_there_is_one_are_a_failure(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run(up="mkdir -p {home}; touch {home}/kubeconfig {home}/is-up", skip="no real cluster: it hides")
    assert done.returncode == 1
    assert "FAILED: the real cluster was used" in done.stdout


def test_without_a_cluster_beside_the_repository_the_rest_counts(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run(up=None)
    assert "FAILED: a real cluster" not in done.stdout
    assert "real cluster: NO. there is no ../shared/cluster" in done.stdout[done.stdout.index("== all") :]
