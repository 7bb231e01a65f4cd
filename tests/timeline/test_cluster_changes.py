"""What changed around a workload, read from objects as the API has them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from memtop.analysis.memory_series import Series
from memtop.change.audit_log import AuditEntry, AuditField
from memtop.kube.json_object import Json
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision
from memtop.timeline.cluster_changes import (
    TimelineKind,
    audit_changes,
    configuration_changes,
    configuration_names,
    end_changes,
    event_changes,
    node_changes,
    pod_changes,
    rollout_changes,
    rollout_spans,
    scale_changes,
    unix_time,
)

REF = ObjectRef("Deployment", "shop", "cart")
NOON = "2026-11-29T12:00:00Z"
AT = unix_time(NOON) or 0.0


def _revision(number: int, image: str = "cart:v1", limit: int | None = 2**30, **more: object) -> Revision:
    fields: dict[str, object] = {
        "number": number,
        "name": f"cart-{number}",
        "created": AT + 3600.0 * number,
        "hash": f"h{number}",
        "images": {"app": image},
        "limits": {"app": limit},
        "requests": {"app": None},
        "change_cause": "",
        "replicas": 1,
        "current": False,
        "template": {"spec": {"containers": [{"name": "app", "image": image}]}},
    }
    return Revision(**(fields | more))  # type: ignore[arg-type]


def test_a_rollout_says_what_it_changed_when_and_who() -> None:
    """Image and limit against the revision before; the author is who wrote the template then."""
    newest = _revision(12, "registry.example/cart:v2.0.0", 2**31, change_cause="release 7")
    written = "2026-11-30T00:00:02Z"
    workload = {
        "metadata": {
            "managedFields": [
                {
                    "manager": "kubectl-set",
                    "time": written,
                    "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}},
                },
                {"manager": "hpa", "time": written, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]
        }
    }
    first, second = rollout_changes([newest, _revision(11)], workload, {})
    assert first.time == AT + 12 * 3600
    assert first.words == "revision 12: image v2.0.0, before v1, memory limit 1 GiB → 2 GiB – release 7"
    assert first.actor == "kubectl-set"
    assert first.name == "revision 12 (image v2.0.0)"
    assert second.words == "revision 11: the first that is still known"
    assert second.actor == "", "nobody wrote the template at that time"


def test_variables_are_named_and_their_values_never_told() -> None:
    """A password in a variable is nobody's business."""

    def template(value: str) -> dict[str, object]:
        return {"spec": {"containers": [{"name": "app", "env": [{"name": "DB_PASSWORD", "value": value}]}]}}

    told = list(
        rollout_changes(
            [_revision(2, template=template("s3cret")), _revision(1, template=template("hunter2"))], {}, {}
        )
    )
    assert "variables DB_PASSWORD" in told[0].words
    assert "s3cret" not in told[0].words
    assert "hunter2" not in told[0].words


def test_a_revision_that_was_gone_back_to_has_the_time_of_its_rollout() -> None:
    """Its creation is older than the revision it replaced."""
    back = _revision(13, created=AT, earlier=(11,))
    first, _ = rollout_changes([back, _revision(12)], {}, {13: AT + 50_000.0})
    assert first.time == AT + 50_000.0
    assert "which it had been before (11)" in first.words


def test_configuration_is_found_wherever_a_template_uses_it() -> None:
    """Volumes, environments and single variables; the cluster's own root is left out."""
    template = {
        "spec": {
            "volumes": [
                {"configMap": {"name": "files"}},
                {"secret": {"secretName": "tls"}},
                {
                    "projected": {
                        "sources": [
                            {"secret": {"name": "token"}},
                            {"configMap": {"name": "kube-root-ca.crt"}},
                        ]
                    }
                },
            ],
            "containers": [
                {
                    "name": "app",
                    "envFrom": [{"configMapRef": {"name": "environment"}}],
                    "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}}],
                }
            ],
        }
    }
    assert configuration_names(template) == {
        ("ConfigMap", "files"): "mounted",
        ("Secret", "tls"): "mounted",
        ("Secret", "token"): "mounted",
        ("ConfigMap", "environment"): "in the environment",
        ("Secret", "keys"): "in the environment",
    }


def test_a_configuration_changed_when_its_managed_fields_say_so() -> None:
    """Made and changed are told apart; what only pods that start again see is said."""
    metadata = {
        "metadata": {
            "creationTimestamp": NOON,
            "managedFields": [
                {"manager": "helm", "time": NOON},
                {"manager": "kubectl-edit", "time": "2026-11-29T14:02:00Z"},
            ],
        }
    }
    made, changed = configuration_changes("ConfigMap", "limits", "in the environment", metadata)
    assert (made.time, changed.time) == (AT, AT + 7320)
    assert changed.words == "ConfigMap limits changed (in the environment; pods see it when they start again)"
    assert changed.actor == "kubectl-edit"


def test_scale_nodes_and_events_are_read() -> None:
    """The scale subresource, a node under pressure, an autoscaler's step; other events tell of no change."""
    workload = {
        "spec": {"replicas": 7},
        "metadata": {"managedFields": [{"manager": "kubectl", "subresource": "scale", "time": NOON}]},
    }
    (scaled,) = scale_changes(workload, REF)
    assert scaled.words == "Deployment/cart scaled (to 7 pods now)"
    conditions = [
        {"type": "MemoryPressure", "status": "True", "lastTransitionTime": NOON},
        {"type": "Ready", "status": "True", "lastTransitionTime": NOON},
    ]
    (pressed,) = node_changes({"metadata": {"name": "n1"}, "status": {"conditions": conditions}})
    assert pressed.words == "node n1: memory pressure since then"
    events: list[Json] = [
        {"reason": "Pulled", "firstTimestamp": NOON, "message": "pulled"},
        {
            "reason": "SuccessfulRescale",
            "firstTimestamp": NOON,
            "message": "New size: 7",
            "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": "cart"},
        },
    ]
    (rescaled,) = event_changes(events)
    assert rescaled.kind is TimelineKind.AUTOSCALER
    assert rescaled.words == "HorizontalPodAutoscaler/cart: New size: 7"


def test_only_pods_made_without_a_rollout_are_a_change() -> None:
    """Those of a rollout are its own; several that were made together are one line."""

    def pod(name: str, at: str, node: str) -> dict[str, object]:
        return {"metadata": {"name": name, "creationTimestamp": at}, "spec": {"nodeName": node}}

    pods = [
        pod("cart-a", "2026-11-29T12:00:30Z", "n1"),
        pod("cart-b", "2026-11-29T15:00:00Z", "n2"),
        pod("cart-c", "2026-11-29T15:01:00Z", "n3"),
    ]
    (told,) = pod_changes(pods, rollout_spans({}, "Pod", [AT]))
    assert told.words == "2 pods made on n2, n3, without a rollout"


def _pods_every(minutes: float, count: int) -> list[Json]:
    return [
        {
            "metadata": {"name": f"cart-{number}", "creationTimestamp": _stamp(AT + 60 * minutes * number)},
            "spec": {"nodeName": "n1"},
        }
        for number in range(count)
    ]


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_late_pods_of_a_slow_rollout_are_its_own() -> None:
    """A rollout of twelve pods, one each ten minutes, makes its last two hours after it began."""
    assert not list(pod_changes(_pods_every(10, 12), rollout_spans({}, "DaemonSet", [AT])))


@pytest.mark.parametrize(
    ("through", "updated", "found"), [(90, 3, 0), (5, 3, 2), (5, 2, 0)], ids=["slow", "quick", "under way"]
)
def test_a_deployment_says_itself_until_when_new_pods_are_its_rollouts(
    through: float, updated: int, found: int
) -> None:
    """Pods made 40 and 80 minutes after it began are its own while it lasts, and nobody's afterwards."""
    told = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    deployment = {
        "spec": {"replicas": 3},
        "status": {
            "replicas": 3,
            "updatedReplicas": updated,
            "availableReplicas": 3,
            "conditions": [{**told, "lastUpdateTime": _stamp(AT + 60 * through)}],
        },
    }
    changes = list(pod_changes(_pods_every(40, 3), rollout_spans(deployment, "Deployment", [AT])))
    assert len(changes) == found


def test_the_audit_log_counts_for_this_workload_and_cluster_only() -> None:
    """What was applied, to this object, through this server."""

    def entry(outcome: str = "applied", name: str = "cart", server: str = "https://a") -> AuditEntry:
        return AuditEntry(
            NOON, "1", outcome, "set memory", "Deployment", "shop", name, "ctx", server, "ann",  # type: ignore[arg-type]
            (AuditField("spec.template.spec.containers[app].resources.limits.memory", "1Gi", "2Gi"),),
        )  # fmt: skip

    entries = [entry(), entry("declined"), entry(name="other"), entry(server="https://b")]
    (told,) = audit_changes(entries, REF, "https://a")
    assert told.actor == "ann"
    assert told.words.startswith("memtop: set memory (")
    assert "1Gi → 2Gi" in told.words


def test_ends_between_two_changes_are_one_line() -> None:
    """A hundred kills do not push the rollout off the screen; a restart after a kill is not told twice."""
    kills = np.asarray(AT + 600.0 * np.arange(20.0))
    series = {"cart-a": Series(np.empty(0), np.empty(0), restarts=kills + 30.0, oom_kills=kills)}
    before, after = end_changes(series, [AT + 6100.0])
    assert before.words == "11 OOM kills of cart-a in 1 h 40 m"
    assert after.words == "9 OOM kills of cart-a in 1 h 20 m"
    assert before.time == AT
    assert not before.kind.may_cause


@pytest.mark.parametrize("written", ["", "yesterday", "0001-01-01T00:00:00Z"])
def test_a_time_that_is_none_is_unknown(written: str) -> None:
    """Nonsense from a server is no moment."""
    assert unix_time(written) is None
