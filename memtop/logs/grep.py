"""Searches lines for a regular expression in a process of its own, within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

import memtop
from memtop.cluster.sanitize import sanitize
from memtop.logs.grep_process import HEAD

PATIENCE = 2.0
"""Seconds that an expression may take for one block of lines, of which 100 take a good one a second."""

# What the process runs; memtop's own folder comes last on the path, and the working folder is not on it.
_PROGRAM = (
    "import sys; sys.path[:1] = []; sys.path.append(sys.argv[1]); "
    "from memtop.logs.grep_process import main; main()"
)

Matches = npt.NDArray[np.uint32]
"""Shape (n, 3): line counted from the first of the text, start and end of the match in characters."""


class PatternError(Exception):
    """An expression is wrong, or takes too long; one sentence."""


class Grep:
    """One expression at a time and one request at a time; belongs to one event loop.

    Args:
        patience: Seconds to wait for an answer.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._stopped: list[asyncio.subprocess.Process] = []
        self._pattern: tuple[bytes, bytes] | None = None
        self._turn = asyncio.Lock()

    async def use(self, pattern: str, *, ignore_case: bool) -> None:
        """Searches for this expression from now on.

        Raises:
            PatternError: It is wrong; the sentence says where.
        """
        wanted = (b"i" if ignore_case else b"c", pattern.encode("utf-8", "replace"))
        async with self._turn:
            if wanted != self._pattern or self._process is None:
                self._pattern = None
                await self._ask(*wanted)
                self._pattern = wanted

    async def search(self, text: bytes) -> Matches:
        """Finds the matches in some lines.

        Args:
            text: Lines, each with its newline, UTF-8.

        Raises:
            PatternError: It took too long; the next `use` starts afresh.
        """
        async with self._turn:
            if self._pattern is not None and (self._process is None or self._process.returncode is not None):
                pattern, self._pattern = self._pattern, None
                await self._ask(*pattern)
                self._pattern = pattern
            answer = await self._ask(b"t", text)
        return np.frombuffer(answer, np.uint32).reshape(-1, 3)

    async def close(self) -> None:
        """Ends the process, and waits until it and those that were stopped before are gone."""
        self._stop()
        while self._stopped:
            await self._stopped.pop().wait()
        await asyncio.sleep(0)  # their pipes are closed a step later

    def _stop(self) -> None:
        """Ends a process that may be running away."""
        process, self._process, self._pattern = self._process, None, None
        if process is not None:
            self._stopped = [one for one in self._stopped if one.returncode is None]
            self._stopped.append(process)
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _ask(self, kind: bytes, body: bytes) -> bytes:
        """One request and its answer; what interrupts them ends the process, for it may be running away."""
        try:
            async with asyncio.timeout(self._patience):
                process = await self._running()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(HEAD.pack(kind, len(body)) + body)
                await process.stdin.drain()
                said, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
                answer = await process.stdout.readexactly(size)
        except TimeoutError as error:
            self._stop()
            raise PatternError(
                f"the expression takes more than {self._patience:g} s for a few lines and was stopped; "
                "nested repeats such as (a+)+ do that"
            ) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            self._stop()
            raise PatternError(f"the search ended by itself: {error}") from error
        except asyncio.CancelledError:
            self._stop()
            raise
        if said == b"e":
            raise PatternError(sanitize(answer.decode("utf-8", "replace")))
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM,
                str(Path(memtop.__file__).parents[1]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's signals are not for it; it ends with its input
            )
        return self._process
