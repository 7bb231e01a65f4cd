"""Access reviews: what may I do?"""

from __future__ import annotations

from typing import Any

from memtop.demo.api.rbac import User, allowed, rules_of


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
