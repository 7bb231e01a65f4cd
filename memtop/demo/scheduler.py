"""The scheduler: a node for each pod, as long as one has the memory that the pod requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

RESERVED = 1 << 30  # bytes of each node that pods cannot have


@dataclass(frozen=True, slots=True)
class Host:
    """One node: its name, its address, its memory in bytes, and whether it takes ordinary pods."""

    name: str
    address: str
    memory: int
    schedulable: bool = True

    @property
    def allocatable(self) -> int:
        """Bytes that its pods may request in all."""
        return self.memory - RESERVED


class Scheduler:
    """Lets the nodes take turns, and passes over those that are full.

    Attributes:
        hosts: the nodes.
    """

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self._turn = 0
        self._claims: dict[str, tuple[str, int]] = {}
        self._claimed: Counter[str] = Counter()

    def host(self, name: str) -> Host:
        """Return a node by its name."""
        return next(host for host in self.hosts if host.name == name)

    def choose(self, wanted: int) -> Host | None:
        """Return a node with `wanted` bytes to spare, None if there is none."""
        takers = [host for host in self.hosts if host.schedulable]
        self._turn += 1
        for step in range(len(takers)):
            host = takers[(self._turn + step) % len(takers)]
            if self._claimed[host.name] + wanted <= host.allocatable:
                return host
        return None

    def claim(self, uid: str, host: str, wanted: int) -> None:
        """Keep bytes of a node for a pod."""
        self._claims[uid] = (host, wanted)
        self._claimed[host] += wanted

    def release(self, uid: str) -> None:
        """Give back what was kept for a pod, if anything was."""
        host, wanted = self._claims.pop(uid, ("", 0))
        self._claimed[host] -= wanted

    @property
    def refusal(self) -> str:
        """What it says when no node has room."""
        return f"0/{len(self.hosts)} nodes are available: {len(self.hosts)} Insufficient memory."
