"""The help of memtop and of its commands, by argparse, and the completion scripts, by shtab.

Both are made from the table of commands and the settings.
"""

from __future__ import annotations

import argparse

from config.commands import (
    BY_NAME,
    COMMANDS,
    DEMO,
    EVERYWHERE,
    ONE_SHOT,
    CliCommand,
    CommandFlag,
)
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
