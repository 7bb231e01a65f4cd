"""The command line: its parser, its help and its completion scripts, all made from one table of commands.

argparse reads the flags. They may stand anywhere around the words of a command, so one flat parser knows all
of them, and what it leaves over are the words. Which flag belongs to which command is looked up afterwards in
`config.commands`. The help is argparse's, and shtab writes the completion scripts.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.commands import (
    BY_NAME,
    COMMANDS,
    CONFIG,
    DEBUG,
    DEMO,
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
from config.options import Option, options, printed

_GROUPS = (
    "What to show",
    "Connecting",
    "Prometheus",
    "Safety",
    "Watching a change",
    "Alert rules",
    "Screen",
    "Diagnostics",
    "Demo",
)
_USAGE = """\
memtop [FLAGS]             open the screen
       memtop --once [FLAGS]      print what the screen would show, and end
       memtop COMMAND [FLAGS]     do one of the commands below"""
_HEAD = """\
memtop: which pods hold the memory, which restart, and which grow until they
are OOM-killed; live, in one terminal."""
_TAIL = """\
The flags from --namespace to --demo-churn, but for --demo, are settings: each
can also be a variable (MEMTOP_INTERVAL for --interval) or a key in the
settings file. A flag beats a variable, and a variable beats the file; `memtop
config` shows what is in force and where it comes from.

Examples:
  memtop -n shop                          the namespace shop, live
  memtop -A -l app=api --read-only        one application, wherever it runs
  memtop --demo --demo-speed 60           a cluster to try: an hour a minute
  memtop --once -o json --watch-for 60s   for scripts: observe, then print
  memtop classify trace.jsonl             is this recorded series a leak?
  source <(memtop completion bash)        complete flags with the tab key"""
_ALIASES = {
    "bash": "complete -o bashdefault -F _shtab_memtop kubectl-memtop",
    "zsh": "compdef _shtab_memtop kubectl-memtop",
    "fish": "complete -c kubectl-memtop -w memtop",
}
"""The same completion for the second name of the program, for which shtab has no argument."""
_BASH_COMMAND_TEST = "if [[ -n $sub_parsers && "
_BASH_COMMAND_TEST_MENDED = "if [[ $current_action_is_positional = true && -n $sub_parsers && "
"""shtab's script for bash takes the value of a flag for a command if it has a command's name, as in
``-n config``. With this test it looks for a command only where no flag waits for its value."""


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
        return CommandLine(BY_NAME["version"], (), {}, (), None)
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


def help_text(command: str = "") -> str:
    """The help of memtop, or of one command, for 80 columns.

    Args:
        command: The command's words; empty, or words that are not a command, give the help of memtop.
    """
    if command in BY_NAME and BY_NAME[command].typed:
        return _command_help(BY_NAME[command])
    parser = argparse.ArgumentParser(
        usage=_USAGE, description=_HEAD, epilog=_TAIL, formatter_class=_HelpFormatter, add_help=False
    )
    for title in _GROUPS:
        group = parser.add_argument_group(title)
        if title == "Demo":
            _add_flag(group, DEMO)
        for option in options():
            if option.group == title:
                _add_option(group, option)
        for option in options():
            if option.group == title and option.details.secret:
                text = f"{option.help} Only as a variable or in the file."
                group.add_argument(option.key, metavar=option.variable, help=_escaped(text))
    group = parser.add_argument_group("One-shot output")
    for flag in ONE_SHOT.flags:
        if flag is not DEMO:
            _add_flag(group, flag)
    group = parser.add_argument_group("Commands")
    for item in _typed_commands():
        group.add_argument(item.name, metavar=_usage(item), help=_escaped(item.summary))
    group = parser.add_argument_group("Other")
    for flag in EVERYWHERE:
        _add_flag(group, flag)
    return parser.format_help().rstrip()


def _command_help(command: CliCommand) -> str:
    parser = argparse.ArgumentParser(
        usage=f"memtop {_usage(command)} [FLAGS]",
        description=f"{command.summary}\n\n{command.notes}".strip(),
        epilog="The other flags are those of memtop itself: memtop --help",
        formatter_class=_HelpFormatter,
        add_help=False,
    )
    if command.choices:
        group = parser.add_argument_group("Arguments")
        group.add_argument(command.arguments, help=f"One of {', '.join(command.choices)}.")
    group = parser.add_argument_group("Flags")
    for flag in command.flags:
        _add_flag(group, flag)
    return parser.format_help().rstrip()


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """For 80 columns, with the value of a flag written once: ``-n, --namespace NS``."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=29, width=79)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, action.dest.upper())
        return f"{', '.join(action.option_strings)} {value}"


def completion_script(shell: str) -> str:
    """The completion script for a shell.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
    """
    import shtab  # noqa: PLC0415  (only a completion script needs it)

    root = argparse.ArgumentParser("memtop", add_help=False)
    _add_all(root, ONE_SHOT)
    groups = {"": root.add_subparsers()}
    for command in _typed_commands():
        first, _, second = command.name.partition(" ")
        if second and first not in groups:
            summary = (
                f"One of {', '.join(other.name for other in _typed_commands() if _is_in(other, first))}."
            )
            groups[first] = groups[""].add_parser(first, help=summary, add_help=False).add_subparsers()
        parent = groups[first] if second else groups[""]
        parser = parent.add_parser(second or first, help=_escaped(command.summary), add_help=False)
        _add_all(parser, command)
        if any(_is_in(other, command.name) for other in _typed_commands()):
            groups[first] = parser.add_subparsers()  # a command by itself, with further words for others
        elif command.arguments:
            names = list(dict.fromkeys(other.name.split()[0] for other in _typed_commands()))
            choices = names if command.name == "help" else command.choices or None
            words = parser.add_argument("words", metavar=command.arguments, nargs="*", choices=choices)
            if command.files:
                words.complete = "file"  # type: ignore[attr-defined]  # shtab looks for it
    script = shtab.complete(root, shell).replace(_BASH_COMMAND_TEST, _BASH_COMMAND_TEST_MENDED)
    return f"{script}\n{_ALIASES[shell]}"


def _add_all(parser: argparse.ArgumentParser, command: CliCommand) -> None:
    """Adds every flag that may stand beside a command."""
    for option in options():
        _add_option(parser, option)
    for flag in (*command.flags, *EVERYWHERE):
        _add_flag(parser, flag)


def _is_in(command: CliCommand, group: str) -> bool:
    return command.name.startswith(f"{group} ")


def _typed_commands() -> list[CliCommand]:
    return [command for command in COMMANDS if command.typed]


def _usage(command: CliCommand) -> str:
    return f"{command.name} {command.arguments}".rstrip()


def _add_flag(group: argparse._ActionsContainer, flag: CommandFlag) -> None:
    names = [flag.short, flag.name] if flag.short else [flag.name]
    if not flag.metavar:
        group.add_argument(*names, help=_escaped(flag.help), action="store_true")
        return
    metavar = None if flag.choices else flag.metavar
    action = group.add_argument(
        *names, help=_escaped(flag.help), metavar=metavar, choices=flag.choices or None
    )
    if flag.files:
        action.complete = "file"  # type: ignore[attr-defined]  # shtab looks for it


def _add_option(group: argparse._ActionsContainer, option: Option) -> None:
    """Adds the flag of a setting; a secret setting has none."""
    if option.details.secret:
        return
    names = [option.details.short, option.flag] if option.details.short else [option.flag]
    if option.kind == "switch":
        if option.default is True:
            names = [f"--no-{option.name}", *names]
        group.add_argument(*names, help=_escaped(option.help), action="store_true")
        return
    text = f"{option.help}{_note(option)}"
    metavar = option.details.metavar or None
    action = group.add_argument(*names, help=_escaped(text), metavar=metavar, choices=option.choices or None)
    if option.details.metavar == "FILE":
        action.complete = "file"  # type: ignore[attr-defined]  # shtab looks for it


def _note(option: Option) -> str:
    """What the help adds to an option's text: that it can be repeated, or its default."""
    if option.kind in {"list", "table"}:
        return " Can be repeated."
    return "" if option.default is None else f" [{printed(option, option.default)}]"


def _escaped(text: str) -> str:
    """Help as argparse takes it, which reads ``%`` as the start of a placeholder."""
    return text.replace("%", "%%")
