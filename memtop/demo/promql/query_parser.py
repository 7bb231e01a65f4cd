"""PromQL: expressions, and a recursive-descent parser for the part of the language that the demo answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher; `operator` is `=`, `!=`, `=~` or `!~`."""

    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels fit; a label that is absent counts as empty."""
        return self.accepts(labels.get(self.label, ""))

    def accepts(self, value: str) -> bool:
        """Return whether a value fits. Regular expressions are anchored at both ends."""
        if self.operator in ("=", "!="):
            return (value == self.value) is (self.operator == "=")
        return _fits(self.value)(value) is (self.operator == "=~")


@lru_cache(maxsize=256)
def _fits(pattern: str) -> Callable[[str], bool]:
    """Return a test for a pattern: a set for one that only lists texts, such as `api-1|api-2`."""
    if re.fullmatch(r"(?:[\w|/:-]|\\[.-])*", pattern):
        return frozenset(re.sub(r"\\(.)", r"\1", pattern).split("|")).__contains__
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector; a range vector if it has a `window` (seconds)."""

    matchers: tuple[Matcher, ...]
    window: float | None = None
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function call."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over the labels kept (`without` false) or dropped (true)."""

    operator: str
    expression: Expression
    labels: tuple[str, ...] = ()
    without: bool = False
    parameter: Expression | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """How the sides of a binary operation find each other.

    Attributes:
        labels: the labels compared (`on`) or left out (`ignoring`).
        on: which of the two.
        many: `left` or `right` for the side that may have many, empty for one to one.
        include: labels copied from the one side.
    """

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; `as_bool` is the `bool` modifier of comparisons."""

    operator: str
    left: Expression
    right: Expression
    matching: Matching = Matching()
    as_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negation:
    """A leading minus."""

    expression: Expression


Expression: TypeAlias = Number | Text | Selector | FunctionCall | Aggregate | Binary | Negation


AGGREGATES = frozenset({"sum", "min", "max", "avg", "count", "group", "topk", "bottomk"})
PARAMETRIC = frozenset({"topk", "bottomk"})
RANGE_FUNCTIONS = frozenset(
    {
        *("rate", "increase", "delta", "deriv", "predict_linear", "changes", "resets"),
        *(f"{name}_over_time" for name in ("max", "min", "avg", "sum", "count", "last", "present")),
    }
)
FUNCTIONS = RANGE_FUNCTIONS | {
    *("clamp_min", "clamp_max", "scalar", "vector", "time", "absent", "label_replace"),
}

_PRECEDENCE = (("or",), ("and", "unless"), ("==", "!=", "<=", "<", ">=", ">"), ("+", "-"), ("*", "/", "%"))
_COMPARISONS = frozenset({"==", "!=", "<=", "<", ">=", ">"})
_SETS = frozenset({"and", "or", "unless"})
_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\n?\s*)*(?:
    (?P<duration>(?:\d+(?:ms|[smhdwy]))+)(?![\w])
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?:Inf|NaN|inf|nan)\b)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<sign>==|!=|<=|>=|=~|!~|[-+*/%^<>=(){}\[\],@])
    )""",
    re.VERBOSE,
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class ParseError(ValueError):
    """The query cannot be parsed; the message is that of Prometheus."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"1:{position + 1}: parse error: {message}")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(query: str) -> Expression:
    """Return the expression of a query; raises ParseError."""
    if not query.strip():
        raise ParseError(0, "no expression found in input")
    return _Parser(query).whole()


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration such as `1h30m`; raises ValueError."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a valid duration string: {text!r}")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _tokens(query: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            rest = query[at:].lstrip()
            if not rest or rest.startswith("#"):
                break
            place = len(query) - len(rest)
            if rest[0] in "\"'`":
                raise ParseError(place, "unterminated quoted string")
            raise ParseError(place, f"unexpected character: {rest[0]!r}")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return [*tokens, _Token("end", "", len(query))]


class _Parser:
    def __init__(self, query: str) -> None:
        self._tokens = _tokens(query)
        self._at = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._at += 1
        return token

    def _skip(self, text: str) -> bool:
        if self._next.text == text and self._next.kind in ("sign", "name"):
            self._at += 1
            return True
        return False

    def _expect(self, text: str, context: str) -> None:
        if self._skip(text):
            return
        if self._next.kind == "end" and text == ")":
            raise ParseError(self._next.position, "unclosed left parenthesis")
        raise ParseError(
            self._next.position, f'unexpected "{self._next.text}" in {context}, expected "{text}"'
        )

    def whole(self) -> Expression:
        expression = self._binary(0)
        if self._next.kind != "end":
            raise ParseError(self._next.position, f'unexpected "{self._next.text}"')
        return expression

    def _binary(self, level: int) -> Expression:
        if level == len(_PRECEDENCE):
            return self._unary()
        left = self._binary(level + 1)
        while self._next.kind in ("sign", "name") and self._next.text in _PRECEDENCE[level]:
            operator = self._take().text
            as_bool = operator in _COMPARISONS and self._skip("bool")
            matching = self._matching(operator)
            left = Binary(operator, left, self._binary(level + 1), matching, as_bool)
        return left

    def _matching(self, operator: str) -> Matching:
        matching = Matching()
        if self._next.text in ("on", "ignoring"):
            on = self._take().text == "on"
            matching = Matching(self._labels(), on)
        if self._next.text in ("group_left", "group_right"):
            token = self._take()
            if operator in _SETS:
                raise ParseError(token.position, f'no grouping allowed for "{operator}" operation')
            include = self._labels() if self._next.text == "(" else ()
            matching = replace(matching, many=token.text.removeprefix("group_"), include=include)
        return matching

    def _unary(self) -> Expression:
        if self._skip("-"):
            return Negation(self._unary())
        if self._skip("+"):
            return self._unary()
        base = self._postfix()
        if self._skip("^"):
            return Binary("^", base, self._unary())
        return base

    def _postfix(self) -> Expression:
        expression = self._atom()
        while True:
            token = self._next
            if self._skip("["):
                if not isinstance(expression, Selector) or expression.window is not None:
                    raise ParseError(token.position, "ranges only allowed for vector selectors")
                window = self._duration()
                self._expect("]", "range selector")
                expression = replace(expression, window=window)
            elif self._skip("offset"):
                sign = -1.0 if self._skip("-") else 1.0
                if not isinstance(expression, Selector):
                    raise ParseError(token.position, "offset modifier must be preceded by a selector")
                expression = replace(expression, offset=sign * self._duration())
            else:
                return expression

    def _duration(self) -> float:
        token = self._take()
        if token.kind != "duration":
            raise ParseError(token.position, f'unexpected "{token.text}" in duration, expected a duration')
        return duration_seconds(token.text)

    def _atom(self) -> Expression:
        token = self._take()
        if token.kind == "number":
            return Number(_number(token.text))
        if token.kind == "string":
            return Text(_unquoted(token.text))
        if token.text == "(":
            inner = self._binary(0)
            self._expect(")", "parenthesised expression")
            return inner
        if token.text == "{":
            return Selector(self._matchers(token.position))
        if token.kind == "name":
            return self._named(token)
        if token.kind == "end":
            opened = sum((one.text == "(") - (one.text == ")") for one in self._tokens if one.kind == "sign")
            message = "unclosed left parenthesis" if opened > 0 else "unexpected end of input"
            raise ParseError(token.position, message)
        raise ParseError(token.position, f'unexpected "{token.text}"')

    def _named(self, token: _Token) -> Expression:
        if token.text in AGGREGATES and self._next.text in ("(", "by", "without"):
            return self._aggregate(token)
        if self._next.text == "(":
            return self._call(token)
        name = Matcher("__name__", "=", token.text)
        if self._skip("{"):
            return Selector((name, *self._matchers(token.position)))
        return Selector((name,))

    def _aggregate(self, token: _Token) -> Expression:
        labels, without = self._grouping()
        self._expect("(", "aggregation")
        arguments = self._arguments()
        if not labels and not without:
            labels, without = self._grouping()
        wanted = 2 if token.text in PARAMETRIC else 1
        if len(arguments) != wanted:
            raise ParseError(
                token.position,
                "wrong number of arguments for aggregate expression provided, expected "
                f"{wanted}, got {len(arguments)}",
            )
        parameter = arguments[0] if wanted == 2 else None
        return Aggregate(token.text, arguments[-1], labels, without, parameter)

    def _grouping(self) -> tuple[tuple[str, ...], bool]:
        if self._skip("by"):
            return self._labels(), False
        if self._skip("without"):
            return self._labels(), True
        return (), False

    def _labels(self) -> tuple[str, ...]:
        self._expect("(", "grouping opts")
        labels = []
        while not self._skip(")"):
            token = self._take()
            if token.kind != "name":
                raise ParseError(
                    token.position, f'unexpected "{token.text}" in grouping opts, expected label'
                )
            labels.append(token.text)
            if not self._skip(",") and self._next.text != ")":
                raise ParseError(self._next.position, f'unexpected "{self._next.text}" in grouping opts')
        return tuple(labels)

    def _arguments(self) -> tuple[Expression, ...]:
        arguments: list[Expression] = []
        while not self._skip(")"):
            arguments.append(self._binary(0))
            if not self._skip(",") and self._next.text != ")":
                self._expect(")", "function call")
        return tuple(arguments)

    def _call(self, token: _Token) -> Expression:
        if token.text not in FUNCTIONS:
            raise ParseError(token.position, f'unknown function with name "{token.text}"')
        self._expect("(", "function call")
        call = FunctionCall(token.text, self._arguments())
        if token.text in RANGE_FUNCTIONS:
            ranged = call.arguments[0] if call.arguments else None
            if not isinstance(ranged, Selector) or ranged.window is None:
                kind = "instant vector" if ranged is not None else "nothing"
                message = f'expected type range vector in call to function "{token.text}", got {kind}'
                raise ParseError(token.position, message)
        return call

    def _matchers(self, position: int) -> tuple[Matcher, ...]:
        matchers = []
        while not self._skip("}"):
            label, operator, value = self._take(), self._take(), self._take()
            if label.kind != "name" or value.kind != "string" or operator.text not in ("=", "!=", "=~", "!~"):
                raise ParseError(label.position, f'unexpected "{label.text}" in label matching')
            matcher = Matcher(label.text, operator.text, _unquoted(value.text))
            if "~" in matcher.operator:
                _check_expression(matcher.value, value.position)
            matchers.append(matcher)
            if not self._skip(",") and self._next.text != "}":
                raise ParseError(self._next.position, "unexpected end of input inside braces")
        if not matchers and self._tokens[self._at - 2].position == position:
            raise ParseError(position, "vector selector must contain at least one non-empty matcher")
        return tuple(matchers)


def _check_expression(value: str, position: int) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise ParseError(position, f"error parsing regexp: {error}") from None


def _number(text: str) -> float:
    return float(text)


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "`":
        return inner
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), inner)
