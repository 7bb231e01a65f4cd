"""What a command line asks for."""

import pytest

from config.commands import COMMANDS, EVERYWHERE
from config.invocation import Invocation, parse
from config.options import options


def run(*argv: str) -> Invocation:
    return parse(argv, {"XDG_CONFIG_HOME": "/nonexistent"})


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ([], "tui"),
        (["--demo"], "tui"),
        (["--once"], "once"),
        (["config"], "config"),
        (["-A", "config"], "config"),
        (["--context", "config"], "tui"),
        (["doctor"], "doctor"),
        (["demo", "serve"], "demo serve"),
        (["demo", "--port", "0", "serve"], "demo serve"),
        (["config", "--help"], "help"),
        (["-h"], "help"),
        (["--version"], "version"),
    ],
)
def test_the_command(argv: list[str], command: str) -> None:
    assert run(*argv).command == command


def test_flags_stand_anywhere() -> None:
    for argv in (
        ["-o", "json", "config", "-A"],
        ["config", "-A", "--output=json"],
        ["-A", "config", "-ojson"],
    ):
        invocation = run(*argv)
        assert invocation.options["output"] == "json"
        assert invocation.settings.cluster.all_namespaces


def test_short_flags_can_be_bundled() -> None:
    invocation = run("-Al", "app=api", "-Anshop")
    assert invocation.settings.cluster.all_namespaces
    assert invocation.settings.cluster.selector == "app=api"


def test_a_commands_own_flags_have_defaults_and_types() -> None:
    assert run("--once").options["watch_for"] == 0
    assert run("--once", "--watch-for", "2m").options["watch_for"] == 120
    assert run("--once", "--demo").options["demo"] is True
    assert run("doctor").options["demo"] is False
    assert run("demo", "serve", "--port", "8080").options == {"port": 8080, "kubeconfig_out": None}


def test_words_after_two_dashes_are_arguments() -> None:
    assert run("classify", "a.csv", "--", "--odd.csv").arguments == ("a.csv", "--odd.csv")


def test_help_knows_which_command_is_asked_about() -> None:
    assert run("demo", "serve", "--help").arguments == ("demo", "serve")
    assert run("help", "demo", "serve").arguments == ("demo", "serve")
    assert run("--help").arguments == ()


def test_no_two_options_share_a_name() -> None:
    for names in (
        [option.flag for option in options()],
        [option.variable for option in options()],
        [option.details.short for option in options() if option.details.short],
    ):
        assert len(names) == len(set(names))


def test_a_flag_takes_a_value_for_all_commands_or_for_none() -> None:
    arity: dict[str, bool] = {}
    for flag in [*EVERYWHERE, *(flag for command in COMMANDS for flag in command.flags)]:
        for spelling in filter(None, (flag.name, flag.short)):
            assert arity.setdefault(spelling, bool(flag.metavar)) == bool(flag.metavar), spelling


def test_no_flag_of_a_command_is_also_a_setting() -> None:
    settings = {
        spelling for option in options() for spelling in (option.flag, option.details.short) if spelling
    }
    own = {spelling for command in COMMANDS for flag in command.flags for spelling in (flag.name, flag.short)}
    assert not settings & own
