"""Node objects."""

from __future__ import annotations

from memtop.demo.clock import rfc3339
from memtop.demo.curves import DAY
from memtop.demo.objects import metadata_of, uid_of
from memtop.demo.scheduler import Host
from memtop.demo.store import Object

VERSION = "v1.31.4"


def node_object(host: Host, now: float, *, pressed: bool, seed: int) -> Object:
    """Return a node; `pressed` says whether it reports MemoryPressure."""
    booted = now - 60 * DAY
    memory = f"{host.memory // 1024}Ki"
    conditions = [
        _condition("MemoryPressure", pressed, now - 5.6 * 3600 if pressed else booted, now),
        _condition("DiskPressure", False, booted, now),
        _condition("PIDPressure", False, booted, now),
        _condition("Ready", True, booted, now),
    ]
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": host.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{'abc'[len(host.name) % 3]}",
    }
    spec: Object = {}
    if pressed:
        spec["taints"] = [{"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}]
    return {
        "metadata": metadata_of(
            host.name, uid=uid_of(seed, "Node", host.name), created=booted, labels=labels
        ),
        "spec": spec,
        "status": {
            "capacity": {"cpu": "8", "memory": memory, "pods": "250"},
            "allocatable": {
                "cpu": "7800m",
                "memory": f"{host.allocatable // 1024}Ki",
                "pods": "250",
            },
            "conditions": conditions,
            "addresses": [
                {"type": "InternalIP", "address": host.address},
                {"type": "Hostname", "address": host.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": uid_of(seed, host.name, "machine").replace("-", ""),
                "systemUUID": uid_of(seed, host.name, "system"),
                "bootID": uid_of(seed, host.name, "boot"),
                "kernelVersion": "6.1.0-28-amd64",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://1.7.24",
                "kubeletVersion": VERSION,
                "kubeProxyVersion": VERSION,
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


_WORDS = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", "memory"),
    "DiskPressure": ("KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "disk"),
    "PIDPressure": ("KubeletHasInsufficientPID", "KubeletHasSufficientPID", "PID"),
}


def _condition(kind: str, holds: bool, since: float, now: float) -> Object:
    if kind == "Ready":
        reason, message = "KubeletReady", "kubelet is posting ready status"
    else:
        bad, good, what = _WORDS[kind]
        reason = bad if holds else good
        message = f"kubelet has {'insufficient' if holds else 'sufficient'} {what} available"
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": rfc3339(since),
        "reason": reason,
        "message": message,
    }
