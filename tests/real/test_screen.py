"""memtop in a real terminal on a real cluster, whose pods are really OOM-killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.conftest import COMMAND
from tests.real.terminal import Terminal

pytestmark = pytest.mark.usefixtures("cluster_home")


def line_with(*words: str) -> Callable[[str], bool]:
    """Whether one line of a screen has all of the words."""
    return lambda screen: any(all(word in line for word in words) for line in screen.splitlines())


@pytest.mark.usefixtures("oom_killed")
def test_the_pod_that_is_oom_killed_is_on_the_screen(
    admin: Path, terminal: Callable[[int, int], Terminal]
) -> None:
    screen = terminal(120, 36)
    screen.run([*COMMAND, "--kubeconfig", str(admin), "-A"])
    screen.wait(line_with("user-service", "OOMKilled"), "the OOM kill of user-service")
    screen.keys("/")
    screen.wait(lambda text: "label=value" in text, "the filter line")
    screen.keys("-l", "user-service")
    screen.wait(lambda text: "crashloop" not in text and "user-service" in text, "the filter to hold")
    screen.keys("Enter")
    screen.wait(lambda text: "\n/user-service" not in text, "the filter line to close")
    screen.keys("q")
    end = screen.wait(lambda text: "exit code 0" in text, "the end")
    assert "OOMKilled" not in end, "the screen is as it was before"


@pytest.mark.usefixtures("oom_killed")
def test_a_narrow_terminal_shows_one_pane_at_a_time(
    admin: Path, terminal: Callable[[int, int], Terminal]
) -> None:
    screen = terminal(80, 24)
    screen.run([*COMMAND, "--kubeconfig", str(admin), "-A"])
    screen.wait(line_with("slow-leak", "MiB"), "the memory of a pod")
    screen.keys("Tab")
    screen.wait(line_with("user", "OOMKilled"), "the pane of restarts")
    screen.keys("q")
    screen.wait(lambda text: "exit code 0" in text, "the end")
