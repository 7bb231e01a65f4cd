"""Pods of Kubernetes 1.36 described in the words of its own kubectl."""

import json
import re
from datetime import UTC

import pytest

from memtop.describe.formatting import ZonedNow
from memtop.describe.pod_description import describe_pod
from memtop.kube.json_object import name_of

MOMENT = ZonedNow(1_795_900_000.0, UTC, minor=36)
RESTARTED_BETWEEN = "sidecar-leak-6dcfff94c4-kzlnp"
"""It died between the two recordings, so that its figures differ; not its lines."""


@pytest.fixture(scope="module")
def pods(recording):
    return {name_of(pod): pod for pod in json.loads(recording("modern/pods-modern.json"))["items"]}


@pytest.fixture(scope="module")
def described(recording):
    texts = recording("modern/kubectl-describe-modern.txt").decode().rstrip("\n").split("\n\n\n")
    return {text.splitlines()[0].split()[1]: text.splitlines() for text in texts}


def stripped(lines):
    return [line.rstrip() for line in lines]


def test_every_pod_is_described_as_kubectl_does(pods, described):
    assert len(described) == 10
    for name in described.keys() - {RESTARTED_BETWEEN}:
        assert stripped(describe_pod(pods[name], None, MOMENT)) == stripped(described[name]), name


STATE = {"State", "Last State", "Reason", "Exit Code", "Started", "Finished"}


def test_a_native_sidecar_has_the_lines_that_kubectl_prints(pods, described):
    ours, theirs = (
        [field for line in lines if (field := re.split(r":|  +", line.strip())[0]) not in STATE]
        for lines in (describe_pod(pods[RESTARTED_BETWEEN], None, MOMENT), described[RESTARTED_BETWEEN])
    )
    assert ours == theirs


def test_there_is_no_empty_line_and_no_date_before_kubernetes(pods):
    for name, pod in pods.items():
        lines = describe_pod(pod, None, MOMENT)
        assert "" not in stripped(lines), name
        assert not any(" 0001 " in line or " 1970 " in line for line in lines), name
