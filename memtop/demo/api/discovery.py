"""API discovery: which groups, versions and resources there are."""

from __future__ import annotations

from typing import Any

from memtop.demo.resources import SERVED, Resource
from memtop.demo.world.nodes import VERSION


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
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in names]}


def group_document(name: str) -> dict[str, Any] | None:
    """Return the answer to `/apis/GROUP`, None if there is no such group."""
    if not any(resource.group == name for resource in SERVED):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def _group(name: str) -> dict[str, Any]:
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
        "resources": [document for resource in found for document in _documents(resource)],
    }


def _documents(resource: Resource) -> list[dict[str, Any]]:
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
