"""Pods as Kubernetes 1.36 tells of them: resized in place, limited as a whole, all kinds of container."""

import json

import msgspec
import pytest

from memtop.kube.api_objects import Node, PartialObjectMetadata, Pod, PodMetrics, PodMetricsList
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.pod_facts import ContainerKind, container_facts
from memtop.logs.log_request import restart_count
from memtop.observe.container_store import INITIAL_SLOTS, ContainerStore
from memtop.observe.sample_rings import SampleHistory

MI = 2**20
NOW = 1795900360.0  # 2026-11-28 21:12:40, just after the samples were taken


@pytest.fixture
def pods(recording):
    def read(name):
        whole = json.loads(recording(f"modern/{name}"))
        items = whole.get("items", [whole])
        return {one["metadata"]["name"]: msgspec.convert(one, Pod) for one in items}

    return read


def by_name(pod):
    return {facts.name: facts for facts in container_facts(pod)}


@pytest.mark.parametrize(
    ("name", "limit", "request_", "state"),
    [
        ("before", 96, 64, "Running"),
        ("done", 192, 80, "Running"),
        (
            "deferred",
            192,
            80,
            "Running, resize to 10.7 GiB deferred: Node didn't have enough resource: memory, requested: "
            "11324620800, used: 1753219072, capacity: 12230651904",
        ),
        (
            "below-use",
            192,
            80,
            "Running, resize to 20 MiB in progress: a limit below what is in use does not take effect",
        ),
        ("restart-done", 192, 80, "Running"),
    ],
)
def test_the_limit_that_holds_is_that_of_the_status(pods, name, limit, request_, state):
    (pod,) = pods(f"pod-resizable-{name}.json").values()
    facts = by_name(pod)["app"]
    assert (facts.limit, facts.request) == (limit * MI, request_ * MI)
    assert facts.state_with_notes == state


def resized(status, **of_pod):
    """A pod whose container was given 64 MiB, and what its status says of that."""
    return msgspec.convert(
        {
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}]},
            "status": {"containerStatuses": [{"name": "app", **status}], **of_pod},
        },
        Pod,
    )


RUNNING = {"running": {"startedAt": "2026-11-28T21:10:35Z"}}


def test_a_limit_that_a_container_was_given_but_does_not_have_yet_does_not_hold():
    (facts,) = container_facts(resized({"state": RUNNING, "resources": {}}))
    assert facts.limit is None


def test_what_does_not_run_starts_with_the_limit_of_its_specification():
    (facts,) = container_facts(resized({"state": {"waiting": {}}, "resources": {}}))
    assert facts.limit == 64 * MI


def test_servers_before_1_33_tell_of_a_resize_in_a_field_of_its_own():
    held = {"state": RUNNING, "resources": {"limits": {"memory": "32Mi"}}}
    (facts,) = container_facts(resized(held, resize="Infeasible"))
    assert facts.state_with_notes == "Running, resize to 64 MiB infeasible"


def test_the_limit_of_the_pod_holds_for_containers_that_have_none(pods):
    found = pods("pods-modern.json")
    level = by_name(found["pod-level-5d59585fd4-flbsd"])
    assert {name: (one.limit, one.limit_of_pod) for name, one in level.items()} == {
        "leaky": (160 * MI, True),
        "calm": (160 * MI, True),
    }
    for name, pod in found.items():
        if not name.startswith("pod-level"):
            assert not any(one.limit_of_pod or one.pod_limited for one in container_facts(pod)), name


def test_every_kind_of_container_is_told_apart(pods):
    (pod,) = pods("pod-with-ephemeral-container.json").values()
    assert {name: one.kind for name, one in by_name(pod).items()} == {
        "app": ContainerKind.CONTAINER,
        "dbg": ContainerKind.EPHEMERAL,
    }
    assert by_name(pod)["dbg"].state == "Running"
    sidecar = by_name(pods("pods-modern.json")["sidecar-leak-6dcfff94c4-kzlnp"])
    assert {name: (one.kind, one.state) for name, one in sidecar.items()} == {
        "app": (ContainerKind.CONTAINER, "Running"),
        "migrate": (ContainerKind.INIT, "Completed"),
        "proxy": (ContainerKind.SIDECAR, "OOMKilled"),
    }


def test_a_restart_rule_leaves_its_reason_and_code(pods):
    facts = by_name(pods("pods-modern.json")["restart-rules"])
    assert (facts["retry"].state, facts["retry"].restarts) == ("Error (42)", 19)
    assert facts["keep"].state == "killed (137)"


@pytest.mark.parametrize("reason", ["ContainerStatusUnknown", "RestartingAllContainers"])
def test_a_reported_reason_is_not_replaced_by_what_the_code_seems_to_say(reason):
    end = {"terminated": {"reason": reason, "exitCode": 137, "startedAt": None, "finishedAt": None}}
    (facts,) = container_facts(resized({"state": RUNNING, "lastState": end}))
    (last,) = facts.terminations
    assert last.words() == f"{reason} (137)"
    assert (last.started_at, last.finished_at) == (None, None)


def test_the_zero_time_is_no_time():
    end = {
        "terminated": {
            "exitCode": 137,
            "startedAt": "0001-01-01T00:00:00Z",
            "finishedAt": "0001-01-01T00:00:00Z",
        }
    }
    (facts,) = container_facts(resized({"state": RUNNING, "lastState": end}))
    assert (facts.terminations[0].started_at, facts.terminations[0].finished_at) == (None, None)


def test_nothing_that_a_current_server_sends_is_left_unread(recording):
    for name, kind in (
        ("pods-modern", Pod),
        ("podmetrics-modern", PodMetrics),
        ("nodes", Node),
        ("deployments-modern", PartialObjectMetadata),
    ):
        for item in json.loads(recording(f"modern/{name}.json"))["items"]:
            raw = json.dumps(item).encode()
            assert decode_lenient(raw, kind, name) == msgspec.json.decode(raw, type=kind)


def test_memory_is_what_kubectl_top_says(recording, pods):
    store = ContainerStore(SampleHistory(INITIAL_SLOTS, 15.0, 3600.0, 1.0, 24))
    for pod in pods("pods-modern.json").values():
        store.put_pod(pod, NOW)
    listed = decode_lenient(recording("modern/podmetrics-modern.json"), PodMetricsList, "samples")
    store.put_metrics(listed.items, NOW)
    lines = recording("modern/kubectl-top-modern.txt").decode().splitlines()[1:]
    assert len(lines) == 7
    for line in lines:
        pod, container, _, memory = line.split()
        slot = store.slot_named("modern", pod, container)
        assert f"{store.columns.working_set[slot] // MI:.0f}Mi" == memory, line


def test_the_restarts_of_a_sidecar_count_where_a_pod_is_chosen_by_them(recording):
    counts = {
        one["metadata"]["name"]: restart_count(one)
        for one in json.loads(recording("modern/pods-modern.json"))["items"]
    }
    assert counts["sidecar-leak-6dcfff94c4-kzlnp"] == 2
    assert counts["pod-level-5d59585fd4-flbsd"] == 13
