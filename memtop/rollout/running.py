"""Rollouts that were left running: one short line each for the header, until they are over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError
from memtop.cluster.refs import ObjectRef, fetch
from memtop.failures import failure_sentence
from memtop.rollout.keep import FAILURES, RETRY_SECONDS
from memtop.rollout.model import Cause, Rollout
from memtop.rollout.watch import follow

LONGEST_RETRY_SECONDS = 60.0
LOGGER = logging.getLogger("memtop.rollout")
_SHORT = {
    Cause.PAUSED: "paused",
    Cause.DEADLINE: "deadline exceeded",
    Cause.ON_DELETE: "waits for pods to be deleted",
}


class State(StrEnum):
    """How a rollout stands."""

    GOING = "going"
    STUCK = "stuck"
    DONE = "done"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Left:
    """How a rollout stands that nobody looks at.

    Attributes:
        ref: The workload.
        state: In a word.
        words: In a short line, such as ``rollout user-service 2/4``.
        why: Why it is stuck or unknown, in a sentence; empty where it is neither.
    """

    ref: ObjectRef
    state: State
    words: str
    why: str = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be told."""
        return self.state in {State.DONE, State.GONE}


def left(rollout: Rollout) -> Left:
    """A rollout in a short line."""
    ref, status = rollout.ref, rollout.status
    name = f"rollout {ref.name}"
    if rollout.gone:
        return Left(ref, State.GONE, f"{name}: deleted")
    if rollout.over:
        return Left(ref, State.DONE, f"{name} done")
    counted = f"{name} {rollout.arrived}/{status.target}"
    if (reason := rollout.blocked) is not None:
        return Left(
            ref, State.STUCK, f"{counted} stuck: {_SHORT.get(reason.cause, reason.cause)}", str(reason)
        )
    if status.failed:
        return Left(ref, State.STUCK, f"{counted} stuck", status.words)
    return Left(ref, State.GOING, counted)


async def follow_left(
    client: Client, ref: ObjectRef, tell: Callable[[Left], None], now: Callable[[], float] = time.time
) -> None:
    """Tells how a rollout stands whenever its line has changed; returns when it is over.

    One that is stuck is followed on: somebody may help it, here or elsewhere.

    Args:
        client: The connection.
        ref: The workload.
        tell: Is told, on the engine's thread; must return at once.
        now: The cluster's clock, Unix seconds.
    """
    pause = RETRY_SECONDS
    while True:
        try:
            return await _follow_left(client, ref, tell, now)
        except Exception as error:  # a mistake of memtop's own must not lose the rollout
            LOGGER.exception("following a rollout failed; it is followed again")
            tell(Left(ref, State.UNKNOWN, f"rollout {ref.name} ?", failure_sentence(error)))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)


async def _follow_left(
    client: Client, ref: ObjectRef, tell: Callable[[Left], None], now: Callable[[], float]
) -> None:
    told: Left | None = None
    async with aclosing(follow(client, ref, now, measure=False)) as rollouts:
        async for rollout in rollouts:
            if not isinstance(rollout, str):
                line = left(rollout)
            elif await _absent(client, ref):
                line = Left(ref, State.GONE, f"rollout {ref.name}: deleted")
            else:
                line = Left(ref, State.UNKNOWN, f"rollout {ref.name} ?", rollout)
            if told is None or (line.state, line.words) != (told.state, told.words):
                told = line
                tell(line)
            if line.over:
                return


async def _absent(client: Client, ref: ObjectRef) -> bool:
    """Whether it is certain that the workload is not there; what cannot be asked now may be there."""
    try:
        await fetch(client, ref)
    except ApiError as error:
        return error.status == HTTPStatus.NOT_FOUND
    except FAILURES:
        pass
    return False
