import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtop.kube import credentials
from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import Auth, Pem
from memtop.kube.credentials import Credentials, Grant


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock of our own: ``clock.advance(seconds)``."""

    class Clock:
        now = 1000.0

        def advance(self, seconds):
            self.now += seconds

    instance = Clock()
    monkeypatch.setattr(credentials, "monotonic", lambda: instance.now)
    return instance


def test_a_token_and_a_password_need_no_renewal():
    assert Credentials(Auth(token="t")).obtain() == Grant("Bearer t")
    assert Credentials(Auth(username="me", password="pw")).obtain() == Grant("Basic bWU6cHc=")
    assert Credentials(Auth()).obtain() == Grant()


def test_a_static_token_that_is_rejected_is_not_tried_again():
    held = Credentials(Auth(token="t"))
    assert not held.rejected(held.obtain())


def test_a_token_file_is_read_again_when_it_rotates(tmp_path):
    path = tmp_path / "token"
    path.write_text("one\n")
    held = Credentials(Auth(token_file=path, token="ignored"))
    assert held.obtain().authorization == "Bearer one"
    assert held.current() == held.obtain()
    replacement = tmp_path / "next"
    replacement.write_text("two\n")
    replacement.rename(path)
    assert held.current() is None
    assert held.obtain().authorization == "Bearer two"


def test_a_token_file_that_is_gone_for_a_moment_leaves_the_old_token(tmp_path):
    path = tmp_path / "token"
    path.write_text("one")
    held = Credentials(Auth(token_file=path))
    held.obtain()
    path.unlink()
    assert held.obtain().authorization == "Bearer one"
    path.write_text("two")
    assert held.obtain().authorization == "Bearer two"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"a\nb", b"\xff"])
def test_a_token_file_without_a_token_is_named(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CredentialError, match=str(path)):
        Credentials(Auth(token_file=path)).obtain()


def test_certificate_files_are_read_again_when_they_rotate(tmp_path):
    for name in ("crt", "key"):
        (tmp_path / name).write_bytes(b"old")
    held = Credentials(Auth(certificate=Pem(path=tmp_path / "crt"), key=Pem(path=tmp_path / "key")))
    assert held.obtain().certificate == (b"old", b"old")
    (tmp_path / "crt").write_bytes(b"newer")
    (tmp_path / "key").write_bytes(b"newer")
    assert held.obtain().certificate == (b"newer", b"newer")


def test_a_plugin_runs_once_until_its_credential_expires(plugin, plugin_runs, clock):
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    held = Credentials(Auth(plugin=plugin(f"grant(token=f'run-{{runs}}', expirationTimestamp={expiry!r})")))
    assert held.current() is None
    assert held.obtain().authorization == "Bearer run-1"
    clock.advance(3500)
    assert held.current() is not None
    clock.advance(80)
    assert held.current() is None
    assert held.obtain().authorization == "Bearer run-2"
    assert plugin_runs() == 2


def test_a_wrong_clock_does_not_run_the_plugin_for_every_request(plugin, plugin_runs, clock):
    held = Credentials(Auth(plugin=plugin("grant(token='t', expirationTimestamp='2001-01-01T00:00:00Z')")))
    for _ in range(5):
        held.obtain()
    assert plugin_runs() == 1
    clock.advance(credentials.MIN_LIFE + 1)
    held.obtain()
    assert plugin_runs() == 2


def test_many_callers_wait_for_one_run(plugin, plugin_runs):
    held = Credentials(Auth(plugin=plugin("time.sleep(0.2); grant(token='t')")))
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        return held.obtain()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert plugin_runs() == 1


def test_a_rejected_credential_is_renewed_once(plugin, plugin_runs, clock):
    held = Credentials(Auth(plugin=plugin("grant(token=f'run-{runs}')")))
    first = held.obtain()
    assert held.rejected(first)
    second = held.obtain()
    assert second.authorization == "Bearer run-2"
    assert held.rejected(first), "somebody else's 401 to the old one: the new one is there already"
    assert not held.rejected(second), "a server that rejects everything does not run the plugin for ever"
    assert plugin_runs() == 2
    clock.advance(credentials.REJECTION_GAP + 1)
    assert held.rejected(second)
    assert plugin_runs() == 3


def test_a_plugin_that_grants_the_same_again_is_not_tried_again(plugin):
    held = Credentials(Auth(plugin=plugin("grant(token='t')")))
    assert not held.rejected(held.obtain())


def test_a_failure_is_remembered_for_a_moment(plugin, plugin_runs, clock):
    held = Credentials(
        Auth(plugin=plugin("sys.exit('no' if runs < 2 else None) if runs < 2 else grant(token='t')"))
    )
    for _ in range(3):
        with pytest.raises(CredentialError) as raised:
            held.obtain()
        assert raised.value.output == "no"
    assert plugin_runs() == 1
    clock.advance(credentials.FAILURE_LIFE + 1)
    assert held.obtain().authorization == "Bearer t"


def test_closing_ends_a_running_plugin(plugin, plugin_runs):
    held = Credentials(Auth(plugin=plugin("time.sleep(600)")), plugin_timeout=600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(held.obtain)
        while not plugin_runs():
            os.sched_yield()
        held.close()
        with pytest.raises(CredentialError, match="cancelled"):
            waiting.result(timeout=30)


def test_a_grant_keeps_its_secrets_out_of_print():
    assert "t0ps3cret" not in repr(Credentials(Auth(token="t0ps3cret")).obtain())
