"""Checks of this machine: the terminal, and the folder for memtop's state."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from platformdirs import user_state_path

from config.private_files import private_folder
from memtop.doctor.finding import Finding, bad, good, open_

SMALLEST = (80, 24)


def terminal(out: TextIO, environ: Mapping[str, str]) -> Finding:
    """What the terminal can show.

    Args:
        out: Where the report goes.
        environ: The environment variables.
    """
    if not out.isatty():
        return open_("terminal", "the output goes elsewhere, so nothing can be said of it")
    try:
        columns, lines = os.get_terminal_size(out.fileno())
    except OSError:
        return open_("terminal", "it does not say how large it is")
    unicode = speaks_unicode(out)
    words = f"{columns}×{lines}" if unicode else f"{columns} x {lines}"
    words += f", {_colours(environ)}, {'Unicode' if unicode else 'only ASCII'}"
    advice = []
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        advice.append(f"panes become tabs below {SMALLEST[0]} columns or {SMALLEST[1]} lines")
    if not unicode:
        advice.append("set LC_ALL=C.UTF-8, or --symbols ascii")
    if environ.get("TERM", "dumb") == "dumb":
        return bad("terminal", f"{words}; TERM is {environ.get('TERM') or 'not set'}: no screen can be drawn")
    return open_("terminal", "; ".join([words, *advice])) if advice else good("terminal", words)


def state_folder(keep_history: bool) -> Finding:
    """Whether memtop can keep samples and preferences.

    Args:
        keep_history: Whether samples are to be kept on disk.
    """
    folder = user_state_path("memtop", appauthor=False)
    try:
        private_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as error:
        return open_(
            "state folder", f"{folder} cannot be written: {error.strerror}; nothing is kept between runs"
        )
    kept = (
        "samples are kept there between runs"
        if keep_history
        else "samples are not kept (keep-history is off)"
    )
    return good("state folder", f"{_short(folder)} can be written; {kept}")


def speaks_unicode(out: TextIO) -> bool:
    """Whether what is printed may hold more than ASCII."""
    return (out.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}


def _colours(environ: Mapping[str, str]) -> str:
    if environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in environ.get("TERM", "") else "16 colours"


def _short(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
