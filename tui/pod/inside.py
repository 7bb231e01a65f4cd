"""Looking into the container of the pod screen: whether that can be done now, and why not."""

from __future__ import annotations

from memtop.cluster.client import Client
from memtop.cluster.errors import CredentialError
from memtop.cluster.exec import Place, refusal
from memtop.observe.frame import Frame
from tui.pod.tab import Subject

RUNNING = "Running"


class Inside:
    """What is known of whether commands can be run in a container.

    Args:
        subject: Whose container.
        read_only: Whether memtop was told to change nothing.

    Attributes:
        forbidden: Why the cluster does not let us; empty as long as that is not known.
        state: The container's state in words; empty before the first frame.
    """

    def __init__(self, subject: Subject, *, read_only: bool) -> None:
        self.forbidden = ""
        self.state = ""
        self._subject = subject
        self._read_only = read_only

    @property
    def place(self) -> Place:
        """The container."""
        return Place(self._subject.namespace, self._subject.pod, self._subject.container)

    def refusal(self) -> str:
        """Why nothing can be run in the container now; empty if it can, as far as is known."""
        if not self._subject.pod:
            return "a workload has no processes: press W and open one of its pods"
        if self._read_only:
            return "read-only: memtop starts no process in a container"
        if self.forbidden:
            return self.forbidden
        if self.state and self.state != RUNNING:
            return f"{self._subject.container} does not run ({self.state})"
        return ""

    def see(self, frame: Frame) -> bool:
        """Takes the container's state from a frame; returns whether it changed."""
        before = self.state
        detail = frame.detail
        if detail is not None and detail.key == self._subject.key:
            self.state = frame.rows.states[detail.row] if detail.row is not None else self.state
        elif frame.view.selected == self._subject.key and frame.settled:
            self.state = "gone"
        return self.state != before

    async def ask(self, client: Client) -> str:
        """Asks the cluster whether it lets us; runs on the engine's loop."""
        try:
            return await refusal(client, self._subject.namespace)
        except CredentialError:
            return ""  # every source says so already
