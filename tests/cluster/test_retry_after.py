import time
from email.utils import formatdate

import pytest

from memtop.cluster.retry_after import LONGEST, retry_after


@pytest.mark.parametrize("value", ["", "soon", "-3", "²", "Sun, 99 Nov 2026 14:03:00 GMT"])
def test_what_is_neither_number_nor_date_says_nothing(value):
    assert retry_after({"Retry-After": value}) is None


def test_seconds_are_read():
    assert retry_after({"Retry-After": " 7 "}) == 7.0


@pytest.mark.parametrize(
    "date",
    ["Sun, 22 Nov 2026 14:03:30 GMT", "Sunday, 22-Nov-26 14:03:30 GMT", "Sun Nov 22 14:03:30 2026"],
)
def test_a_date_counts_from_the_servers_own_clock(date):
    assert retry_after({"Retry-After": date, "Date": "Sun, 22 Nov 2026 14:03:00 GMT"}) == 30.0


def test_a_date_in_the_past_asks_for_no_wait():
    headers = {"Retry-After": "Sun, 22 Nov 2026 14:03:00 GMT", "Date": "Sun, 22 Nov 2026 15:00:00 GMT"}
    assert retry_after(headers) == 0.0


def test_without_the_servers_clock_this_machines_counts():
    wait = retry_after({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert wait is not None
    assert 30 < wait <= 61


def test_no_server_may_silence_memtop_for_long():
    assert retry_after({"Retry-After": "999999999"}) == LONGEST
    assert retry_after({"Retry-After": "Fri, 22 Nov 2126 14:03:00 GMT"}) == LONGEST
