"""What all controllers share: create pods, retry, set conditions and status."""

from __future__ import annotations

import math
from collections.abc import Iterable

from memtop.demo.api_resources import REVISIONS, Resource
from memtop.demo.cluster_events import EventDetails
from memtop.demo.object_metadata import owner_reference, random_suffix, template_hash
from memtop.demo.object_store import Entry, Key, Object
from memtop.demo.pod_admission import ForbiddenError
from memtop.demo.simulated_cluster import Cluster
from memtop.demo.simulated_pod import SimulatedPod
from memtop.demo.simulated_time import rfc3339
from memtop.demo.workload_objects import REVISION_LABEL, controller_revision

FIRST_RETRY = 5.0  # seconds until a refused pod is created again
LAST_RETRY = 600.0


def owned_objects(cluster: Cluster, resource: Resource, owner: Object) -> list[Entry]:
    """Return the objects of a resource that an object controls, oldest first."""
    metadata = owner["metadata"]
    found = [
        entry
        for entry in cluster.store[resource].select(metadata["namespace"])
        if any(
            reference["uid"] == metadata["uid"]
            for reference in entry.object["metadata"].get("ownerReferences", ())
        )
    ]
    return sorted(found, key=lambda entry: entry.object["metadata"]["creationTimestamp"])


def active_pods(cluster: Cluster, owner: Object, at: float) -> list[SimulatedPod]:
    """Return the pods an object controls that are neither terminating nor finished."""
    pods = cluster.pods_of(owner["metadata"]["uid"])
    return [pod for pod in pods if pod.deleted is None and pod.finished(at) is None]


def is_available(
    cluster: Cluster, pod: SimulatedPod, least: float, at: float, again: tuple[Resource, Key]
) -> bool:
    """Return whether a pod has been ready for `least` seconds; if not yet, `again` is reconciled then."""
    since = pod.ready_since(at)
    if since is None:
        return False
    if since + least > at:
        check_later(cluster, since + least, *again)
        return False
    return True


def check_later(cluster: Cluster, when: float, resource: Resource, key: Key) -> None:
    """Reconcile an object at a later time."""

    def look(at: float) -> None:
        cluster.enqueue(resource, key)
        cluster.reconcile_queue(at + 1e-3)

    cluster.actions.add(when + 1e-3, look)


def retry_later(cluster: Cluster, resource: Resource, key: Key, at: float) -> None:
    """Reconcile an object again after its pod was refused; the delay doubles up to `LAST_RETRY`."""
    due, delay = cluster.retries.get((resource, key), (-math.inf, FIRST_RETRY / 2))
    if due <= at:
        delay = min(2 * delay, LAST_RETRY)
        cluster.retries[resource, key] = (at + delay, delay)
        check_later(cluster, at + delay, resource, key)


def create_pod(
    cluster: Cluster,
    resource: Resource,
    owner: Object,
    name: str,
    template: Object,
    at: float,
    *,
    node: str | None = None,
) -> SimulatedPod:
    """Create a pod for a controller and record the event; if it is refused, retry later.

    Raises:
        ForbiddenError: it was refused.
    """
    metadata = owner["metadata"]
    namespace, kind = metadata["namespace"], resource.kind
    component = f"{kind.lower()}-controller"
    named = f"create Pod {name} in StatefulSet {metadata['name']}" if kind == "StatefulSet" else ""
    reference = owner_reference(resource, owner)
    try:
        pod = cluster.create_pod(namespace, name, template, reference, at, node=node)
    except ForbiddenError as refusal:
        message = f"{named} failed error: {refusal}" if named else f"Error creating: {refusal}"
        # One event counts all refused pods, although each has another name.
        cluster.events.about(
            resource, owner, EventDetails("FailedCreate", message, component, warning=True), at
        )
        retry_later(cluster, resource, (namespace, metadata["name"]), at)
        raise
    cluster.retries.pop((resource, (namespace, metadata["name"])), None)
    message = f"{named} successful" if named else f"Created pod: {name}"
    cluster.events.about(resource, owner, EventDetails("SuccessfulCreate", message, component), at)
    return pod


def new_pod_name(prefix: str, cluster: Cluster) -> str:
    """Return a name for a new pod."""
    suffix = random_suffix(5, cluster.seed, prefix, "fresh", cluster.next_number())
    return f"{prefix}-{suffix}"


def resolve_percentage(amount: int | str, total: int, *, up: bool) -> int:
    """Return a number, or a percentage such as `25%` as a number of `total`."""
    if isinstance(amount, int):
        return amount
    share = int(amount.removesuffix("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


def condition(kind: str, status: str, reason: str, message: str, at: float) -> Object:
    """Return a condition of a workload."""
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": rfc3339(at),
        "lastTransitionTime": rfc3339(at),
        "reason": reason,
        "message": message,
    }


def put_condition(conditions: Iterable[Object], new: Object) -> list[Object]:
    """Return conditions with one renewed; its transition time only changes with its status."""
    result = []
    for old in conditions:
        if old["type"] != new["type"]:
            result.append(old)
        elif (old["status"], old["reason"]) == (new["status"], new["reason"]) and old["message"] == new[
            "message"
        ]:
            return list(conditions)
        elif old["status"] == new["status"]:
            new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*result, new]


def put_status(cluster: Cluster, resource: Resource, entry: Entry, status: Object) -> bool:
    """Store a new status if it differs; return whether it did."""
    if entry.object.get("status") == status:
        return False
    cluster.store.put(resource, {**entry.object, "status": status})
    return True


def revision_of(cluster: Cluster, resource: Resource, owner: Object, at: float) -> Entry:
    """Return the ControllerRevision of an object's present template, making it if it is new."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    digest = template_hash(template)
    name = f"{metadata['name']}-{digest}"
    revisions = owned_objects(cluster, REVISIONS, owner)
    newest = max((entry.object["revision"] for entry in revisions), default=0)
    known = cluster.store.get(REVISIONS, metadata["namespace"], name)
    if known is not None:
        if known.object["revision"] == newest:
            return known
        return cluster.store.put(REVISIONS, {**known.object, "revision": newest + 1})
    return cluster.store.put(REVISIONS, controller_revision(resource, owner, newest + 1, at, cluster.seed))


def pods_hash(revision: Entry) -> str:
    """Return the value of the label `REVISION_LABEL` on the pods of a ControllerRevision.

    A StatefulSet's pods carry the revision's name, a DaemonSet's only the hash in it.
    """
    return str(revision.labels.get(REVISION_LABEL) or revision.key[1])


def template_of(revision: Entry, **labels: str) -> Object:
    """Return the pod template a ControllerRevision holds, labelled as its pods are."""
    template = {
        name: value for name, value in revision.object["data"]["spec"]["template"].items() if name != "$patch"
    }
    own = {**template["metadata"]["labels"], REVISION_LABEL: pods_hash(revision), **labels}
    return {**template, "metadata": {**template["metadata"], "labels": own}}
