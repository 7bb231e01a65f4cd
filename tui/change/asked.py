"""What a form asks before there is a wish, and what it says of what is typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memtop.change.wish import Wish
from widgets.confirm import PlanLine
from widgets.form import Choice, Field, Said, Values


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as data.

    Attributes:
        title: What it is for.
        fields: What to type.
        check: What is said of what is typed.
        wish: What is meant by it; only for values that `check` has no problem with.
        facts: What is to be known before one types.
        choices: What is offered.
        offers: What the choices are, in a few words.
    """

    title: str
    fields: tuple[Field, ...]
    check: Callable[[Values], Said]
    wish: Callable[[Values], Wish]
    facts: tuple[PlanLine, ...] = ()
    choices: tuple[Choice, ...] = ()
    offers: str = ""
