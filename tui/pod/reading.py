"""Colours for descriptions and YAML: names of fields apart from their values, and what is wrong in them."""

from __future__ import annotations

import re

from rich.text import Text

_FIELD = re.compile(r"(?P<space>\s*)(?P<name>[^\s:][^:]{0,60}:)(?P<gap>\s{2,}|$)(?P<value>.*)")
_YAML = re.compile(r"(?P<space>\s*(?:- )*)(?P<name>[^\s#:'\"][^:]{0,120}:)(?P<gap> |$)(?P<value>.*)")
_WRONG = re.compile(
    r"\b(?:OOMKilled|OOMKilling|SystemOOM|CrashLoopBackOff|ImagePullBackOff|ErrImage\w+|Evicted|Error|Failed|"
    r"Unhealthy|BackOff|FailedScheduling|ProgressDeadlineExceeded|MinimumReplicasUnavailable|"
    r"KubeletHasInsufficientMemory|not scheduled)\b"
)
_OOM = re.compile(r"\b(?:OOMKilled|OOMKilling|SystemOOM)\b|\bMemoryPressure +True\b")
_EXIT = re.compile(r"\bExit Code: +([1-9]\d*)")
_WARNING = re.compile(r"^ {2}Warning\b")


def described_line(line: str) -> Text:
    """Colours one line of a description; the styles are roles."""
    text = Text(line)
    field = _FIELD.match(line)
    if field is not None:
        heading = not field["space"] and not field["value"]
        text.stylize("title" if heading else "primary", *field.span("name"))
    for pattern, role in ((_WRONG, "warn"), (_OOM, "critical"), (_WARNING, "warn")):
        for match in pattern.finditer(line):
            text.stylize(role, *match.span())
    code = _EXIT.search(line)
    if code is not None:
        text.stylize("critical", *code.span(1))
    return text


def yaml_line(line: str) -> Text:
    """Colours one line of YAML; the styles are roles."""
    text = Text(line)
    if line.lstrip().startswith("#"):
        return Text(line, "dim")
    field = _YAML.match(line)
    if field is not None:
        text.stylize("primary", *field.span("name"))
    for match in _OOM.finditer(line):
        text.stylize("critical", *match.span())
    return text
