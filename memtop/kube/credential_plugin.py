"""Runs a credential plugin (``exec`` in a kubeconfig) away from the terminal, and reads what it prints.

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import contextlib
import datetime
import os
import selectors
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

import msgspec

from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import CredentialPluginSpec
from memtop.kube.lenient_decoding import JSON_ERRORS
from memtop.sanitize import sanitize, sanitize_bytes

MAX_STDOUT = 1024 * 1024
"""Bytes. A credential is a few thousand."""
MAX_STDERR = 16 * 1024
"""Bytes of stderr that are kept: the last ones, where a program says why it gave up."""
_POLL = 0.1  # seconds between looks at the plugin's end and at `cancelled`
_GRACE = 0.5  # seconds between asking a plugin to end and ending it


@dataclass(frozen=True)
class PluginResult:
    """What a plugin granted.

    Attributes:
        token: A bearer token, or None.
        certificate: A client certificate chain and its key (PEM), or None.
        expires: When it expires, seconds since the epoch; None if the plugin does not say.
    """

    token: str | None = field(default=None, repr=False)
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    expires: float | None = None


class _ExecCredentialStatus(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime.datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _ExecCredentialStatus | None = None


def run_plugin(
    spec: CredentialPluginSpec,
    *,
    environ: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    cancelled: threading.Event | None = None,
) -> PluginResult:
    """Runs a plugin once and returns what it granted.

    It gets no stdin, no terminal and a process group of its own, so that it can neither draw over a screen
    nor outlive its time. What it leaves running in the background is not waited for.

    Args:
        spec: The command.
        environ: The environment it inherits; by default the process's own.
        timeout: Seconds it may take.
        cancelled: Ends it early when set.

    Raises:
        CredentialError: It is not there, failed, took too long, or printed something else.
    """
    name = sanitize(os.path.basename(spec.command))  # noqa: PTH119  (a command, not a file)
    if spec.interactive_mode == "Always":
        raise CredentialError(
            f"the credential plugin {name} asks for a terminal, which memtop does not give it"
        )
    environment = dict(os.environ if environ is None else environ)
    environment.update(spec.env)
    environment["KUBERNETES_EXEC_INFO"] = _exec_info(spec)
    command = shutil.which(spec.command, path=environment.get("PATH", os.defpath))
    if command is None:
        hint = f": {spec.install_hint}" if spec.install_hint else ""
        raise CredentialError(f"the credential plugin {sanitize(spec.command)} is not installed{hint}")
    try:
        process = subprocess.Popen(
            [command, *spec.args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CredentialError(f"the credential plugin {name} cannot be started: {reason}") from None
    try:
        stdout, stderr, stopped = _read_output(process, timeout, cancelled or threading.Event())
    finally:
        _terminate(process)
    output = sanitize_bytes(stderr).strip()
    if stopped:
        raise CredentialError(f"the credential plugin {name} {stopped}", output)
    if process.returncode != 0:
        code = process.returncode
        how = f"failed with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        raise CredentialError(f"the credential plugin {name} {how}", output)
    return _parse_result(stdout, spec, name, output)


def _exec_info(spec: CredentialPluginSpec) -> str:
    details: dict[str, object] = {"interactive": False}
    if spec.cluster_info is not None:
        details["cluster"] = spec.cluster_info
    info = {"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": details}
    return msgspec.json.encode(info).decode()


def _read_output(
    process: subprocess.Popen[bytes], timeout: float, cancelled: threading.Event
) -> tuple[bytes, bytes, str]:
    """Reads both pipes until the plugin ends: stdout, the end of stderr, and why it was stopped (or "")."""
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr = bytearray(), bytearray()
    deadline = monotonic() + timeout
    stopped = ""
    with selectors.DefaultSelector() as selector:
        for stream, buffer in ((process.stdout, stdout), (process.stderr, stderr)):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, buffer)
        while not stopped:
            ended = process.poll() is not None  # asked first, so that the last look misses nothing
            heard = _read_ready(selector, 0 if ended else _POLL)
            del stderr[:-MAX_STDERR]
            late = monotonic() > deadline
            if len(stdout) > MAX_STDOUT:
                stopped = f"printed more than {MAX_STDOUT >> 20} MiB"
            elif ended and (late or not heard):  # late: what it left in the background goes on talking
                break
            elif cancelled.is_set():
                stopped = "was cancelled"
            elif late:
                stopped = f"did not finish within {timeout:g} s; if it wants you to log in, do so outside"
            elif not selector.get_map():  # it closed both pipes, most likely because it ends
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        if stopped:
            _read_ready(selector, 0)
    return bytes(stdout), bytes(stderr[-MAX_STDERR:]), stopped


def _read_ready(selector: selectors.BaseSelector, wait: float) -> bool:
    """Reads what there is, for at most ``wait`` seconds of silence; whether there was anything."""
    ready = selector.select(wait)
    for key, _ in ready:
        chunk = os.read(key.fd, 65536)
        key.data.extend(chunk)
        if not chunk:
            selector.unregister(key.fileobj)
    return bool(ready)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Ends the plugin with all it started, unless it ended by itself; never waits for long."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or not ours (sudo)
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _parse_result(stdout: bytes, spec: CredentialPluginSpec, name: str, output: str) -> PluginResult:
    try:
        credential = msgspec.json.decode(stdout, type=_ExecCredential)
    except JSON_ERRORS:
        raise CredentialError(
            f"the credential plugin {name} did not print an ExecCredential", output
        ) from None
    if credential.kind != "ExecCredential" or credential.api_version != spec.api_version:
        said = sanitize(f"{credential.api_version} {credential.kind}".strip()) or "nothing of the kind"
        raise CredentialError(
            f"the credential plugin {name} printed {said} instead of {spec.api_version} ExecCredential",
            output,
        )
    status = credential.status
    if status is None or not (status.token or status.client_certificate_data):
        raise CredentialError(f"the credential plugin {name} granted neither token nor certificate", output)
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise CredentialError(f"the credential plugin {name} granted a certificate without its key", output)
    if status.token and not status.token.isprintable():
        raise CredentialError(f"the credential plugin {name} granted a token with control characters", output)
    certificate = None
    if status.client_certificate_data and status.client_key_data:
        certificate = (status.client_certificate_data.encode(), status.client_key_data.encode())
    expires = status.expiration_timestamp.timestamp() if status.expiration_timestamp else None
    return PluginResult(status.token or None, certificate, expires)
