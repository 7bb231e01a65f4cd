"""Texts into values: durations, ratios, switches and lists, as flags, variables and files write them.

Every function raises `ValueError` with the end of a sentence, such as ``is not a duration such as 15s``, so
that whoever knows where the text came from can put that and the text in front.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

# Patterns are texts: each is compiled where it is first needed, not at every start.
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*"
_DURATION = rf"(?:{_DURATION_PART})+"
_NAMESPACE = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL = r"(?:[a-z0-9][-.a-z0-9]{0,252}/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?"
_REQUIREMENT = (
    rf"\s*(?:!\s*{_LABEL}|{_LABEL}|{_LABEL}\s*(?:==?|!=)\s*{_LABEL_VALUE}|"
    rf"{_LABEL}\s+(?:in|notin)\s*\(\s*{_LABEL_VALUE}\s*(?:,\s*{_LABEL_VALUE}\s*)*\))\s*"
)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
MASK = "***"
"""What stands in place of what must not be shown."""
_LOGIN_IN_ADDRESS = r"(//+|:/)[^/?#\s]*@"
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def _number(value: object) -> float | None:
    """The plain number that a value is or says, if it is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) and "_" not in value else None
    except ValueError:
        return None


def duration(value: object, *, bare_unit: float = 1.0) -> float:
    """A length of time in seconds, from ``15s``, ``2m``, ``1h30m``, ``24h``, ``7d`` or a bare number.

    Args:
        value: The text, or a number.
        bare_unit: How many seconds a number without a unit counts.

    Raises:
        ValueError: It is no duration, or not a finite one.
    """
    number = _number(value)
    if number is not None:
        seconds = number * bare_unit
    elif isinstance(value, str) and re.fullmatch(_DURATION, value.strip()):
        seconds = sum(float(n) * _UNIT_SECONDS[unit] for n, unit in re.findall(_DURATION_PART, value))
    else:
        raise ValueError("is not a duration such as 15s, 2m or 24h")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("is not a duration such as 15s, 2m or 24h")
    return seconds


def hours(value: object) -> float:
    """A length of time in hours; a bare number counts hours.

    Raises:
        ValueError: It is no duration.
    """
    return duration(value, bare_unit=3600.0) / 3600.0


def ratio(value: object) -> float:
    """A share of the limit between 0 and 1, from ``70``, ``70%`` or ``0.7``; above 1 it counts per cent.

    Raises:
        ValueError: It is no share, or not between 0 and 100 %.
    """
    text = value.strip() if isinstance(value, str) else value
    percent = isinstance(text, str) and text.endswith("%")
    number = _number(text[:-1].strip() if percent and isinstance(text, str) else text)
    if number is None:
        raise ValueError("is not a share of the limit such as 70%, 70 or 0.7")
    share = number / 100 if percent or number > 1 else number
    if not 0 < share <= 1:
        raise ValueError("is not a share between 0 and 100%")
    return share


def switch(value: object) -> bool:
    """``true`` or ``false``, also ``yes``/``no``, ``on``/``off`` and ``1``/``0``.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is not true or false")


def text(value: object) -> str:
    """A text that says something.

    Raises:
        ValueError: It is no text, or an empty one.
    """
    if not isinstance(value, str):
        raise ValueError("is not a text (write it in quotes)")  # noqa: TRY004 - what pydantic turns into a finding
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def words(value: object) -> tuple[str, ...]:
    """A list of texts, from a list or from a comma separated text, without repetitions.

    Raises:
        ValueError: It is neither, or one of its items is no text.
    """
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError('is not a list such as ["a", "b"]')  # noqa: TRY004 - as above
    return tuple(dict.fromkeys(text(item) for item in items))


def namespaces(value: object) -> tuple[str, ...]:
    """Names of namespaces, from a list or from a comma separated text.

    Raises:
        ValueError: One of them can be no namespace's name (an RFC 1123 label).
    """
    names = words(value)
    for name in names:
        if not re.fullmatch(_NAMESPACE, name):
            raise ValueError(f"names no possible namespace: {name!r} (lower case letters, digits and '-')")
    return names


def service(value: object) -> str:
    """A service as ``NAMESPACE/NAME``.

    Raises:
        ValueError: It is none.
    """
    said = text(value)
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?", said):
        raise ValueError("is not a service as NAMESPACE/NAME, such as monitoring/prometheus-k8s")
    return said


def selector(value: object) -> str:
    """A label selector, as kubectl takes it: ``app=shop,tier!=cache,env in (a,b),!canary``.

    Raises:
        ValueError: The API server would refuse it.
    """
    expression = text(value)
    for requirement in re.split(r",(?![^(]*\))", expression):
        if not re.fullmatch(_REQUIREMENT, requirement):
            raise ValueError(
                f"is not a label selector such as app=shop,tier!=cache: see {requirement.strip()!r}"
            )
    return expression


def header_name(value: object) -> str:
    """The name of an HTTP header.

    Raises:
        ValueError: It is no token (RFC 9110).
    """
    name = text(value)
    if not re.fullmatch(_TOKEN, name):
        raise ValueError(f"has {name!r}, which cannot be a header's name")
    return name


def header_value(value: object) -> str:
    """The value of an HTTP header.

    Raises:
        ValueError: It holds control characters, which could begin another header.
    """
    content = text(value)
    if not content.isprintable():
        raise ValueError("has control characters")
    return content


def url(value: object) -> str:
    """An ``http://`` or ``https://`` address, without its last slash.

    Raises:
        ValueError: It is no such address.
    """
    address = text(value)
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", address):
        raise ValueError("is not an address such as https://prometheus.example:9090")
    return address.rstrip("/")


def regex(value: object) -> str:
    """A regular expression that compiles; it will be searched for without regard to case.

    Raises:
        ValueError: It does not compile, or is empty and would match every line.
    """
    pattern = text(value)
    try:
        re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise ValueError(f"is not a regular expression: {error.msg}{where}") from None
    return pattern


def between(low: float, high: float, unit: str = "", whole: bool = False) -> Callable[[object], float]:
    """Makes a reader of numbers from ``low`` to ``high``, both included.

    Args:
        low: The least that is allowed.
        high: The most that is allowed.
        unit: What the number counts, for the sentence.
        whole: Whether fractions are refused.
    """

    def read(value: object) -> float:
        number = _number(value)
        if number is None or not math.isfinite(number) or (whole and number != int(number)):
            raise ValueError(f"is not a {'whole ' if whole else ''}number")
        if not low <= number <= high:
            raise ValueError(f"is not between {low:g} and {high:g}{unit and ' ' + unit}")
        return int(number) if whole else number

    return read


def mask_addresses(value: str) -> str:
    """A text in which no address shows user and password: ``https://***@example.com``."""
    return re.sub(_LOGIN_IN_ADDRESS, rf"\1{MASK}@", value) if "@" in value else value
