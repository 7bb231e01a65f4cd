"""All flags as the help and the completion scripts list them: settings and commands' own, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from config.commands import COMMANDS, EVERYWHERE, Command, Flag
from config.options import Option, options


@dataclass(frozen=True)
class Entry:
    """One flag, described.

    Attributes:
        name: Its name without dashes or negation.
        long: The spelling worth offering: a switch that is on by default is offered negated.
        short: Its spelling with one, if there is one.
        metavar: What stands for its value; empty for a switch.
        choices: The only values allowed, where there are few.
        help: What it does, as a sentence.
        group: The heading it stands under in the help.
        files: Whether its value is a path.
    """

    name: str
    long: str
    short: str
    metavar: str
    choices: tuple[str, ...]
    help: str
    group: str
    files: bool

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it can be written, the short way first."""
        return (self.short, self.long) if self.short else (self.long,)


def setting_entries() -> list[Entry]:
    """The flags that are settings, in the order of the settings. Those that are secret have none."""
    return [_of_option(option) for option in options() if not option.mark.secret]


def own_entries(command: Command) -> list[Entry]:
    """The flags that belong to one command."""
    return [_of_flag(flag, "Flags") for flag in command.flags]


def common_entries() -> list[Entry]:
    """The flags that are neither a setting nor one command's."""
    return [_of_flag(flag, "Other") for flag in EVERYWHERE]


def typed_commands() -> list[Command]:
    """The commands that are asked for by their words."""
    return [command for command in COMMANDS if command.typed]


def _of_option(option: Option) -> Entry:
    return Entry(
        name=option.name,
        long=f"--no-{option.name}" if option.default is True else option.flag,
        short=option.mark.short,
        metavar="" if option.kind == "switch" else option.mark.metavar or "|".join(option.choices),
        choices=option.choices,
        help=option.help,
        group=option.group,
        files=option.mark.metavar == "FILE",
    )


def _of_flag(flag: Flag, group: str) -> Entry:
    return Entry(
        flag.name.removeprefix("--"),
        flag.name,
        flag.short,
        flag.metavar,
        flag.choices,
        flag.help,
        group,
        flag.files,
    )
