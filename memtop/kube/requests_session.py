"""The same connection for libraries on ``requests``: a session that signs its requests by itself."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from memtop import __version__
from memtop.kube.connection_target import ClusterTarget, load_client_certificate, ssl_context
from memtop.kube.credentials import Credentials, Grant

_Timeout = float | tuple[float, float] | tuple[float, None] | None


def requests_session(
    target: ClusterTarget, credentials: Credentials | None = None, *, timeout: float = 30.0
) -> requests.Session:
    """A session for URLs below ``target.server``: trust, certificate, credentials and proxy of the target.

    Its requests block and may run a credential plugin, so they belong in a thread. They raise what
    ``requests`` raises, and `CredentialError` when no credential can be had.

    Args:
        target: Where to connect and as whom.
        credentials: Shared with a `memtop.kube.client.Client` of the same target, so that a plugin runs
            once for both; by default the session's own.
        timeout: Seconds to wait for a connection and for each read, where a request does not say.
    """
    session = requests.Session()
    adapter = _SigningAdapter(
        target, Credentials(target.auth) if credentials is None else credentials, timeout
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.trust_env = False  # netrc and proxy variables: the target has decided already
    session.verify = not target.insecure
    session.headers["User-Agent"] = f"memtop/{__version__}"
    if target.proxy:
        session.proxies = {"http": target.proxy, "https": target.proxy}
    if target.insecure:  # its warning would be written over the screen, whose header warns already
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return session


class _SigningAdapter(HTTPAdapter):
    """Checks the server as the target says, signs each request, and tries once more after a 401."""

    def __init__(self, target: ClusterTarget, credentials: Credentials, timeout: float) -> None:
        self._target = target
        self._credentials = credentials
        self._timeout = timeout
        grant = credentials.obtain()
        self._certificate = grant.certificate
        self._context: ssl.SSLContext = ssl_context(target, grant.certificate)
        self._showing = threading.Lock()
        super().__init__()

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,
        **pool_kwargs: Any,  # noqa: ANN401  (as inherited)
    ) -> None:
        """Gives every connection the target's TLS context."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs, **self._tls())

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:  # noqa: ANN401  (as inherited)
        """Gives connections through a proxy the target's TLS context too."""
        return super().proxy_manager_for(proxy, **proxy_kwargs, **self._tls())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401  (as inherited)
        """Keeps ``requests`` from adding the public authorities to the context."""
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: _Timeout = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Sends with credentials (to the target only) and a time-out (``requests`` has none by itself)."""
        timeout = self._timeout if timeout is None else timeout
        if not f"{request.url}/".startswith(f"{self._target.server}/"):
            return super().send(request, stream, timeout, verify, cert, proxies)  # a redirect to elsewhere
        grant = self._sign(request)
        response = super().send(request, stream, timeout, verify, cert, proxies)
        if response.status_code == requests.codes.unauthorized and self._credentials.rejected(grant):
            response.close()
            self._sign(request)
            response = super().send(request, stream, timeout, verify, cert, proxies)
        return response

    def _tls(self) -> dict[str, Any]:
        tls: dict[str, Any] = {"ssl_context": self._context}
        if self._target.server_name:
            tls |= {"server_hostname": self._target.server_name, "assert_hostname": self._target.server_name}
        return tls

    def _sign(self, request: requests.PreparedRequest) -> Grant:
        grant = self._credentials.current() or self._credentials.obtain()
        with self._showing:
            if grant.certificate is not None and grant.certificate != self._certificate:
                load_client_certificate(self._context, grant.certificate, self._target)  # on new connections
                self._certificate = grant.certificate
        if grant.authorization is not None:
            request.headers["Authorization"] = grant.authorization
        if self._target.auth.impersonation:
            headers = urllib3.HTTPHeaderDict(request.headers)
            for name in dict.fromkeys(name for name, _ in self._target.auth.impersonation):
                headers.pop(name, None)  # from the first try
            for name, value in self._target.auth.impersonation:
                headers.add(name, value)  # a group each: the API does not split at commas
            request.headers = headers  # type: ignore[assignment]  # requests' own dict cannot repeat a header
        return grant
