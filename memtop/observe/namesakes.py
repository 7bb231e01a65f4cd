"""Which workloads cannot be told apart by their name alone."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from memtop.cluster.workloads import Workload
from memtop.observe.store import Store


def namesakes(store: Store, namespaces: Collection[str]) -> frozenset[Workload]:
    """Workloads that have one of the same kind and name in another namespace.

    Args:
        store: Whose live workloads are looked at.
        namespaces: Those in view; empty for all.
    """
    first: dict[Workload, str] = {}
    found: set[Workload] = set()
    numbers = np.unique(store.columns.workload)
    for number in numbers[numbers >= 0].tolist():
        namespace, workload = store.workloads[number]
        if namespaces and namespace not in namespaces:
            continue
        if first.setdefault(workload, namespace) != namespace:
            found.add(workload)
    return frozenset(found)
