"""What is wanted of a pod's log, and how the API server is asked for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

MOST_LINES = 200_000


@dataclass(frozen=True, slots=True)
class LogRequest:
    """One container's log, or that of all containers of its pod.

    Attributes:
        namespace: The pod's namespace.
        pod: The pod's name.
        containers: Whose logs; more than one are interleaved by time.
        previous: The log of the run before the present one.
        follow: Go on with what is written from now on.
        tail: Lines to begin with at most, counted from the end.
        since_seconds: Begin with what was written so many seconds ago; None for no bound.
    """

    namespace: str
    pod: str
    containers: tuple[str, ...]
    previous: bool = False
    follow: bool = True
    tail: int = MOST_LINES
    since_seconds: int | None = None

    @property
    def path(self) -> str:
        """Where the API server has the log."""
        return f"{self.pod_path}/log"

    @property
    def pod_path(self) -> str:
        """Where the API server has the pod."""
        return f"/api/v1/namespaces/{quote(self.namespace, safe='')}/pods/{quote(self.pod, safe='')}"

    def of(self, *containers: str) -> Self:
        """The same of other containers."""
        return replace(self, containers=containers)

    def params(self, container: str, *, follow: bool, after: int | None = None) -> dict[str, str]:
        """The query for one container.

        The API server always sends the time of each line: it orders the lines of several containers, tells
        what was seen before a connection broke, and makes jumps to a time possible.

        Args:
            container: Whose log.
            follow: Whether the answer goes on with what is written from now on.
            after: Ask only for what was written since, nanoseconds since 1970; the kubelet counts in whole
                seconds, so what was written within that second comes again.
        """
        query = {"container": container, "timestamps": "true"}
        if self.previous:
            query["previous"] = "true"
        if follow:
            query["follow"] = "true"
        if after is not None:
            second = datetime.fromtimestamp(after // 1_000_000_000, UTC)
            return query | {"sinceTime": second.strftime("%Y-%m-%dT%H:%M:%SZ")}
        query["tailLines"] = str(self.tail)
        if self.since_seconds is not None:
            query["sinceSeconds"] = str(max(1, self.since_seconds))
        return query
