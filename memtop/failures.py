"""What an exception is to a person: one sentence, which never shows the values of variables."""

from __future__ import annotations

from types import TracebackType

_OURS = ("memtop", "tui", "widgets", "config")


def failure_sentence(error: BaseException) -> str:
    """An exception in one sentence.

    memtop's own exceptions are sentences already, and the operating system's say which file and why. All
    others are mistakes in memtop; their text may hold values, so only their kind and their place are told.

    Args:
        error: What was raised; a group with one exception stands for that one.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if type(error).__module__.partition(".")[0] in _OURS and str(error):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"a mistake in memtop: {type(error).__name__} in {failure_place(error.__traceback__)}"


def failure_place(trace: TracebackType | None) -> str:
    """Module and line of memtop where an exception was raised or passed through last."""
    place = "an unknown place"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OURS:
            place = f"{module}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
