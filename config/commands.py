"""What memtop can be asked to do, and the flags and arguments that belong to each.

A new command is one entry in `COMMANDS` and one in the table of `tui.cli`: help, completion and the command
line follow from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config import values


@dataclass(frozen=True)
class Flag:
    """A flag that is not a setting: it belongs to one run of some commands.

    Attributes:
        name: Its long spelling, such as ``--watch-for``.
        help: What it does.
        short: Its one-letter spelling.
        metavar: What stands for its value in the help; empty for a switch.
        choices: The only values allowed, where there are few.
        default: The option's value without the flag.
        read: Turns the text into the value, or raises ValueError with the end of a sentence.
        files: Whether its value is a path, for completion.
    """

    name: str
    help: str
    short: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None
    read: Callable[[str], Any] = str
    files: bool = False

    @property
    def option(self) -> str:
        """The key of its value in an invocation's options, such as ``watch_for``."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def spelling(self) -> str:
        """Both spellings, for sentences: ``-o/--output``."""
        return f"{self.short}/{self.name}" if self.short else self.name


@dataclass(frozen=True)
class Command:
    """One thing memtop can be asked to do.

    Attributes:
        name: Its words, such as ``demo serve``; in an invocation too.
        summary: One line for the help.
        flags: The flags that are its own.
        arguments: What stands for its arguments in the help; empty if it takes none.
        at_least: How many arguments it needs.
        at_most: How many it takes at most; None for any number.
        choices: The only arguments allowed, where there are few.
        needs_settings: Whether it works with the user's settings, so that mistakes in them matter.
        typed: Whether it is asked for by its words; the others are asked for by a flag or by nothing.
        files: Whether its arguments are paths, for completion.
    """

    name: str
    summary: str
    flags: tuple[Flag, ...] = ()
    arguments: str = ""
    at_least: int = 0
    at_most: int | None = 0
    choices: tuple[str, ...] = ()
    needs_settings: bool = True
    typed: bool = True
    files: bool = False


HELP = Flag("--help", "Show this help.", short="-h")
VERSION = Flag("--version", "Show the version.")
CONFIG = Flag(
    "--config",
    "The settings file; by default config.toml in the configuration folder.",
    metavar="FILE",
    files=True,
)
EVERYWHERE = (CONFIG, HELP, VERSION)
DEMO = Flag("--demo", "Open the embedded demo cluster; it needs no cluster of yours.", default=False)
ONCE = Flag("--once", "Print what the screen would show, once, and end.", default=False)
_ONCE_OUTPUT = Flag(
    "--output", "How to print it.", "-o", "FORMAT", ("table", "wide", "json", "markdown"), default="table"
)
_CONFIG_OUTPUT = Flag(
    "--output", "How to print them.", "-o", "FORMAT", ("table", "toml", "json"), default="table"
)
_WATCH_FOR = Flag(
    "--watch-for", "Observe that long first.", metavar="TIME", default=0.0, read=values.duration
)

_ROLLOUT = "deployment/NAME"
_PLANNED = (
    Flag("--yes", "Apply the plan without asking.", default=False),
    Flag(
        "--dry-run",
        "Only show the plan, which the server has tried without making the change.",
        default=False,
    ),
    Flag(
        "--confirm",
        "The object's name, which protected contexts want instead of --yes.",
        metavar="NAME",
        default="",
    ),
)
"""The flags of whatever changes something."""

TUI = Command("tui", "open the screen", flags=(DEMO, ONCE), typed=False)
ONE_SHOT = Command("once", "print once", flags=(DEMO, ONCE, _ONCE_OUTPUT, _WATCH_FOR), typed=False)
COMMANDS = (
    TUI,
    ONE_SHOT,
    Command("config", "Print the effective settings and where each comes from.", flags=(_CONFIG_OUTPUT,)),
    Command("doctor", "Check what memtop can reach and may do.", flags=(DEMO,)),
    Command(
        "classify",
        "Judge recorded series: one line of JSON for each.",
        arguments="FILE...",
        at_least=1,
        at_most=None,
        needs_settings=False,
        files=True,
    ),
    Command(
        "logs",
        "Print the log of a pod, or of a workload's worst pod, searched for memory.",
        flags=(
            DEMO,
            Flag("--container", "Only this container; by default all.", "-c", "NAME", default=""),
            Flag("--previous", "The log of the run before: its last words.", "-p", default=False),
            Flag("--follow", "Go on with what is written from now on.", "-f", default=False),
            Flag(
                "--since",
                "Only what is not older than that.",
                metavar="TIME",
                default=0.0,
                read=values.duration,
            ),
            Flag(
                "--tail",
                "Only so many lines, counted from the end; at most 200,000.",
                metavar="N",
                default=200_000,
                read=values.between(0, 200_000, whole=True),
            ),
            Flag(
                "--preset",
                "Only lines that a preset finds: memory, heap, gc, oom ….",
                metavar="NAME",
                default="",
            ),
            Flag("--grep", "Only lines that match; capitals make case matter.", metavar="REGEX", default=""),
            Flag("--invert", "The lines that do not match.", "-v", default=False),
            Flag(
                "--around",
                "Lines to print before and after each match.",
                "-C",
                "N",
                default=0,
                read=values.between(0, 10_000, whole=True),
            ),
            Flag("--timestamps", "With the time of each line, in UTC.", default=False),
            Flag("--values", "The figures of heap and GC lines, as a table.", default=False),
        ),
        arguments="POD|KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "demo serve",
        "Run the demo cluster alone, for kubectl and others.",
        flags=(
            Flag(
                "--port",
                "Port to listen on; 0 takes a free one.",
                metavar="PORT",
                default=0,
                read=values.between(0, 65535, whole=True),
            ),
            Flag(
                "--kubeconfig-out",
                "Where to write its kubeconfig; by default in the cache folder.",
                metavar="PATH",
                files=True,
            ),
        ),
    ),
    Command(
        "rollout status",
        "Follow a rollout to its end, in kubectl's words.",
        flags=(
            Flag(
                "--timeout",
                "Give up after that long; 0 for never.",
                metavar="TIME",
                default=0.0,
                read=values.duration,
            ),
            Flag("--watch", "Follow it to its end, which is the default.", default=False),
            Flag("--no-watch", "Only say how far it is now.", default=False),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "rollout history",
        "Print a workload's revisions, or one of them in full.",
        flags=(
            Flag(
                "--revision",
                "Only this revision, with its pod template.",
                metavar="NUMBER",
                default=0,
                read=values.between(1, 2**31, whole=True),
            ),
            Flag("--output", "How to print them.", "-o", "FORMAT", ("table", "json"), default="table"),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "watch",
        "Watch a workload after a change until it is known whether it helped.",
        flags=(
            Flag(
                "--until",
                "When to end: at the first verdict, or only when the time is over.",
                metavar="WHEN",
                choices=("stable", "forever"),
                default="stable",
            ),
            Flag(
                "--timeout",
                "Give up after that long, with exit code 3; 0 for never.",
                metavar="TIME",
                default=0.0,
                read=values.duration,
            ),
            Flag(
                "--revision",
                "The revision that was the change; by default the newest.",
                metavar="NUMBER",
                default=0,
                read=values.between(1, 2**31, whole=True),
            ),
            Flag("--container", "Only this container.", metavar="NAME", default=""),
            Flag("--bell", "Ring the bell when the verdict changes.", default=False),
            Flag(
                "--exec",
                "Command to run when the verdict changes, without a shell; see MEMTOP_VERDICT.",
                metavar="COMMAND",
                default="",
            ),
            Flag("--output", "How to print verdicts.", "-o", "FORMAT", ("line", "json"), default="line"),
        ),
        arguments=_ROLLOUT,
        at_least=1,
        at_most=2,
    ),
    Command(
        "set image",
        "Plan another image for a container and, after a yes, set it.",
        flags=_PLANNED,
        arguments="KIND/NAME CONTAINER=IMAGE",
        at_least=2,
        at_most=3,
    ),
    Command(
        "set memory",
        "Plan another memory limit or request and, after a yes, set it.",
        flags=(
            Flag("--limit", "The memory limit, such as 2Gi.", metavar="QUANTITY"),
            Flag("--request", "The memory request, such as 512Mi.", metavar="QUANTITY"),
            *_PLANNED,
        ),
        arguments="KIND/NAME [CONTAINER]",
        at_least=1,
        at_most=3,
    ),
    Command(
        "audit",
        "Print what has been planned and changed from this machine.",
        flags=(
            Flag("--output", "How to print it.", "-o", "FORMAT", ("table", "json"), default="table"),
            Flag(
                "--since",
                "Only what is not older than that.",
                metavar="TIME",
                default=0.0,
                read=values.duration,
            ),
        ),
        needs_settings=False,
    ),
    Command(
        "rollout undo",
        "Plan the way back to an earlier revision and, after a yes, take it.",
        flags=(
            Flag(
                "--to-revision",
                "Which one; by default the one before the newest.",
                metavar="NUMBER",
                default=0,
                read=values.between(0, 2**31, whole=True),
            ),
            *_PLANNED,
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "rollout restart",
        "Plan new pods for a workload and, after a yes, replace them.",
        flags=_PLANNED,
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "rollout pause",
        "Plan that changes of a Deployment wait and, after a yes, have them wait.",
        flags=_PLANNED,
        arguments="deployment/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "rollout resume",
        "Plan that what waits is rolled out and, after a yes, roll it out.",
        flags=_PLANNED,
        arguments="deployment/NAME",
        at_least=1,
        at_most=2,
    ),
    Command(
        "completion",
        "Print the completion script for a shell.",
        arguments="SHELL",
        at_least=1,
        at_most=1,
        choices=("bash", "zsh", "fish"),
        needs_settings=False,
    ),
    Command(
        "help",
        "Show the help of memtop or of a command.",
        arguments="[COMMAND]",
        at_most=None,
        needs_settings=False,
    ),
    Command("version", "show the version", needs_settings=False, typed=False),
)
BY_NAME = {command.name: command for command in COMMANDS}
