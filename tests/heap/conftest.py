"""What containers have answered, from real nodes and after the kernel's documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memtop.heap.container_probe import ContainerProbe, parse_sections

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def answered() -> Callable[[str], ContainerProbe]:
    """``answered("jvm-cgroup-v1")``: the probe of a sample."""
    return lambda name: ContainerProbe(parse_sections((SAMPLES / f"{name}.txt").read_bytes(), "@mark"))
