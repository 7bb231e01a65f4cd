"""What can go wrong between memtop and a cluster. Each error is one sentence that fits on a screen."""

from __future__ import annotations


class KubeconfigError(Exception):
    """The kubeconfig cannot be used; the sentence names the value and the file it came from.

    Attributes:
        setting: The setting that is wrong, such as ``cluster.context``: whoever knows where it was set (flag,
            variable, file) can say so. None where the kubeconfig itself is wrong.
    """

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class CredentialError(Exception):
    """No credential could be had (a plugin failed, a token file is gone).

    Attributes:
        output: What the credential plugin said on stderr, free of terminal escapes; empty if nothing.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class Unreachable(Exception):  # noqa: N818  (the field's word; not every bad state is an "error" by name)
    """No whole answer came: refused, no such host, TLS, a time-out, or an answer cut short.

    Attributes:
        retry_after: Seconds that a server on the way asks to wait; None if none does.
    """

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreadable(Unreachable):
    """An answer came whole and makes no sense: going on from before it would only meet it again."""


class ApiError(Exception):
    """The API server answered with a status of 400 or more (or a redirect).

    Attributes:
        status: The HTTP status.
        reason: The API's machine-readable reason (``Forbidden``, ``Expired``), else HTTP's own word.
        message: The server's sentence, sanitised.
        retry_after: Seconds the server asks to wait before the next try; None if it does not say.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


CLUSTER_FAILURES = (ApiError, Unreachable, CredentialError, KubeconfigError)
"""All that a request can end with: what is worth another attempt, or a sentence."""
