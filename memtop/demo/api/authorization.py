"""Authorization: the emulated users, what each may do, and the review APIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memtop.demo.api.status_errors import ApiStatusError, details_of
from memtop.demo.api_resources import Resource

READING = frozenset({"get", "list", "watch"})
_GROUPS = ("", "apps", "batch", "policy", "autoscaling", "autoscaling.k8s.io")
_READABLE = frozenset(
    [
        "pods",
        "pods/log",
        "pods/status",
        "events",
        "namespaces",
        "nodes",
        "services",
        "endpoints",
        "configmaps",
        "serviceaccounts",
        "persistentvolumeclaims",
        "resourcequotas",
        "limitranges",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
        "daemonsets",
        "controllerrevisions",
        "jobs",
        "cronjobs",
        "poddisruptionbudgets",
        "horizontalpodautoscalers",
        "verticalpodautoscalers",
    ]
)


@dataclass(frozen=True, slots=True)
class User:
    """One user of the API.

    Attributes:
        name: its name; `DemoServer.kubeconfig` takes it.
        everything: whether it may do everything.
        reads: whether it may read what is not secret.
        namespace: the only namespace it may look at; None for all.
        reviews: whether it may create access reviews.
    """

    name: str
    everything: bool = False
    reads: bool = False
    namespace: str | None = None
    reviews: bool = True

    @property
    def token(self) -> str:
        """Its bearer token."""
        return f"demo-{self.name}"


USERS: Mapping[str, User] = {
    user.name: user
    for user in (
        User("admin", everything=True),
        User("readonly", reads=True),
        User("one-namespace", reads=True, namespace="production", reviews=False),
        User("nobody"),
    )
}


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """The attributes of a request that are authorized."""

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        """The resource with its subresource: `pods/log`."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


def allowed(user: User, verb: str, group: str, path: str, namespace: str | None) -> bool:
    """Return whether a user may do something (the same rules as RBAC).

    Args:
        user: the user.
        verb: `get`, `list`, `watch`, `create`, `patch`, `update` or `delete`.
        group: API group.
        path: resource, with its subresource after a slash.
        namespace: the namespace; None for the whole cluster.
    """
    if user.everything:
        return True
    if group in ("authorization.k8s.io", "authentication.k8s.io"):
        return user.reviews
    if not user.reads or verb not in READING:
        return False
    if user.namespace is not None and namespace != user.namespace:
        return False
    if group == "metrics.k8s.io":
        return verb != "watch"
    return group in _GROUPS and path in _READABLE


def authorize(user: User, ask: AccessRequest) -> None:
    """Raise the 403 of a real API server unless a user may do what is requested."""
    if allowed(user, ask.verb, ask.resource.group, ask.path, ask.namespace):
        return
    where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    named = f'{ask.resource.qualified} "{ask.name}"' if ask.name else ask.resource.qualified
    message = (
        f'{named} is forbidden: User "{user.name}" cannot {ask.verb} resource "{ask.path}" '
        f'in API group "{ask.resource.group}" {where}'
    )
    raise ApiStatusError(403, message, details=details_of(ask.resource, ask.name))


def rules_of(user: User) -> list[dict[str, list[str]]]:
    """Return a user's rules as a SelfSubjectRulesReview lists them."""
    if user.everything:
        return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    rules: list[dict[str, list[str]]] = []
    if user.reads:
        reading = sorted(READING)
        rules.append({"verbs": reading, "apiGroups": list(_GROUPS), "resources": sorted(_READABLE)})
        rules.append(
            {"verbs": ["get", "list"], "apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"]}
        )
    if user.reviews:
        reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
        rules.append({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": reviews})
    return rules


def access_review(document: dict[str, Any], user: User) -> dict[str, Any]:
    """Answer a SelfSubjectAccessReview."""
    spec = document.get("spec") or {}
    asked = spec.get("resourceAttributes")
    if asked is None:
        permitted = user.everything or user.reads
    else:
        path = asked.get("resource", "")
        if asked.get("subresource"):
            path = f"{path}/{asked['subresource']}"
        namespace = asked.get("namespace") or None
        permitted = allowed(user, asked.get("verb", ""), asked.get("group", ""), path, namespace)
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": document.get("apiVersion", "authorization.k8s.io/v1"),
        "metadata": {"creationTimestamp": None},
        "spec": spec,
        "status": {"allowed": permitted},
    }


def self_review(document: dict[str, Any], user: User) -> dict[str, Any]:
    """Answer a SelfSubjectReview: who am I?"""
    return {
        "kind": "SelfSubjectReview",
        "apiVersion": document.get("apiVersion", "authentication.k8s.io/v1"),
        "metadata": {"creationTimestamp": None},
        "status": {"userInfo": {"username": user.name, "groups": ["system:authenticated"]}},
    }


def rules_review(document: dict[str, Any], user: User) -> dict[str, Any]:
    """Answer a SelfSubjectRulesReview."""
    namespace = (document.get("spec") or {}).get("namespace")
    rules = rules_of(user) if user.namespace in (None, namespace) else []
    return {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": document.get("apiVersion", "authorization.k8s.io/v1"),
        "metadata": {"creationTimestamp": None},
        "spec": {},
        "status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": False},
    }
