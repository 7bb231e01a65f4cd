"""Kubeconfig files as data: read, checked and merged, with where each entry came from."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from memtop.cluster.errors import KubeconfigError
from memtop.cluster.sanitize import sanitize

MAX_FILE = 16 * 1024 * 1024
"""Bytes. A kubeconfig with five hundred clusters has about five million; more than this is something else."""


def _plain_resolvers() -> dict[str, list[tuple[str, Any]]]:
    """YAML's rules for plain scalars, but only those for null and ``<<``."""
    kept = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    return {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain scalars stay text, so that a context may be called ``1``, ``on`` or ``2024-01-01``.

    libyaml's parser where it is there: a megabyte takes 0.1 s instead of 2 s.
    """

    yaml_implicit_resolvers = _plain_resolvers()


class ClusterEntry(msgspec.Struct, rename="kebab", frozen=True):
    """``clusters[].cluster`` of a kubeconfig."""

    server: str = ""
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool = False
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    proxy_url: str | None = None
    disable_compression: bool = False
    extensions: list[Any] | None = None


class EnvEntry(msgspec.Struct, frozen=True):
    """``env[]`` of a credential plugin."""

    name: str
    value: str = ""


class ExecEntry(msgspec.Struct, rename="camel", frozen=True):
    """``users[].user.exec`` of a kubeconfig."""

    command: str = ""
    api_version: str = ""
    args: list[str] | None = None
    env: list[EnvEntry] | None = None
    install_hint: str | None = None
    interactive_mode: str | None = None
    provide_cluster_info: bool = False


class ProviderEntry(msgspec.Struct, frozen=True):
    """``users[].user.auth-provider``: only its name matters, for the sentence that refuses it."""

    name: str = ""


class UserEntry(msgspec.Struct, rename="kebab", frozen=True):
    """``users[].user`` of a kubeconfig."""

    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    impersonate: str | None = msgspec.field(default=None, name="as")
    impersonate_uid: str | None = msgspec.field(default=None, name="as-uid")
    impersonate_groups: list[str] | None = msgspec.field(default=None, name="as-groups")
    impersonate_extra: dict[str, list[str]] | None = msgspec.field(default=None, name="as-user-extra")
    auth_provider: ProviderEntry | None = None
    plugin: ExecEntry | None = msgspec.field(default=None, name="exec")


class ContextEntry(msgspec.Struct, frozen=True):
    """``contexts[].context`` of a kubeconfig."""

    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: ClusterEntry | None = None


class _NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: UserEntry | None = None


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: ContextEntry | None = None


class _File(msgspec.Struct, rename="kebab", frozen=True):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


@dataclass(frozen=True)
class Kubeconfig:
    """One or several kubeconfig files merged: each entry with the file it came from."""

    files: tuple[Path, ...] = ()
    current_context: str = ""
    clusters: dict[str, tuple[ClusterEntry, Path]] = field(default_factory=dict)
    users: dict[str, tuple[UserEntry, Path]] = field(default_factory=dict)
    contexts: dict[str, tuple[ContextEntry, Path]] = field(default_factory=dict)


def merged(paths: list[Path]) -> Kubeconfig:
    """Reads ``paths`` and merges them as kubectl does: of two entries of one name the first file's counts.

    Raises:
        KubeconfigError: A file cannot be read or is no kubeconfig.
    """
    result = Kubeconfig(files=tuple(paths))
    current = ""
    for path in paths:
        file = _read(path)
        current = current or file.current_context or ""
        for cluster in file.clusters or ():
            result.clusters.setdefault(cluster.name, (cluster.cluster or ClusterEntry(), path))
        for user in file.users or ():
            result.users.setdefault(user.name, (user.user or UserEntry(), path))
        for context in file.contexts or ():
            result.contexts.setdefault(context.name, (context.context or ContextEntry(), path))
    return Kubeconfig(result.files, current, result.clusters, result.users, result.contexts)


def _read(path: Path) -> _File:
    content = read_file(path, "kubeconfig")
    try:
        tree = yaml.load(content, Loader=_Loader)  # a safe loader, with fewer types
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig {path} is not valid YAML: {_where(error)}") from None
    if tree is None:
        return _File()
    try:
        return msgspec.convert(tree, _File, strict=False)
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"kubeconfig {path} is not a kubeconfig: {sanitize(str(error))}") from None


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    if mark is None:
        return sanitize(str(problem))
    return f"line {mark.line + 1}, column {mark.column + 1}: {sanitize(str(problem))}"


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file that a kubeconfig needs.

    Args:
        path: The file.
        what: What it is, for the sentence: ``kubeconfig``, ``client certificate``.

    Raises:
        KubeconfigError: It is missing, unreadable, no file, or larger than `MAX_FILE`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise KubeconfigError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise KubeconfigError(f"{what} {path} cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_FILE:
        raise KubeconfigError(f"{what} {path} is larger than {MAX_FILE >> 20} MiB")
    return content


def decode(data: str, what: str, path: Path) -> bytes:
    """The bytes of a base64 value (``…-data``) of a kubeconfig.

    Raises:
        KubeconfigError: It is not base64; names ``what`` and the file, never the value.
    """
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"{what} in {path} is not valid base64") from None
