"""The log file of memtop itself: what it asked for, what it decided, and what went wrong; without secrets.

Parts of memtop log through `get_logger`. Without ``--log-file`` nothing is written anywhere. With it, records
go through a queue to a thread of their own, since neither the screen nor the engine may wait for a disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from io import TextIOWrapper
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from urllib.parse import urlsplit

from config.options import options
from config.private_files import open_own, private_folder
from config.settings import Settings
from config.values import MASK, mask_addresses
from memtop.sanitize import sanitize, sanitize_text

MOST_FILE_BYTES = 4 * 1024 * 1024
"""Of one file. A line has some 100 bytes, and a quiet screen writes ten a minute: three days of it."""
KEPT_FILES = 3
"""Files that are full and kept beside the one that is written: 16 MiB in all, which fits into a report."""
MOST_WAITING = 10_000
"""Records that wait for the disk; what comes while so many wait is dropped rather than kept in memory."""
END_SECONDS = 2.0
"""How long the end of memtop waits for a disk that does not answer."""
SHORTEST_SECRET = 4
"""Letters of a secret of the settings from which on it is masked wherever it stands: a shorter one would mask
parts of ordinary words."""

_ROOT = logging.getLogger("memtop")
_ROOT.addHandler(logging.NullHandler())  # else logging writes warnings to stderr, across the screen

_SECRETS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}"),
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*"),  # a JSON web token, such as a service account's
    re.compile(r"\bsha256~[\w-]{20,}"),  # an OpenShift token
    re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(
        r"""(?ix) (?P<name> \b [\w-]* (?: token | passw(?:or)?d | secret | api[-_]?key | authorization
            | cookie | client-key-data ) ["']? \s* [=:] \s* )
            (?: "[^"\n]*" | '[^'\n]*' | [^\s,;&"']+ )"""
    ),
)
"""What is a secret by its looks, whoever wrote it: header values, tokens, keys, values with such a name."""


class LogFileError(Exception):
    """The log file cannot be written; the sentence names it and says why."""


def get_logger(part: str) -> logging.Logger:
    """The logger of one part of memtop.

    Args:
        part: Its name, such as ``engine``.
    """
    return _ROOT.getChild(part)


def mask_secrets(text: str, known: Iterable[str] = ()) -> str:
    """A text without tokens, passwords, header values, keys, and without the login in an address.

    Args:
        text: Anything, such as a traceback.
        known: Secrets that are masked wherever they stand.
    """
    for secret in known:
        text = text.replace(secret, MASK)
    text = mask_addresses(text)
    for pattern in _SECRETS:
        text = pattern.sub(_mask_match, text)
    return text


def _mask_match(match: re.Match[str]) -> str:
    named = match.groupdict().get("name") or ""
    return f"{named}{MASK}"


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The values of the settings that nobody may read in a log."""
    found: list[str] = []
    for option in options():
        value = getattr(getattr(settings, option.section), option.field)
        if option.is_secret and value:
            found += value.values() if isinstance(value, Mapping) else [str(value)]
    return tuple(sorted((one for one in found if len(one) >= SHORTEST_SECRET), key=len, reverse=True))


@contextlib.contextmanager
def log_to(path: Path, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Writes what memtop logs to a file, until the context is left.

    Args:
        path: Where; its folder is made if need be, and what is in the file stays.
        secrets: What must not be written, beside what looks like a secret.

    Raises:
        LogFileError: The file cannot be opened, is a link or no plain file of one's own.
    """
    try:
        private_folder(path.parent)
        file = _PrivateRotatingFile(path, tuple(secrets))
    except OSError as error:
        raise LogFileError(f"log file {path} cannot be written: {error.strerror or error}") from error
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(MOST_WAITING)
    writer = threading.Thread(target=_write_all, args=(waiting, file), name="memtop-log", daemon=True)
    handler = _DroppingQueue(waiting)
    loggers = (_ROOT, logging.getLogger("asyncio"))  # asyncio tells of exceptions that nobody waited for
    before = _ROOT.level
    for logger in loggers:
        logger.addHandler(handler)
    _ROOT.setLevel(logging.INFO)
    writer.start()
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        _ROOT.setLevel(before)
        with contextlib.suppress(queue.Full):
            waiting.put(None, timeout=END_SECONDS)
            writer.join(END_SECONDS)


def _write_all(waiting: queue.Queue[logging.LogRecord | None], file: logging.Handler) -> None:
    while (record := waiting.get()) is not None:
        file.handle(record)
    file.close()


def log_request(
    logger: logging.Logger, method: str, address: str, outcome: int | BaseException, began: float
) -> None:
    """Logs one request: method, path, status or failure, duration. Its query is left out.

    Args:
        logger: Whose request it was.
        method: Such as ``GET``.
        address: Its URL or path.
        outcome: The status, or what was raised instead of one.
        began: When it began, on the monotonic clock.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    path = sanitize(urlsplit(address).path if "://" in address else address.partition("?")[0])
    said = outcome if isinstance(outcome, int) else f"{type(outcome).__name__}: {outcome}"
    logger.info("%s %s %s %.0f ms", method, path, said, (time.monotonic() - began) * 1000)


class _DroppingQueue(QueueHandler):
    """Hands records to the thread that writes; never waits, and never complains on stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (as inherited)
        """The queue is full, or a record cannot be formatted: the work that is logged goes on."""


class _MaskingFormatter(logging.Formatter):
    """The one place where a record becomes text, tracebacks included."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return sanitize_text(mask_secrets(super().format(record), self._secrets))


class _PrivateRotatingFile(RotatingFileHandler):
    """A rotated file that only its owner can read, and that is reached through no link."""

    def __init__(self, path: Path, secrets: tuple[str, ...]) -> None:
        super().__init__(path, maxBytes=MOST_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
        self.setFormatter(_MaskingFormatter(secrets))

    def _open(self) -> TextIOWrapper:
        return os.fdopen(open_own(Path(self.baseFilename)), "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (as inherited)
        """The disk is full, or the folder is gone: the log has a hole, and memtop goes on."""
