"""``memtop logs`` from end to end, against the embedded cluster."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import invocation
from config.errors import ConfigError
from memtop.commands import logs
from memtop.demo.thread import DemoThread

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoThread]:
    """The embedded cluster, whose clock stands still."""
    with DemoThread(pods=30, seed=7, speed=0, epoch=EPOCH) as served:
        yield served


@pytest.fixture
def run(demo: DemoThread, tmp_path: Path) -> Run:
    """``run("deployment/user-service", "--previous")``: exit code, lines, and what was said beside them."""

    def go(*words: str, user: str = "admin") -> tuple[int, list[str], str]:
        path = tmp_path / "kubeconfig"
        path.write_text(demo.kubeconfig(user))
        environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
        given = ["logs", *words, "-n", "production", "--kubeconfig", str(path)]
        out, err = io.StringIO(), io.StringIO()
        code = logs.run_logs(invocation.parse(given, environ), out, err)
        return code, out.getvalue().splitlines(), err.getvalue()

    return go


def test_the_last_words_of_the_run_before(run: Run) -> None:
    code, lines, _ = run("deployment/user-service", "--previous", "--preset", "memory")
    assert code == 0
    assert any("Cannot allocate memory for large dataset" in line for line in lines)
    assert not any("GET /" in line for line in lines)


def test_lines_around_matches_are_set_apart(run: Run) -> None:
    _, lines, _ = run("deployment/user-service", "-p", "--grep", "Full GC", "-C", "1")
    stretches = "\n".join(lines).split("\n--\n")
    assert len(stretches) > 1
    assert all("Full GC" in stretch and len(stretch.splitlines()) > 1 for stretch in stretches)


def test_the_other_lines(run: Run) -> None:
    _, every, _ = run("deployment/user-service", "-p")
    _, matching, _ = run("deployment/user-service", "-p", "--grep", "info")
    _, others, _ = run("deployment/user-service", "-p", "--grep", "info", "-v")
    assert matching
    assert others
    assert sorted(matching + others) == sorted(every)


def test_the_figures_as_a_table(run: Run) -> None:
    code, lines, _ = run("deployment/user-service", "-p", "--values")
    assert code == 0
    assert lines[0].split()[0] == "TIME"
    assert lines[1].startswith("2026-11-2")
    assert any("5,200.0 ms" in line for line in lines)
    assert any("2 GiB" in line for line in lines)


def test_so_many_lines_with_their_times(run: Run) -> None:
    _, lines, _ = run("deployment/user-service", "-p", "--tail", "3", "--timestamps")
    assert len(lines) == 3
    assert all(line.startswith("2026-11-2") for line in lines)


def test_of_several_pods_the_one_is_named_that_is_read(run: Run) -> None:
    code, _, said = run("deployment/user-service", "--tail", "1")
    assert code == 0
    assert said.startswith("memtop: of ")
    assert "which has restarted most" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope"], "production has no pod nope"),
        (["deployment/nope"], "production has no deployment nope"),
        (["deployment/user-service", "-c", "x"], "has no container 'x'; it has user-service"),
        (
            ["deployment/user-service", "--grep", "("],
            "'(' is not a regular expression: missing ),",
        ),
        (
            ["deployment/user-service", "--grep", "["],
            "memtop: flag --grep: '[' is not a regular expression: unterminated character set at position 0",
        ),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(run: Run, words: list[str], sentence: str) -> None:
    code, lines, said = run(*words)
    assert (code, lines) == (2, [])
    assert sentence in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x", "--grep", "a", "--preset", "gc"], "exclude each other"),
        (["x", "--preset", "nope"], "'nope' is none of memory, heap"),
        (["x", "-v"], "need --grep or --preset"),
        (["x", "--values", "--grep", "a"], "no use"),
        (["service/x"], "'service/x' is of a kind"),
    ],
)
def test_flags_that_make_no_sense(run: Run, words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run(*words)


def test_a_filter_without_a_match_says_so(run: Run) -> None:
    code, lines, said = run("deployment/user-service", "--grep", "no such words")
    assert (code, lines) == (0, [])
    assert "no line matches" in said


def test_a_log_that_may_not_be_read(run: Run) -> None:
    code, lines, said = run("deployment/user-service", user="nobody")
    assert (code, lines) == (1, [])
    assert "forbidden" in said
