"""A verdict on a change as a line, JSON, a Markdown report, or the environment of a user's command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

from memtop.analysis.judgement import SUSPECTED_LEAK, Verdict
from memtop.analysis.stability_evidence import SideFigures
from memtop.analysis.stability_sentences import slope_words
from memtop.files import new_file
from memtop.sanitize import sanitize_bytes
from memtop.stabilisation.stabilisation_watch import StabilisationState
from memtop.wording import UNKNOWN, bytes_, duration, rate, share


def utc_stamp(moment: float | None) -> str:
    """A time as ``2026-01-31T03:12:45Z``; a dash for none."""
    return UNKNOWN if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def report_line(seen: StabilisationState) -> str:
    """Time, verdict and sentence."""
    stability = seen.stability
    return f"{utc_stamp(seen.time)}  {stability.verdict:<14}  {stability.sentence}"


def report_json(seen: StabilisationState) -> str:
    """One line of JSON; what is not known is null, times are UTC."""
    return json.dumps(report_document(seen), ensure_ascii=False)


def report_document(seen: StabilisationState) -> dict[str, object]:
    """What `report_json` writes."""
    stability, change = seen.stability, seen.change
    return {
        "time": utc_stamp(seen.time),
        "namespace": seen.ref.namespace,
        "workload": {"kind": seen.ref.kind, "name": seen.ref.name},
        "container": seen.container,
        "change": {
            "at": utc_stamp(change.changed_at),
            "revision": change.revision.number,
            "previous_revision": None if change.previous is None else change.previous.number,
            "what": change.words(seen.container),
        },
        "verdict": stability.verdict.value,
        "sentence": stability.sentence,
        "since": None if stability.since is None else utc_stamp(stability.since),
        "needed_seconds": stability.needed_seconds,
        "remaining_seconds": stability.remaining_seconds,
        "bought_seconds": stability.bought_seconds,
        "watched_seconds": stability.watched_seconds,
        "load_share": stability.load_share,
        "requests_done": stability.requests_done,
        "requests_missing": stability.requests_missing,
        "before": side_document(stability.before),
        "after": side_document(stability.after),
    }


def side_document(side: SideFigures) -> dict[str, object]:
    """The figures of one side as JSON has them; what is unknown is None."""
    known = bool(side.pods)
    return {
        "pods": side.pods if known else None,
        "growth_bytes_per_hour": side.rate,
        "growth_low": side.rate_low,
        "growth_high": side.rate_high,
        "leaks": side.leaks if known else None,
        "oom_kills": side.oom_kills if known else None,
        "oom_kills_per_pod_hour": side.oom_per_hour,
        "restarts": side.restarts if known else None,
        "restarts_per_pod_hour": side.restarts_per_hour,
        "pod_hours": side.watched / 3600.0 if known else None,
        "limit_bytes": side.limit,
        "peak_bytes": side.peak,
        "seconds_to_limit": side.seconds_to_limit,
        "seconds_to_limit_at_worst": side.worst_seconds_to_limit,
        "cpu_cores": side.cpu,
        "received_bytes_per_second": side.received,
        "requests_per_second": side.requests,
    }


FACT_NAMES = (
    "growth of the floor",
    "time to limit",
    "OOM kills",
    "restarts",
    "highest memory",
    "limit",
    "pods counted",
    "watched",
)
"""What is said of both sides, in this order."""
UNSURE_SHAPES = (Verdict.NOT_ENOUGH_DATA, SUSPECTED_LEAK, Verdict.LEAK)
"""Shapes of which, where it is not sure that it leaks, it cannot be said either that nothing grows."""


def side_facts(side: SideFigures) -> tuple[str, ...]:
    """One side in words, in the order of `FACT_NAMES`; what is not known is a dash."""
    if not side.pods:
        limit = UNKNOWN if side.limit is None else bytes_(side.limit)
        return (*(UNKNOWN,) * 5, limit, UNKNOWN, UNKNOWN)
    of_limit = f" ({share(side.peak / side.limit)} of the limit)" if side.peak and side.limit else ""
    return (
        # A minute after a start there is a slope, but it is that of the start.
        UNKNOWN if side.rate is None or side.shape == Verdict.NOT_ENOUGH_DATA else slope_words(side),
        _time_to_limit(side),
        f"{side.oom_kills} ({per_pod_hour(side.oom_per_hour)})",
        f"{side.restarts} ({per_pod_hour(side.restarts_per_hour)})",
        f"{bytes_(side.peak)}{of_limit}",
        "none" if side.limit is None else bytes_(side.limit),
        str(side.pods),
        f"{duration(side.seconds)}, {side.watched / 3600:.1f} pod hours",
    )


def _time_to_limit(side: SideFigures) -> str:
    if side.leaks:
        return duration(side.seconds_to_limit)
    if side.rate is None or side.shape in UNSURE_SHAPES:
        return UNKNOWN
    worst = side.worst_seconds_to_limit
    if worst is None:
        return "not in sight"
    return f"at most {rate(side.rate_high)}: {duration(worst)} or more"


def per_pod_hour(number: float | None) -> str:
    """How often something happened to one pod in an hour, in words."""
    if number is None:
        return UNKNOWN
    if number == 0:
        return "0 per pod and hour"
    return f"{number:.1f} per pod and hour" if number >= 0.095 else f"{number:.2g} per pod and hour"


def save_report(path: Path, seen: StabilisationState) -> None:
    """Writes the report to a new file. Blocks.

    Raises:
        NewFileError: There is a file of that name, or it cannot be written.
    """
    with new_file(path, str(path)) as file:
        file.write(report_markdown(seen))


def report_markdown(seen: StabilisationState) -> str:
    """A report for a ticket or an incident channel."""
    stability, change = seen.stability, seen.change
    old = "unknown" if change.previous is None else f"revision {change.previous.number}"
    lines = [
        f"# {seen.ref.kind.lower()}/{seen.ref.name} in {seen.ref.namespace}: {stability.verdict}",
        "",
        f"{stability.sentence[:1].upper()}{stability.sentence[1:]}.",
        "",
        f"- change: {change.words(seen.container)} (container {seen.container}), "
        f"{utc_stamp(change.changed_at)}, by {change.how_known}",
        f"- judged: {utc_stamp(seen.time)}, {duration(seen.time - change.changed_at)} after the change",
        f"- evidence since: {utc_stamp(stability.since)}",
    ]
    if stability.remaining_seconds:
        lines.append(f"- still to watch: {duration(stability.remaining_seconds)}")
    lines += [
        f"- judged on: {seen.by_container[seen.container].basis}",
        *(f"- note: {note}" for note in (*seen.notes, seen.problem) if note),
        "",
        f"| | before ({old}) | after (revision {change.revision.number}) |",
        "|---|---|---|",
        *(
            f"| {name} | {before} | {after} |"
            for name, before, after in zip(
                FACT_NAMES, side_facts(stability.before), side_facts(stability.after), strict=True
            )
        ),
        "",
    ]
    return "\n".join(lines)


COMMAND_SECONDS = 60.0
"""Seconds that a command may take."""
MOST_ERROR_CHARACTERS = 300
"""Characters of its complaint that are shown."""


def split_command(command: str) -> tuple[str, ...]:
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


def command_environment(seen: StabilisationState, previous: str) -> dict[str, str]:
    """What a command is told by its environment."""
    stability = seen.stability
    return {
        "MEMTOP_VERDICT": stability.verdict.value,
        "MEMTOP_PREVIOUS_VERDICT": previous,
        "MEMTOP_SENTENCE": stability.sentence,
        "MEMTOP_NAMESPACE": seen.ref.namespace,
        "MEMTOP_WORKLOAD": f"{seen.ref.kind.lower()}/{seen.ref.name}",
        "MEMTOP_CONTAINER": seen.container,
        "MEMTOP_TIME": utc_stamp(seen.time),
    }


async def run_command(
    command: tuple[str, ...], seen: StabilisationState, previous: str, patience: float = COMMAND_SECONDS
) -> str:
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
            env={**os.environ, **command_environment(seen, previous)},
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
        said = sanitize_bytes(complaint[-MOST_ERROR_CHARACTERS:]).strip()
        return f"{command[0]} ended with {process.returncode}{f': {said}' if said else ''}"
    return ""
