"""The audit log, and whom it names."""

import base64
import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from memtop.change.apply import UNKNOWN_USER, common_name, user_from_credentials
from memtop.change.audit_log import KEPT_FILES, AuditError, AuditLog, audit_entry, audit_log_path
from memtop.change.change_plan import ChangePlan, FieldChange
from memtop.change.change_request import SetImage
from memtop.commands.audit import audit_table
from memtop.kube.connection_target import Auth
from memtop.kube.credentials import Grant
from tests.change.objects import ref

IMAGE = FieldChange("spec.template.spec.containers[main].image", "shop:v1", "shop:v2")
SECRET = FieldChange("spec.template.spec.containers[main].env[PASSWORD].value", "hunter2", "hunter3")


def plan(*changes):
    return ChangePlan(
        change=SetImage(ref(), "main", "shop:v2"), context="prod", ref=ref(), title="Set the image of shop",
        changes=changes or (IMAGE,), lines=(), kubectl="kubectl set image deployment/shop main=shop:v2",
        method="PATCH", path="/x", content_type="", body=b"", version="7", refused="", opens_rollout=True,
    )  # fmt: skip


def line(made, outcome="applied", **more):
    return audit_entry(made, outcome, server="https://api", user="alice", **more)


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "state" / "memtop" / "audit.jsonl")


def test_a_line_says_who_did_what_to_what(log):
    log.write(line(plan(), version="8"))
    (written,) = log.path.read_text().splitlines()
    said = json.loads(written)
    assert said.pop("time").endswith("Z")
    assert len(said.pop("id")) == 12
    assert said == {
        "outcome": "applied", "action": "set image", "kind": "Deployment", "namespace": "production",
        "name": "shop", "context": "prod", "server": "https://api", "user": "alice",
        "changes": [{"path": IMAGE.path, "old": "shop:v1", "new": "shop:v2"}],
        "kubectl": "kubectl set image deployment/shop main=shop:v2", "version": "8",
    }  # fmt: skip


def test_only_its_user_may_read_it(log):
    log.write(line(plan()))
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_values_of_variables_are_not_written(log):
    log.write(line(plan(SECRET)))
    assert "hunter" not in log.path.read_text()
    assert "PASSWORD" in log.path.read_text()


def test_a_plan_is_one_entry_with_its_last_outcome(log):
    first, second = plan(), plan()
    log.write(line(first, "begun"))
    log.write(line(second, "begun"))
    log.write(line(first, "applied"))
    assert [(one.id, one.outcome) for one in log.entries()] == [(first.id, "applied"), (second.id, "begun")]


def test_lines_that_were_cut_short_cost_nothing_else(log):
    log.write(line(plan()))
    with log.path.open("ab") as file:
        file.write(b'{"time":"2026-01-31T0')
    log.write(line(plan()))
    assert len(list(log.entries())) == 2


def test_it_is_bounded(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", most_bytes=2000)
    made = [plan() for _ in range(60)]
    for one in made:
        log.write(line(one))
    files = sorted(path.name for path in tmp_path.glob("audit.jsonl*"))
    assert files == ["audit.jsonl", *(f"audit.jsonl.{number}" for number in range(1, KEPT_FILES + 1))]
    assert all((tmp_path / name).stat().st_size <= 2000 for name in files)
    kept = [one.id for one in log.entries()]
    assert kept == [one.id for one in made][-len(kept) :]  # the newest, in order


def test_many_at_the_same_time(tmp_path):
    path = tmp_path / "audit.jsonl"
    made = [plan() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: AuditLog(path).write(line(one)), made))
    assert {one.id for one in AuditLog(path).entries()} == {one.id for one in made}


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "audit.jsonl")
    with pytest.raises(AuditError, match=r"audit\.jsonl cannot be written: "):
        log.write(line(plan()))


def test_no_log_at_all_has_no_entries(log):
    assert list(log.entries()) == []


def test_where_it_is(tmp_path):
    assert audit_log_path({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "memtop" / "audit.jsonl"


def test_the_table():
    rows = list(audit_table([line(plan(), "begun"), line(plan(), "refused", why="no such right")]))
    assert rows[0].split() == ["TIME", "OUTCOME", "OBJECT", "WHAT", "USER", "CONTEXT"]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC ", rows[1]), "each time says its zone"
    assert "deployment/shop in production" in rows[1]
    assert "set image (image of main: shop:v1 → shop:v2)" in rows[1]
    assert "unknown" in rows[1]  # nobody lived to say
    assert rows[3].strip() == "no such right"
    (_, row) = audit_table([line(replace(plan(), context="pro\x1b[31md"))])
    assert row.endswith("alice   prod")


# -- whom the server takes us for, where it does not say


def certificate(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        .serial_number(2**150 + 7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM)


ALICE = certificate((NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, "alice"))


def test_the_common_name_of_a_certificate():
    assert common_name(ALICE.decode()) == "alice"
    assert common_name("text before\n" + ALICE.decode() + "and after") == "alice"
    assert common_name(certificate((NameOID.ORGANIZATION_NAME, "masters")).decode()) == ""
    long = "x" * 60 + "ü"
    assert common_name(certificate((NameOID.COMMON_NAME, long)).decode()) == long


def token(subject):
    body = base64.urlsafe_b64encode(msgspec.json.encode({"sub": subject})).rstrip(b"=").decode()
    return f"Bearer head.{body}.signature"


def test_who_it_is():
    account = "system:serviceaccount:shop:deployer"
    assert user_from_credentials(Auth(), Grant(None, (ALICE, b""))) == "alice"
    assert user_from_credentials(Auth(), Grant(token(account), None)) == account
    assert (
        user_from_credentials(Auth(), Grant(token("oidc|123"), None)) == UNKNOWN_USER
    )  # the server may map it to any name
    assert user_from_credentials(Auth(), Grant("Bearer opaque", None)) == UNKNOWN_USER
    assert user_from_credentials(Auth(), None) == UNKNOWN_USER
    assert user_from_credentials(Auth(username="bob"), Grant("Basic xyz", None)) == "bob"
    assert (
        user_from_credentials(Auth(impersonation=(("Impersonate-User", "carol"),)), Grant(None, (ALICE, b"")))
        == "carol"
    )
    assert user_from_credentials(Auth(), Grant(None, (b"no certificate", b""))) == UNKNOWN_USER
    assert user_from_credentials(Auth(), Grant(None, (ALICE[:200], b""))) == UNKNOWN_USER


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_elses(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(AuditError, match="permission denied"):
        AuditLog(tmp_path / "memtop" / "audit.jsonl").write(line(plan()))
