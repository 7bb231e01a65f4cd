"""Reading what Prometheus answers."""

import numpy as np
import pytest

from memtop.cluster.errors import Unreachable
from memtop.prometheus import answers


def test_a_recorded_vector(recording):
    answer = answers.read(recording("prom-query-working-set.json"))
    assert len(answer.streams) > 10
    first = answer.streams[0]
    assert (first.labels["pod"], first.labels["container"]) == (
        "batch-nolimit-747bddd956-2vr5s",
        "batch-nolimit",
    )
    assert first.last == 66564096.0
    assert first.times.tolist() == [1795347456.449]


def test_a_recorded_matrix(recording):
    answer = answers.read(recording("prom-query-range-usage-user-service.json"))
    assert {len(stream.times) for stream in answer.streams} == {2, 25, 39, 44, 45}
    for stream in answer.streams:
        assert np.all(np.diff(stream.times) == 10)
        assert stream.values.dtype == np.float64


def test_a_recorded_scalar(recording):
    answer = answers.read(recording("prom-query-scalar.json"))
    assert [stream.last for stream in answer.streams] == [3.0]


@pytest.mark.parametrize("name", ["prom-query-empty.json", "prom-query-nan.json"])
def test_nothing_finite_is_nothing(recording, name):
    assert answers.read(recording(name)).streams == ()


def test_gaps_of_nan_are_left_out():
    body = (
        b'{"status":"success","data":{"resultType":"matrix","result":'
        b'[{"metric":{},"values":[[1,"5"],[2,"NaN"],[3,"+Inf"],[4,"7e3"],[5,"x"]]}]}}'
    )
    (stream,) = answers.read(body).streams
    assert stream.times.tolist() == [1, 4]
    assert stream.values.tolist() == [5, 7000]


def test_warnings_are_kept_and_clean():
    body = (
        b'{"status":"success","data":{"resultType":"vector","result":[]},"isPartial":true,'
        b'"warnings":["a store is \\u001b[31mgone"],"infos":["not a counter"]}'
    )
    assert answers.read(body).warnings == (
        "a store is gone",
        "not a counter",
        "the answer is partial: a storage node did not answer",
    )


def test_an_error_is_prometheus_own_sentence(recording):
    assert "parse error: unclosed left parenthesis" in answers.problem(recording("prom-query-error.json"))
    with pytest.raises(Unreachable, match="bad_data: invalid parameter"):
        answers.read(recording("prom-query-error.json"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "a login page"),
        (b'{"status":"success","data":{"resultType":"vector","res', "not Prometheus' API"),
        (b"[]", "not Prometheus' API"),
        (b"\xff\xfe", "not Prometheus' API"),
        (b"", "not Prometheus' API"),
    ],
)
def test_something_else_that_answers(body, words):
    with pytest.raises(Unreachable, match=words):
        answers.read(body)


def test_the_version(recording):
    assert answers.read_version(recording("prom-buildinfo.json")) == "2.42.0+ds"
    assert answers.read_version(b"{}") == ""
    assert answers.read_version(b"not found") == ""
