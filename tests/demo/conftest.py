"""One frozen demo cluster for tests that only read, a fresh one for those that change things."""

import pytest

from memtop.demo.thread import DemoThread
from tests.api import Api

EPOCH = 1_795_363_200.0  # 2026-11-22T16:00:00Z


@pytest.fixture(scope="session")
def frozen():
    """A cluster whose clock stands still; tests must not change it."""
    with DemoThread(speed=0, epoch=EPOCH) as demo:
        yield demo


@pytest.fixture
def fresh():
    """A cluster of one's own; its clock moves only by `advance`."""
    with DemoThread(speed=0, epoch=EPOCH, bookmark_every=0.05) as demo:
        yield demo


@pytest.fixture(scope="session")
def as_user():
    """Makes clients: `as_user(demo, "readonly")`."""
    return Api


@pytest.fixture(scope="session")
def api(frozen):
    """A client of the frozen cluster."""
    return Api(frozen)


@pytest.fixture
def fresh_api(fresh):
    """A client of the fresh cluster."""
    return Api(fresh)
