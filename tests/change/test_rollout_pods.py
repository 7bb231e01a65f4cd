"""A pod of a rollout in one line."""

from __future__ import annotations

import msgspec
import pytest

from memtop.change.rollout_model import rollout_pod
from memtop.kube.api_objects import Pod
from memtop.kube.pod_facts import StateSeverity

RUNNING = {"running": {"startedAt": "2026-11-22T10:00:00Z"}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def line(containers, init=(), phase="Running", memory=None, limits=("64Mi", "64Mi"), **metadata):
    """The line of a pod with containers as ``(state, ready)`` and init containers as states."""
    found = {
        "metadata": {"name": "api-1", "uid": "u", "creationTimestamp": "2026-11-22T10:00:00Z", **metadata},
        "spec": {
            "containers": [
                {"name": f"c{at}", "resources": {"limits": {"memory": limits[at]} if limits[at] else {}}}
                for at in range(len(containers))
            ],
            "initContainers": [{"name": f"i{at}"} for at in range(len(init))],
        },
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": f"c{at}", "state": state, "ready": ready, "restartCount": 1}
                for at, (state, ready) in enumerate(containers)
            ],
            "initContainerStatuses": [{"name": f"i{at}", "state": state} for at, state in enumerate(init)],
        },
    }
    pod = msgspec.convert(found, Pod, strict=False)
    return rollout_pod(pod, new=True, revision=7, memory={} if memory is None else {"api-1": memory})


@pytest.mark.parametrize(
    ("made", "state", "mood", "works"),
    [
        (line([(RUNNING, True), (RUNNING, True)]), "Running", StateSeverity.RUNNING, True),
        (line([(RUNNING, True), (RUNNING, False)]), "not ready", StateSeverity.WAITING, False),
        (line([(CREATING, False)], phase="Pending"), "ContainerCreating", StateSeverity.WAITING, False),
        (line([(CREATING, False)], [DONE, RUNNING], "Pending"), "Init:1/2", StateSeverity.WAITING, False),
        (
            line([(CREATING, False)], [{"waiting": {"reason": "CrashLoopBackOff"}}], "Pending"),
            "Init:CrashLoopBackOff",
            StateSeverity.FAILING,
            False,
        ),
        (line([(RUNNING, True)], [DONE]), "Running", StateSeverity.RUNNING, True),
        (
            line([(RUNNING, True), ({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, False)]),
            "OOMKilled",
            StateSeverity.OOM,
            False,
        ),
        (
            line([(RUNNING, True)], deletionTimestamp="2026-11-22T10:00:00Z"),
            "Terminating",
            StateSeverity.WAITING,
            False,
        ),
        (line([(DONE, False)], phase="Failed"), "Failed", StateSeverity.FAILING, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_state_in_a_word(made, state, mood, works):
    assert (made.state, made.severity, made.is_working) == (state, mood, works)


def test_its_figures_are_those_of_all_containers():
    made = line([(RUNNING, True), (RUNNING, True)], memory=2.0**20)
    assert (made.ready, made.containers, made.restarts) == (2, 2, 2)
    assert (made.memory, made.limit) == (2**20, 128 * 2**20)


def test_what_is_unknown_or_unlimited_is_no_number():
    made = line([(RUNNING, True), (RUNNING, True)], limits=("64Mi", ""))
    assert (made.memory, made.limit) == (None, None)


def test_the_container_that_asks_most_for_attention_speaks_for_the_pod():
    assert line([(RUNNING, True), ({"waiting": {"reason": "ErrImagePull"}}, False)]).worst_container == "c1"
