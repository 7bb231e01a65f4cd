import base64
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from memtop.kube import credential_plugin
from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import CredentialPluginSpec
from memtop.kube.credential_plugin import MAX_STDERR, run_plugin

VERSION = "client.authentication.k8s.io/v1"


def failure(spec, **options):
    with pytest.raises(CredentialError) as raised:
        run_plugin(spec, **options)
    assert "\n" not in str(raised.value)
    return raised.value


def ended(pid):
    """Whether the process is gone, or dead and only not reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def test_a_plugin_grants_a_token(plugin):
    result = run_plugin(plugin("grant(token='t', expirationTimestamp='2030-01-01T00:00:00Z')"))
    assert (result.token, result.certificate, result.expires) == ("t", None, 1893456000.0)


def test_a_plugin_grants_a_certificate(plugin):
    result = run_plugin(plugin("grant(clientCertificateData='C', clientKeyData='K')"))
    assert (result.token, result.certificate, result.expires) == (None, (b"C", b"K"), None)


def test_a_grant_keeps_its_secrets_out_of_print(plugin):
    assert "t0ps3cret" not in repr(run_plugin(plugin("grant(token='t0ps3cret')")))


def test_arguments_and_variables_reach_the_plugin(plugin):
    spec = plugin(
        "grant(token=' '.join([*sys.argv[1:], os.environ['PROFILE'], os.environ['MINE']]))",
        args=("--region", "eu"),
        env=(("PROFILE", "prod"),),
    )
    assert run_plugin(spec, environ={"PATH": "/usr/bin:/bin", "MINE": "m"}).token == "--region eu prod m"


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_the_plugin_learns_what_is_asked_and_of_which_cluster(plugin, version):
    body = f"open(sys.argv[1], 'w').write(os.environ['KUBERNETES_EXEC_INFO']); grant({version!r}, token='t')"
    spec = plugin(
        body, api_version=f"client.authentication.k8s.io/{version}", cluster_info={"server": "s", "ca": b"x"}
    )
    seen = f"{spec.command}.seen"
    run_plugin(CredentialPluginSpec(spec.api_version, spec.command, (seen,), cluster_info=spec.cluster_info))
    assert json.loads(Path(seen).read_text()) == {
        "apiVersion": spec.api_version,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {"server": "s", "ca": base64.b64encode(b"x").decode()},
        },
    }


def test_the_plugin_has_no_stdin_and_no_terminal(plugin):
    body = (
        "try:\n    open('/dev/tty'); tty = 'tty'\n"
        "except OSError:\n    tty = 'none'\n"
        "grant(token=f'{sys.stdin.read()!r} {tty} {os.getsid(0) == os.getpid()}')"
    )
    assert run_plugin(plugin(body)).token == "'' none True"


def test_a_failing_plugin_is_quoted(plugin):
    error = failure(
        plugin("sys.stderr.write('\\x1b[31mtoken expired\\x1b[0m, log in\\nagain\\n'); sys.exit(3)")
    )
    assert str(error) == "the credential plugin get-token failed with exit code 3"
    assert error.output == "token expired, log in\nagain"


def test_a_killed_plugin_is_told_from_a_failing_one(plugin):
    assert "killed by signal 9" in str(failure(plugin("os.kill(os.getpid(), 9)")))


def test_a_missing_plugin_says_how_to_install_it():
    error = failure(CredentialPluginSpec(VERSION, "no-such-plugin-of-ours", install_hint="brew install it"))
    assert str(error) == "the credential plugin no-such-plugin-of-ours is not installed: brew install it"


def test_a_plugin_that_is_no_program(tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(b"\x7fELF junk")
    path.chmod(0o755)
    assert "cannot be started" in str(failure(CredentialPluginSpec(VERSION, str(path))))


def test_a_plugin_that_needs_a_terminal_is_not_run(plugin, plugin_runs):
    error = failure(plugin("grant(token='t')", interactive_mode="Always"))
    assert "asks for a terminal" in str(error)
    assert plugin_runs() == 0


def test_a_hanging_plugin_is_ended_with_its_children(plugin, tmp_path, monkeypatch):
    alive = tmp_path / "child"
    body = (
        "import subprocess\n"
        "print('open https://login.example', file=sys.stderr, flush=True)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'new')!r}, 'w').write(str(child.pid))\n"
        f"os.rename({str(tmp_path / 'new')!r}, {str(alive)!r})\n"
        "time.sleep(600)"
    )
    monkeypatch.setattr(credential_plugin, "monotonic", lambda: 31.0 if alive.exists() else 0.0)
    error = failure(plugin(body), timeout=30.0)
    assert "did not finish within 30 s" in str(error)
    assert error.output == "open https://login.example"
    while not ended(int(alive.read_text())):
        time.sleep(0.01)


def test_a_plugin_that_ignores_the_first_signal_gets_the_second(plugin, tmp_path, monkeypatch):
    alive = tmp_path / "child"
    body = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(alive)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    monkeypatch.setattr(credential_plugin, "monotonic", lambda: 31.0 if alive.exists() else 0.0)
    assert "did not finish" in str(failure(plugin(body), timeout=30.0))
    while not ended(int(alive.read_text())):
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_plugin_that_may_not_be_ended_is_not_waited_for(plugin, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(credential_plugin.os, "killpg", refuse)
    cancelled = threading.Event()
    cancelled.set()
    assert "was cancelled" in str(failure(plugin("time.sleep(3)"), timeout=600, cancelled=cancelled))


def test_cancelling_ends_a_plugin_early(plugin):
    cancelled = threading.Event()
    cancelled.set()
    assert "was cancelled" in str(failure(plugin("time.sleep(600)"), timeout=600, cancelled=cancelled))


def test_what_a_plugin_leaves_in_the_background_is_not_waited_for(plugin):
    body = "import subprocess; subprocess.Popen(['sleep', '5']); grant(token='t')"
    assert run_plugin(plugin(body), timeout=4.0).token == "t"


def test_what_it_leaves_talking_in_the_background_is_not_heard_for_ever(plugin, tmp_path, monkeypatch):
    talker = tmp_path / "talker"
    body = (
        "import subprocess\n"
        "child = subprocess.Popen(['yes'], stdout=sys.stderr)\n"
        f"open({str(talker)!r}, 'w').write(str(child.pid))\n"
        "grant(token='t')"
    )
    looks = iter(range(10_000))
    monkeypatch.setattr(credential_plugin, "monotonic", lambda: float(next(looks)))
    try:
        assert run_plugin(plugin(body), timeout=2000.0).token == "t"
    finally:
        os.kill(int(talker.read_text()), signal.SIGKILL)


def test_endless_words_are_cut_to_their_end(plugin):
    error = failure(plugin("sys.stderr.write('x' * 300000 + 'why'); sys.exit(1)"))
    assert len(error.output) <= MAX_STDERR
    assert error.output.endswith("why")


def test_endless_output_ends_the_plugin(plugin):
    assert "printed more than 1 MiB" in str(failure(plugin("while True: print('x' * 65536)")))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('Logged in!')", "did not print an ExecCredential"),
        ("sys.stdout.buffer.write(b'\\xff\\x00')", "did not print an ExecCredential"),
        ("pass", "did not print an ExecCredential"),
        ("print('[]')", "did not print an ExecCredential"),
        ("print('{}')", "printed nothing of the kind instead of"),
        ("grant('v1beta1', token='t')", "v1beta1 ExecCredential instead of"),
        ("grant()", "neither token nor certificate"),
        ("grant(clientCertificateData='C')", "without its key"),
        ("grant(token='a\\r\\nb')", "control characters"),
        ("grant(token='t', expirationTimestamp='soon')", "did not print an ExecCredential"),
    ],
)
def test_junk_is_named(plugin, body, words):
    assert words in str(failure(plugin(body)))
