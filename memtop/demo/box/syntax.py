"""The grammar of the small shell: quotes, variables, patterns, pipes, redirections and lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_OPERATOR = re.compile(r"2>&1|2>|>>|&&|\|\||[|;<>\n]")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+|[$?]))")
BREAKS = frozenset({"&&", "||", ";", "\n"})


class SyntaxProblem(Exception):  # noqa: N818
    """What was typed can't be understood."""


@dataclass(slots=True)
class Word:
    """A word, and whether a pattern in it counts."""

    text: str
    pattern: bool = False
    operator: bool = False


@dataclass(slots=True)
class Command:
    """One simple command with its redirections."""

    words: list[Word] = field(default_factory=list)
    source: str = ""
    sink: str = ""
    appends: bool = False


@dataclass(slots=True)
class Pipeline:
    """Commands whose output is the next one's input; ``after`` says under which condition it is run."""

    commands: list[Command]
    after: str = ";"


def words_of(text: str, variables: Mapping[str, str]) -> list[Word]:
    """Split into words and operators, with variables filled in.

    Raises:
        SyntaxProblem: a quote is not closed.
    """
    found: list[Word] = []
    current: Word | None = None
    at = 0
    while at < len(text):
        letter = text[at]
        if letter in "'\"":
            end = text.find(letter, at + 1)
            if end < 0:
                raise SyntaxProblem(f"unterminated quoted string ({letter})")
            inside = text[at + 1 : end]
            current = current or Word("")
            current.text += inside if letter == "'" else _filled(inside, variables)
            at = end + 1
        elif (operator := _OPERATOR.match(text, at)) is not None:
            found += [current] if current is not None else []
            current = None
            found.append(Word(operator[0], operator=True))
            at = operator.end()
        elif letter.isspace() or (letter == "#" and current is None):
            found += [current] if current is not None else []
            current = None
            at = at + 1 if letter != "#" else (text.find("\n", at) if "\n" in text[at:] else len(text))
        elif (variable := _VARIABLE.match(text, at)) is not None:
            current = current or Word("")
            current.text += _filled(variable[0], variables)
            at = variable.end()
        else:
            current = current or Word("")
            current.pattern = current.pattern or letter in "*?["
            current.text += letter
            at += 1
    return [*found, current] if current is not None else found


def parse(text: str, variables: Mapping[str, str]) -> list[Pipeline]:
    """Read a script.

    Raises:
        SyntaxProblem: it can't be understood.
    """
    found: list[Pipeline] = []
    command = Command()
    pipeline = Pipeline([command])
    words = iter(words_of(text, variables))
    for word in words:
        if not word.operator:
            command.words.append(word)
        elif word.text in BREAKS:
            found += [pipeline] if pipeline.commands[0].words else []
            command = Command()
            pipeline = Pipeline([command], word.text)
        elif word.text == "|":
            command = Command()
            pipeline.commands.append(command)
        elif word.text != "2>&1":
            _redirect(command, word.text, next(words, None))
    return [*found, pipeline] if pipeline.commands[0].words else found


def _redirect(command: Command, operator: str, place: Word | None) -> None:
    if place is None or place.operator:
        raise SyntaxProblem("a redirection needs a file")
    if operator == "<":
        command.source = place.text
    elif operator != "2>":
        command.sink, command.appends = place.text, operator == ">>"


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)
