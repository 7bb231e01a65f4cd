"""Kubernetes quantities, as the API reads them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memtop
from memtop.quantity import QuantityError, bytes_or_none, parse_bytes, parse_quantity, parse_whole


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("128Mi", 128 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("131072Ki", 128 * 2**20),
        ("1500M", 1_500_000_000),
        ("512000k", 512_000_000),
        ("129e6", 129_000_000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("128974848000m", 128_974_848),
        (".5Ki", 512),
        ("+1Ki", 1024),
        ("-1Ki", -1024),
        ("1m", 1),
        ("2Ti", 2**41),
    ],
)
def test_what_the_api_accepts(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "128 Mi", "1e", "12MiB", "lots", "1..5", "1Gib", "0x10", "1,5Gi"])
def test_what_it_does_not(text):
    with pytest.raises(QuantityError, match=r"not a quantity|unknown unit"):
        parse_bytes(text)


@given(st.integers(0, 10**12), st.sampled_from(["Ki", "Mi", "Gi"]))
def test_whole_binary_numbers_are_exact(number, unit):
    assert parse_bytes(f"{number}{unit}") == number << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


@pytest.mark.parametrize("text", [None, "", "lots"])
def test_what_is_not_there_or_no_quantity_is_unknown(text):
    assert bytes_or_none(text) is None
    assert bytes_or_none("1Ki") == 1024


def test_a_quantity_of_thousands_of_digits_is_unknown():
    assert bytes_or_none("1" + "0" * 5000) is None
    assert bytes_or_none("0." + "1" * 5000 + "Gi") is None


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 5000 + "Ki", "0." + "0" * 5000 + "1", "9" * 5000 + "e3"])
def test_more_digits_than_python_reads_are_no_quantity(text):
    assert parse_quantity(text) is None
    with pytest.raises(QuantityError):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "number"), [("12", 12), (" 7\n", 7), ("9" * 18, 10**18 - 1)])
def test_a_whole_number_that_somebody_wrote(text, number):
    assert parse_whole(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "- 1", "²", "٣", "9" * 19, "9" * 5000, "max"])
def test_what_is_no_whole_number(text):
    assert parse_whole(text) is None


def test_nobody_reads_whole_numbers_by_hand():
    """``text.isdecimal()`` before ``int(text)`` lets through what ``int`` refuses."""
    package = Path(memtop.__file__).parent
    by_hand = {
        str(module.relative_to(package))
        for module in package.rglob("*.py")
        if re.search(r"\.is(digit|decimal|numeric)\(\)", module.read_text(encoding="utf-8"))
    }
    assert {name for name in by_hand if not name.startswith("demo/")} == {
        "retry.py",  # a float
        "change/heap_flags.py",  # one letter
        "commands/sample_tables.py",  # a float
    }
