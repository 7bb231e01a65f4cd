"""What lies around an object that is to be changed: budgets, quotas, limit ranges, autoscalers.

Each of them may be forbidden or absent; then that is said, and the plan goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.client import Client
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.cluster.tree import Json, decode, objects

MOST = 500
"""Objects of a kind in one namespace that are looked at."""
TIMEOUT = 10.0
"""Seconds; a plan must not wait long for what is only good to know."""

Listed = Sequence[Json] | str
"""Objects, or in words why they cannot be had."""

_PATHS = {
    "budgets": ("/apis/policy/v1", "/apis/policy/v1beta1", "poddisruptionbudgets"),
    "quotas": ("/api/v1", "resourcequotas"),
    "limit_ranges": ("/api/v1", "limitranges"),
    "horizontal": (
        "/apis/autoscaling/v2",
        "/apis/autoscaling/v2beta2",
        "/apis/autoscaling/v1",
        "horizontalpodautoscalers",
    ),
    "vertical": ("/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers"),
}
_ASKED: dict[type[Wish], tuple[str, ...]] = {
    SetImage: ("budgets", "quotas"),
    SetMemory: ("budgets", "quotas", "limit_ranges", "horizontal", "vertical"),
    Restart: ("budgets", "quotas"),
    Undo: ("budgets", "quotas", "limit_ranges", "vertical"),
    Scale: ("budgets", "quotas", "horizontal"),
    DeletePod: ("budgets",),
    Pause: (),
    Resume: ("budgets", "quotas"),
}


@dataclass(frozen=True, slots=True)
class Around:
    """What there is in the object's namespace; what a wish has nothing to do with is not asked for.

    Attributes:
        budgets: PodDisruptionBudgets.
        quotas: ResourceQuotas.
        limit_ranges: LimitRanges.
        horizontal: HorizontalPodAutoscalers.
        vertical: VerticalPodAutoscalers.
    """

    budgets: Listed = ()
    quotas: Listed = ()
    limit_ranges: Listed = ()
    horizontal: Listed = ()
    vertical: Listed = ()


async def around(client: Client, ref: ObjectRef, wish: type[Wish]) -> Around:
    """Asks for what lies around an object, all at the same time.

    Raises:
        CredentialError: No credential could be had.
        KubeconfigError: A certificate or key is not usable.
    """
    names = _ASKED[wish]
    found = await asyncio.gather(*(_listed(client, ref.namespace, name) for name in names))
    return Around(**dict(zip(names, found, strict=True)))


async def _listed(client: Client, namespace: str, name: str) -> Listed:
    *groups, plural = _PATHS[name]
    for group in groups:
        path = f"{group}/namespaces/{namespace}/{plural}"
        try:
            raw = await client.get(path, {"limit": str(MOST)}, timeout=TIMEOUT)
            return objects(decode(raw, f"the {plural}"), "items")
        except ApiError as error:
            if error.status != 404:
                return str(error)
        except Unreachable as error:
            return str(error)
    return ()  # this cluster has no such kind
