"""The commands of memtop, and the flags and arguments that belong to each.

A new command is one entry in `COMMANDS` and one in the table of `tui.cli`: the parser, the help and the
completion are made from these (`config.command_line`, `config.help_and_completion`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config import values


@dataclass(frozen=True)
class CommandFlag:
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
class CliCommand:
    """One command of memtop.

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
        notes: What else its help says, in lines of at most 79 characters.
    """

    name: str
    summary: str
    flags: tuple[CommandFlag, ...] = ()
    arguments: str = ""
    at_least: int = 0
    at_most: int | None = 0
    choices: tuple[str, ...] = ()
    needs_settings: bool = True
    typed: bool = True
    files: bool = False
    notes: str = ""


def _switch(name: str, words: str, short: str = "") -> CommandFlag:
    return CommandFlag(name, words, short, default=False)


def _text(name: str, words: str, metavar: str = "NAME", short: str = "") -> CommandFlag:
    return CommandFlag(name, words, short, metavar, default="")


def _folder(name: str, words: str) -> CommandFlag:
    return CommandFlag(name, words, metavar="FOLDER", default="", files=True)


def _time(name: str, words: str) -> CommandFlag:
    return CommandFlag(name, words, metavar="TIME", default=0.0, read=values.duration)


def _number(
    name: str, words: str, least: int, most: int, *, default: int = 0, short: str = "", metavar: str = "N"
) -> CommandFlag:
    read = values.between(least, most, whole=True)
    return CommandFlag(name, words, short, metavar, default=default, read=read)


def _output(words: str, *choices: str) -> CommandFlag:
    return CommandFlag("--output", words, "-o", "FORMAT", choices, default=choices[0])


HELP = CommandFlag("--help", "Show this help.", short="-h")
VERSION = CommandFlag("--version", "Show the version; with --check also what this installation lacks.")
CONFIG = CommandFlag(
    "--config",
    "The settings file; by default config.toml in the configuration folder.",
    metavar="FILE",
    files=True,
)
DEBUG = CommandFlag("--debug", "Show versions and paths, for a report of a fault.")
EVERYWHERE = (CONFIG, HELP, VERSION, DEBUG)
CHECK = _switch("--check", "Begin with the version, as memtop --version --check does.")
DEMO = _switch("--demo", "Open the embedded demo cluster; it needs no cluster of yours.")
ONCE = _switch("--once", "Print what the screen would show, once, and end.")
_SINCE = _time("--since", "Only what is not older than that.")
_PLANNED = (
    _switch("--yes", "Apply the plan without asking."),
    _switch("--dry-run", "Only show the plan, which the server has tried without making the change."),
    _text("--confirm", "The object's name, which protected contexts want instead of --yes."),
)
"""The flags of every command that changes something."""

_AS_FILE = _output("Print the plan, or the change as a file.", "table", "patch", "kustomize", "helm")

_HEAP_READING = (
    _output("How to print it.", "table", "json", "markdown"),
    _number("--top", "How many types to print.", 1, 20_000, default=20),
    _switch("--no-paths", "Do not look for what keeps the largest types, which takes longer."),
)
_HEAP_NOTES = """\
What FILE is, is told by its content:
  JVM       heap dump (.hprof, also gzipped); output of jcmd GC.class_histogram
  Node.js   .heapsnapshot
  Go        heap or goroutine profile (pprof)
  Python    memray stats --json; statistics of tracemalloc, printed
  any       /proc/PID/smaps
Only types, sizes and field names are read, never a value."""

_HEAP_LISTING = _output("How to print it.", "table", "json")

TOUR = _switch("--tour", "With --demo: go through an incident in ten steps.")
TUI = CliCommand("tui", "open the screen", flags=(DEMO, ONCE, TOUR), typed=False)
ONE_SHOT = CliCommand(
    "once",
    "print once",
    flags=(
        DEMO,
        ONCE,
        _output("How to print it.", "table", "wide", "json", "markdown"),
        _time("--watch-for", "Observe that long first."),
    ),
    typed=False,
)
_CLASSIFY_NOTES = """\
FILE is - for what comes in by a pipe, and may be gzipped. It is read as
  JSON lines     {"id", "timestamps", "values"}; also "limit", "restarts" and
                 "oom_kills"
  JSON           what Prometheus answers to query_range
  CSV            a column of times and one of memory (--time, --value), or one
                 of times and several of series, as Grafana exports them
  mprof, psrecord --log
  docker stats, kubectl top, again and again with `date` before each

Times are seconds, milli-, micro- or nanoseconds since 1970, seconds since the
start, or dates; without a zone they are UTC. Memory is in bytes, or in the
unit that stands in the cell (1.2 GiB, 350 MB) or in the column's name (rss_kb:
1024 bytes). Empty cells, null and NaN are gaps."""
_LEARN = _time("--learn", "Learn thresholds from that far back: what was healthy pages nobody.")
_RULES_NOTES = """\
A workload says by annotation what is not for it, or its own thresholds:
  memtop/alerts: "off"
  memtop/alerts: "leak=off, near-limit=97%, limit-soon=2h, restarts=10"
Rules: near-limit, leak, limit-soon, oom-kill, child-oom-kill, oom-loop,
restarts, no-limit, pressure."""
_MCP_NOTES = """\
Needs the extra memtop[mcp]. Tools: frame, verdict, timeline, logs, plan; no
tool changes anything. See docs/agents.md."""
COMMANDS = (
    TUI,
    ONE_SHOT,
    CliCommand(
        "config",
        "Print the effective settings and where each comes from.",
        flags=(_output("How to print them.", "table", "toml", "json"),),
    ),
    CliCommand("doctor", "Check what memtop can reach and may do.", flags=(DEMO, CHECK)),
    CliCommand(
        "classify",
        "Judge recorded series: one line of JSON for each.",
        flags=(
            _text("--time", "The column of the times; by default time, timestamp, date …", "COLUMN"),
            _text("--value", "The column of the memory; by default value, rss, memory …", "COLUMN"),
        ),
        notes=_CLASSIFY_NOTES,
        arguments="FILE...",
        at_least=1,
        at_most=None,
        needs_settings=False,
        files=True,
    ),
    CliCommand(
        "logs",
        "Print the log of a pod, or of a workload's worst pod, searched for memory.",
        flags=(
            DEMO,
            _text("--container", "Only this container; by default all.", short="-c"),
            _switch("--previous", "The log of the run before: its last words.", "-p"),
            _switch("--follow", "Go on with what is written from now on.", "-f"),
            _SINCE,
            _number(
                "--tail",
                "Only so many lines, counted from the end; at most 200,000.",
                0,
                200_000,
                default=200_000,
            ),
            _text("--preset", "Only lines that a preset finds: memory, heap, gc, oom …."),
            _text("--grep", "Only lines that match; capitals make case matter.", "REGEX"),
            _switch("--invert", "The lines that do not match.", "-v"),
            _number("--around", "Lines to print before and after each match.", 0, 10_000, short="-C"),
            _switch("--timestamps", "With the time of each line, in UTC."),
            _switch("--values", "The figures of heap and GC lines, as a table."),
        ),
        arguments="POD|KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "demo serve",
        "Run the demo cluster alone, for kubectl and others.",
        flags=(
            _number("--port", "Port to listen on; 0 takes a free one.", 0, 65535, metavar="PORT"),
            CommandFlag(
                "--kubeconfig-out",
                "Where to write its kubeconfig; by default in the cache folder.",
                metavar="PATH",
                files=True,
            ),
        ),
    ),
    CliCommand(
        "rollout status",
        "Follow a rollout to its end, in kubectl's words.",
        flags=(
            _time("--timeout", "Give up after that long; 0 for never."),
            _switch("--watch", "Follow it to its end, which is the default."),
            _switch("--no-watch", "Only say how far it is now."),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rollout history",
        "Print a workload's revisions, or one of them in full.",
        flags=(
            _number("--revision", "Only this revision, with its pod template.", 1, 2**31, metavar="NUMBER"),
            _output("How to print them.", "table", "json"),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rollout compare",
        "Print old and new pods of a rollout over the same minutes.",
        flags=(
            DEMO,
            _text("--container", "Only this container; by default the one that is worst off.", short="-c"),
            _output("How to print it.", "table", "json"),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "watch",
        "Watch a workload after a change until it is known whether it helped.",
        flags=(
            CommandFlag(
                "--until",
                "When to end: at the first verdict, or only when the time is over.",
                metavar="WHEN",
                choices=("stable", "forever"),
                default="stable",
            ),
            _time("--timeout", "Give up after that long, with exit code 3; 0 for never."),
            _number(
                "--revision",
                "The revision that was the change; by default the newest.",
                1,
                2**31,
                metavar="NUMBER",
            ),
            _number(
                "--against",
                "The earlier revision to compare with; by default the last that ran.",
                1,
                2**31,
                metavar="NUMBER",
            ),
            _text("--container", "Only this container."),
            _switch("--bell", "Ring the bell when the verdict changes."),
            _text(
                "--exec",
                "Command to run when the verdict changes, without a shell; see MEMTOP_VERDICT.",
                "COMMAND",
            ),
            _output("How to print verdicts.", "line", "json"),
            _switch("--quiet", "Print the last verdict only."),
            CommandFlag(
                "--result",
                "Write how it ended to this file, as JSON; see docs/gate.md.",
                metavar="FILE",
                default="",
                files=True,
            ),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "timeline",
        "Print since when a workload leaks, what changed then, and the cause.",
        flags=(
            DEMO,
            _text("--container", "Only this container; by default the one that grows most.", short="-c"),
            _output("How to print it.", "table", "json", "markdown"),
        ),
        arguments="POD|KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "advise",
        "Print what to do about a workload's memory: sizes, flags, a dump, code.",
        flags=(
            DEMO,
            _text("--container", "Only this container."),
            _text("--plan", "Plan this proposal and, after a yes, apply it: sizes, heap, dump …", "ID"),
            _output("How to print it.", "table", "json"),
            *_PLANNED,
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "report",
        "Print an incident's report: what grew, what happened, what is not known.",
        flags=(
            DEMO,
            _output("How to print it.", "markdown", "html"),
            CommandFlag("--file", "Write it to this new file instead.", metavar="FILE", files=True),
            _switch("--redact", "Exchange names for pseudonyms; the report lists what it withholds."),
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "mcp",
        "Serve agents over stdin and stdout (Model Context Protocol), read-only.",
        flags=(DEMO,),
        notes=_MCP_NOTES,
    ),
    CliCommand(
        "set image",
        "Plan another image for a container and, after a yes, set it.",
        flags=(_AS_FILE, *_PLANNED),
        arguments="KIND/NAME CONTAINER=IMAGE",
        at_least=2,
        at_most=3,
    ),
    CliCommand(
        "set memory",
        "Plan other memory (of a pod: in place) and, after a yes, set it.",
        flags=(
            CommandFlag("--limit", "The memory limit, such as 2Gi.", metavar="QUANTITY"),
            CommandFlag("--request", "The memory request, such as 512Mi.", metavar="QUANTITY"),
            _AS_FILE,
            *_PLANNED,
        ),
        arguments="KIND/NAME [CONTAINER]",
        at_least=1,
        at_most=3,
    ),
    CliCommand(
        "audit",
        "Print what has been planned and changed from this machine.",
        flags=(_output("How to print it.", "table", "json"), _SINCE),
        needs_settings=False,
    ),
    CliCommand(
        "heap summary",
        "Print what a heap file holds, by type.",
        flags=_HEAP_READING,
        notes=_HEAP_NOTES,
        arguments="FILE",
        at_least=1,
        at_most=1,
        needs_settings=False,
        files=True,
    ),
    CliCommand(
        "heap diff",
        "Print what grew from one heap file to another.",
        flags=_HEAP_READING,
        notes=_HEAP_NOTES,
        arguments="EARLIER LATER",
        at_least=2,
        at_most=2,
        needs_settings=False,
        files=True,
    ),
    CliCommand(
        "heap what-grew",
        "Take two captures of a pod's heap, after a plan, and print what grew.",
        flags=(
            DEMO,
            _text("--container", "Which container; by default the pod's only one.", short="-c"),
            _time("--every", "The time between two captures; by default as long as the leak needs to show."),
            _number("--times", "How many captures; the first and the last are compared.", 2, 100, default=2),
            CommandFlag(
                "--since",
                "An earlier capture as the first of the two.",
                metavar="FILE",
                files=True,
                default="",
            ),
            _switch("--yes", "Take the captures without asking."),
            _switch("--dry-run", "Only show the plan."),
            *_HEAP_READING[:2],
        ),
        arguments="POD|KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "heap list",
        "Print the heap captures that are kept on this machine.",
        flags=(_HEAP_LISTING,),
        needs_settings=False,
    ),
    CliCommand(
        "heap remove",
        "Delete heap captures that are kept on this machine.",
        flags=(_switch("--all", "Delete all of them."),),
        arguments="[NAME]...",
        at_most=None,
        needs_settings=False,
    ),
    CliCommand(
        "rollout undo",
        "Plan the way back to an earlier revision and, after a yes, take it.",
        flags=(
            _number(
                "--to-revision",
                "Which one; by default the one before the newest.",
                0,
                2**31,
                metavar="NUMBER",
            ),
            *_PLANNED,
        ),
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rollout restart",
        "Plan new pods for a workload and, after a yes, replace them.",
        flags=_PLANNED,
        arguments="KIND/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rollout pause",
        "Plan that changes of a Deployment wait and, after a yes, have them wait.",
        flags=_PLANNED,
        arguments="deployment/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rollout resume",
        "Plan that what waits is rolled out and, after a yes, roll it out.",
        flags=_PLANNED,
        arguments="deployment/NAME",
        at_least=1,
        at_most=2,
    ),
    CliCommand(
        "rules",
        "Print alert rules for memory, as this installation names its metrics.",
        flags=(
            DEMO,
            _output("How to print them.", "file", "prometheusrule", "configmap"),
            _switch("--with-tests", "Write the file for promtool test rules too."),
            _folder("--to", "Folder to write files to; by default rules are printed."),
            _time("--backtest", "Say what the rules would have done that far back, at most 30d."),
            _LEARN,
        ),
        arguments="[KIND/NAME...]",
        at_most=None,
        notes=_RULES_NOTES,
    ),
    CliCommand(
        "dashboard",
        "Print a Grafana dashboard for memory, with the metrics there are.",
        flags=(DEMO, _output("As what.", "file", "configmap")),
    ),
    CliCommand(
        "rules apply",
        "Plan alert rules as an object and, after a yes, put them there.",
        flags=(_output("As which object.", "auto", "prometheusrule", "configmap"), _LEARN, *_PLANNED),
        arguments="[KIND/NAME...]",
        at_most=None,
    ),
    CliCommand(
        "rules undo",
        "Plan the way back from the rules applied last and, after a yes, take it.",
        flags=_PLANNED,
    ),
    CliCommand(
        "completion",
        "Print the completion script for a shell.",
        arguments="SHELL",
        at_least=1,
        at_most=1,
        choices=("bash", "zsh", "fish"),
        needs_settings=False,
    ),
    CliCommand(
        "help",
        "Show the help of memtop or of a command.",
        arguments="[COMMAND]",
        at_most=None,
        needs_settings=False,
    ),
    CliCommand("version", "show the version", needs_settings=False, typed=False),
    CliCommand("debug", "show versions and paths", flags=(DEBUG,), typed=False),
)
BY_NAME = {command.name: command for command in COMMANDS}
