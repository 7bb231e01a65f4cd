"""A small API server of the tests' own, certificates, and credential plugins."""

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import ssl
import sys
from dataclasses import dataclass

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from memtop.kube.client import Client
from memtop.kube.connection_target import Auth, ClusterTarget, CredentialPluginSpec


@dataclass(frozen=True)
class Authority:
    """A certificate authority and what it signed; PEM throughout."""

    certificate: bytes
    server: tuple[bytes, bytes]
    client: tuple[bytes, bytes]


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(name, key, issuer, issuer_key, extensions=()):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _authority(name):
    own = ec.generate_private_key(ec.SECP256R1())
    root = _certificate(name, own, name, own, [(x509.BasicConstraints(ca=True, path_length=None), True)])

    def signed(subject, extensions=()):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(subject, key, name, own, extensions)
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)

    names = [x509.DNSName("kubernetes.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return Authority(
        root.public_bytes(serialization.Encoding.PEM),
        signed("server", [(x509.SubjectAlternativeName(names), False)]),
        signed("somebody"),
    )


@pytest.fixture(scope="session")
def authority():
    """The authority the test server's certificate comes from: for 127.0.0.1 and kubernetes.test."""
    return _authority("memtop test authority")


@pytest.fixture(scope="session")
def stranger():
    """Another authority."""
    return _authority("somebody else's authority")


@pytest.fixture
def server_tls(authority, tmp_path):
    """The server's side of TLS; with ``clients=True`` it insists on a client certificate."""

    def make(*, clients=False):
        path = tmp_path / "server.pem"
        path.write_bytes(b"\n".join(authority.server))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as API servers: Go asks for no key identifiers
        context.load_cert_chain(path)
        if clients:
            context.load_verify_locations(cadata=authority.certificate.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    return make


@pytest.fixture
async def serve():
    """``await serve(handler, tls)``: an HTTP server that gives every request to ``handler``; its URL."""
    runners = []

    async def start(handler, tls=None):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def serve_bytes():
    """``await serve_bytes(handler)``: ``handler(head, writer)`` answers each request by hand; its port."""
    servers, writers = [], []

    async def start(handler):
        async def connected(reader, writer):
            writers.append(writer)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(await reader.readuntil(b"\r\n\r\n"), reader, writer)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()


@pytest.fixture
def target():
    """``target(url, **fields)``: a `Target` for a test server."""

    def make(url, **fields):
        fields.setdefault("auth", Auth())
        return ClusterTarget(
            context="test",
            cluster="test",
            user="tester",
            server=url,
            namespace="default",
            source="a test",
            **fields,
        )

    return make


@pytest.fixture
async def connect(target):
    """``connect(url, auth=…)``: a client that is closed after the test."""
    clients = []

    def make(url, **fields):
        clients.append(Client(target(url, **fields)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client_for(serve, connect):
    """``await client_for(handler)``: a client of a server that gives every request to ``handler``."""

    async def make(handler, **fields):
        return connect(await serve(handler), **fields)

    return make


@pytest.fixture
def plugin(tmp_path):
    """``plugin(body)``: a credential plugin that runs ``body`` (Python); it knows its ``runs``."""

    def make(body, **fields):
        path = tmp_path / "get-token"
        path.write_text(
            f"#!{sys.executable} -SI\n"
            "import json, os, sys, time\n"
            f"open({str(tmp_path / 'runs')!r}, 'a').write('run\\n')\n"
            f"runs = len(open({str(tmp_path / 'runs')!r}).readlines())\n"
            "def grant(version='v1', **status):\n"
            "    print(json.dumps({'apiVersion': f'client.authentication.k8s.io/{version}',\n"
            "                      'kind': 'ExecCredential', 'status': status}))\n"
            f"{body}\n"
        )
        path.chmod(0o755)
        fields.setdefault("api_version", "client.authentication.k8s.io/v1")
        return CredentialPluginSpec(command=str(path), **fields)

    return make


@pytest.fixture
def plugin_runs(tmp_path):
    """How often the plugin ran."""

    def count():
        path = tmp_path / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    return count


@pytest.fixture
def kubeconfig_file(tmp_path):
    """``kubeconfig_file(cluster={…}, user={…})``: the path of a kubeconfig with one context, ``prod``."""

    def make(name="config", *, cluster=None, user=None, context=None, **top):
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "prod",
            "clusters": [{"name": "c1", "cluster": {"server": "https://10.0.0.1:6443"} | (cluster or {})}],
            "users": [{"name": "u1", "user": user or {}}],
            "contexts": [{"name": "prod", "context": {"cluster": "c1", "user": "u1"} | (context or {})}],
        } | top
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return make


@pytest.fixture
def b64():
    """Base64 text of bytes, as kubeconfigs have it."""
    return lambda data: base64.b64encode(data).decode()
