"""The resource types that the embedded cluster serves, and the documents of API discovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERSION = "v1.36.2"
"""The Kubernetes version that is emulated."""
READ = ("get", "list", "watch")
CHANGE = ("delete", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type.

    Attributes:
        group: API group, empty for core.
        version: API version within the group.
        kind: the kind of its objects.
        plural: its name in paths.
        namespaced: whether its objects live in a namespace.
        short: short names kubectl accepts.
        verbs: the verbs it supports.
        subresources: `(name, kind, verbs)` of its subresources.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CHANGE
    subresources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Its name in error messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_SCALE = (("scale", "Scale", ("get", "patch", "update")),)

PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    short=("po",),
    subresources=(
        ("log", "Pod", ("get",)),
        ("resize", "Pod", ("get", "patch", "update")),
        ("status", "Pod", ("get",)),
    ),
)
EVENTS = Resource("", "v1", "Event", "events", short=("ev",), verbs=READ)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False, short=("ns",), verbs=READ)
NODES = Resource("", "v1", "Node", "nodes", namespaced=False, short=("no",), verbs=READ)
SERVICES = Resource(
    "",
    "v1",
    "Service",
    "services",
    short=("svc",),
    verbs=READ,
    subresources=(("proxy", "ServiceProxyOptions", ("get",)),),
)
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", short=("ep",), verbs=READ)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", short=("cm",), verbs=("create", *CHANGE))
SECRETS = Resource("", "v1", "Secret", "secrets", verbs=READ)
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", short=("sa",), verbs=READ)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short=("pvc",), verbs=READ)
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", short=("quota",), verbs=READ)
LIMIT_RANGES = Resource("", "v1", "LimitRange", "limitranges", short=("limits",), verbs=READ)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", short=("deploy",), subresources=_SCALE)
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", short=("rs",), subresources=_SCALE)
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets", short=("sts",), subresources=_SCALE)
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", short=("ds",))
REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions", verbs=READ)
JOBS = Resource("batch", "v1", "Job", "jobs")
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", short=("cj",))
DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short=("pdb",), verbs=READ
)
AUTOSCALERS = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short=("hpa",), verbs=READ
)
VERTICAL_AUTOSCALERS = Resource(
    "autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers", short=("vpa",), verbs=READ
)

STORED = (
    PODS,
    EVENTS,
    NAMESPACES,
    NODES,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    CLAIMS,
    QUOTAS,
    LIMIT_RANGES,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REVISIONS,
    JOBS,
    CRON_JOBS,
    DISRUPTION_BUDGETS,
    AUTOSCALERS,
    VERTICAL_AUTOSCALERS,
)
"""The resources that the store holds."""

BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in STORED}
BY_KIND = {(resource.group, resource.kind): resource for resource in STORED}

METRICS_GROUP = "metrics.k8s.io"
POD_METRICS = Resource(METRICS_GROUP, "v1beta1", "PodMetrics", "pods", verbs=("get", "list"))
NODE_METRICS = Resource(
    METRICS_GROUP, "v1beta1", "NodeMetrics", "nodes", namespaced=False, verbs=("get", "list")
)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
)
RULES_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
)
SELF_REVIEWS = Resource(
    "authentication.k8s.io",
    "v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
)

SERVED = (*STORED, POD_METRICS, NODE_METRICS, ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS)
"""The resources that discovery lists."""


def version_document() -> dict[str, str]:
    """Return the answer to `/version`."""
    major, minor, _ = VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{VERSION}+memtop-demo",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2024-12-11T18:00:00Z",
        "goVersion": "go1.22.9",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> dict[str, Any]:
    """Return the answer to `/api`."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def group_list() -> dict[str, Any]:
    """Return the answer to `/apis`."""
    names = sorted({resource.group for resource in SERVED if resource.group})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group_document(name) for name in names]}


def group_document(name: str) -> dict[str, Any] | None:
    """Return the answer to `/apis/GROUP`, None if there is no such group."""
    if not any(resource.group == name for resource in SERVED):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group_document(name)}


def _group_document(name: str) -> dict[str, Any]:
    versions = sorted({resource.version for resource in SERVED if resource.group == name})
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(group: str, version: str) -> dict[str, Any] | None:
    """Return the answer to `/apis/GROUP/VERSION`, None if there is no such version."""
    found = [resource for resource in SERVED if (resource.group, resource.version) == (group, version)]
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": [document for resource in found for document in _resource_documents(resource)],
    }


def _resource_documents(resource: Resource) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short:
        main["shortNames"] = list(resource.short)
    if (
        resource.plural
        in (
            "pods",
            "services",
            "deployments",
            "replicasets",
            "statefulsets",
            "daemonsets",
            "jobs",
            "cronjobs",
        )
        and resource.group != "metrics.k8s.io"
    ):
        main["categories"] = ["all"]
    subresources = [
        {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind,
            "verbs": list(verbs),
        }
        for name, kind, verbs in resource.subresources
    ]
    return [main, *subresources]
