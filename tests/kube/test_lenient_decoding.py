"""What one object says wrongly costs no more than that object."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.kube.api_errors import Unreadable
from memtop.kube.api_objects import ListReader, PartialObjectMetadata, Pod, PodMetrics, PodMetricsList
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.pod_facts import container_facts, unix_seconds

POD = {
    "metadata": {
        "name": "api-0",
        "namespace": "shop",
        "uid": "u1",
        "creationTimestamp": "2026-11-28T18:12:21Z",
    },
    "spec": {
        "containers": [
            {"name": "app", "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi"}}}
        ],
        "initContainers": [{"name": "migrate"}],
    },
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "app", "restartCount": 2, "state": {"running": {"startedAt": "2026-11-28T18:12:21Z"}}}
        ],
    },
}


def changed(value, *path, base=POD):
    """The pod with another value at a path."""
    whole = json.loads(json.dumps(base))
    part = whole
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return whole


def read(value, kind=Pod):
    return decode_lenient(json.dumps(value).encode(), kind, "the pod")


def facts(pod):
    return container_facts(pod)[0]


@pytest.mark.parametrize(
    "path",
    [
        ("status",),
        ("status", "containerStatuses"),
        ("status", "conditions"),
        ("status", "phase"),
        ("spec", "initContainers"),
        ("spec", "containers", 0, "resources"),
        ("spec", "containers", 0, "resources", "limits"),
        ("metadata", "labels"),
        ("metadata", "ownerReferences"),
        ("metadata", "creationTimestamp"),
    ],
)
def test_null_is_empty_and_no_fault(path):
    pod = read(changed(None, *path))
    assert pod.metadata.name == "api-0"
    assert pod.unreadable == ()


def test_a_number_is_a_quantity():
    pod = read(changed(134217728, "spec", "containers", 0, "resources", "limits", "memory"))
    assert (facts(pod).limit, facts(pod).unreadable) == (134217728, "")


@pytest.mark.parametrize(
    ("value", "path", "left_out"),
    [
        ("many", ("status", "containerStatuses", 0, "restartCount"), "status.containerStatuses.restartCount"),
        ({}, ("status", "conditions"), "status.conditions"),
        ("yesterday", ("metadata", "creationTimestamp"), "metadata.creationTimestamp"),
        (7, ("spec", "containers", 0, "resources"), "spec.containers.resources"),
        ([1], ("status",), "status"),
        ("lots", ("spec", "containers", 0, "resources", "limits", "memory"), "limits.memory lots"),
        ("-5Mi", ("spec", "containers", 0, "resources", "limits", "memory"), "limits.memory -5Mi"),
        ("9e999", ("spec", "containers", 0, "resources", "limits", "memory"), "limits.memory 9e999"),
        (10**12, ("status", "containerStatuses", 0, "restartCount"), "restartCount 1000000000000"),
        (-1, ("status", "containerStatuses", 0, "restartCount"), "restartCount -1"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_named_in_the_state(value, path, left_out):
    found = facts(read(changed(value, *path)))
    assert found.name == "app"
    assert found.state_with_notes == f"{found.state}, unread: {left_out}"


def test_an_item_of_a_list_costs_only_itself():
    conditions = [None, 5, {"type": "PodScheduled", "status": "True"}]
    pod = read(changed(conditions, "status", "conditions"))
    assert [one.type for one in pod.status.conditions] == ["PodScheduled"]


def test_an_object_without_a_name_is_none():
    with pytest.raises(Unreadable, match="name"):
        read(changed(None, "metadata", "name"))


def test_half_an_object_is_none():
    with pytest.raises(Unreadable):
        decode_lenient(json.dumps(POD).encode()[:-5], Pod, "the pod")


@pytest.mark.parametrize("body", [b'{"metadata":{"name":"\xff"}}', b'{"metadata":{"name":"a"},"n":1e999}'])
def test_bytes_that_no_json_may_hold_cost_no_object(body):
    assert decode_lenient(body, Pod, "the pod").metadata.name


def test_a_list_loses_only_the_sample_that_makes_no_sense():
    good = {"metadata": {"name": "a"}, "timestamp": "2026-11-28T19:12:11Z", "containers": [{"name": "app"}]}
    items = [good, {**good, "containers": None}, {**good, "timestamp": None}, {**good, "metadata": 3}]
    listed = decode_lenient(json.dumps({"items": items}).encode(), PodMetricsList, "samples")
    assert [len(item.containers) for item in listed.items] == [1, 0, 1]
    assert [item.time is None for item in listed.items] == [False, False, True]


def test_a_long_list_goes_on_after_an_object_that_is_none():
    pods = [changed(f"api-{number}", "metadata", "name") for number in range(30)]
    pods[7] = changed(None, "metadata", "name")
    pods[9] = changed(None, "status", "containerStatuses", base=pods[9])
    raw = json.dumps({"metadata": {"resourceVersion": "7"}, "items": pods}, separators=(",", ":")).encode()
    reader = ListReader(lambda one: decode_lenient(one, Pod, "the pod"), "the list", len(raw))
    found = reader.feed(raw[:5000]) + reader.feed(raw[5000:])
    rest, _ = reader.end()
    assert [pod.metadata.name for pod in found + rest] == [f"api-{n}" for n in range(30) if n != 7]
    assert len(reader.unread) == 1


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "name", "status", "spec", "containers", "resources", "limits", "memory"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(anything)
def test_nothing_but_one_kind_of_failure_comes_of_any_json(value):
    for kind in (Pod, PodMetrics, PodMetricsList):
        try:
            found = decode_lenient(json.dumps(value).encode(), kind, "it")
        except Unreadable:
            continue
        assert isinstance(found, kind)
        if isinstance(found, Pod):
            container_facts(found)


@given(st.data())
def test_one_odd_value_anywhere_in_a_pod_leaves_the_rest(data):
    path, part = [], POD
    while isinstance(part, dict | list) and part and (not path or data.draw(st.booleans())):
        step = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        path.append(step)
        part = part[step]
    odd = data.draw(anything)
    if path[0] == "metadata":
        return
    assert read(changed(odd, *path)).metadata.name == "api-0"


def test_what_is_right_is_decoded_the_same_way():
    raw = json.dumps(POD).encode()
    assert decode_lenient(raw, Pod, "the pod") == msgspec.json.decode(raw, type=Pod)


@pytest.mark.parametrize(
    "body", [b"[" * 200_000 + b"]" * 200_000, b'{"metadata":' * 100_000, b'{"x":' * 100_000]
)
def test_an_answer_that_is_nested_too_deep_is_an_answer_that_cannot_be_read(body):
    with pytest.raises(Unreadable, match="cannot be read"):
        decode_lenient(body, Pod, "the pod")


@pytest.mark.parametrize(
    "moment", ["2026-01-01T00:00:00", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00Z"]
)
def test_times_are_bounded_and_in_utc_without_a_zone(moment):
    body = f'{{"metadata": {{"name": "a", "uid": "u", "creationTimestamp": "{moment}"}}}}'
    found = unix_seconds(
        decode_lenient(body.encode(), PartialObjectMetadata, "x").metadata.creation_timestamp
    )
    assert found == (1767225600.0 if moment.startswith("2026") else None)
