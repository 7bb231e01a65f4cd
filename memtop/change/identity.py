"""Whom the API server takes us for."""

from __future__ import annotations

import base64
import binascii
import contextlib
import ssl

import msgspec

from memtop.cluster.client import Client
from memtop.cluster.credentials import Grant
from memtop.cluster.errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.cluster.sanitize import sanitize
from memtop.cluster.target import Auth
from memtop.cluster.tree import decode, text

UNKNOWN = "unknown"
_GROUP = "/apis/authentication.k8s.io"
_VERSIONS = ("v1", "v1beta1", "v1alpha1")
_TIMEOUT = 5.0
"""Seconds; a change must not wait long for a name."""
_COMMON_NAME = bytes.fromhex("0603550403")
"""The object identifier 2.5.4.3 as DER has it."""
_SEQUENCE, _EXPLICIT_VERSION = 0x30, 0xA0


async def user(client: Client) -> str:
    """The name of the user as the API server sees them.

    Servers from 1.28 on say so. Of an older one it follows from what we show it: whom we impersonate, the
    common name of the certificate, the subject of a service account's token. Else it is `UNKNOWN`.
    """
    for version in _VERSIONS:
        path = f"{_GROUP}/{version}/selfsubjectreviews"
        review = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
        try:
            answer = await client.request("POST", path, body=msgspec.json.encode(review), timeout=_TIMEOUT)
            name = text(decode(answer.body), "status", "userInfo", "username")
        except ApiError:
            continue
        except (Unreachable, CredentialError, KubeconfigError):
            break
        if name:
            return sanitize(name)
    return shown_by(client.target.auth, client.credentials.at_hand())


def shown_by(auth: Auth, grant: Grant | None) -> str:
    """The name that follows from what a server is shown; `UNKNOWN` where none does.

    Args:
        auth: How we log in.
        grant: The credential in use.
    """
    for header, value in auth.impersonation:
        if header == "Impersonate-User":
            return sanitize(value)
    if grant is None:
        return UNKNOWN
    name = _service_account(grant.authorization or "")
    if grant.certificate is not None:  # which is what a server looks at first
        with contextlib.suppress(ValueError, IndexError, UnicodeDecodeError):
            name = common_name(grant.certificate[0].decode()) or name
    return sanitize(name) or sanitize(auth.username or "") or UNKNOWN


def common_name(pem: str) -> str:
    """The common name of a certificate's subject; empty without one.

    Args:
        pem: The certificate, perhaps with others or a key around it.

    Raises:
        ValueError: It is no certificate.
        IndexError: It is cut short.
    """
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    end = pem.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem[begin:end])
    # Certificate: SEQUENCE { TBSCertificate: SEQUENCE { [0] version, serial, algorithm, issuer, validity,
    # subject, ...  (RFC 5280, section 4.1)
    place, _ = _content(der, _content(der, 0)[0])
    if der[place] == _EXPLICIT_VERSION:
        place = _content(der, place)[1]
    for _ in range(4):
        place = _content(der, place)[1]
    subject = der[place : _content(der, place)[1]]
    found = subject.rfind(_COMMON_NAME)
    if found < 0:
        return ""
    start, stop = _content(subject, found + len(_COMMON_NAME))
    return subject[start:stop].decode()


def _content(der: bytes, place: int) -> tuple[int, int]:
    """Where the contents of the DER element at `place` begin and end."""
    length, start = der[place + 1], place + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return start, start + length


def _service_account(authorization: str) -> str:
    """The subject of a service account's token; other tokens' subjects need not be the user's name."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return ""
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        subject = text(msgspec.json.decode(raw), "sub")
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return ""
    return subject if subject.startswith("system:serviceaccount:") else ""
