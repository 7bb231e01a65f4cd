"""Why a log cannot be had, in plain words."""

from __future__ import annotations

import re

from memtop.cluster.errors import ApiError

_WAITING = re.compile(r'container "?([^"]+?)"? in pod .* is waiting to start: (.+)')
_NO_PREVIOUS = re.compile(r"previous terminated container \"?([^\"]+?)\"? in pod")
_NOT_VALID = re.compile(r"container (\S+) is not valid for pod (\S+)")
_KUBELET = re.compile(
    rb"unable to retrieve container logs for |failed to try resolving symlinks in path |"
    rb"failed to open log file |rpc error: code = "
)


def words(error: ApiError) -> str:
    """The sentence for an answer of the API server that is no log."""
    message = error.message
    if (found := _WAITING.search(message)) is not None:
        name, reason = found.groups()
        if "BackOff" in reason or "Err" in reason or "Invalid" in reason:
            return f"{name} has not started and has no log: {reason}"
        return f"{name} has not started yet: {reason}"
    if (found := _NO_PREVIOUS.search(message)) is not None:
        return f"{found.group(1)} has no previous log: it has not ended since its pod was created"
    if (found := _NOT_VALID.search(message)) is not None:
        return f"the pod {found.group(2)} has no container {found.group(1)}"
    if error.status == 403:
        return f"you may not read this log: {message}"
    if error.status == 404:
        return "the pod is gone, and its log with it"
    return f"the API server answered {error.status}: {message}"


def may_come(error: ApiError) -> bool:
    """Whether the log may be there later: the container is about to start, or the server had a bad moment."""
    if error.status == 400:
        return _WAITING.search(error.message) is not None
    return error.status == 429 or error.status >= 500


def from_kubelet(line: bytes) -> bool:
    """Whether a line without a time is the kubelet's excuse and not the container's word.

    The kubelet answers with status 200 before it looks for the file, so that is how it says that there is
    none: for some seconds after a kill the log of the dead container is on its way to another name.
    """
    return _KUBELET.match(line) is not None
