"""The TLS side of a connection: what to trust, and the certificate to show."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memtop.cluster.errors import KubeconfigError
from memtop.cluster.target import Target


def ssl_context(target: Target, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext:
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
        show_certificate(context, certificate, target)
    return context


def show_certificate(context: ssl.SSLContext, certificate: tuple[bytes, bytes], target: Target) -> None:
    """Makes ``context`` show ``certificate`` (chain and key, PEM) on the connections it makes from now on.

    Raises:
        KubeconfigError: The certificate or the key is not usable.
    """
    chain, key = certificate
    try:
        with private_file(chain + b"\n" + key) as path:
            # An empty pass phrase: without one OpenSSL would ask for it on the terminal.
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        why = "is encrypted, and memtop cannot ask for its pass phrase" if b"ENCRYPTED" in key else ""
        why = why or f"cannot be used ({getattr(error, 'reason', None) or 'not PEM'})"
        raise KubeconfigError(
            f"the client certificate or key of user {target.user!r} ({target.source}) {why}"
        ) from None


@contextlib.contextmanager
def private_file(content: bytes) -> Iterator[str]:
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
