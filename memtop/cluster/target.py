"""What memtop connects to, and with what: plain frozen data, secrets kept out of every ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
        return self.path.read_bytes() if self.path is not None else b""


@dataclass(frozen=True)
class ExecSpec:
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
    plugin: ExecSpec | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers (``Impersonate-User`` and so on) that every request carries."""


@dataclass(frozen=True)
class Target:
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
    server: str
    namespace: str
    source: str
    auth: Auth = field(default_factory=Auth)
    authority: bytes | None = field(default=None, repr=False)
    insecure: bool = False
    server_name: str | None = None
    compress: bool = True
    proxy: str | None = field(default=None, repr=False)
