"""ResourceQuotas: how much of them is used."""

from __future__ import annotations

from memtop.demo.admission import amount_words
from memtop.demo.cluster import Cluster
from memtop.demo.controllers.common import put_status
from memtop.demo.resources import QUOTAS
from memtop.demo.store import Key


def reconcile(cluster: Cluster, key: Key, _at: float) -> None:
    """Tell what the pods of the namespace ask for."""
    entry = cluster.store.get(QUOTAS, *key)
    if entry is None:
        return
    hard = entry.object["spec"]["hard"]
    usage = cluster.usage.of(key[0])
    used = {name: amount_words(name, usage[name]) for name in hard}
    put_status(cluster, QUOTAS, entry, {"hard": hard, "used": used})
