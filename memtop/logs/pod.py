"""What becomes of a container whose log is read: does it run, how did it end, which others are beside it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from memtop.cluster.client import Client, Unreachable
from memtop.cluster.containers import Kind, Mood, Termination, container_facts
from memtop.cluster.objects import Pod
from memtop.logs.request import LogRequest

_DECODER = msgspec.json.Decoder(Pod)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended.

    Attributes:
        container: Its name.
        termination: How and when.
    """

    container: str
    termination: Termination

    def words(self) -> str:
        """``user-service was OOM-killed``."""
        end = self.termination
        if end.oom:
            return f"{self.container} was OOM-killed"
        if end.exit_code == 0:
            return f"{self.container} completed"
        return f"{self.container} ended: {end.words()}"


@dataclass(frozen=True, slots=True)
class Life:
    """A container as the pod's status has it.

    Attributes:
        name: Its name.
        started_at: When it started, Unix seconds; None if it doesn't run.
        state: Its state in the words of `kubectl get`.
        restarts: Restarts since the pod was created.
        ending: How it last ended, or None if it never has.
        over: Whether it has ended and won't be started again.
        init: Whether it is an init container that runs before the others.
    """

    name: str
    started_at: float | None
    state: str
    restarts: int
    ending: Ending | None
    over: bool
    init: bool


async def lives(client: Client, request: LogRequest) -> dict[str, Life]:
    """Asks for the pod's containers, ordinary ones first.

    Raises:
        ApiError: The server refused; 404 if the pod is gone.
        Unreachable: No answer came, or one that is no pod.
    """
    body = await client.get(request.pod_path)
    try:
        pod = _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"{client.target.server} sent something that is no pod: {error}") from error
    ended = pod.status.phase in {"Succeeded", "Failed"}
    return {
        facts.name: Life(
            name=facts.name,
            started_at=facts.started_at,
            state=facts.state,
            restarts=facts.restarts,
            ending=Ending(facts.name, facts.terminations[-1]) if facts.terminations else None,
            over=ended or (facts.kind is Kind.INIT and facts.mood is Mood.DONE),
            init=facts.kind is Kind.INIT,
        )
        for facts in container_facts(pod)
    }
