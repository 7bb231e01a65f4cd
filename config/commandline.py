"""Splits a command line into a command, its arguments, its own flags and the flags that are settings.

The standard library's parser is not used because flags may stand anywhere around a command's words, every
mistake has to be one sentence with a suggestion, and completion needs the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.commands import (
    BY_NAME,
    COMMANDS,
    CONFIG,
    EVERYWHERE,
    HELP,
    ONCE,
    ONE_SHOT,
    TUI,
    VERSION,
    Command,
    Flag,
)
from config.errors import ConfigError, did_you_mean
from config.options import Option, options


@dataclass(frozen=True)
class CommandLine:
    """What was typed, understood but not yet checked against the settings.

    Attributes:
        command: What to do.
        arguments: The words after the command's.
        options: The values of the command's own flags, with their defaults.
        settings: The flags that are settings: option, text and spelling.
        config: The settings file that was named.
    """

    command: Command
    arguments: tuple[str, ...]
    options: dict[str, Any]
    settings: tuple[tuple[Option, str, str], ...]
    config: str | None


@dataclass(frozen=True)
class _Typed:
    """One flag as it was typed, with its value; a switch has none."""

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
    typed, words = _split(argv)
    asked = {flag.spelling for flag in typed}
    if asked & {HELP.name, HELP.short}:
        return CommandLine(BY_NAME["help"], _known_words(words), {}, (), None)
    if VERSION.name in asked:
        return CommandLine(BY_NAME["version"], (), {}, (), None)
    command, arguments = _command(words, once=ONCE.name in asked)
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


def _split(argv: Sequence[str]) -> tuple[list[_Typed], list[str]]:
    """Tells flags with their values from words."""
    arity = _takes_value()
    typed: list[_Typed] = []
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        if word.startswith("--"):
            spelling, equals, attached = word.partition("=")
        else:  # -nshop, -n=shop and -Al app=shop, as kubectl takes them
            spelling, attached = word[:2], word[2:].removeprefix("=")
            equals = "=" if len(word) > 2 else ""
            if equals and arity.get(spelling) is False and attached and word[2] != "=":
                rest.insert(0, f"-{attached}")
                equals = ""
        if spelling not in arity:
            raise ConfigError(_unknown(spelling))
        if equals:
            typed.append(_Typed(spelling, attached))
        elif not arity[spelling]:
            typed.append(_Typed(spelling, None))
        elif rest and (not rest[0].startswith("-") or rest[0][1:2].isdigit() or rest[0] == "-"):
            typed.append(_Typed(spelling, rest.pop(0)))
        else:
            raise ConfigError(f"flag {spelling} needs a value")
    return typed, words


def _takes_value() -> dict[str, bool]:
    """Every spelling of every flag, and whether a value follows it."""
    arity: dict[str, bool] = {}
    for flag in (*EVERYWHERE, *(flag for command in COMMANDS for flag in command.flags)):
        arity |= {spelling: bool(flag.metavar) for spelling in (flag.name, flag.short) if spelling}
    for option in options():
        if option.mark.secret:
            continue
        takes = option.kind != "switch"
        arity |= {spelling: takes for spelling in (option.flag, option.mark.short) if spelling}
        if not takes:
            arity[f"--no-{option.name}"] = False
    return arity


def _unknown(spelling: str) -> str:
    for option in options():
        if option.mark.secret and option.flag == spelling:
            return (
                f"flag {spelling} does not exist, because every user of the machine can read a command line; "
                f"set {option.variable} or {option.key} in the settings file"
            )
    return f"flag {spelling} is unknown{did_you_mean(spelling, _takes_value())}"


def _command(words: Sequence[str], *, once: bool) -> tuple[Command, tuple[str, ...]]:
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


def _longest(words: Sequence[str]) -> Command | None:
    """The command whose name has the most of these words."""
    for length in range(len(words), 0, -1):
        command = BY_NAME.get(" ".join(words[:length]))
        if command is not None and command.typed:
            return command
    return None


def _check_arguments(command: Command, arguments: Sequence[str]) -> None:
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
    """The words of the command whose help is asked for, if there is such a command."""
    command = _longest(words)
    return tuple(command.name.split()) if command else ()


def _value(flag: Flag, item: _Typed) -> Any:  # noqa: ANN401 - each flag has its own type
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


def _setting(item: _Typed) -> tuple[Option, str, str] | None:
    for option in options():
        if item.spelling in {option.flag, option.mark.short}:
            return option, "true" if item.value is None else item.value, item.spelling
        if option.kind == "switch" and item.spelling == f"--no-{option.name}":
            if item.value is not None:
                raise ConfigError(f"flag {item.spelling} takes no value, but has {item.value!r}")
            return option, "false", item.spelling
    return None


def _misplaced(spelling: str, command: Command) -> str:
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
