"""What memtop connects to: the server, how to prove who we are, and what TLS trusts and shows.

The data is frozen, and secrets are kept out of every ``repr``.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.private_files import read_file
from config.values import mask_addresses
from memtop.kube.api_errors import KubeconfigError
from memtop.sanitize import sanitize

MAX_PEM_BYTES = 16 * 1024 * 1024
"""Far more than all authorities of a system together take (0.2 MB)."""


@dataclass(frozen=True)
class Pem:
    """A certificate or key: its bytes, or the file that has them (read again when it rotates)."""

    data: bytes | None = field(default=None, repr=False)
    path: Path | None = None

    def read(self) -> bytes:
        """The PEM text.

        Raises:
            OSError: The file cannot be read.
        """
        if self.data is not None:
            return self.data
        return read_file(self.path, MAX_PEM_BYTES) if self.path is not None else b""


@dataclass(frozen=True)
class CredentialPluginSpec:
    """A credential plugin (``exec`` in a kubeconfig): the command that prints an ExecCredential.

    Attributes:
        cluster_info: ``spec.cluster`` for ``KUBERNETES_EXEC_INFO``; None unless it asks for it.
    """

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    install_hint: str = ""
    interactive_mode: str = "IfAvailable"
    cluster_info: dict[str, Any] | None = field(default=None, repr=False, hash=False)


@dataclass(frozen=True)
class Auth:
    """How to prove who we are. Of several bearers the first counts: token file, token, password, plugin."""

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    plugin: CredentialPluginSpec | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers (``Impersonate-User`` and so on) that every request carries."""


@dataclass(frozen=True)
class ClusterTarget:
    """One cluster seen as one user: where it is and what is needed to connect.

    Attributes:
        context: The kubeconfig's context, or ``in-cluster``.
        server: The API server's base URL without a trailing slash; may have a path.
        namespace: The context's namespace (``default`` if it names none), or the service account's.
        source: The file the context came from, or ``in-cluster``.
        authority: Certificates to trust (PEM); None trusts the system's.
        insecure: The server's certificate is not checked; screens warn of it.
        server_name: The name to expect in the server's certificate instead of the URL's host.
        compress: Long answers may come compressed.
        proxy: URL of the HTTP proxy to go through, from the kubeconfig or the environment; None is direct.
    """

    context: str
    cluster: str
    user: str
    server: str = field(repr=False)  # may hold a password
    namespace: str
    source: str
    auth: Auth = field(default_factory=Auth)
    authority: bytes | None = field(default=None, repr=False)
    insecure: bool = False
    server_name: str | None = None
    compress: bool = True
    proxy: str | None = field(default=None, repr=False)

    @property
    def shown_server(self) -> str:
        """The server's URL as anybody may read it: user and password, if it holds any, are masked."""
        return sanitize(mask_addresses(self.server))


def ssl_context(target: ClusterTarget, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext:
    """What a connection to ``target`` trusts and shows.

    ``VERIFY_X509_STRICT``, which Python 3.13 turned on, is turned off again: kubectl accepts authorities
    without the key identifiers it asks for, and many clusters have such.

    Args:
        target: Whose authority, server name and insecurity count.
        certificate: The client's certificate chain and key, both PEM; None shows none.

    Raises:
        KubeconfigError: The authority, the certificate or the key is not usable PEM.
    """
    try:
        authority = target.authority.decode("ascii") if target.authority else None
        context = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, UnicodeDecodeError, ValueError):
        raise KubeconfigError(
            f"the certificate-authority of cluster {target.cluster!r} ({target.source}) is not PEM"
        ) from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        load_client_certificate(context, certificate, target)
    return context


def load_client_certificate(
    context: ssl.SSLContext, certificate: tuple[bytes, bytes], target: ClusterTarget
) -> None:
    """Makes ``context`` show ``certificate`` (chain and key, PEM) on the connections it makes from now on.

    Raises:
        KubeconfigError: The certificate or the key is not usable.
    """
    chain, key = certificate
    try:
        with private_temporary_file(chain + b"\n" + key) as path:
            # An empty pass phrase: without one OpenSSL would ask for it on the terminal.
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        why = "is encrypted, and memtop cannot ask for its pass phrase" if b"ENCRYPTED" in key else ""
        why = why or f"cannot be used ({getattr(error, 'reason', None) or 'not PEM'})"
        raise KubeconfigError(
            f"the client certificate or key of user {target.user!r} ({target.source}) {why}"
        ) from None


@contextlib.contextmanager
def private_temporary_file(content: bytes) -> Iterator[str]:
    """The path of a file with ``content`` that only we can read, gone afterwards; in memory where possible.

    OpenSSL's bindings take certificates only as files.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        descriptor = os.memfd_create("memtop", os.MFD_CLOEXEC)
        with open(descriptor, "wb") as stream:  # noqa: PTH123  (a descriptor, not a path)
            stream.write(content)
            stream.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile(prefix="memtop-") as stream:  # created 0600
        stream.write(content)
        stream.flush()
        yield stream.name
