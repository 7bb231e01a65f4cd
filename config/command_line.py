"""Reads a command line: which command, which of its flags, which settings.

argparse reads the flags. They may stand anywhere around the words of a command, so one flat parser knows all
of them, and what it leaves over are the words. Which flag belongs to which command is looked up afterwards in
`config.commands`. Help and completion are in `config.help_and_completion`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.commands import (
    BY_NAME,
    CHECK,
    COMMANDS,
    CONFIG,
    DEBUG,
    EVERYWHERE,
    HELP,
    ONCE,
    ONE_SHOT,
    TUI,
    VERSION,
    CliCommand,
    CommandFlag,
)
from config.errors import ConfigError, did_you_mean
from config.options import Option, options


@dataclass(frozen=True)
class CommandLine:
    """A command line that is understood, but not yet checked against the settings.

    Attributes:
        command: What to do.
        arguments: The words after the command's.
        options: The values of the command's own flags, with their defaults.
        settings: The flags that are settings: option, text and spelling.
        config: The settings file that was named.
    """

    command: CliCommand
    arguments: tuple[str, ...]
    options: dict[str, Any]
    settings: tuple[tuple[Option, str, str], ...]
    config: str | None


@dataclass(frozen=True)
class TypedFlag:
    """One flag as it was typed, with its value; a switch without ``=`` has none."""

    spelling: str
    value: str | None


def read(argv: Sequence[str]) -> CommandLine:
    """Understands a command line.

    Args:
        argv: The words after the program's name.

    Raises:
        ConfigError: A flag or command is unknown, lacks its value or has one too many, or does not belong
            to the command.
    """
    if list(argv) in ([HELP.name], [HELP.short]):  # no flag to look for: half a parser's time is saved
        return CommandLine(BY_NAME["help"], (), {}, (), None)
    typed, words = _flags_and_words(argv)
    spellings = {flag.spelling for flag in typed}
    if spellings & {HELP.name, HELP.short}:
        return CommandLine(BY_NAME["help"], _known_words(words), {}, (), None)
    if VERSION.name in spellings:
        if CHECK.name not in spellings:
            return CommandLine(BY_NAME["version"], (), {}, (), None)
        typed, words = [flag for flag in typed if flag.spelling != VERSION.name], ["doctor", *words]
    command, arguments = BY_NAME["debug"], tuple[str, ...]()
    if DEBUG.name not in spellings:
        command, arguments = _command(words, once=ONCE.name in spellings)
    own = {
        spelling: flag
        for flag in (*command.flags, CONFIG)
        for spelling in (flag.name, flag.short)
        if spelling
    }
    values: dict[str, Any] = {flag.option: flag.default for flag in command.flags}
    config: str | None = None
    settings: list[tuple[Option, str, str]] = []
    for item in typed:
        if item.spelling == CONFIG.name:
            config = item.value
        elif item.spelling in own:
            values[own[item.spelling].option] = _value(own[item.spelling], item)
        elif (setting := _setting(item)) is not None:
            settings.append(setting)
        else:
            raise ConfigError(_misplaced(item.spelling, command))
    return CommandLine(command, arguments, values, tuple(settings), config)


class _RecordFlag(argparse.Action):
    """Adds each flag to the list ``flags``, in the order and the spelling in which they were typed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Argparse has found the flag."""
        value = None if self.nargs == 0 else str(values)
        if value and not self.option_strings[0].startswith("--"):
            value = value.removeprefix("=")  # -Al=app=shop; some versions of argparse keep the sign
        namespace.flags.append(TypedFlag(option_string or "", value))


def _flags_and_words(argv: Sequence[str]) -> tuple[list[TypedFlag], list[str]]:
    """Tells flags with their values from words."""
    end = argv.index("--") if "--" in argv else len(argv)
    takes_value = _spellings()
    switches = {option.flag for option in options() if option.kind == "switch"}
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for spelling, takes in takes_value.items():
        nargs = "?" if spelling in switches else None if takes else 0
        parser.add_argument(spelling, action=_RecordFlag, nargs=nargs, default=argparse.SUPPRESS)
    before: list[str] = []
    for word in argv[:end]:
        if before and takes_value.get(before[-1]) and re.match(r"-\d", word):
            before[-1] += f"={word}"  # a value such as -3s, which argparse would take for a flag
        else:
            before.append(f"{word}=true" if word in switches else word)  # else the next word is its value
    found = argparse.Namespace(flags=[])
    try:
        _, words = parser.parse_known_args(before, found)
    except argparse.ArgumentError as error:
        spelling = str(error.argument_name)
        if takes_value[spelling]:
            raise ConfigError(f"flag {spelling} needs a value") from None
        given = next(word for word in before if word.startswith(spelling) and word != spelling)
        value = given.removeprefix(spelling).removeprefix("=")
        raise ConfigError(f"flag {spelling} takes no value, but has {value!r}") from None
    for word in words:
        if word.startswith("-") and word != "-":
            raise ConfigError(_unknown(word.partition("=")[0] if word.startswith("--") else word[:2]))
    return found.flags, [*words, *argv[end + 1 :]]


def _spellings() -> dict[str, bool]:
    """Every spelling of every flag, and whether a value follows it."""
    spellings: dict[str, bool] = {}
    for flag in (*EVERYWHERE, *(flag for command in COMMANDS for flag in command.flags)):
        spellings |= {spelling: bool(flag.metavar) for spelling in (flag.name, flag.short) if spelling}
    for option in options():
        if option.details.secret:
            continue
        takes = option.kind != "switch"
        spellings |= {spelling: takes for spelling in (option.flag, option.details.short) if spelling}
        if not takes:
            spellings[f"--no-{option.name}"] = False
    return spellings


def _unknown(spelling: str) -> str:
    for option in options():
        if option.details.secret and option.flag == spelling:
            return (
                f"flag {spelling} does not exist, because every user of the machine can read a command line; "
                f"set {option.variable} or {option.key} in the settings file"
            )
    return f"flag {spelling} is unknown{did_you_mean(spelling, _spellings())}"


def _command(words: Sequence[str], *, once: bool) -> tuple[CliCommand, tuple[str, ...]]:
    if not words:
        return (ONE_SHOT if once else TUI), ()
    command = _longest(words)
    if command is None:
        known = [command.name for command in COMMANDS if command.typed]
        if groups := [name for name in known if name.startswith(f"{words[0]} ")]:
            raise ConfigError(f"command {words[0]!r} needs another word: {', '.join(groups)}")
        raise ConfigError(f"command {words[0]!r} is unknown{did_you_mean(words[0], known)}")
    arguments = tuple(words[len(command.name.split()) :])
    _check_arguments(command, arguments)
    return command, arguments


def _longest(words: Sequence[str]) -> CliCommand | None:
    """The command whose name has the most of these words."""
    for length in range(len(words), 0, -1):
        command = BY_NAME.get(" ".join(words[:length]))
        if command is not None and command.typed:
            return command
    return None


def _check_arguments(command: CliCommand, arguments: Sequence[str]) -> None:
    if len(arguments) < command.at_least:
        choices = f": {', '.join(command.choices)}" if command.choices else ""
        raise ConfigError(f"command {command.name!r} needs {command.arguments}{choices}")
    if command.at_most is not None and len(arguments) > command.at_most:
        raise ConfigError(f"command {command.name!r} has no use for {arguments[command.at_most]!r}")
    if command.name == "help" and arguments and BY_NAME.get(" ".join(arguments)) is None:
        raise ConfigError(f"command 'help': there is no command {' '.join(arguments)!r}")
    for argument in arguments:
        if command.choices and argument not in command.choices:
            raise ConfigError(
                f"command {command.name!r}: {argument!r} is not one of {', '.join(command.choices)}"
            )


def _known_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words of the command that the help is for; empty for the help of memtop."""
    command = _longest(words)
    return tuple(command.name.split()) if command else ()


def _value(flag: CommandFlag, item: TypedFlag) -> Any:  # noqa: ANN401 - each flag has its own type
    if not flag.metavar:
        if item.value is not None:
            raise ConfigError(f"flag {item.spelling} takes no value, but has {item.value!r}")
        return True
    value = item.value or ""
    if flag.choices and value not in flag.choices:
        choices = ", ".join(flag.choices)
        raise ConfigError(
            f"flag {item.spelling}: {value!r} is not one of {choices}{did_you_mean(value, flag.choices)}"
        )
    try:
        return flag.read(value)
    except ValueError as error:
        raise ConfigError(f"flag {item.spelling}: {value!r} {error}") from None


def _setting(item: TypedFlag) -> tuple[Option, str, str] | None:
    for option in options():
        if item.spelling in {option.flag, option.details.short}:
            return option, "true" if item.value is None else item.value, item.spelling
        if option.kind == "switch" and item.spelling == f"--no-{option.name}":
            if item.value is not None:
                raise ConfigError(f"flag {item.spelling} takes no value, but has {item.value!r}")
            return option, "false", item.spelling
    return None


def _misplaced(spelling: str, command: CliCommand) -> str:
    homes = {TUI.name: "memtop without a command", ONE_SHOT.name: "--once"}
    owners = [
        homes.get(owner.name, f"the command {owner.name!r}")
        for owner in COMMANDS
        if any(spelling in {flag.name, flag.short} for flag in owner.flags)
    ]
    if homes[TUI.name] in owners:
        owners.remove(homes[ONE_SHOT.name])  # which has no command either
    here = "" if command is TUI else f", not to the command {command.name!r}"
    return f"flag {spelling} belongs to {' and to '.join(owners)}{here}"
