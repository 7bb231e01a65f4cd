"""What of a cluster is observed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What is observed.

    Attributes:
        namespaces: These namespaces; empty for all.
        selector: A label selector, or None.
    """

    namespaces: tuple[str, ...] = ()
    selector: str | None = None

    def words(self) -> str:
        """For the header."""
        return ", ".join(self.namespaces) if self.namespaces else "all namespaces"
