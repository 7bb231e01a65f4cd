"""A plan in a terminal: shown as lines, and asked about."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from memtop.change.plan import Line, Plan, Weight
from memtop.cluster.sanitize import sanitize, sanitize_text

_SIGNS: Final[dict[Weight, str]] = {"plain": "", "command": "", "warn": "! ", "critical": "!! "}
_WIDEST = 120


@dataclass(frozen=True)
class Console:
    """Where a command reads and writes.

    What it says may name what a kubeconfig holds as it stands there, such as the context.

    Attributes:
        out: What it is about.
        err: Questions and failures.
        keyboard: Answers; somebody is there if it is a terminal.
    """

    out: TextIO
    err: TextIO
    keyboard: TextIO

    @property
    def attended(self) -> bool:
        """Whether there is somebody to ask."""
        return self.keyboard.isatty()

    def tell(self, plan: Plan) -> None:
        """Shows a plan in full."""
        width = min(_WIDEST, shutil.get_terminal_size().columns) if self.out.isatty() else None
        print(plan.title, file=self.out)
        for line in table(plan.lines, width):
            print(line, file=self.out)
        self.out.flush()

    def say(self, words: str) -> None:
        """Says what has been done."""
        print(sanitize_text(words), file=self.out, flush=True)

    def warn(self, words: str) -> None:
        """Says what went wrong, or may."""
        print(f"memtop: {sanitize_text(words)}", file=self.err, flush=True)

    def ask(self, question: str) -> str:
        """What somebody answers, without the white space around it; empty at the end of the input."""
        print(sanitize_text(question), end=" ", file=self.err, flush=True)
        answer = self.keyboard.readline()
        if not answer.endswith("\n"):
            print(file=self.err)
        return answer.strip()


def table(lines: Sequence[Line], width: int | None) -> Iterator[str]:
    """The lines of a plan, their labels in a column.

    Args:
        lines: The lines.
        width: Columns to wrap at; None does not wrap. Commands are never wrapped: they are copied.
    """
    indent = max((len(line.label) for line in lines), default=0) + 4
    for line in lines:
        words = _SIGNS[line.weight] + " ".join(sanitize(line.text).split())
        if width is None or line.weight == "command":
            pieces = [words]
        else:
            pieces = textwrap.wrap(words, max(20, width - indent), break_on_hyphens=False) or [""]
        yield f"  {line.label:<{indent - 4}}  {pieces[0]}".rstrip()
        yield from (" " * indent + piece for piece in pieces[1:])
