"""Filters as they are typed."""

from dataclasses import dataclass, field

import pytest

from memtop.observe.view import RowFilter


@dataclass
class Row:
    text: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = "shop"

    def haystack(self):
        return self.text


ROW = Row("shop/user-service-1/app deployment/user-service node-1", {"app": "user", "tier": ""})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("user", True),
        ("USER-Service", True),
        ("user node-1", True),
        ("user node-2", False),
        ("!user", False),
        ("!batch", True),
        ("user !batch", True),
        ("app=user", True),
        ("app=use", False),
        ("!app=user", False),
        ("!app=other", True),
        ("tier=", True),
        ("missing=", False),
        ("missing=x", False),
        ("!missing=x", True),
        ("namespace=shop", True),
        ("ns=shop user", True),
        ("namespace=sho", False),
        ("!namespace=shop", False),
        ("!ns=staging", True),
        ("crash", True),
        ("!crashloop", False),
        ("!", True),
        ("  ", True),
    ],
)
def test_words_must_all_hold(text, found):
    assert RowFilter(text).matches(ROW, "CrashLoopBackOff") is found


def test_only_words_make_a_filter():
    assert not RowFilter("  ")
    assert RowFilter("!x")


@pytest.mark.parametrize("text", ["[", "(", "*", "\\", "a.b"])
def test_words_are_no_patterns(text):
    assert not RowFilter(text).matches(Row("anything a-b"), "Running")
