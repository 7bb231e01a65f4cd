"""The kubeconfig that points at the embedded cluster."""

from __future__ import annotations

import base64

import yaml

CONTEXT = "memtop-demo"


def kubeconfig_text(
    server: str, user: str, namespace: str, *, token: str, authority: bytes | None = None
) -> str:
    """Return a kubeconfig.

    Args:
        server: URL of the API server, without a trailing slash.
        user: who to be; the context is named `memtop-demo`, or `memtop-demo-USER` for others than admin.
        namespace: the context's namespace.
        token: the user's bearer token.
        authority: PEM of the certificate authority, when the server speaks TLS.
    """
    context = CONTEXT if user == "admin" else f"{CONTEXT}-{user}"
    cluster: dict[str, str] = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": context, "context": {"cluster": CONTEXT, "user": user, "namespace": namespace}}
        ],
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text
