"""Kubeconfig files as data: read, checked and merged, with the file each entry came from.

The user of a context becomes an `Auth`: its certificates are read and its credential plugin is checked.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import yaml

from config.private_files import read_file
from memtop.kube.api_errors import KubeconfigError
from memtop.kube.connection_target import Auth, CredentialPluginSpec, Pem
from memtop.sanitize import sanitize

MAX_FILE = 16 * 1024 * 1024
"""Bytes. A kubeconfig with five hundred clusters has about five million; more than this is something else."""


def _plain_resolvers() -> dict[str, list[tuple[str, Any]]]:
    """YAML's rules for plain scalars, but only those for null and ``<<``."""
    kept = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    return {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _PlainTextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
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


class _KubeconfigFile(msgspec.Struct, rename="kebab", frozen=True):
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


def read_kubeconfig_files(paths: list[Path]) -> Kubeconfig:
    """Reads ``paths`` and merges them as kubectl does: of two entries of one name the first file's counts.

    Raises:
        KubeconfigError: A file cannot be read or is no kubeconfig.
    """
    result = Kubeconfig(files=tuple(paths))
    current = ""
    for path in paths:
        file = _read_kubeconfig_file(path)
        current = current or file.current_context or ""
        for cluster in file.clusters or ():
            result.clusters.setdefault(cluster.name, (cluster.cluster or ClusterEntry(), path))
        for user in file.users or ():
            result.users.setdefault(user.name, (user.user or UserEntry(), path))
        for context in file.contexts or ():
            result.contexts.setdefault(context.name, (context.context or ContextEntry(), path))
    return Kubeconfig(result.files, current, result.clusters, result.users, result.contexts)


def _read_kubeconfig_file(path: Path) -> _KubeconfigFile:
    content = read_referenced_file(path, "kubeconfig")
    try:
        # A safe loader, with fewer types. Of several documents kubectl reads the first.
        tree = next(iter(yaml.load_all(content, Loader=_PlainTextLoader)), None)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig {path} is not valid YAML: {_yaml_error_words(error)}") from None
    if tree is None:
        return _KubeconfigFile()
    try:
        return msgspec.convert(_without_nulls(tree), _KubeconfigFile, strict=False)
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"kubeconfig {path} is not a kubeconfig: {sanitize(str(error))}") from None


def _without_nulls(value: object) -> object:
    """What is null is not there, as for kubectl: some tools write out every field."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value if part is not None]
    return value


def _yaml_error_words(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    if mark is None:
        return sanitize(str(problem))
    return f"line {mark.line + 1}, column {mark.column + 1}: {sanitize(str(problem))}"


def read_referenced_file(path: Path, what: str) -> bytes:
    """The bytes of a file that a kubeconfig needs.

    Args:
        path: The file.
        what: What it is, for the sentence: ``kubeconfig``, ``client certificate``.

    Raises:
        KubeconfigError: It is missing, unreadable, no file, or larger than `MAX_FILE`.
    """
    try:
        return read_file(path, MAX_FILE)
    except FileNotFoundError:
        raise KubeconfigError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise KubeconfigError(f"{what} {path} cannot be read: {error.strerror or error}") from None


def decode_base64(data: str, what: str, path: Path) -> bytes:
    """The bytes of a base64 value (``…-data``) of a kubeconfig.

    Raises:
        KubeconfigError: It is not base64; names ``what`` and the file, never the value.
    """
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"{what} in {path} is not valid base64") from None


_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{v}" for v in ("v1", "v1beta1", "v1alpha1"))
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def resolve_auth(user: UserEntry, name: str, path: Path, info: dict[str, object]) -> Auth:
    """What ``user`` proves itself with.

    Args:
        user: The entry.
        name: Its name.
        path: The file it came from; what it names relative to itself is resolved against its folder.
        info: What a plugin may learn of the cluster (`exec_cluster_info`).

    Raises:
        KubeconfigError: Something it names is missing or cannot be used.
    """
    who = f"user {sanitize(name)!r}"
    for value in (user.username, user.impersonate, user.impersonate_uid, *(user.impersonate_groups or ())):
        _header_value(value, f"name in {who}", path)
    certificate = _read_pem(
        user.client_certificate_data, user.client_certificate, f"client-certificate of {who}", path
    )
    key = _read_pem(user.client_key_data, user.client_key, f"client-key of {who}", path)
    if (certificate is None) != (key is None):
        present, absent = (
            ("client-certificate", "client-key") if certificate else ("client-key", "client-certificate")
        )
        raise KubeconfigError(f"{who} in {path} has a {present} but no {absent}")
    token_file = path.parent / user.token_file if user.token_file else None
    has_bearer = bool(token_file or user.token or user.username)
    if user.auth_provider is not None and user.plugin is None and not has_bearer:
        raise KubeconfigError(
            f"{who} in {path} uses the auth-provider {sanitize(user.auth_provider.name)!r}, which Kubernetes "
            "removed in 1.26; let your cloud's tool write the kubeconfig again, with an exec plugin"
        )
    return Auth(
        token=_header_value(user.token, f"token of {who}", path),
        token_file=token_file,
        username=user.username or None,
        password=user.password,
        plugin=_plugin_spec(user.plugin, who, path, info) if user.plugin and not has_bearer else None,
        certificate=certificate,
        key=key,
        impersonation=_impersonation_headers(user),
    )


def _header_value(value: str | None, what: str, path: Path) -> str | None:
    """``value`` without the white space around it, if it can stand in an HTTP header."""
    value = (value or "").strip()
    if not value.isprintable():
        raise KubeconfigError(f"the {what} in {path} has control characters")
    return value or None


def _read_pem(data: str | None, file: str | None, what: str, path: Path) -> Pem | None:
    if data:
        return Pem(data=decode_base64(data, f"{what} (data)", path))
    if file:
        read_referenced_file(path.parent / file, what)
        return Pem(path=path.parent / file)
    return None


def _impersonation_headers(user: UserEntry) -> tuple[tuple[str, str], ...]:
    headers = [("Impersonate-User", user.impersonate)] if user.impersonate else []
    if user.impersonate_uid:
        headers.append(("Impersonate-Uid", user.impersonate_uid))
    headers += [("Impersonate-Group", group) for group in user.impersonate_groups or ()]
    for key, values in (user.impersonate_extra or {}).items():
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)


def _plugin_spec(entry: ExecEntry, who: str, path: Path, info: dict[str, object]) -> CredentialPluginSpec:
    if not entry.command:
        raise KubeconfigError(f"the exec plugin of {who} in {path} has no command")
    if entry.api_version not in _EXEC_VERSIONS:
        raise KubeconfigError(
            f"the exec plugin of {who} in {path} has the apiVersion {sanitize(entry.api_version)!r}; "
            f"memtop knows {', '.join(_EXEC_VERSIONS)}"
        )
    command = entry.command
    if os.sep in command:  # relative to its kubeconfig; a bare name is looked up in PATH
        command = str((path.parent / command).absolute())  # else ./tool beside ./kubeconfig is a bare name
    return CredentialPluginSpec(
        api_version=entry.api_version,
        command=command,
        args=tuple(entry.args or ()),
        env=tuple((variable.name, variable.value) for variable in entry.env or ()),
        install_hint=sanitize(entry.install_hint or ""),
        interactive_mode=entry.interactive_mode or "IfAvailable",
        cluster_info=info if entry.provide_cluster_info else None,
    )


def exec_cluster_info(cluster: ClusterEntry, server: str, authority: bytes | None) -> dict[str, object]:
    """``spec.cluster`` of an ExecCredential (client.authentication.k8s.io/v1)."""
    info: dict[str, object] = {"server": server}
    if cluster.tls_server_name:
        info["tls-server-name"] = cluster.tls_server_name
    if cluster.insecure_skip_tls_verify:
        info["insecure-skip-tls-verify"] = True
    if authority is not None:
        info["certificate-authority-data"] = authority
    if cluster.proxy_url:
        info["proxy-url"] = cluster.proxy_url
    if cluster.disable_compression:
        info["disable-compression"] = True
    for item in cluster.extensions or ():
        if isinstance(item, dict) and item.get("name") == _EXEC_EXTENSION:
            info["config"] = item.get("extension")
    return info
