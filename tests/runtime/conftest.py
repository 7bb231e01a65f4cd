"""What containers have answered, from real nodes and after the kernel's documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memtop.runtime.probe import Probe, sections

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def answered() -> Callable[[str], Probe]:
    """``answered("jvm-cgroup-v1")``: the probe of a sample."""
    return lambda name: Probe(sections((SAMPLES / f"{name}.txt").read_bytes(), "@mark"))
