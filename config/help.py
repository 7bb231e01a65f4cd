"""The texts of ``memtop --help`` and ``memtop help COMMAND``, for 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from config.commands import BY_NAME, ONE_SHOT, Command
from config.flags import Entry, common_entries, own_entries, setting_entries, typed_commands
from config.options import Option, options
from config.show import said

WIDTH = 79
_MARGIN = 29
_GROUPS = ("What to show", "Connecting", "Prometheus", "Safety", "Watching a change", "Screen", "Demo")
_HEAD = """\
memtop: which pods hold the memory, which restart, and which grow until they
are OOM-killed; live, in one terminal.

Usage:
  memtop [FLAGS]             open the screen
  memtop --once [FLAGS]      print what the screen would show, and end
  memtop COMMAND [FLAGS]     do one of the commands below
"""
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


def help_text(command: str = "") -> str:
    """The help of memtop, or of one command.

    Args:
        command: The command's words; empty, or words that are no command's, give the help of memtop.
    """
    if command in BY_NAME and BY_NAME[command].typed:
        return _command_help(BY_NAME[command])
    entries = setting_entries()
    parts = [_HEAD]
    for group in _GROUPS:
        lines = _entries(entry for entry in entries if entry.group == group)
        if group == "Demo":
            lines = _entries(entry for entry in own_entries(ONE_SHOT) if entry.long == "--demo") + lines
        lines += "".join(
            _secret(option) for option in options() if option.mark.secret and option.group == group
        )
        parts.append(f"{group}:\n{lines}")
    once = _entries(entry for entry in own_entries(ONE_SHOT) if entry.long != "--demo")
    parts.append(f"One-shot output:\n{once}")
    parts.append(
        "Commands:\n" + "".join(_row(f"  {_usage(item)}", item.summary) for item in typed_commands())
    )
    parts.append(f"Other:\n{_entries(common_entries())}")
    return "\n".join(parts) + "\n" + _TAIL


def _command_help(command: Command) -> str:
    parts = [f"{command.summary}\n", f"Usage:\n  memtop {_usage(command)} [FLAGS]\n"]
    if command.choices:
        parts.append(f"{command.arguments} is one of {', '.join(command.choices)}.\n")
    if command.flags:
        parts.append(f"Flags:\n{_entries(own_entries(command))}")
    parts.append("The other flags are those of memtop itself: memtop --help")
    return "\n".join(parts)


def _usage(command: Command) -> str:
    return f"{command.name} {command.arguments}".rstrip()


def _entries(entries: Iterable[Entry]) -> str:
    by_name = {option.name: option for option in options()}
    lines = ""
    for entry in entries:
        option = by_name.get(entry.name)
        long = f"--[no-]{entry.name}" if option and option.default is True else entry.long
        short = f"{entry.short}, " if entry.short else "    "
        note = _note(option) if option else ""
        metavar = entry.metavar if len(entry.metavar) < 24 or not entry.choices else "WORD"
        choices = (
            f" One of {', '.join(entry.choices)}."
            if entry.choices and metavar != "|".join(entry.choices)
            else ""
        )
        lines += _row(f"  {short}{long} {metavar}".rstrip(), f"{entry.help}{choices}{note}")
    return lines


def _note(option: Option) -> str:
    """What the help adds to an option's text: that it can be repeated, and its default."""
    if option.kind in {"list", "table"}:
        return " Can be repeated."
    if option.default is None or option.default is False:
        return ""
    return f" [{said(option, option.default)}]"


def _secret(option: Option) -> str:
    return _row(f"      {option.variable}", f"{option.help} Only as a variable or in the file.")


def _row(left: str, text: str) -> str:
    """A flag and its text; a long flag has its line for itself."""
    lines = textwrap.wrap(text, WIDTH - _MARGIN, break_on_hyphens=False)
    first = f"{left:<{_MARGIN}}{lines.pop(0)}\n" if len(left) <= _MARGIN - 2 else f"{left}\n"
    return first + "".join(f"{'':{_MARGIN}}{line}\n" for line in lines)
