"""What tests of several parts share: the answers recorded from a real API server."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long an example takes says nothing of the product
settings.load_profile("untimed")

RECORDINGS = Path(__file__).parent / "recordings"
PATIENCE = {"long": 1800.0, "real": 600.0}
"""Seconds after which a test so marked hangs. The longest takes 100 with three others to a core."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests that need servers or patience longer than the others, unless they say it themselves."""
    for item in items:
        seconds = max(
            (PATIENCE[mark.name] for mark in item.iter_markers() if mark.name in PATIENCE), default=0
        )
        if seconds and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture(scope="session")
def recording():
    """``recording("pod-crashloop.json")``: the bytes that a real API server sent."""
    return lambda name: (RECORDINGS / name).read_bytes()


@pytest.fixture(scope="session", autouse=True)
def cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that is tested writes into the cache folder of whoever runs the tests, or reads from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def control_c_counts() -> None:
    """Whoever runs the tests in the background of a script has Ctrl-C ignored, in every child too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
