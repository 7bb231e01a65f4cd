import http.client
import urllib.error

import pytest

from memtop.demo.faults import Fault, Harm

PODS = "/api/v1/namespaces/production/pods"


def test_another_answer_as_often_as_asked(fresh, fresh_api):
    fault = fresh.server.faults.add(
        Fault(Harm.ANSWER, path="/pods", status=429, headers={"Retry-After": "3"}, times=2)
    )
    answers = [fresh_api.get(PODS) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert answers[0].json["reason"] == "TooManyRequests"
    assert fault.hits == 2


def test_a_plain_text_body_like_that_of_absent_metrics(fresh, fresh_api):
    fresh.server.faults.add(
        Fault(Harm.ANSWER, path="metrics.k8s.io", status=503, body=b"service unavailable\n")
    )
    answer = fresh_api.get("/apis/metrics.k8s.io/v1beta1/pods")
    assert (answer.status, answer.body) == (503, b"service unavailable\n")
    assert fresh_api.get(PODS).status == 200


def test_half_a_body(fresh, fresh_api):
    fresh.server.faults.add(Fault(Harm.CUT, path="/pods"))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        fresh_api.get(PODS)


def test_a_dropped_connection(fresh, fresh_api):
    fresh.server.faults.add(Fault(Harm.DROP, path="/pods"))
    with pytest.raises((urllib.error.URLError, http.client.HTTPException, ConnectionError)):
        fresh_api.get(PODS)


def test_an_endless_line(fresh):
    fresh.server.faults.add(Fault(Harm.ENDLESS_LINE, path="watch=1"))
    connection = http.client.HTTPConnection("127.0.0.1", fresh.server.port, timeout=10)
    connection.request("GET", f"{PODS}?watch=1")
    body = connection.getresponse().read(1_000_000)
    connection.close()
    assert len(body) == 1_000_000
    assert b"\n" not in body


def test_no_answer_at_all(fresh):
    fresh.server.faults.add(Fault(Harm.HANG, method="GET"))
    connection = http.client.HTTPConnection("127.0.0.1", fresh.server.port, timeout=0.2)
    connection.request("GET", PODS)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_a_late_answer_is_still_the_answer(fresh, fresh_api):
    fresh.server.faults.add(Fault(Harm.DELAY, seconds=0.01))
    assert fresh_api.get(PODS).status == 200


def test_clearing_makes_it_behave_again(fresh, fresh_api):
    fresh.server.faults.add(Fault(Harm.ANSWER))
    assert fresh_api.get(PODS).status == 500
    fresh.server.faults.clear()
    assert fresh_api.get(PODS).status == 200
