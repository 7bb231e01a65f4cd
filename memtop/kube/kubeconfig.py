"""Chooses the cluster to connect to: what kubectl accepts, resolved into one `ClusterTarget`.

Also here: the proxy a URL goes through, from the proxy variables, by the rules kubectl follows.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config.values import mask_addresses
from memtop.kube import kubeconfig_files
from memtop.kube.api_errors import KubeconfigError
from memtop.kube.connection_target import Auth, ClusterTarget
from memtop.kube.kubeconfig_files import ClusterEntry, Kubeconfig, UserEntry
from memtop.quantity import parse_whole
from memtop.sanitize import sanitize

_DEFAULT_PORT = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` give ``url``; None for none.

    The rules are those of Go's ``httpproxy``, hence kubectl's: capitals win over small letters, the loopback
    is never proxied, and ``NO_PROXY`` may list hosts (with their subdomains), ``.suffixes``, addresses,
    CIDR ranges, each with a port if it likes, or ``*``.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme, (parts.hostname or "").rstrip(".")
    proxy = _environment_value(environ, f"{scheme.upper()}_PROXY")
    if not proxy or not host or is_loopback(host):
        return None
    port = parts.port or _DEFAULT_PORT.get(scheme, 443)
    if any(
        _no_proxy_matches(entry, host, port) for entry in _environment_value(environ, "NO_PROXY").split(",")
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _environment_value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address) is this machine."""
    address = _ip_address(host)
    return host == "localhost" if address is None else address.is_loopback


def _no_proxy_matches(entry: str, host: str, port: int) -> bool:
    """Whether one entry of ``NO_PROXY`` keeps ``host:port`` from the proxy."""
    entry = entry.strip().lower()
    if not entry:
        return False
    if entry == "*":
        return True
    address = _ip_address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted_port = _split_port(entry)
    if wanted_port is not None and wanted_port != port:
        return False
    if address is not None:
        return _ip_address(name) == address
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]:")
        return name.removesuffix("]"), parse_whole(port)
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, parse_whole(port)
    return entry, None


SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's token, authority and namespace."""

IN_CLUSTER = "in-cluster"


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


def load_target(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClusterTarget:
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
    paths, looked = kubeconfig_paths(kubeconfig, environ)
    config = kubeconfig_files.read_kubeconfig_files(paths)
    explicit = kubeconfig is not None or context is not None
    if not config.contexts and not explicit and environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster_target(environ, service_account)
    if not paths:
        raise KubeconfigError(
            f"no kubeconfig found (looked at {looked}); name one with --kubeconfig or KUBECONFIG, "
            "or try `memtop --demo`, which needs none"
        )
    return _resolve_target(config, _chosen_context(config, context), environ)


def list_contexts(
    *, kubeconfig: str | None = None, environ: Mapping[str, str] | None = None
) -> list[ContextInfo]:
    """The contexts there are, by name.

    Raises:
        KubeconfigError: A file cannot be read or is no kubeconfig.
    """
    paths, _ = kubeconfig_paths(kubeconfig, os.environ if environ is None else environ)
    config = kubeconfig_files.read_kubeconfig_files(paths)
    return [
        ContextInfo(
            name=name,
            cluster=entry.cluster,
            user=entry.user,
            namespace=entry.namespace or "default",
            server=mask_addresses(config.clusters[entry.cluster][0].server)
            if entry.cluster in config.clusters
            else "",
            source=str(path),
            current=name == config.current_context,
        )
        for name, (entry, path) in sorted(config.contexts.items())
    ]


def kubeconfig_paths(flag: str | None, environ: Mapping[str, str]) -> tuple[list[Path], str]:
    """The kubeconfig files to read, and where was looked, in words."""
    if flag is not None:
        return [Path(flag).expanduser()], "--kubeconfig"
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return [path for path in listed if path.exists()], f"KUBECONFIG={environ['KUBECONFIG']}"
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111  (Path.home() raises)
    default = home / ".kube" / "config"
    return [default] if default.exists() else [], str(default)


def _chosen_context(config: Kubeconfig, context: str | None) -> str:
    name = context or config.current_context
    files = ", ".join(map(str, config.files))
    if not config.contexts:
        raise KubeconfigError(f"{files} names no context; try `memtop --demo`, which needs none")
    if not name:
        raise KubeconfigError(
            f"{files} has no current-context; choose one with --context: {_joined_names(config.contexts)}"
        )
    if name not in config.contexts:
        what = "the context" if context else "current-context"
        raise KubeconfigError(
            f"{what} {sanitize(name)!r} is not in {files}{_did_you_mean(name, config.contexts)}; "
            f"there are: {_joined_names(config.contexts)}",
            "cluster.context" if context else None,
        )
    return name


def _joined_names(names: Iterable[str], most: int = 12) -> str:
    ordered = sorted(map(sanitize, names))
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {sanitize(near[0])!r}?)" if near else ""


def _resolve_target(config: Kubeconfig, name: str, environ: Mapping[str, str]) -> ClusterTarget:
    context, source = config.contexts[name]
    if context.cluster not in config.clusters:
        raise KubeconfigError(
            f"context {sanitize(name)!r} in {source} names the cluster {sanitize(context.cluster)!r}, "
            f"which is not there{_did_you_mean(context.cluster, config.clusters)}"
        )
    cluster, cluster_file = config.clusters[context.cluster]
    # A user that is not there is nobody, as for kubectl: the server may want no credentials.
    user, user_file = config.users.get(context.user, (UserEntry(), source))
    authority = _certificate_authority(cluster, context.cluster, cluster_file)
    server = _server_url(cluster, context.cluster, cluster_file, secure=authority is not None)
    return ClusterTarget(
        context=name,
        cluster=context.cluster,
        user=context.user,
        server=server,
        namespace=context.namespace or "default",
        source=str(source),
        auth=kubeconfig_files.resolve_auth(
            user, context.user, user_file, kubeconfig_files.exec_cluster_info(cluster, server, authority)
        ),
        authority=authority,
        insecure=cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        compress=not cluster.disable_compression and not is_loopback(urlsplit(server).hostname or ""),
        proxy=_proxy_url(cluster, context.cluster, cluster_file, server, environ),
    )


def _server_url(cluster: ClusterEntry, name: str, path: Path, *, secure: bool) -> str:
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
            f"cluster {sanitize(name)!r} in {path}: "
            f"server {sanitize(mask_addresses(url))!r} is not an http(s) URL"
        )
    return url.rstrip("/")


def _certificate_authority(cluster: ClusterEntry, name: str, path: Path) -> bytes | None:
    if cluster.certificate_authority_data:
        what = f"certificate-authority-data of cluster {sanitize(name)!r}"
        return kubeconfig_files.decode_base64(cluster.certificate_authority_data, what, path)
    if cluster.certificate_authority:
        what = f"certificate-authority of cluster {sanitize(name)!r}"
        return kubeconfig_files.read_referenced_file(path.parent / cluster.certificate_authority, what)
    return None


def _proxy_url(
    cluster: ClusterEntry, name: str, path: Path, server: str, environ: Mapping[str, str]
) -> str | None:
    url = cluster.proxy_url or proxy_for(server, environ)
    if not url:
        return None
    here = f"proxy-url of cluster {sanitize(name)!r} in {path}"
    return _checked_proxy(url, here if cluster.proxy_url else _proxy_variable_words(server))


def _proxy_variable_words(server: str) -> str:
    return f"the variable {server.partition(':')[0].upper()}_PROXY"


def _checked_proxy(url: str, origin: str) -> str:
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
            f"{origin} is a SOCKS proxy ({sanitize(scheme)}://{sanitize(host or '')}), which memtop does "
            "not speak; use an http:// or https:// proxy, or an SSH port forward"
        )
    if scheme not in ("http", "https") or not host:
        raise KubeconfigError(f"{origin} is not an http:// or https:// URL")
    return url


def _in_cluster_target(environ: Mapping[str, str], folder: Path) -> ClusterTarget:
    host = environ["KUBERNETES_SERVICE_HOST"]
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    kubeconfig_files.read_referenced_file(folder / "token", "the service account's token")
    authority = kubeconfig_files.read_referenced_file(folder / "ca.crt", "the service account's authority")
    namespace = folder / "namespace"
    proxy = proxy_for(server, environ)
    return ClusterTarget(
        context=IN_CLUSTER,
        cluster=IN_CLUSTER,
        user="service account",
        server=server,
        namespace=namespace.read_text().strip() or "default" if namespace.exists() else "default",
        source=IN_CLUSTER,
        auth=Auth(token_file=folder / "token"),
        authority=authority,
        proxy=_checked_proxy(proxy, _proxy_variable_words(server)) if proxy else None,
    )
