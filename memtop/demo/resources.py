"""The kinds the embedded cluster knows, as API discovery names them."""

from __future__ import annotations

from dataclasses import dataclass

READ = ("get", "list", "watch")
CHANGE = ("delete", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type.

    Attributes:
        group: API group, empty for core.
        version: API version within the group.
        kind: the kind of its objects.
        plural: how paths name it.
        namespaced: whether its objects live in a namespace.
        short: short names kubectl accepts.
        verbs: what it can be asked.
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
        """How error messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_SCALE = (("scale", "Scale", ("get", "patch", "update")),)

PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    short=("po",),
    subresources=(("log", "Pod", ("get",)), ("status", "Pod", ("get",))),
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
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", short=("cm",), verbs=READ)
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
"""What the store holds."""

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
"""Everything discovery lists."""
