"""What memtop says about its options: help, the effective settings, the README's table, completion."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config import parse
from config.commands import BY_NAME, COMMANDS
from config.help_and_completion import completion_script, help_text
from config.options import documentation, markdown_table, options
from config.show import show

EMPTY = {"XDG_CONFIG_HOME": "/nonexistent"}


def test_every_option_has_a_text() -> None:
    for option in options():
        text = documentation()[option.section, option.field]
        assert text.endswith("."), option.key


def test_the_help_names_every_flag_and_command_in_80_columns() -> None:
    text = help_text()
    for option in options():
        assert (option.variable if option.details.secret else option.name) in text
    for command in COMMANDS:
        assert not command.typed or f"\n  {command.name}" in text
    assert max(len(line) for line in text.splitlines()) < 80
    groups = [
        "What to show",
        "Connecting",
        "Prometheus",
        "Safety",
        "Screen",
        "Demo",
        "One-shot output",
        "Commands",
    ]
    assert [line[:-1] for line in text.splitlines() if line[:-1] in groups] == groups


@pytest.mark.parametrize("command", [command.name for command in COMMANDS if command.typed])
def test_each_command_has_its_help(command: str) -> None:
    text = help_text(command)
    assert f"memtop {command}" in text
    assert max(len(line) for line in text.splitlines()) < 80


@pytest.mark.parametrize("command", ["watch", "rollout status", "rollout undo"])
def test_what_is_done_with_every_kind_does_not_name_one_only(command: str) -> None:
    assert f"memtop {command} KIND/NAME" in help_text(command)


def test_the_readmes_table_has_a_row_for_each_option() -> None:
    lines = markdown_table().splitlines()
    assert len(lines) == len(options()) + 2
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_the_table_of_settings_is_aligned() -> None:
    invocation = parse(["config", "--interval", "1m"], EMPTY)
    _, _, head, *lines = show(invocation, "table").splitlines()
    for line in lines:
        assert line[head.index("VALUE") - 2 : head.index("VALUE")] == "  "
        assert line[head.index("FROM") - 1] == " "
    row = next(line for line in lines if line.startswith("observe.interval"))
    assert row.split() == ["observe.interval", "60s", "flag", "--interval"]


def test_settings_as_json() -> None:
    document = json.loads(show(parse(["config", "-n", "shop"], EMPTY), "json"))
    assert document["settings"]["cluster.namespaces"] == {"value": ["shop"], "source": "flag -n"}
    assert document["settings"]["cluster.context"] == {"value": None, "source": "default"}


def test_settings_as_toml_are_a_settings_file_that_says_the_same(tmp_path: Path) -> None:
    argv = ["config", "-n", "shop,billing", "--interval", "7.25", "--warn-ratio", "61.3%", "--no-prometheus"]
    argv += ["--log-preset", "it's=a'b\\d", "--log-preset", 'x y="\\w"', "--context", "a\tb\\c\x7f"]
    before = parse(argv, EMPTY)
    path = tmp_path / "config.toml"
    path.write_text(show(before, "toml"))
    assert parse(["--config", str(path)], EMPTY).settings == before.settings


@pytest.mark.parametrize("form", ["table", "toml", "json"])
def test_secrets_are_not_shown(form: str) -> None:
    environ = EMPTY | {
        "MEMTOP_PROMETHEUS_URL": "https://me:hunter2@prometheus.example/x",
        "MEMTOP_PROMETHEUS_PASSWORD": "hunter2",
        "MEMTOP_PROMETHEUS_HEADER": "Authorization=Bearer hunter2",
    }
    text = show(parse(["config"], environ), form)
    assert "hunter2" not in text
    assert "MEMTOP_PROMETHEUS_PASSWORD" in text


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in show(parse(["config", "--context", "a\x1b]0;x\x07"], EMPTY), "table")


@pytest.fixture
def complete(tmp_path: Path) -> Callable[..., list[str]]:
    path = tmp_path / "memtop.bash"
    path.write_text(completion_script("bash"))

    def offered(*words: str) -> list[str]:
        program = (
            f'source {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_memtop; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", program, "bash", "memtop", *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert not done.stderr
        return done.stdout.split()

    return offered


def test_bash_completes(complete: Callable[..., list[str]]) -> None:
    assert complete("") == list(dict.fromkeys(one.name.split()[0] for one in COMMANDS if one.typed))
    assert complete("rollout", "h") == ["history"]
    assert complete("--symb") == ["--symbols"]
    assert complete("--symbols", "") == ["braille", "block", "ascii"]
    assert complete("--once", "-o", "") == ["table", "wide", "json", "markdown"]
    assert complete("config", "-o", "") == ["table", "toml", "json"]
    assert complete("-n", "config", "-o", "w") == ["wide"]
    assert complete("demo", "") == ["serve"]
    assert complete("demo", "serve", "--kubeconfig-o") == ["--kubeconfig-out"]
    assert complete("completion", "f") == ["fish"]
    assert complete("--context", "") == []


@pytest.mark.parametrize("shell", BY_NAME["completion"].choices)
def test_a_completion_script_knows_every_flag(shell: str) -> None:
    text = completion_script(shell)
    for option in options():
        assert (
            option.details.secret
            or f"-l {option.name}" in text
            or option.flag in text
            or f"no-{option.name}" in text
        )
