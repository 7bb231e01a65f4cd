import datetime
import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread

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


def test_tls_with_a_certificate_of_its_own(tmp_path, as_user):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "memtop demo")])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(pem + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with DemoThread(speed=0, ssl_context=context) as demo:
        trusting = ssl.create_default_context(cadata=pem.decode())
        with urllib.request.urlopen(f"{demo.url}/version", context=trusting, timeout=10) as response:
            assert response.status == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            as_user(demo).get("/version")
