"""What kubectl printed of the same objects at the same time, line by line."""

import copy
import json
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtop.describe.formatting import ZonedNow
from memtop.describe.memory_section import PodSurroundings, memory_lines
from memtop.describe.node_description import describe_node
from memtop.describe.pod_description import describe_pod
from memtop.describe.workload_description import describe_workload
from memtop.kube.json_object import sanitize_tree, yaml_lines

RECORDINGS = Path(__file__).parent.parent / "recordings" / "describe"
CASES = sorted(path.stem for path in RECORDINGS.glob("*.json"))


def recorded(case):
    return json.loads((RECORDINGS / f"{case}.json").read_text())


def described(case):
    found, moment = case["object"], ZonedNow(case["now"], UTC, case.get("minor", 33))
    if found.get("kind") == "Pod":
        return describe_pod(found, case["events"], moment)
    if found.get("kind") == "Node":
        return describe_node(found, case["related"], case["lease"], case["events"], moment)
    return describe_workload(found["kind"], found, case["related"], case["events"], moment)


def test_there_is_a_case_of_every_kind():
    kinds = {recorded(case)["object"]["kind"] for case in CASES}
    assert kinds == {
        "Pod", "Node", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_line_is_kubectls(case):
    assert described(recorded(case)) == (RECORDINGS / f"{case}.txt").read_text().splitlines()


def test_events_that_could_not_be_had_are_left_out():
    case = recorded("pod")
    lines = describe_pod(case["object"], None, ZonedNow(case["now"], UTC))
    assert not any(line.startswith("Events") for line in lines)
    assert lines == [line for line in described({**case, "events": []}) if not line.startswith("Events:")]


def test_pods_and_a_lease_that_are_forbidden_are_said_to_be():
    case = recorded("node")
    lines = describe_node(case["object"], None, "leases is forbidden", [], ZonedNow(case["now"], UTC))
    assert any(line.split() == ["Pods:", "not", "authorized"] for line in lines)
    assert any("Failed to get lease: leases is forbidden" in line for line in lines)


def test_pods_of_a_workload_that_are_forbidden_are_said_to_be():
    case = recorded("stateful-set")
    lines = describe_workload(
        "StatefulSet", case["object"], "pods is forbidden", [], ZonedNow(case["now"], UTC)
    )
    assert any("error in fetching pods: pods is forbidden" in line for line in lines)


nonsense = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([None, 1, "x", {}]), st.just({"x": None, "y": [1]}), st.just("2026-13-45T99:00:00Z"),
)  # fmt: skip


def paths(value, at=()):
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*at, key))


@pytest.mark.parametrize(
    "case", ["pod", "node", "deployment", "stateful-set", "daemon-set", "job", "cron-job"]
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nonsense_anywhere_crashes_nothing(case, data):
    found = copy.deepcopy(recorded(case))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(
            st.sampled_from([path for path in paths(found["object"]) if path and path != ("kind",)])
        )
        *steps, last = path
        at = found["object"]
        for step in steps:
            at = at[step]
        at[last] = copy.deepcopy(data.draw(nonsense))
    found["object"] = sanitize_tree(found["object"])
    assert all("\t" not in line and "\n" not in line for line in described(found) if "\\" not in line)
    if case == "pod":
        memory_lines(found["object"], PodSurroundings(), ZonedNow(found["now"]))
    yaml_lines(found["object"])


def test_other_peoples_escape_sequences_are_gone():
    case = recorded("pod")
    case["object"]["metadata"]["labels"]["app"] = "\x1b[31mred\x1b]0;title\x07"
    case["object"]["spec"]["containers"][0]["env"][0]["value"] = "a\x9b2Jb\x00"
    text = "\n".join(described({**case, "object": sanitize_tree(case["object"])}))
    assert "app=red" in text
    assert "PLAIN:     ab" in text
    assert not any(ord(letter) < 32 and letter != "\n" for letter in text)
