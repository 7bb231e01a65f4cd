"""How workloads came into the cluster, and the traces that kubectl, Helm, Argo CD and Flux leave on them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from memtop.demo.ownership import Manager, Path, claim, leaves, paths_in
from memtop.demo.resources import Resource
from memtop.demo.store import Object
from memtop.demo.world.apps import App

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
REVISION = "deployment.kubernetes.io/revision"

_MANAGERS = {
    "kubectl": Manager("kubectl-client-side-apply"),
    "helm": Manager("helm"),
    "argocd": Manager("argocd-controller", "Apply"),
    "flux": Manager("kustomize-controller", "Apply"),
}
_CONTROLLERS = Manager("kube-controller-manager", subresource="status")
_SET = Manager("kubectl-set")


def delivered(app: App, resource: Resource, obj: Object, now: float) -> Object:
    """Return a workload with the labels, annotations and managed fields of what delivered it."""
    metadata = dict(obj["metadata"])
    labels, annotations = _traces(app, resource, obj)
    metadata["labels"] = {**metadata["labels"], **labels}
    metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    traced = {**obj, "metadata": metadata}
    created = now - app.age
    every = set(leaves(traced))
    controllers = {path for path in every if path[-1] == f"f:{REVISION}"}
    by_hand = _images(every) if app.cause else set()
    managed = [claim(_MANAGERS[app.delivery], resource, every - controllers - by_hand, created)]
    if by_hand:
        managed.append(claim(_SET, resource, by_hand, now - app.revision_age(len(app.earlier))))
    status: set[Path] = set(paths_in({"f:status": {"f:observedGeneration": {}, "f:replicas": {}}}))
    managed.append(claim(_CONTROLLERS, resource, controllers | status, now))
    metadata["managedFields"] = managed
    return traced


def _images(paths: Iterable[Path]) -> set[Path]:
    return {path for path in paths if path[-1] == "f:image" and "f:containers" in path}


def _traces(app: App, resource: Resource, obj: Object) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels and annotations."""
    match app.delivery:
        case "helm":
            release = {"meta.helm.sh/release-name": app.name, "meta.helm.sh/release-namespace": app.namespace}
            return {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": f"{app.name}-0.9.2"}, release
        case "argocd":
            tracked = f"{app.namespace}:{resource.group}/{resource.kind}:{app.namespace}/{app.name}"
            return {"app.kubernetes.io/instance": app.namespace}, {"argocd.argoproj.io/tracking-id": tracked}
        case "flux":
            prefix = "kustomize.toolkit.fluxcd.io"
            return {f"{prefix}/name": app.namespace, f"{prefix}/namespace": "flux-system"}, {}
        case _:
            return {}, {LAST_APPLIED: _manifest(app, resource, obj)}


def _manifest(app: App, resource: Resource, obj: Object) -> str:
    """Return what was applied, as kubectl notes it."""
    metadata = {"annotations": {}, "labels": obj["metadata"]["labels"]}
    document = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**metadata, "name": app.name, "namespace": app.namespace},
        "spec": obj["spec"],
    }
    return msgspec.json.encode(document, order="sorted").decode() + "\n"
