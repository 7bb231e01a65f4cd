"""The cluster's time, from Date headers of whole seconds."""

from email.utils import formatdate

import pytest

from memtop.observe.source import ServerClock

T = 1_800_000_000


class Clocks:
    def __init__(self, speed=1.0):
        self.steady, self.wall = 50.0, T + 100.0
        self.clock = ServerClock(speed, lambda: self.steady, lambda: self.wall)

    def pass_(self, seconds):
        self.steady += seconds
        self.wall += seconds

    def answer(self, at):
        self.clock.observe(formatdate(at, usegmt=True))


@pytest.fixture
def clocks():
    return Clocks()


def test_before_an_answer_this_machine_is_believed(clocks):
    assert clocks.clock.now() == T + 100
    assert clocks.clock.skew() is None


def test_the_servers_time_is_what_counts(clocks):
    clocks.answer(T)
    assert T <= clocks.clock.now() <= T + 1
    clocks.pass_(60)
    assert T + 60 <= clocks.clock.now() <= T + 61
    assert clocks.clock.skew() == pytest.approx(-100, abs=1)


def test_a_jump_of_this_machines_wall_clock_changes_nothing(clocks):
    clocks.answer(T)
    before = clocks.clock.now()
    clocks.wall += 7200
    assert clocks.clock.now() == before


def test_answers_within_their_resolution_do_not_make_it_jitter(clocks):
    clocks.answer(T)
    start = clocks.clock.now()
    for tenths in range(1, 50):
        clocks.pass_(0.1)
        clocks.answer(int(T + 0.5 + tenths / 10))
        assert clocks.clock.now() == pytest.approx(start + tenths / 10)


def test_a_server_whose_clock_was_set_is_followed(clocks):
    clocks.answer(T)
    clocks.answer(T + 3600)
    assert clocks.clock.now() == pytest.approx(T + 3600.5, abs=0.6)


@pytest.mark.parametrize("header", [None, "", "yesterday", "Wed, 99 Foo 2026 25:61:61 GMT"])
def test_what_cannot_be_read_is_ignored(clocks, header):
    clocks.answer(T)
    before = clocks.clock.now()
    clocks.clock.observe(header)
    assert clocks.clock.now() == before


def test_simulated_time_runs_at_its_speed():
    clocks = Clocks(speed=60.0)
    clocks.answer(T)
    start = clocks.clock.now()
    clocks.pass_(2)
    assert clocks.clock.now() == pytest.approx(start + 120)


@pytest.mark.parametrize(
    "date",
    [
        "9" * 20,
        "Sun, 22 Nov 99999999999999999999 14:03:00 GMT",
        "9999999999 Nov 2026 1:1:1",
        "Fri, 31 Dec 9999 23:59:59 -2359",
    ],
)
def test_a_date_that_no_calendar_has_is_not_believed(clocks, date):
    clocks.clock.observe(date)
    assert clocks.clock.now() == T + 100.0
