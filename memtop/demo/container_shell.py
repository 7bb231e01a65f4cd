"""The shell of a simulated container: its syntax, its builtins, and running a script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memtop.demo.container_filesystem import ContainerFiles
from memtop.demo.shell_programs import APPLETS, TOOLS, ProgramResult, error_result, text_result

_OPERATOR = re.compile(r"2>&1|2>|>>|&&|\|\||[|;<>\n]")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+|[$?]))")
BREAKS = frozenset({"&&", "||", ";", "\n"})


class ShellSyntaxError(Exception):
    """The script has a syntax error."""


@dataclass(slots=True)
class ShellWord:
    """A word or operator; `pattern` says whether it is expanded to file names."""

    text: str
    pattern: bool = False
    operator: bool = False


@dataclass(slots=True)
class ShellCommand:
    """One simple command with its redirections."""

    words: list[ShellWord] = field(default_factory=list)
    source: str = ""
    sink: str = ""
    appends: bool = False


@dataclass(slots=True)
class Pipeline:
    """Commands whose output is the next one's input; ``after`` is the operator before it."""

    commands: list[ShellCommand]
    after: str = ";"


def words_of(text: str, variables: Mapping[str, str]) -> list[ShellWord]:
    """Split into words and operators, with variables filled in.

    Raises:
        ShellSyntaxError: a quote is not closed.
    """
    found: list[ShellWord] = []
    current: ShellWord | None = None
    at = 0
    while at < len(text):
        letter = text[at]
        if letter in "'\"":
            end = text.find(letter, at + 1)
            if end < 0:
                raise ShellSyntaxError(f"unterminated quoted string ({letter})")
            inside = text[at + 1 : end]
            current = current or ShellWord("")
            current.text += inside if letter == "'" else _filled(inside, variables)
            at = end + 1
        elif (operator := _OPERATOR.match(text, at)) is not None:
            found += [current] if current is not None else []
            current = None
            found.append(ShellWord(operator[0], operator=True))
            at = operator.end()
        elif letter.isspace() or (letter == "#" and current is None):
            found += [current] if current is not None else []
            current = None
            at = at + 1 if letter != "#" else (text.find("\n", at) if "\n" in text[at:] else len(text))
        elif (variable := _VARIABLE.match(text, at)) is not None:
            current = current or ShellWord("")
            current.text += _filled(variable[0], variables)
            at = variable.end()
        else:
            current = current or ShellWord("")
            current.pattern = current.pattern or letter in "*?["
            current.text += letter
            at += 1
    return [*found, current] if current is not None else found


def parse_script(text: str, variables: Mapping[str, str]) -> list[Pipeline]:
    """Read a script.

    Raises:
        ShellSyntaxError: it can't be understood.
    """
    found: list[Pipeline] = []
    command = ShellCommand()
    pipeline = Pipeline([command])
    words = iter(words_of(text, variables))
    for word in words:
        if not word.operator:
            command.words.append(word)
        elif word.text in BREAKS:
            found += [pipeline] if pipeline.commands[0].words else []
            command = ShellCommand()
            pipeline = Pipeline([command], word.text)
        elif word.text == "|":
            command = ShellCommand()
            pipeline.commands.append(command)
        elif word.text != "2>&1":
            _redirect(command, word.text, next(words, None))
    return [*found, pipeline] if pipeline.commands[0].words else found


def _redirect(command: ShellCommand, operator: str, place: ShellWord | None) -> None:
    if place is None or place.operator:
        raise ShellSyntaxError("a redirection needs a file")
    if operator == "<":
        command.source = place.text
    elif operator != "2>":
        command.sink, command.appends = place.text, operator == ">>"


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)


SHELLS = ("sh", "ash")
_BUILTINS = ("echo", "command", "test", "[", ":", "true", "false", "exit", "exec", "help", "cd", "export")


class ShellExit(Exception):  # noqa: N818
    """The shell ends."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class InteractiveShell(Exception):  # noqa: N818
    """The script starts an interactive shell (`exec sh`)."""


class Shell:
    """Runs scripts on a container's files.

    Args:
        files: the container's.
        pid: the shell's own process.
        arguments: `$1`, `$2` and so on.
    """

    def __init__(self, files: ContainerFiles, pid: int, arguments: Sequence[str] = ()) -> None:
        self._files = files
        self._code = 0
        self.variables = {
            "$": str(pid),
            "HOME": "/root",
            "HOSTNAME": files.container.name,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **{str(number): word for number, word in enumerate(arguments, 1)},
        }

    def run(self, script: str) -> ProgramResult:
        """Run a script.

        Raises:
            InteractiveShell: it asks for a shell to type into.
        """
        output, errors = b"", b""
        try:
            pipelines = parse_script(script, {**self.variables, "?": str(self._code)})
            for pipeline in pipelines:
                if (pipeline.after == "&&" and self._code) or (pipeline.after == "||" and not self._code):
                    continue
                outcome = self._pipeline(pipeline)
                output, errors, self._code = output + outcome.output, errors + outcome.errors, outcome.code
        except ShellSyntaxError as problem:
            return ProgramResult(output, errors + f"sh: {problem}\n".encode(), 2)
        except ShellExit as end:
            return ProgramResult(output, errors, end.code)
        return ProgramResult(output, errors, self._code)

    def _pipeline(self, pipeline: Pipeline) -> ProgramResult:
        passed, errors, outcome = b"", b"", ProgramResult()
        for command in pipeline.commands:
            outcome = self._command(command, passed)
            passed, errors = outcome.output, errors + outcome.errors
        return ProgramResult(passed, errors, outcome.code)

    def _command(self, command: ShellCommand, typed: bytes) -> ProgramResult:
        words: list[str] = []
        for word in command.words:
            fitting = self._files.matching(word.text) if word.pattern else []
            words += fitting or [word.text]
        if command.source:
            data = self._files.read(command.source)
            if data is None:
                return error_result(f"sh: can't open {command.source}: no such file")
            typed = data
        outcome = execute(self._files, words, typed) or self._builtin(words)
        if not command.sink:
            return outcome
        if command.sink != "/dev/null":
            before = self._files.written.get(command.sink, b"") if command.appends else b""
            self._files.written[command.sink] = before + outcome.output
        return ProgramResult(b"", outcome.errors, outcome.code)

    def _builtin(self, words: Sequence[str]) -> ProgramResult:
        match list(words):
            case [] | [":" | "true" | "cd" | "export", *_]:
                return ProgramResult()
            case ["false"]:
                return ProgramResult(code=1)
            case ["echo", *rest]:
                return text_result(f"{' '.join(rest)}\n")
            case ["command", "-v", name]:
                return text_result(f"{self._where(name)}\n") if self._where(name) else ProgramResult(code=127)
            case ["[" | "test", "-w", path, *_]:
                return ProgramResult(code=0 if path in ("/tmp", "/") else 1)
            case ["[" | "test", *_]:
                return ProgramResult(code=1)
            case ["exit", *code]:
                raise ShellExit(int(code[0]) if code and code[0].isdecimal() else self._code)
            case ["exec"]:
                return ProgramResult()
            case ["exec", "sh" | "ash", *_]:
                raise InteractiveShell
            case ["exec", *rest]:
                return execute(self._files, rest, b"") or self._builtin(rest)
            case ["help"]:
                names = sorted({*APPLETS, *self._files.program.tools, *_BUILTINS})
                return text_result(f"a made-up container of the demo; it knows: {' '.join(names)}\n")
            case [name, *_]:
                return error_result(f"sh: {name}: not found", 127)
        return ProgramResult()

    def _where(self, name: str) -> str:
        if name in self._files.program.tools:
            return f"/usr/bin/{name}"
        return name if name in APPLETS or name in _BUILTINS or name in SHELLS else ""


def execute(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult | None:
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
        return error_result(f"{name}: bad arguments", 2)
