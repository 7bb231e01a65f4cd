"""Reading what Prometheus answers."""

import json

import msgspec
import numpy as np
import pytest

from memtop.history import prometheus_answers
from memtop.kube.api_errors import Unreachable


def test_a_recorded_vector(recording):
    answer = prometheus_answers.read_query_answer(recording("prom-query-working-set.json"))
    assert len(answer.streams) > 10
    first = answer.streams[0]
    assert (first.labels["pod"], first.labels["container"]) == (
        "batch-nolimit-747bddd956-2vr5s",
        "batch-nolimit",
    )
    assert first.last == 66564096.0
    assert first.times.tolist() == [1795347456.449]


def test_a_recorded_matrix(recording):
    answer = prometheus_answers.read_query_answer(recording("prom-query-range-usage-user-service.json"))
    assert {len(stream.times) for stream in answer.streams} == {2, 25, 39, 44, 45}
    for stream in answer.streams:
        assert np.all(np.diff(stream.times) == 10)
        assert stream.values.dtype == np.float64


def test_a_recorded_scalar(recording):
    answer = prometheus_answers.read_query_answer(recording("prom-query-scalar.json"))
    assert [stream.last for stream in answer.streams] == [3.0]


@pytest.mark.parametrize("name", ["prom-query-empty.json", "prom-query-nan.json"])
def test_nothing_finite_is_nothing(recording, name):
    assert prometheus_answers.read_query_answer(recording(name)).streams == ()


def test_gaps_of_nan_are_left_out():
    body = (
        b'{"status":"success","data":{"resultType":"matrix","result":'
        b'[{"metric":{},"values":[[1,"5"],[2,"NaN"],[3,"+Inf"],[4,"7e3"],[5,"x"]]}]}}'
    )
    (stream,) = prometheus_answers.read_query_answer(body).streams
    assert stream.times.tolist() == [1, 4]
    assert stream.values.tolist() == [5, 7000]


def test_warnings_are_kept_and_clean():
    body = (
        b'{"status":"success","data":{"resultType":"vector","result":[]},"isPartial":true,'
        b'"warnings":["a store is \\u001b[31mgone"],"infos":["not a counter"]}'
    )
    assert prometheus_answers.read_query_answer(body).warnings == (
        "a store is gone",
        "not a counter",
        "the answer is partial: a storage node did not answer",
    )


def series_answer(result, **more):
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data} | more).encode()


@pytest.mark.parametrize(
    "body",
    [
        series_answer(None),
        series_answer([], warnings=None, infos=None, isPartial=None),
        series_answer([{"metric": None, "values": None}]),
        series_answer([{"metric": {}, "values": [[1, None]]}]),
        b'{"status":"success","data":null}',
        b'{"status":"success","data":{}}',
        b'{"status":"success","data":{"resultType":"scalar","result":null}}',
    ],
)
def test_null_is_empty(body):
    assert prometheus_answers.read_query_answer(body) == prometheus_answers.QueryAnswer()


def test_null_is_empty_in_lists_and_versions_too():
    assert prometheus_answers.read_label_values(b'{"status":"success","data":null}') == ()
    assert prometheus_answers.read_series_labels(b'{"status":"success","data":null}') == ()
    assert prometheus_answers.read_version(b'{"data":null}') == ""
    assert prometheus_answers.read_version(b'{"data":{"version":null}}') == ""


def test_numbers_are_read_where_texts_are_due():
    (stream,) = prometheus_answers.read_query_answer(
        series_answer([{"metric": {}, "values": [[1, 5], [2, 6.5], [3, "7"]]}])
    ).streams
    assert stream.values.tolist() == [5, 6.5, 7]


def test_a_series_of_another_form_costs_itself_alone():
    odd = ["x", {"metric": {"pod": 7}, "values": []}, {"metric": {}, "values": [[1, {}]]}]
    answer = prometheus_answers.read_query_answer(
        series_answer([odd[0], {"metric": {"pod": "a"}, "values": [[1, "5"]]}, *odd[1:]])
    )
    assert [stream.labels for stream in answer.streams] == [{"pod": "a"}]
    assert answer.warnings[0].startswith("3 series of an answer cannot be read: ")


def test_an_error_is_prometheus_own_sentence(recording):
    assert "parse error: unclosed left parenthesis" in prometheus_answers.error_words(
        recording("prom-query-error.json")
    )
    with pytest.raises(Unreachable, match="bad_data: invalid parameter"):
        prometheus_answers.read_query_answer(recording("prom-query-error.json"))


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
        prometheus_answers.read_query_answer(body)


def test_the_version(recording):
    assert prometheus_answers.read_version(recording("prom-buildinfo.json")) == "2.42.0+ds"
    assert prometheus_answers.read_version(b"{}") == ""
    assert prometheus_answers.read_version(b"not found") == ""


@pytest.mark.parametrize(
    ("time", "value"),
    [("1", '"1e308"'), ("1e308", '"1"'), ("-1e18", '"1"'), ("1", '"1e999"'), ("1e999", '"1"')],
)
def test_what_no_machine_has_is_left_out(time, value):
    series = f'{{"metric": {{}}, "values": [[{time}, {value}], [60, "5"]]}}'
    body = f'{{"status": "success", "data": {{"resultType": "matrix", "result": [{series}]}}}}'
    answer = prometheus_answers.read_query_answer(body.encode())
    assert [stream.values.tolist() for stream in answer.streams] in ([[5.0]], [])


def _matrix(*times):
    values = [[time, str(number)] for number, time in enumerate(times)]
    result = [{"metric": {"pod": "a"}, "values": values}]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return msgspec.json.encode(answer)


def test_samples_out_of_order_are_put_in_order():
    (stream,) = prometheus_answers.read_query_answer(_matrix(1.7e9 + 60, 1.7e9, 1.7e9 + 120)).streams
    assert stream.times.tolist() == [1.7e9, 1.7e9 + 60, 1.7e9 + 120]
    assert stream.values.tolist() == [1.0, 0.0, 2.0]


def test_a_time_in_another_century_costs_only_its_sample():
    (stream,) = prometheus_answers.read_query_answer(
        _matrix(0.0, 1.7e9, 1.7e9 + 60, 1.7e9 + 120, 9.2e9)
    ).streams
    assert stream.times.tolist() == [1.7e9, 1.7e9 + 60, 1.7e9 + 120]
