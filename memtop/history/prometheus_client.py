"""A client of anything that speaks the Prometheus HTTP API. It blocks, so it belongs in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from memtop import __version__
from memtop.history import prometheus_answers
from memtop.history.prometheus_answers import QueryAnswer
from memtop.history.prometheus_queries import QueryGrid
from memtop.kube.api_errors import ApiError, CredentialError, Unreachable
from memtop.kube.client import parse_api_error
from memtop.log_file import get_logger, log_request
from memtop.sanitize import sanitize

LOGGER = get_logger("prometheus")
CONNECT_TIMEOUT = 5.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Of one answer, unpacked; a batch of 50 pods over a day is about 2 million. Decoding takes some 30 times as
much memory: 64 million took 2 GiB."""
RETRIES = Retry(total=1, connect=1, read=1, redirect=0, status=0, other=0, backoff_factor=0.2)
"""One more try on a connection that a server has closed meanwhile; whoever asked waits before the next."""

QueryParams = Sequence[tuple[str, str]]


class PrometheusClient(PrometheusConnect):
    """One Prometheus, Thanos, VictoriaMetrics or Mimir.

    `PrometheusConnect` as it is has no time-out, tries three times, asks ``/`` to see whether it is
    connected, drops warnings, and puts the signing adapter of its session aside. Answers are read here from
    raw bytes.

    Args:
        url: Where ``/api/v1`` is, without a trailing slash.
        session: Carries what is needed to get there, such as the cluster's credentials.
        timeout: Longest wait for one answer, in seconds.
        headers: Sent with every request.
        auth: Signs every request.
        clock: A steady clock.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        *,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        adapter = session.get_adapter(url)
        if isinstance(adapter, HTTPAdapter):
            adapter.max_retries = RETRIES
        super().__init__(url, headers=dict(headers or {}), session=session)
        self._signed_by = auth or NoAuth()
        self._longest = timeout
        session.mount(url, adapter)  # PrometheusConnect has put a plain one in its place
        self._clock = clock

    def check_prometheus_connection(self, params: dict[str, str] | None = None) -> bool:
        """Whether queries are answered; false where they are not, whatever the reason."""
        del params
        try:
            return bool(self.instant_query("1").streams)
        except (ApiError, Unreachable, CredentialError):
            return False

    def instant_query(self, query: str, at: float | None = None) -> QueryAnswer:
        """The answer to a query at one moment.

        Args:
            query: PromQL.
            at: Unix seconds; by default the server's now.

        Raises:
            Unreachable: No whole answer came in time, or something else answered.
            ApiError: The answer was a refusal.
            CredentialError: No credential could be had.
        """
        when = [] if at is None else [("time", f"{at:.3f}")]
        return prometheus_answers.read_query_answer(self.get("query", [("query", query), *when]))

    def range_query(self, query: str, grid: QueryGrid) -> QueryAnswer:
        """The answer to a query at every moment of a grid; raises like `instant`."""
        span = [("start", f"{grid.start:.3f}"), ("end", f"{grid.end:.3f}"), ("step", f"{grid.step:g}")]
        return prometheus_answers.read_query_answer(self.get("query_range", [("query", query), *span]))

    def label_values(self, label: str, matches: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        """The values of a label among the series that match and have samples between two times."""
        path = f"label/{label}/values"
        return prometheus_answers.read_label_values(self.get(path, _match_params(matches, start, end)))

    def series(self, matches: Sequence[str], start: float, end: float) -> tuple[dict[str, str], ...]:
        """The labels of the series that match and have samples between two times (Unix seconds)."""
        return prometheus_answers.read_series_labels(self.get("series", _match_params(matches, start, end)))

    def version(self) -> str:
        """What it says of its version; empty where it says nothing (VictoriaMetrics, older servers)."""
        try:
            return prometheus_answers.read_version(self.get("status/buildinfo", []))
        except ApiError:
            return ""

    def get(self, path: str, query: QueryParams) -> bytes:
        """The body of a GET below ``/api/v1``; raises like `instant`."""
        deadline, began = self._clock() + self._longest, time.monotonic()
        try:
            response = self._session.get(
                f"{self.url}/api/v1/{path}",
                params=list(query),
                headers=self.headers,
                auth=self._signed_by,
                timeout=(min(CONNECT_TIMEOUT, self._longest), self._longest),
                verify=self._session.verify,
                allow_redirects=False,  # headers may hold secrets, and belong to nobody else
                stream=True,
            )
            with response:
                body = self._body(response, deadline)
        except (requests.RequestException, HTTPError) as error:
            log_request(LOGGER, "GET", f"{self.url}/api/v1/{path}", error, began)
            raise Unreachable(self._why(error)) from None
        log_request(LOGGER, "GET", f"{self.url}/api/v1/{path}", response.status_code, began)
        if response.status_code != requests.codes.ok:
            raise _refusal_error(response, body)
        return body

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        # As it comes: `iter_content` waits until a piece is full, and a drip of bytes fills none in time.
        while part := response.raw.read1(64 * 1024, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise Unreachable(f"Prometheus sent an answer of more than {MAX_ANSWER_BYTES} bytes")
            if self._clock() > deadline:
                raise Unreachable(f"Prometheus did not answer in full within {self._longest:g} s")
        return b"".join(parts)

    def _why(self, error: Exception) -> str:
        host = sanitize(urlsplit(self.url).netloc.rpartition("@")[2])
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection to {host} within {min(CONNECT_TIMEOUT, self._longest):g} s"
        if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
            return f"Prometheus did not answer within {self._longest:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return f"the certificate of {host} is not trusted: {_root_cause_words(error)}"
        if isinstance(error, requests.exceptions.ProxyError):
            return f"the proxy on the way to {host} refused: {_root_cause_words(error)}"
        if isinstance(error, requests.exceptions.ChunkedEncodingError | HTTPError):
            return "Prometheus' answer was cut short"
        return f"{host} cannot be reached: {_root_cause_words(error)}"


class BearerFileAuth(AuthBase):
    """Signs with a token from a file, read for every request, since such tokens rotate."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the token.

        Raises:
            CredentialError: The file cannot be read or holds none.
        """
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CredentialError(f"Prometheus' token file {self._path} cannot be read: {reason}") from None
        if not token or not token.isprintable():
            raise CredentialError(f"Prometheus' token file {self._path} holds no token")
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class BearerAuth(AuthBase):
    """Signs with a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoAuth(AuthBase):
    """Signs nothing; being there, it keeps ``requests`` from taking credentials out of a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leaves the request as it is."""
        return request


def direct_auth(
    username: str | None, password: str | None, token: str | None, token_file: str | None
) -> AuthBase:
    """How the settings say to log in at a direct URL."""
    if token_file is not None:
        return BearerFileAuth(Path(token_file))
    if token is not None:
        return BearerAuth(token)
    if username is not None:
        return HTTPBasicAuth(username.encode(), (password or "").encode())
    return NoAuth()


def direct_session() -> requests.Session:
    """A session for a URL of its own: proxies and authorities as the environment says."""
    session = requests.Session()
    session.headers["User-Agent"] = f"memtop/{__version__}"
    return session


def _match_params(matches: Sequence[str], start: float, end: float) -> QueryParams:
    return [*(("match[]", match) for match in matches), ("start", f"{start:.3f}"), ("end", f"{end:.3f}")]


def _refusal_error(response: requests.Response, body: bytes) -> ApiError:
    error = parse_api_error(response.status_code, response.headers, body)
    said = prometheus_answers.error_words(body)
    return ApiError(error.status, error.reason, said, error.retry_after) if said else error


def _root_cause_words(error: BaseException) -> str:
    """The words at the bottom of a pile of wrapped exceptions, without object addresses."""
    seen: Any = error
    for _ in range(10):
        within = [getattr(seen, "reason", None), *getattr(seen, "args", ())]
        inner = next((one for one in within if isinstance(one, BaseException)), None)
        if inner is None:
            break
        seen = inner
    if isinstance(seen, RemoteDisconnected):
        return "it closed the connection without an answer"
    for cause in (seen, seen.__cause__, seen.__context__):
        if isinstance(cause, OSError) and cause.strerror:
            return sanitize(cause.strerror)
    return sanitize(str(seen).rpartition(">: ")[2] or str(seen))
