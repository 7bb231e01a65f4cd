"""The command `memtop` as a shell sees it."""

import subprocess
import sys

import pytest

from memtop import __version__
from tui import cli


def memtop(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui.cli", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": "/nonexistent", **environ},
    )


def test_the_version_needs_neither_pydantic_nor_textual() -> None:
    program = (
        "import sys; from tui import cli; code = cli.main(['--version'])\n"
        "heavy = {'pydantic', 'textual', 'kubernetes', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"memtop {__version__}\n")


def test_a_mistake_is_one_sentence_and_exit_code_2() -> None:
    done = memtop("--symbols", "brail")
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == "memtop: flag --symbols: 'brail' is not one of braille, block, ascii; did you mean braille?\n"
    )


def test_settings_are_printed() -> None:
    done = memtop("config", MEMTOP_THEME="nord")
    assert done.returncode == 0
    assert "variable MEMTOP_THEME" in done.stdout


def test_output_that_nobody_reads_is_no_crash() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m tui.cli --help | true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, 141}
    assert done.stderr == ""


def test_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "help", interrupted)
    assert cli.main(["help"]) == 130


def test_every_command_has_somebody_who_does_it() -> None:
    from config.commands import COMMANDS

    assert {command.name for command in COMMANDS} == set(cli.COMMANDS)


def test_a_mistake_cannot_write_to_the_terminal() -> None:
    done = memtop("--\x1b]0;owned\x07")
    assert done.stderr == "memtop: flag --\\x1b]0;owned\\x07 is unknown\n"


def test_a_narrow_encoding_is_no_crash() -> None:
    done = memtop("config", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stderr == ""
