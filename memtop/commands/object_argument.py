"""The object that a command's arguments name, in the one namespace that there must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memtop.kube.object_ref import ObjectRef, parse_object_name

if TYPE_CHECKING:
    from config.invocation import Invocation


def object_argument(
    invocation: Invocation,
    words: Sequence[str],
    namespace: str,
    kinds: Sequence[str],
    thing: str = "workload",
) -> ObjectRef:
    """Reads a name such as ``deployment/user-service``.

    Args:
        invocation: The command; its settings may name a namespace.
        words: The arguments that are the name.
        namespace: That of the context, where the settings name none.
        kinds: Which kinds make sense.
        thing: What the command is about, in a word.

    Raises:
        ConfigError: They name none, or the settings name several namespaces.
    """
    from config.errors import ConfigError  # noqa: PLC0415  (only where something is wrong)

    namespaces = invocation.settings.cluster.namespaces
    if len(namespaces) > 1:
        raise invocation.mistake("cluster.namespaces", needs_one_namespace(invocation, thing))
    try:
        return parse_object_name(words, next(iter(namespaces), namespace), kinds)
    except ValueError as error:
        raise ConfigError(f"command {invocation.command!r}: {' '.join(words)!r} {error}") from None


def needs_one_namespace(invocation: Invocation, thing: str) -> str:
    """Why a command takes no more than one namespace."""
    return f"{invocation.command!r} is about one {thing}, so it needs one namespace"
