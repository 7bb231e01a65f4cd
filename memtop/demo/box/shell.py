"""A small shell: enough for memtop's scripts and for somebody who looks around."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memtop.demo.box.files import Files
from memtop.demo.box.programs import APPLETS, TOOLS, Outcome, failed, said
from memtop.demo.box.syntax import Command, Pipeline, SyntaxProblem, parse

SHELLS = ("sh", "ash")
_BUILTINS = ("echo", "command", "test", "[", ":", "true", "false", "exit", "exec", "help", "cd", "export")


class Exit(Exception):  # noqa: N818
    """The shell ends."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Interactive(Exception):  # noqa: N818
    """The shell is to be used by hand (`exec sh`)."""


class Shell:
    """Runs scripts on a container's files.

    Args:
        files: the container's.
        pid: the shell's own process.
        arguments: `$1`, `$2` and so on.
    """

    def __init__(self, files: Files, pid: int, arguments: Sequence[str] = ()) -> None:
        self._files = files
        self._code = 0
        self.variables = {
            "$": str(pid),
            "HOME": "/root",
            "HOSTNAME": files.container.name,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **{str(number): word for number, word in enumerate(arguments, 1)},
        }

    def run(self, script: str) -> Outcome:
        """Run a script.

        Raises:
            Interactive: it asks for a shell to type into.
        """
        output, errors = b"", b""
        try:
            pipelines = parse(script, {**self.variables, "?": str(self._code)})
            for pipeline in pipelines:
                if (pipeline.after == "&&" and self._code) or (pipeline.after == "||" and not self._code):
                    continue
                outcome = self._pipeline(pipeline)
                output, errors, self._code = output + outcome.output, errors + outcome.errors, outcome.code
        except SyntaxProblem as problem:
            return Outcome(output, errors + f"sh: {problem}\n".encode(), 2)
        except Exit as end:
            return Outcome(output, errors, end.code)
        return Outcome(output, errors, self._code)

    def _pipeline(self, pipeline: Pipeline) -> Outcome:
        passed, errors, outcome = b"", b"", Outcome()
        for command in pipeline.commands:
            outcome = self._command(command, passed)
            passed, errors = outcome.output, errors + outcome.errors
        return Outcome(passed, errors, outcome.code)

    def _command(self, command: Command, typed: bytes) -> Outcome:
        words: list[str] = []
        for word in command.words:
            fitting = self._files.matching(word.text) if word.pattern else []
            words += fitting or [word.text]
        if command.source:
            data = self._files.read(command.source)
            if data is None:
                return failed(f"sh: can't open {command.source}: no such file")
            typed = data
        outcome = execute(self._files, words, typed) or self._builtin(words)
        if not command.sink:
            return outcome
        if command.sink != "/dev/null":
            before = self._files.written.get(command.sink, b"") if command.appends else b""
            self._files.written[command.sink] = before + outcome.output
        return Outcome(b"", outcome.errors, outcome.code)

    def _builtin(self, words: Sequence[str]) -> Outcome:
        match list(words):
            case [] | [":" | "true" | "cd" | "export", *_]:
                return Outcome()
            case ["false"]:
                return Outcome(code=1)
            case ["echo", *rest]:
                return said(f"{' '.join(rest)}\n")
            case ["command", "-v", name]:
                return said(f"{self._where(name)}\n") if self._where(name) else Outcome(code=127)
            case ["[" | "test", "-w", path, *_]:
                return Outcome(code=0 if path in ("/tmp", "/") else 1)
            case ["[" | "test", *_]:
                return Outcome(code=1)
            case ["exit", *code]:
                raise Exit(int(code[0]) if code and code[0].isdecimal() else self._code)
            case ["exec"]:
                return Outcome()
            case ["exec", "sh" | "ash", *_]:
                raise Interactive
            case ["exec", *rest]:
                return execute(self._files, rest, b"") or self._builtin(rest)
            case ["help"]:
                names = sorted({*APPLETS, *self._files.program.tools, *_BUILTINS})
                return said(f"a made-up container of the demo; it knows: {' '.join(names)}\n")
            case [name, *_]:
                return failed(f"sh: {name}: not found", 127)
        return Outcome()

    def _where(self, name: str) -> str:
        if name in self._files.program.tools:
            return f"/usr/bin/{name}"
        return name if name in APPLETS or name in _BUILTINS or name in SHELLS else ""


def execute(files: Files, words: Sequence[str], typed: bytes) -> Outcome | None:
    """Run one program of the image; None if it has no such program."""
    if not words or not files.program.shell:
        return None
    name = words[0].rpartition("/")[2]
    applet = APPLETS.get(name) or (TOOLS.get(name) if name in files.program.tools else None)
    if applet is None:
        return None
    try:
        return applet(files, words[1:], typed)
    except (ValueError, IndexError, re.error):
        return failed(f"{name}: bad arguments", 2)
