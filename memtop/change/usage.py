"""What the containers of a workload use now."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from memtop.change.subject import Subject
from memtop.cluster.client import Client
from memtop.cluster.describe.labels import selector_words
from memtop.cluster.errors import ApiError, Unreachable
from memtop.cluster.objects import PodMetricsList
from memtop.cluster.tree import mapping
from memtop.quantity import bytes_or_none


async def used(client: Client, subject: Subject) -> Mapping[str, float]:
    """Working set in bytes by container, the most that any pod has; empty where it is not to be had."""
    selector = selector_words(mapping(subject.object, "spec", "selector"))
    if not selector:
        return {}
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{subject.ref.namespace}/pods"
    try:
        raw = await client.get(path, {"labelSelector": selector})
        listed = msgspec.json.decode(raw, type=PodMetricsList)
    except (ApiError, Unreachable, msgspec.MsgspecError):
        return {}
    most: dict[str, float] = {}
    for pod in listed.items or ():
        for container in pod.containers:
            size = bytes_or_none(container.usage.memory)
            if size is not None:
                most[container.name] = max(most.get(container.name, 0.0), float(size))
    return most
