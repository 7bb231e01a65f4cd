"""What a plan says before anything is run: the command, the risks with figures, and where things go."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from memtop.heap.capture_methods import CaptureMethod, viewer_for
from memtop.heap.capture_plan import (
    CaptureConstraints,
    NothingToCaptureError,
    capture_constraints,
    plans_from_probe,
)
from memtop.heap.container_probe import ContainerProbe
from memtop.kube.container_exec import ContainerRef

PLACE = ContainerRef("production", "billing-0", "billing")
GIB = 1024**3
NOWHERE = Path("/home/nobody")
NONE = CaptureConstraints()


@pytest.fixture
def proposed(answered):
    """``proposed("jvm-cgroup-v1", **sections)``: the plans for a sample, with some sections replaced."""

    def make(name, around=NONE, free=50 * GIB, shell=True, **sections):
        asked = answered(name)
        changed = {section.replace("_", " "): text for section, text in sections.items()}
        probe = ContainerProbe({**asked.sections, **changed}, shell)
        return plans_from_probe(PLACE, probe, around, NOWHERE, free, "20250101-000000")

    return make


def grave(plan):
    return [risk.sentence for risk in plan.risks() if risk.is_severe]


def test_a_healthy_jvm_has_no_grave_risk_and_all_facts(proposed):
    plan = proposed("jvm-cgroup-v1")[0]
    facts = dict(plan.facts())
    assert grave(plan) == []
    assert facts["runs there"] == plan.capture.command_text
    assert "limit 192 MiB" in facts["memory"]
    assert facts["written there"].startswith("/tmp/memtop-20250101-000000-1.hprof (71.9 GiB free)")
    assert facts["kept here"].startswith(
        "/home/nobody/production_billing-0_billing_20250101-000000.hprof (50 GiB free)"
    )
    assert any("stands still" in risk.sentence for risk in plan.risks())
    assert any("secrets included" in risk.sentence for risk in plan.risks())
    assert viewer_for(plan.target).name == "Eclipse MAT"


def test_near_the_limit_it_says_that_the_dump_itself_may_kill(proposed, answered):
    used = str(185 * 1024 * 1024)
    stat = answered("jvm-cgroup-v1").text("v1 memory.stat")
    stat = "\n".join(f"total_inactive_file 0\ntotal_cache 0\ntotal_rss {used}\n{stat}".splitlines()[:3])
    sections = {"v1 memory.usage_in_bytes": used, "v1 memory.stat": stat}
    asked = answered("jvm-cgroup-v1")
    probe = ContainerProbe({**asked.sections, **sections})
    plan = plans_from_probe(PLACE, probe, CaptureConstraints(), NOWHERE, 50 * GIB, "s")[0]
    said = " ".join(grave(plan))
    assert "near its limit already (working set 185 MiB of 192 MiB (96 %))" in said
    assert "takes about 24 MiB and only 7 MiB is left" in said
    assert "may itself cause the OOM kill" in said


def test_disks_that_are_too_small_are_named_on_both_ends(proposed):
    space = "Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 100000 99000 500 99% /\n"
    plan = proposed("jvm-cgroup-v1", CaptureConstraints(disk_limit=1024), free=500, space=space)[0]
    said = " ".join(grave(plan))
    assert "Only 500 B is free here" in said
    assert "Only 500 KiB is free in the container" in said
    assert "1 KiB (ephemeral-storage) before its pod is evicted" in said


def test_a_tmpfs_counts_as_memory(proposed):
    plan = proposed("jvm-cgroup-v1", mounts="overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n")[0]
    assert any("/tmp is a tmpfs" in words for words in grave(plan))


def test_where_nothing_can_be_written_there_is_still_something_to_do(proposed):
    plans = proposed("jvm-cgroup-v1", writable="")
    assert not plans[0].capture.missing
    assert plans[0].capture.method is CaptureMethod.OUTPUT
    assert (
        "neither to /tmp nor" in plans[-2].capture.missing
        or "neither to /tmp nor" in plans[-1].capture.missing
    )


def test_a_liveness_probe_that_would_restart_it_is_named(proposed):
    plan = proposed("jvm-cgroup-v1", CaptureConstraints(liveness=30.0))[0]
    assert any("no answer for about 30 s" in risk.sentence for risk in plan.risks())


def test_what_was_left_before_is_offered_after_what_can_be_captured_anew(proposed):
    left = "-rw-------    1 0        0         11927923 Nov 22 17:04 /tmp/memtop-20251122-170400-1.hprof\n"
    plans = proposed("jvm-cgroup-v1", left=left)
    found = next(plan for plan in plans if plan.capture.method is CaptureMethod.LEFT)
    assert found.capture.size == 11927923
    assert found.target.name == "production_billing-0_billing_20251122-170400-1.hprof"
    assert plans[0].capture.method is CaptureMethod.FILE
    assert not any(plan.capture.missing for plan in plans[: plans.index(found)])


def test_without_a_shell_only_what_needs_none_is_offered(proposed):
    assert {plan.capture.method for plan in proposed("jvm-cgroup-v1", shell=False)} <= {
        CaptureMethod.OUTPUT,
        CaptureMethod.PORT,
    }


def test_only_declared_ports_are_asked_on_the_nodes_network(proposed):
    around = CaptureConstraints(ports=(9090,), host_network=True)
    plans = proposed("go-cgroup-v1", around, go="/proc/1/exe\n")
    assert [plan.capture.port for plan in plans if "profile" in plan.capture.title] == [9090]


def test_no_process_no_plan():
    with pytest.raises(NothingToCaptureError):
        plans_from_probe(PLACE, ContainerProbe({}), CaptureConstraints(), NOWHERE, 0, "s")


def test_a_pods_specification_is_read_for_what_a_capture_runs_into():
    container = {
        "name": "billing",
        "livenessProbe": {"periodSeconds": 5},
        "resources": {"limits": {"ephemeral-storage": "1Gi", "memory": "2Gi"}},
        "ports": [{"containerPort": 8080}, {"name": "odd"}],
    }
    pod = {"spec": {"containers": [{"name": "other"}, container], "hostNetwork": True}}
    read = capture_constraints(json.dumps(pod).encode(), "billing")
    assert read == CaptureConstraints(15.0, GIB, (8080,), True)
    assert capture_constraints(json.dumps(pod).encode(), "other") == replace(
        CaptureConstraints(), host_network=True
    )
    assert capture_constraints(b"{}", "x") == CaptureConstraints()
