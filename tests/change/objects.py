"""Workloads for tests, with as little in them as counts."""

from memtop.change import workload_state
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision

NAMESPACE = "production"


def ref(kind="Deployment", name="shop"):
    return ObjectRef(kind, NAMESPACE, name)


def container(name="main", image="shop:v1", limit="512Mi", request="128Mi", **more):
    resources = {}
    if limit:
        resources["limits"] = {"memory": limit}
    if request:
        resources["requests"] = {"memory": request}
    return {"name": name, "image": image, "resources": resources, **more}


def workload(kind="Deployment", *, containers=None, init=(), spec=None, status=None, metadata=None):
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": list(containers or [container()]), "initContainers": list(init)},
    }
    base = {"template": template, "selector": {"matchLabels": {"app": "shop"}}}
    if kind in {"Deployment", "StatefulSet"}:
        base["replicas"] = 3
    return {
        "kind": kind,
        "metadata": {
            "name": "shop", "namespace": NAMESPACE, "uid": "u1", "resourceVersion": "7", **(metadata or {}),
        },
        "spec": base | (spec or {}),
        "status": status or {},
    }  # fmt: skip


def subject_of(kind="Deployment", revisions=(), note="", **options):
    return workload_state.workload_from_object(ref(kind), workload(kind, **options), tuple(revisions), note)


def revision(number, *, image="shop:v1", current=False, created=0.0, cause="", template=None, replicas=0):
    return Revision(
        number=number,
        name=f"shop-{number}",
        created=created,
        hash=str(number),
        images={"main": image},
        limits={"main": None},
        requests={"main": None},
        change_cause=cause,
        replicas=replicas,
        current=current,
        template=template or {"metadata": {}, "spec": {"containers": [container(image=image)]}},
    )
