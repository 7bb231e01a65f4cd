"""What tests of several parts share: the answers recorded from a real API server."""

from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parent / "recordings"


@pytest.fixture(scope="session")
def recording():
    """``recording("pod-crashloop.json")``: the bytes that a real API server sent."""
    return lambda name: (RECORDINGS / name).read_bytes()
