"""Which proxy a URL goes through, from the proxy variables, by the rules kubectl follows."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` give ``url``; None for none.

    The rules are those of Go's ``httpproxy``, hence kubectl's: capitals win over small letters, the loopback
    is never proxied, and ``NO_PROXY`` may list hosts (with their subdomains), ``.suffixes``, addresses,
    CIDR ranges, each with a port if it likes, or ``*``.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme, (parts.hostname or "").rstrip(".")
    proxy = _variable(environ, f"{scheme.upper()}_PROXY")
    if not proxy or not host or is_loopback(host):
        return None
    port = parts.port or _DEFAULT_PORT.get(scheme, 443)
    if any(_excludes(entry, host, port) for entry in _variable(environ, "NO_PROXY").split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address) is this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _excludes(entry: str, host: str, port: int) -> bool:
    """Whether one entry of ``NO_PROXY`` keeps ``host:port`` from the proxy."""
    entry = entry.strip().lower()
    if not entry:
        return False
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted_port = _split_port(entry)
    if wanted_port is not None and wanted_port != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]:")
        return name.removesuffix("]"), int(port) if port.isdigit() else None
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, int(port) if port.isdigit() else None
    return entry, None
