"""Credentials kept fresh: one thread-safe place that every connection of a target asks.

Blocking calls (`Credentials.obtain`, `Credentials.rejected`) may run a plugin or read a file; callers on an
event loop ask `Credentials.current` first and send the rest to a thread.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from config.private_files import read_file
from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import Auth, CredentialPluginSpec
from memtop.kube.credential_plugin import PluginResult, run_plugin

EXPIRY_MARGIN = 30.0
"""Seconds before its expiry that a plugin's credential is no longer used."""
MIN_LIFE = 10.0
"""Seconds that a plugin's credential is used at least, so that a wrong clock does not run it each time."""
FAILURE_LIFE = 5.0
"""Seconds that a plugin's failure is remembered, so that not every request runs it (or opens a browser)."""
REJECTION_GAP = 30.0
"""Seconds in which a credential that was renewed because of a 401 is not renewed for another 401."""


@dataclass(frozen=True)
class Grant:
    """What one request shows.

    Attributes:
        authorization: The ``Authorization`` header's value; None sends none.
        certificate: The client's certificate chain and key (PEM); None shows none.
    """

    authorization: str | None = field(default=None, repr=False)
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)


MAX_TOKEN_BYTES = 64 * 1024
"""An API server takes no longer header."""
_FileStamps = tuple[tuple[int, int, int], ...]


class Credentials:
    """The current `Grant` of one user; renewed when it expires, its file changes or it is rejected."""

    def __init__(
        self, auth: Auth, *, environ: Mapping[str, str] | None = None, plugin_timeout: float = 30.0
    ) -> None:
        self._auth = auth
        self._environ = environ
        self._plugin_timeout = plugin_timeout
        self._files = tuple(
            path
            for path in (
                auth.token_file,
                auth.certificate.path if auth.certificate else None,
                auth.key.path if auth.key else None,
            )
            if path is not None
        )
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._grant: Grant | None = None
        self._stamp: _FileStamps = ()
        self._good_until = 0.0  # monotonic
        self._failure: CredentialError | None = None
        self._failure_until = 0.0  # monotonic
        self._renewed_for_rejection = float("-inf")  # monotonic

    def current(self) -> Grant | None:
        """The current grant if it still holds; None means `obtain` has to be called. Does not block."""
        grant = self._grant
        if grant is None or monotonic() >= self._good_until or self._stamp != _file_stamps(self._files):
            return None
        return grant

    def obtain(self) -> Grant:
        """The current grant, renewed if need be. May block for as long as a plugin may run.

        Many callers wait for one renewal.

        Raises:
            CredentialError: There is none to be had.
        """
        with self._lock:
            return self.current() or self._renew()

    def rejected(self, grant: Grant) -> bool:
        """Takes note that the server answered 401 to ``grant``; whether another try makes sense.

        May block for as long as a plugin may run.

        Raises:
            CredentialError: The plugin failed.
        """
        with self._lock:
            if self._grant is not None and self._grant != grant:
                return True  # somebody else has already renewed it
            now = monotonic()
            renewable = self._auth.plugin is not None or bool(self._files)
            if not renewable or now - self._renewed_for_rejection < REJECTION_GAP:
                return False
            if self._auth.plugin is not None:
                self._renewed_for_rejection = now
            self._grant = None
            return self._renew() != grant

    def close(self) -> None:
        """Ends a running plugin; a caller that waits for it gets a `CredentialError`."""
        self._closed.set()

    def _renew(self) -> Grant:
        stamp = _file_stamps(self._files)
        certificate = self._certificate()
        if self._auth.plugin is not None:
            self._grant, self._good_until = self._run(self._auth.plugin, certificate)
        else:
            self._grant, self._good_until = Grant(self._bearer(), certificate), float("inf")
        self._stamp = stamp
        return self._grant

    def _certificate(self) -> tuple[bytes, bytes] | None:
        if self._auth.certificate is None or self._auth.key is None:
            return None
        try:
            return self._auth.certificate.read(), self._auth.key.read()
        except OSError as error:
            if self._grant is not None:
                return self._grant.certificate  # it is being replaced
            raise CredentialError(
                f"client certificate {error.filename} cannot be read: {error.strerror}"
            ) from None

    def _bearer(self) -> str | None:
        auth = self._auth
        if auth.token_file is not None:
            return f"Bearer {self._token_in(auth.token_file)}"
        if auth.token is not None:
            return f"Bearer {auth.token}"
        if auth.username is not None:
            pair = f"{auth.username}:{auth.password or ''}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        return None

    def _token_in(self, path: Path) -> str:
        try:
            token = read_file(path, MAX_TOKEN_BYTES).decode().strip()
        except OSError as error:
            if self._grant is not None and self._grant.authorization is not None:
                return self._grant.authorization.removeprefix("Bearer ")  # it is being replaced
            raise CredentialError(f"token file {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            token = ""
        if not token or not token.isprintable():
            raise CredentialError(f"token file {path} holds no token")
        return token

    def _run(
        self, plugin: CredentialPluginSpec, certificate: tuple[bytes, bytes] | None
    ) -> tuple[Grant, float]:
        if self._failure is not None and monotonic() < self._failure_until:
            raise self._failure
        try:
            result = run_plugin(
                plugin, environ=self._environ, timeout=self._plugin_timeout, cancelled=self._closed
            )
        except CredentialError as error:
            self._failure, self._failure_until = error, monotonic() + FAILURE_LIFE
            raise
        self._failure = None
        authorization = f"Bearer {result.token}" if result.token else None
        return Grant(authorization, result.certificate or certificate), _renewal_time(result)


def _renewal_time(result: PluginResult) -> float:
    """When to renew, on the monotonic clock."""
    if result.expires is None:
        return float("inf")
    return monotonic() + max(result.expires - time.time() - EXPIRY_MARGIN, MIN_LIFE)


def _file_stamps(paths: tuple[Path, ...]) -> _FileStamps:
    """Changes when a file is rewritten, or replaced as a mounted Secret is."""
    stamps = []
    for path in paths:
        try:
            status = path.stat()
            stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
        except OSError:
            stamps.append((0, 0, 0))
    return tuple(stamps)
