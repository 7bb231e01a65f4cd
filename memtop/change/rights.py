"""Why a change cannot be made here, before anybody fills in a form."""

from __future__ import annotations

from memtop.change.kinds import impossible, right
from memtop.change.wish import Wish
from memtop.cluster.access import allowed
from memtop.cluster.client import Client
from memtop.cluster.refs import ObjectRef

READ_ONLY = "memtop is read-only (--read-only, MEMTOP_READ_ONLY or safety.read_only in the settings)"


async def refusal(client: Client, ref: ObjectRef, wish: type[Wish], *, read_only: bool) -> str:
    """Why an object can't be changed so: the setting, its kind, or the lack of a right.

    Where the server does not say what we may do, nothing is refused here: its dry run will tell.

    Args:
        client: As whom.
        ref: Which object.
        wish: What for, such as `memtop.change.wish.SetImage`.
        read_only: Whether the settings forbid every change.

    Returns:
        One sentence; empty if nothing is known that stands against it.
    """
    if read_only:
        return READ_ONLY
    if why := impossible(ref, wish):
        return why
    needed = right(ref.kind, wish)
    permitted = await allowed(
        client, ref.namespace, needed.verb, needed.resource, needed.subresource, needed.group
    )
    if permitted is False:
        return f"you may not {needed} in the namespace {ref.namespace}"
    return ""
