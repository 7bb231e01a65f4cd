"""Made and broken input for every decoder; a table of what each was given and what it could not take.

    python benchmarks/fuzz.py [--seconds 600] [--seed 1] [--only prometheus]

Hypothesis makes the input: recordings of real servers with values put in the place of others, parts taken
out or doubled, and bytes changed. A decoder may answer with the errors that its callers show as a sentence;
anything else that it raises is a fault, and so is an answer that takes `MOST_CPU` seconds. Each kind of
fault, an exception and the line it came from, is printed once, with the shortest input that led to it.
Exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.figures import machine
from benchmarks.fuzz_decoders import DECODERS, FuzzedDecoder

ROUND = 50
"""Inputs between two looks at the clock."""
MOST_CPU = 5.0
"""Seconds of CPU for one input. All are smaller than 100 KiB, and usual ones take milliseconds."""
MOST_WAIT = 60
"""Seconds after which a decoder is interrupted."""
SHOWN = 400
"""Characters of an input that are printed."""


@dataclass
class Found:
    """What became of one decoder's input."""

    inputs: int = 0
    longest: float = 0.0
    faults: dict[str, bytes] = field(default_factory=dict)

    def add(self, kind: str, content: bytes) -> None:
        """Counts a fault; of each kind the shortest input is kept."""
        if kind not in self.faults or len(content) < len(self.faults[kind]):
            self.faults[kind] = content


class TookTooLongError(Exception):
    """A decoder did not come to an end."""


@contextmanager
def patience() -> Iterator[None]:
    """Interrupts what takes longer than `MOST_WAIT`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TookTooLongError(f"interrupted after {MOST_WAIT} s")

    signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(MOST_WAIT)
    try:
        yield
    finally:
        signal.alarm(0)


def where(error: BaseException) -> str:
    """An exception and the innermost line of memtop's own that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "/memtop/" in one.filename or "/config/" in one.filename]
    last = (own or frames)[-1]
    place = last.filename.partition("/memtop/memtop/")[2] or "/".join(Path(last.filename).parts[-2:])
    return f"{type(error).__name__} in {place}:{last.lineno} {last.name}: {str(error)[:120]!r}"


def fuzz(decoder: FuzzedDecoder, seconds: float, number: int) -> Found:
    """Gives a decoder input for so long."""
    found = Found()
    end = time.monotonic() + seconds

    def one(content: bytes) -> None:
        if time.monotonic() > end:
            return
        begun = time.process_time()
        try:
            with patience():
                decoder.decode(content)
        except decoder.answers:
            pass
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            found.add(where(error), content)
        took = time.process_time() - begun
        found.inputs += 1
        found.longest = max(found.longest, took)
        if took > MOST_CPU:
            found.add(f"{MOST_CPU:.0f} s of CPU and more", content)

    while time.monotonic() < end:
        chosen = settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(number)(chosen(given(decoder.inputs)(one)))()
        number += 1
    return found


def main() -> int:
    """Goes through the decoders and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="for all decoders together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="decoders with this in their name")
    chosen = parser.parse_args()
    decoders = [one for one in DECODERS if chosen.only in one.name]
    print(machine())
    print(f"{'decoder':14} {'inputs':>8} {'longest':>9} {'faults':>7}")
    faults = 0
    for decoder in decoders:
        found = fuzz(decoder, chosen.seconds / len(decoders), chosen.seed * 1_000_000)
        faults += len(found.faults)
        print(f"{decoder.name:14} {found.inputs:8,} {found.longest:7.2f} s {len(found.faults):7}", flush=True)
        for kind, content in found.faults.items():
            print(
                f"    {kind}\n        {content[:SHOWN]!r}{' …' if len(content) > SHOWN else ''}", flush=True
            )
    print(f"{len(decoders)} decoders, {faults} kinds of faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
