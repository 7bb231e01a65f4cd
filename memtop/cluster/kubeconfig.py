"""Which cluster to connect to and how: what kubectl accepts, resolved into one `Target`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from memtop.cluster import kubefile
from memtop.cluster.errors import KubeconfigError
from memtop.cluster.kubefile import ClusterEntry, ExecEntry, Kubeconfig, UserEntry
from memtop.cluster.proxy import proxy_for
from memtop.cluster.sanitize import sanitize
from memtop.cluster.target import Auth, ExecSpec, Pem, Target

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's token, authority and namespace."""

IN_CLUSTER = "in-cluster"
_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{v}" for v in ("v1", "v1beta1", "v1alpha1"))
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


@dataclass(frozen=True)
class ContextInfo:
    """One line of the context picker."""

    name: str
    cluster: str
    user: str
    namespace: str
    server: str
    source: str
    current: bool


def load(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> Target:
    """Resolves what to connect to, in kubectl's order: flag, ``KUBECONFIG``, ``~/.kube/config``, in-cluster.

    Files that hold certificates are read here, so that a missing one is said before a screen opens. Nothing
    is run and nothing is sent.

    Args:
        kubeconfig: The one file to read (``--kubeconfig``).
        context: The context to use (``--context``); by default the files' ``current-context``.
        environ: The environment variables; by default the process's own.
        service_account: The folder of the pod's service account.

    Raises:
        KubeconfigError: Something named does not exist or cannot be used.
    """
    environ = os.environ if environ is None else environ
    paths, looked = _paths(kubeconfig, environ)
    config = kubefile.merged(paths)
    explicit = kubeconfig is not None or context is not None
    if not config.contexts and not explicit and environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster(environ, service_account)
    if not paths:
        raise KubeconfigError(
            f"no kubeconfig found (looked at {looked}); name one with --kubeconfig or KUBECONFIG, "
            "or try `memtop --demo`, which needs none"
        )
    return _target(config, _chosen(config, context), environ)


def contexts(*, kubeconfig: str | None = None, environ: Mapping[str, str] | None = None) -> list[ContextInfo]:
    """The contexts there are, by name.

    Raises:
        KubeconfigError: A file cannot be read or is no kubeconfig.
    """
    paths, _ = _paths(kubeconfig, os.environ if environ is None else environ)
    config = kubefile.merged(paths)
    return [
        ContextInfo(
            name=name,
            cluster=entry.cluster,
            user=entry.user,
            namespace=entry.namespace or "default",
            server=config.clusters[entry.cluster][0].server if entry.cluster in config.clusters else "",
            source=str(path),
            current=name == config.current_context,
        )
        for name, (entry, path) in sorted(config.contexts.items())
    ]


def _paths(flag: str | None, environ: Mapping[str, str]) -> tuple[list[Path], str]:
    """The kubeconfig files to read, and where was looked, in words."""
    if flag is not None:
        return [Path(flag).expanduser()], "--kubeconfig"
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return [path for path in listed if path.exists()], f"KUBECONFIG={environ['KUBECONFIG']}"
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    default = home / ".kube" / "config"
    return [default] if default.exists() else [], str(default)


def _chosen(config: Kubeconfig, context: str | None) -> str:
    name = context or config.current_context
    files = ", ".join(map(str, config.files))
    if not config.contexts:
        raise KubeconfigError(f"{files} names no context; try `memtop --demo`, which needs none")
    if not name:
        raise KubeconfigError(
            f"{files} has no current-context; choose one with --context: {_names(config.contexts)}"
        )
    if name not in config.contexts:
        origin = "--context" if context else "current-context"
        raise KubeconfigError(
            f"{origin} {sanitize(name)!r} is not in {files}{_nearest(name, config.contexts)}; "
            f"there are: {_names(config.contexts)}"
        )
    return name


def _names(names: Iterable[str], most: int = 12) -> str:
    ordered = sorted(map(sanitize, names))
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {sanitize(near[0])!r}?)" if near else ""


def _target(config: Kubeconfig, name: str, environ: Mapping[str, str]) -> Target:
    context, source = config.contexts[name]
    if context.cluster not in config.clusters:
        raise KubeconfigError(
            f"context {sanitize(name)!r} in {source} names the cluster {sanitize(context.cluster)!r}, "
            f"which is not there{_nearest(context.cluster, config.clusters)}"
        )
    if context.user and context.user not in config.users:
        raise KubeconfigError(
            f"context {sanitize(name)!r} in {source} names the user {sanitize(context.user)!r}, "
            f"which is not there{_nearest(context.user, config.users)}"
        )
    cluster, cluster_file = config.clusters[context.cluster]
    user, user_file = config.users.get(context.user, (UserEntry(), source))
    authority = _authority(cluster, context.cluster, cluster_file)
    server = _server(cluster, context.cluster, cluster_file, secure=authority is not None)
    return Target(
        context=name,
        cluster=context.cluster,
        user=context.user,
        server=server,
        namespace=context.namespace or "default",
        source=str(source),
        auth=_auth(user, context.user, user_file, _cluster_info(cluster, server, authority)),
        authority=authority,
        insecure=cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy=_proxy(cluster, context.cluster, cluster_file, server, environ),
    )


def _server(cluster: ClusterEntry, name: str, path: Path, *, secure: bool) -> str:
    if not cluster.server:
        raise KubeconfigError(f"cluster {sanitize(name)!r} in {path} has no server")
    url = cluster.server
    if "://" not in url:
        secure = secure or cluster.insecure_skip_tls_verify
        url = f"{'https' if secure else 'http'}://{url}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise KubeconfigError(
            f"cluster {sanitize(name)!r} in {path}: server {sanitize(url)!r} is not an http(s) URL"
        )
    return url.rstrip("/")


def _authority(cluster: ClusterEntry, name: str, path: Path) -> bytes | None:
    if cluster.certificate_authority_data:
        what = f"certificate-authority-data of cluster {sanitize(name)!r}"
        return kubefile.decode(cluster.certificate_authority_data, what, path)
    if cluster.certificate_authority:
        what = f"certificate-authority of cluster {sanitize(name)!r}"
        return kubefile.read_file(path.parent / cluster.certificate_authority, what)
    return None


def _proxy(
    cluster: ClusterEntry, name: str, path: Path, server: str, environ: Mapping[str, str]
) -> str | None:
    url = cluster.proxy_url or proxy_for(server, environ)
    if not url:
        return None
    origin = (
        f"proxy-url of cluster {sanitize(name)!r} in {path}" if cluster.proxy_url else "the proxy variable"
    )
    return checked_proxy(url, origin)


def checked_proxy(url: str, origin: str) -> str:
    """``url`` if memtop can go through it.

    Raises:
        KubeconfigError: It is no HTTP proxy; the sentence does not repeat a password in it.
    """
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme.startswith("socks"):
        raise KubeconfigError(
            f"{origin} is a SOCKS proxy ({sanitize(scheme)}://{sanitize(host or '')}), which memtop does not speak; "
            "use an http:// or https:// proxy, or an SSH port forward"
        )
    if scheme not in ("http", "https") or not host:
        raise KubeconfigError(f"{origin} is not an http:// or https:// URL")
    return url


def _auth(user: UserEntry, name: str, path: Path, info: dict[str, object]) -> Auth:
    who = f"user {sanitize(name)!r}"
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
        token=user.token or None,
        token_file=token_file,
        username=user.username or None,
        password=user.password,
        plugin=_plugin(user.plugin, who, path, info) if user.plugin and not has_bearer else None,
        certificate=certificate,
        key=key,
        impersonation=_impersonation(user),
    )


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


def _cluster_info(cluster: ClusterEntry, server: str, authority: bytes | None) -> dict[str, object]:
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


def _in_cluster(environ: Mapping[str, str], folder: Path) -> Target:
    host = environ["KUBERNETES_SERVICE_HOST"]
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    kubefile.read_file(folder / "token", "the service account's token")
    authority = kubefile.read_file(folder / "ca.crt", "the service account's authority")
    namespace = folder / "namespace"
    proxy = proxy_for(server, environ)
    return Target(
        context=IN_CLUSTER,
        cluster=IN_CLUSTER,
        user="service account",
        server=server,
        namespace=namespace.read_text().strip() or "default" if namespace.exists() else "default",
        source=IN_CLUSTER,
        auth=Auth(token_file=folder / "token"),
        authority=authority,
        proxy=checked_proxy(proxy, "the proxy variable") if proxy else None,
    )
