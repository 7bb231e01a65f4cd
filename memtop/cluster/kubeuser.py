"""The user of a kubeconfig, with its certificates read and its plugin checked, as an `Auth`."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from memtop.cluster import kubefile
from memtop.cluster.errors import KubeconfigError
from memtop.cluster.kubefile import ClusterEntry, ExecEntry, UserEntry
from memtop.cluster.sanitize import sanitize
from memtop.cluster.target import Auth, ExecSpec, Pem

_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{v}" for v in ("v1", "v1beta1", "v1alpha1"))
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def auth(user: UserEntry, name: str, path: Path, info: dict[str, object]) -> Auth:
    """What ``user`` proves itself with.

    Args:
        user: The entry.
        name: Its name.
        path: The file it came from; what it names relative to itself is resolved against its folder.
        info: What a plugin may learn of the cluster (`cluster_info`).

    Raises:
        KubeconfigError: Something it names is missing or cannot be used.
    """
    who = f"user {sanitize(name)!r}"
    for value in (user.username, user.impersonate, user.impersonate_uid, *(user.impersonate_groups or ())):
        _header(value, f"name in {who}", path)
    certificate = _pem(
        user.client_certificate_data, user.client_certificate, f"client-certificate of {who}", path
    )
    key = _pem(user.client_key_data, user.client_key, f"client-key of {who}", path)
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
        token=_header(user.token, f"token of {who}", path),
        token_file=token_file,
        username=user.username or None,
        password=user.password,
        plugin=_plugin(user.plugin, who, path, info) if user.plugin and not has_bearer else None,
        certificate=certificate,
        key=key,
        impersonation=_impersonation(user),
    )


def _header(value: str | None, what: str, path: Path) -> str | None:
    """``value`` without the white space around it, if it can stand in an HTTP header."""
    value = (value or "").strip()
    if not value.isprintable():
        raise KubeconfigError(f"the {what} in {path} has control characters")
    return value or None


def _pem(data: str | None, file: str | None, what: str, path: Path) -> Pem | None:
    if data:
        return Pem(data=kubefile.decode(data, f"{what} (data)", path))
    if file:
        kubefile.read_file(path.parent / file, what)
        return Pem(path=path.parent / file)
    return None


def _impersonation(user: UserEntry) -> tuple[tuple[str, str], ...]:
    headers = [("Impersonate-User", user.impersonate)] if user.impersonate else []
    if user.impersonate_uid:
        headers.append(("Impersonate-Uid", user.impersonate_uid))
    headers += [("Impersonate-Group", group) for group in user.impersonate_groups or ()]
    for key, values in (user.impersonate_extra or {}).items():
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)


def _plugin(entry: ExecEntry, who: str, path: Path, info: dict[str, object]) -> ExecSpec:
    if not entry.command:
        raise KubeconfigError(f"the exec plugin of {who} in {path} has no command")
    if entry.api_version not in _EXEC_VERSIONS:
        raise KubeconfigError(
            f"the exec plugin of {who} in {path} has the apiVersion {sanitize(entry.api_version)!r}; "
            f"memtop knows {', '.join(_EXEC_VERSIONS)}"
        )
    command = entry.command
    if os.sep in command:  # relative to its kubeconfig; a bare name is looked up in PATH
        command = str(path.parent / command)
    return ExecSpec(
        api_version=entry.api_version,
        command=command,
        args=tuple(entry.args or ()),
        env=tuple((variable.name, variable.value) for variable in entry.env or ()),
        install_hint=sanitize(entry.install_hint or ""),
        interactive_mode=entry.interactive_mode or "IfAvailable",
        cluster_info=info if entry.provide_cluster_info else None,
    )


def cluster_info(cluster: ClusterEntry, server: str, authority: bytes | None) -> dict[str, object]:
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
