"""What happens when a verdict changes: a command of the user's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex

from memtop.cluster.sanitize import sanitize_bytes
from memtop.stabilisation.document import stamp
from memtop.stabilisation.watch import Seen

PATIENCE = 60.0
"""Seconds that a command may take."""
MOST_WORDS = 300
"""Characters of its complaint that are shown."""


def split(command: str) -> tuple[str, ...]:
    """The words of a command, as a shell would split them; no shell runs it.

    Names and messages of the cluster are other people's text: in a shell's hands they could become commands.
    Whoever wants a shell writes ``sh -c '…'`` and takes the values from the environment.

    Raises:
        ValueError: A quote is not closed, or there is no word. The message is the end of a sentence.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ValueError(f"is no command: {str(error).lower()}") from None
    if not words:
        raise ValueError("is no command: it is empty")
    return words


def variables(seen: Seen, previous: str) -> dict[str, str]:
    """What a command is told by its environment."""
    stability = seen.stability
    return {
        "MEMTOP_VERDICT": stability.verdict.value,
        "MEMTOP_PREVIOUS_VERDICT": previous,
        "MEMTOP_SENTENCE": stability.sentence,
        "MEMTOP_NAMESPACE": seen.ref.namespace,
        "MEMTOP_WORKLOAD": f"{seen.ref.kind.lower()}/{seen.ref.name}",
        "MEMTOP_CONTAINER": seen.container,
        "MEMTOP_TIME": stamp(seen.at),
    }


async def run(command: tuple[str, ...], seen: Seen, previous: str, patience: float = PATIENCE) -> str:
    """Runs the user's command, without input; why it failed, empty if it did not.

    Args:
        command: Its words.
        seen: What is known now.
        previous: The verdict before; empty for none.
        patience: Seconds after which it is killed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **variables(seen, previous)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{command[0]} cannot be run: {said}"
    try:
        async with asyncio.timeout(patience):
            _, complaint = await process.communicate()
    except TimeoutError:
        return f"{command[0]} did not end within {patience:g} s and was killed"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        said = sanitize_bytes(complaint[-MOST_WORDS:]).strip()
        return f"{command[0]} ended with {process.returncode}{f': {said}' if said else ''}"
    return ""
