"""A shell in a real container, opened from the pod's screen in a real terminal, and back again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.conftest import COMMAND
from tests.real.patience import PATIENCE
from tests.real.terminal import Terminal

pytestmark = pytest.mark.usefixtures("cluster_home")
POD = "billing-jvm"


def open_pod(screen: Terminal, kubeconfig: Path, *wrapper: str) -> None:
    """Opens the pod's screen."""
    screen.run([*wrapper, *COMMAND, "--kubeconfig", str(kubeconfig), "-n", "production"])
    screen.wait(lambda text: POD in text, "the pod")
    screen.keys("/")
    screen.wait(lambda text: "label=value" in text, "the filter line")
    screen.keys("-l", POD)
    screen.wait(lambda text: re.search(r"(?<!\d)1 container\b", text), "the filter to hold")
    screen.keys("Enter")
    screen.wait(lambda text: f"\n/{POD}" not in text, "the filter line to close")
    screen.keys("Enter")
    screen.wait(lambda text: "Trend │" in text, "the pod's screen")


def test_a_shell_and_back_to_the_same_screen(admin: Path, terminal: Callable[[int, int], Terminal]) -> None:
    screen = terminal(100, 30)
    open_pod(screen, admin)
    screen.keys("e")
    screen.keys("x")
    screen.wait(lambda text: "exit or control-d comes back" in text and "#" in text, "the prompt")
    # The size comes on a way of its own, perhaps after the line that was typed after it.
    screen.keys("-l", 'until [ "$(stty size)" = "30 100" ]; do sleep 0.1; done; echo $((6*7)) $(stty size)')
    screen.keys("Enter")
    screen.wait(lambda text: "42 30 100" in text, "the shell's answer, which knows the terminal's size")
    screen.keys("-l", "sh -c 'echo asleep; exec sleep 1000'")
    screen.keys("Enter")
    screen.wait(lambda text: "\nasleep" in text, "what control-c is to end")
    screen.keys("C-c")
    screen.wait(lambda text: text.rstrip().endswith("#"), "the prompt after control-c")
    screen.keys("-l", "echo still $((40+2)) here; exit 3")
    screen.wait(lambda text: "still $" in text, "the shell after control-c")
    screen.keys("Enter")
    back = screen.wait(lambda text: "Trend │" in text and "exit code 3" in text, "the screen as it was")
    assert POD in back
    screen.keys("q")
    screen.wait(lambda text: "exit code 0" in text, "the end")


def test_a_signal_ends_the_shell_and_the_program_and_leaves_the_terminal_as_it_was(
    admin: Path, terminal: Callable[[int, int], Terminal], tmp_path: Path
) -> None:
    screen = terminal(100, 30)
    number = tmp_path / "pid"
    open_pod(screen, admin, "sh", "-c", f'echo $$ > {number}; exec "$@"', "sh")
    screen.keys("x")
    screen.wait(lambda text: "exit or control-d comes back" in text and "#" in text, "the prompt")
    os.kill(int(number.read_text()), signal.SIGTERM)
    screen.wait(lambda text: "exit code 143" in text, "the end")
    screen.keys("-l", "stty -a | grep -o '[-]*icanon'")
    screen.keys("Enter")
    screen.wait(lambda text: "\nicanon" in text, "a terminal that works by lines")


def test_a_reader_is_told_why_there_is_no_shell(
    reader: Path, terminal: Callable[[int, int], Terminal]
) -> None:
    screen = terminal(120, 30)
    open_pod(screen, reader)
    screen.keys("x")
    screen.wait(lambda text: "pods/exec is forbidden" in text, "the reason")
    screen.keys("q")
    screen.wait(lambda text: "exit code 0" in text, "the end")


@pytest.fixture
def bare(kubectl: Callable[..., str], new_namespace: Callable[[str], str]) -> str:
    """The namespace of a pod whose image has no shell."""
    namespace = new_namespace("shell")
    kubectl("-n", namespace, "run", "bare", "--image=localhost/lab/pause:1", "--image-pull-policy=Never")
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/bare", f"--timeout={PATIENCE:.0f}s")
    return namespace


def test_an_image_without_a_shell_gives_the_screen_back(
    admin: Path, terminal: Callable[[int, int], Terminal], bare: str
) -> None:
    screen = terminal(120, 36)
    screen.run([*COMMAND, "--kubeconfig", str(admin), "-n", bare])
    screen.wait(lambda text: "bare" in text and "metrics" in text, "the pod")
    screen.keys("Enter")
    screen.wait(lambda text: "Trend │" in text, "the pod's screen")
    screen.keys("x")
    screen.wait(lambda text: "An image without a shell" in text and "kubectl debug" in text, "the way out")
    screen.keys("Escape")
    screen.wait(lambda text: "Trend │" in text and "kubectl debug" not in text, "the screen as it was")
    screen.keys("q")
    screen.wait(lambda text: "exit code 0" in text, "the end")
