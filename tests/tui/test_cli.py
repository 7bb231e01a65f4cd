"""The command `memtop` as a shell sees it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.private_files import read_file
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


def test_the_screen_is_not_drawn_where_there_is_no_terminal() -> None:
    done = memtop("--demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "memtop: the screen needs a terminal; `memtop --once` prints what it would show\n"


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
        ["bash", "-c", f"set -o pipefail; {shlex.quote(sys.executable)} -m tui.cli --help | true"],
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


def test_the_demo_cluster_is_served_until_ctrl_c(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    argv = [
        sys.executable,
        "-m",
        "tui.cli",
        "demo",
        "serve",
        "--kubeconfig-out",
        str(kubeconfig),
        "--demo-pods",
        "20",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert "http" in server.stdout.readline()
            assert "server:" in kubeconfig.read_text()
            server.send_signal(signal.SIGINT)
            _, complaints = server.communicate(timeout=30)
        finally:
            server.kill()
    assert (server.returncode, complaints) == (0, "")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = memtop("demo", "serve", "--port", port, "--kubeconfig-out", str(tmp_path / "kubeconfig"))
    assert done.returncode == 2
    assert done.stderr.startswith("memtop: command 'demo serve': ")
    assert port in done.stderr
    assert done.stderr.count("\n") == 1


def test_debug_shows_versions_and_paths_whatever_the_settings(tmp_path: Path) -> None:
    settings = tmp_path / "broken.toml"
    settings.write_text("[observe]\ninterval = 0\n")
    done = memtop(
        "--debug",
        "--config",
        str(settings),
        "--log-file",
        "/nonexistent/x.log",
        XDG_STATE_HOME=str(tmp_path),
        HTTPS_PROXY="http://me:hunter2@proxy:3128",
    )
    assert done.returncode == 0, done.stderr
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert shown["memtop"].startswith(__version__)
    assert {"Python", "textual", "kubernetes", "numpy"} <= shown.keys()
    assert shown["settings"].startswith(f"file {settings}") or "cannot be used" in done.stdout
    assert f"{tmp_path}/memtop/audit.jsonl" in done.stdout
    assert "/nonexistent/x.log (not there)" in done.stdout
    assert "hunter2" not in done.stdout


def test_every_command_writes_the_log_file(tmp_path: Path) -> None:
    path = tmp_path / "memtop.log"
    done = memtop("classify", "/nonexistent.jsonl", "--log-file", str(path))
    assert f"ends with exit code {done.returncode}" in path.read_text()
    done = memtop("doctor", "--kubeconfig", "/nonexistent", MEMTOP_LOG_FILE=str(path))
    assert "begins: doctor" in path.read_text()


def test_a_log_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    done = memtop("doctor", "--log-file", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == f"memtop: log file {tmp_path} cannot be written: Is a directory\n"


def test_without_a_home_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where passwd has no entry
    for words in (["--once"], ["doctor"], ["audit"], ["config"]):
        assert cli.main(words) == 2
        assert "HOME is not set" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["--version", "config", "help set image"])
def test_output_that_cannot_be_written_is_one_sentence(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui.cli", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "memtop: what is to be printed cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["--version", "config"])
def test_closed_output_is_one_sentence(command: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} -m tui.cli {command} >&-"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "memtop: standard output is closed: there is nowhere to print to\n"


@pytest.mark.parametrize("command", ["config --config", "--once --kubeconfig", "classify", "heap summary"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_one_sentence(
    command: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A pipe that nobody writes into was waited for without end."""
    monkeypatch.setattr("config.private_files.PIPE_SECONDS", 0.1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert cli.main([*command.split(), str(place)]) in {1, 2}
    said = capfd.readouterr().err
    assert str(place) in said
    assert said.count("\n") == 1


def test_a_pipe_that_somebody_writes_into_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"x" * 300_000
    with subprocess.Popen(["/bin/sh", "-c", f"head -c 300000 /dev/zero | tr '\\0' x > {pipe}"]):
        assert read_file(pipe, 1 << 20) == content


def test_a_file_without_end_is_too_large() -> None:
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_file(Path("/dev/zero"), 1 << 20)
