"""The formats of responses: whole objects, metadata only, and tables as `kubectl get` prints them."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from memtop.demo.api_resources import Resource
from memtop.demo.object_store import Entry, Object
from memtop.demo.simulated_time import parse_rfc3339

NONE = "<none>"


def age_words(seconds: float) -> str:
    """Return an age as kubectl prints it: `45s`, `4m30s`, `15m`, `3h12m`, `26h`, `3d`, `90d`."""
    total = max(0, int(seconds))
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def _age(obj: Object, now: float) -> str:
    return age_words(now - parse_rfc3339(obj["metadata"]["creationTimestamp"]))


def _pod(obj: Object, now: float) -> list[Any]:
    status, spec = obj["status"], obj["spec"]
    containers = status.get("containerStatuses") or []
    inits = status.get("initContainerStatuses") or []
    ready = sum(container["ready"] for container in containers)
    restarts = sum(container["restartCount"] for container in containers)
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec['containers'])}",
        _pod_reason(obj, containers, inits),
        restarts,
        _age(obj, now),
        status.get("podIP", NONE),
        spec.get("nodeName", NONE),
        NONE,
        NONE,
    ]


def _pod_reason(obj: Object, containers: list[Object], inits: list[Object]) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reason = str(obj["status"].get("reason") or obj["status"]["phase"])
    for index, container in enumerate(inits):
        terminated = container["state"].get("terminated")
        if terminated is None or terminated["exitCode"] != 0:
            waiting = container["state"].get("waiting", {}).get("reason", "PodInitializing")
            return f"Init:{index}/{len(inits)}" if waiting == "PodInitializing" else f"Init:{waiting}"
    running = False
    for container in reversed(containers):
        state = container["state"]
        if "waiting" in state:
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = state["terminated"]["reason"]
        elif container["ready"]:
            running = True
    return "Running" if reason == "Completed" and running else reason


def _images(obj: Object) -> list[str]:
    containers = obj["spec"]["template"]["spec"]["containers"]
    return [",".join(box["name"] for box in containers), ",".join(box["image"] for box in containers)]


def _selector(obj: Object) -> str:
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


def _deployment(obj: Object, now: float) -> list[Any]:
    status, spec = obj["status"], obj["spec"]
    ready = f"{status.get('readyReplicas', 0)}/{spec['replicas']}"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return [obj["metadata"]["name"], ready, updated, available, _age(obj, now), *_images(obj), _selector(obj)]


def _replica_set(obj: Object, now: float) -> list[Any]:
    status = obj["status"]
    numbers = [obj["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *numbers, _age(obj, now), *_images(obj), _selector(obj)]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    ready = f"{obj['status'].get('readyReplicas', 0)}/{obj['spec']['replicas']}"
    return [obj["metadata"]["name"], ready, _age(obj, now), *_images(obj)]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    status = obj["status"]
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    numbers = [status.get(field, 0) for field in fields]
    return [obj["metadata"]["name"], *numbers, NONE, _age(obj, now), *_images(obj), _selector(obj)]


def _job(obj: Object, now: float) -> list[Any]:
    status = obj["status"]
    started, completed = status.get("startTime"), status.get("completionTime")
    lasted = ""
    if started:
        lasted = age_words((parse_rfc3339(completed) if completed else now) - parse_rfc3339(started))
    done = f"{status.get('succeeded', 0)}/{obj['spec'].get('completions', 1)}"
    return [obj["metadata"]["name"], done, lasted, _age(obj, now), *_images(obj), _selector(obj)]


def _cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj["status"]
    last = status.get("lastScheduleTime")
    boxes = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return [
        obj["metadata"]["name"],
        spec["schedule"],
        str(spec.get("suspend", False)),
        len(status.get("active") or []),
        age_words(now - parse_rfc3339(last)) if last else NONE,
        _age(obj, now),
        ",".join(box["name"] for box in boxes),
        ",".join(box["image"] for box in boxes),
        NONE,
    ]


def _node(obj: Object, now: float) -> list[Any]:
    conditions = {condition["type"]: condition["status"] for condition in obj["status"]["conditions"]}
    info = obj["status"]["nodeInfo"]
    status = "Ready" if conditions.get("Ready") == "True" else "NotReady"
    if obj["spec"].get("unschedulable"):
        status += ",SchedulingDisabled"
    return [
        obj["metadata"]["name"],
        status,
        NONE,
        _age(obj, now),
        info["kubeletVersion"],
        obj["status"]["addresses"][0]["address"],
        NONE,
        info["osImage"],
        info["kernelVersion"],
        info["containerRuntimeVersion"],
    ]


def _event(obj: Object, now: float) -> list[Any]:
    involved = obj["involvedObject"]
    target = f"{involved['kind'].lower()}/{involved['name']}"
    last, first = (age_words(now - parse_rfc3339(obj[key])) for key in ("lastTimestamp", "firstTimestamp"))
    source = ", ".join(filter(None, (obj["source"].get("component"), obj["source"].get("host"))))
    return [
        last, obj["type"], obj["reason"], target, involved.get("fieldPath", ""), source,
        obj["message"].strip(), first, obj["count"], obj["metadata"]["name"],
    ]  # fmt: skip


def _service(obj: Object, now: float) -> list[Any]:
    spec = obj["spec"]
    ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec["ports"])
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return [
        obj["metadata"]["name"],
        spec["type"],
        spec["clusterIP"],
        NONE,
        ports,
        _age(obj, now),
        selector or NONE,
    ]


def _namespace(obj: Object, now: float) -> list[Any]:
    return [obj["metadata"]["name"], obj["status"]["phase"], _age(obj, now)]


def _disruption_budget(obj: Object, now: float) -> list[Any]:
    spec = obj["spec"]
    bounds = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, obj["status"].get("disruptionsAllowed", 0), _age(obj, now)]


def _quota(obj: Object, now: float) -> list[Any]:
    hard, used = obj["spec"]["hard"], obj["status"].get("used") or {}
    said = {name: f"{name}: {used.get(name, 0)}/{amount}" for name, amount in sorted(hard.items())}
    limits = ", ".join(words for name, words in said.items() if name.startswith("limits."))
    rest = ", ".join(words for name, words in said.items() if not name.startswith("limits."))
    return [obj["metadata"]["name"], _age(obj, now), rest, limits]


def _autoscaler(obj: Object, now: float) -> list[Any]:
    spec, target = obj["spec"], obj["spec"]["scaleTargetRef"]
    metrics = [(one["resource"]["name"], one["resource"]["target"]) for one in spec["metrics"]]
    targets = ", ".join(f"{name}: <unknown>/{goal['averageUtilization']}%" for name, goal in metrics)
    numbers = [str(spec["minReplicas"]), spec["maxReplicas"], obj["status"].get("currentReplicas", 0)]
    return [obj["metadata"]["name"], f"{target['kind']}/{target['name']}", targets, *numbers, _age(obj, now)]


def _other(obj: Object, now: float) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"]["creationTimestamp"]]


_TEMPLATE = "|Containers*|Images*"
_TABLES: dict[str, tuple[str, Callable[[Object, float], list[Any]]]] = {
    "Pod": ("Name|Ready|Status|Restarts#|Age|IP*|Node*|Nominated Node*|Readiness Gates*", _pod),
    "Deployment": (f"Name|Ready|Up-to-date#|Available#|Age{_TEMPLATE}|Selector*", _deployment),
    "ReplicaSet": (f"Name|Desired#|Current#|Ready#|Age{_TEMPLATE}|Selector*", _replica_set),
    "StatefulSet": (f"Name|Ready|Age{_TEMPLATE}", _stateful_set),
    "DaemonSet": (
        f"Name|Desired#|Current#|Ready#|Up-to-date#|Available#|Node Selector|Age{_TEMPLATE}|Selector*",
        _daemon_set,
    ),
    "Job": (f"Name|Completions|Duration|Age{_TEMPLATE}|Selector*", _job),
    "CronJob": (f"Name|Schedule|Suspend|Active#|Last Schedule|Age{_TEMPLATE}|Selector*", _cron_job),
    "Node": (
        "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*",
        _node,
    ),
    "Event": ("Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*#|Name*", _event),
    "Service": ("Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*", _service),
    "Namespace": ("Name|Status|Age", _namespace),
    "PodDisruptionBudget": (
        "Name|Min Available|Max Unavailable|Allowed Disruptions#|Age",
        _disruption_budget,
    ),
    "ResourceQuota": ("Name|Age|Request|Limit", _quota),
    "HorizontalPodAutoscaler": ("Name|Reference|Targets|MinPods|MaxPods#|Replicas#|Age", _autoscaler),
}
"""Columns (`*`: only with -o wide, `#`: a number) and cells of each kind."""


@functools.cache
def columns_of(resource: Resource) -> list[dict[str, Any]]:
    """Return the column definitions of a kind."""
    names = _TABLES.get(resource.kind, ("Name|Created At", _other))[0].split("|")
    return [
        {
            "name": name.rstrip("*#"),
            "type": "integer" if name.endswith("#") else "string",
            "format": "name" if name == "Name" else "",
            "description": f"{name.rstrip('*#')} of the {resource.kind}.",
            "priority": 1 if "*" in name else 0,
        }
        for name in names
    ]


def row_of(resource: Resource, obj: Object, now: float) -> list[Any]:
    """Return the cells of one object."""
    return _TABLES.get(resource.kind, ("", _other))[1](obj, now)


_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'


def partial_metadata(entry: Entry) -> bytes:
    """Return an object's metadata as a PartialObjectMetadata."""
    return _PARTIAL + msgspec.json.encode(entry.object["metadata"]) + b"}"


class ResponseFormat(abc.ABC):
    """How objects are written."""

    @abc.abstractmethod
    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return one object, as for a get or a watch event."""

    @abc.abstractmethod
    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return many objects with the list's metadata."""

    def bookmark(self, resource: Resource, version: int) -> bytes:
        """Return the object of a bookmark event."""
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        return msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        )


def _listed(kind: str, api_version: str, metadata: dict[str, Any], items: Iterable[bytes]) -> bytes:
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'.encode()
    return b"".join((head, msgspec.json.encode(metadata), b',"items":[', b",".join(items), b"]}\n"))


class FullObjects(ResponseFormat):
    """Whole objects."""

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return the object with its kind."""
        return f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode() + entry.body[1:]

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return the objects, joined as they are stored."""
        return _listed(
            f"{resource.kind}List", resource.api_version, metadata, (entry.body for entry in entries)
        )


class MetadataOnly(ResponseFormat):
    """Metadata only."""

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return the object's metadata."""
        return partial_metadata(entry)

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return the metadata of all."""
        return _listed(
            "PartialObjectMetadataList", "meta.k8s.io/v1", metadata, map(partial_metadata, entries)
        )

    def bookmark(self, resource: Resource, version: int) -> bytes:
        """Return the object of a bookmark event."""
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        document = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return msgspec.json.encode(document)


class TableFormat(ResponseFormat):
    """Tables, as `kubectl get` prints them.

    Args:
        objects: what each row carries besides its cells: `Metadata`, `Object` or `None`.
    """

    def __init__(self, objects: str = "Metadata") -> None:
        self.objects = objects

    def one(self, resource: Resource, entry: Entry, now: float) -> bytes:
        """Return a table of one row."""
        return self.list(resource, [entry], {"resourceVersion": str(entry.version)}, now)

    def list(
        self, resource: Resource, entries: Iterable[Entry], metadata: dict[str, Any], now: float
    ) -> bytes:
        """Return a table."""
        rows = [self._row(resource, entry, now) for entry in entries]
        document = {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": columns_of(resource),
            "rows": rows,
        }
        return msgspec.json.encode(document) + b"\n"

    def _row(self, resource: Resource, entry: Entry, now: float) -> dict[str, Any]:
        row: dict[str, Any] = {"cells": row_of(resource, entry.object, now)}
        if self.objects == "Metadata":
            row["object"] = msgspec.Raw(partial_metadata(entry))
        elif self.objects == "Object":
            row["object"] = msgspec.Raw(FullObjects().one(resource, entry, now))
        return row


def negotiate_format(accept: str, include: str = "Metadata") -> ResponseFormat:
    """Return the first format in an Accept header that is served."""
    for offer in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in offer.split(";")[1:])
        if parameters.get("as") == "Table" and parameters.get("v") == "v1":
            return TableFormat(include)
        if parameters.get("as", "").startswith("PartialObjectMetadata"):
            return MetadataOnly()
        if not parameters.get("as"):
            return FullObjects()
    return FullObjects()
