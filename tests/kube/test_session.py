import asyncio
import warnings

import pytest
import requests
from aiohttp import web

from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import Auth, Pem
from memtop.kube.credentials import Credentials
from memtop.kube.requests_session import requests_session


@pytest.fixture
def fetch():
    """``await fetch(target, path="/", …)``: one GET through a session, in a thread as the engine does it."""

    def get(made, path, url, options):
        with requests_session(made, **options) as session:
            return session.get((url or made.server) + path)

    async def make(made, path="/", *, url=None, **options):
        return await asyncio.to_thread(get, made, path, url, options)

    return make


async def who(request):
    certificate = request.transport.get_extra_info("peercert") or {}
    name = dict(part[0] for part in certificate.get("subject", ())).get("commonName", "nobody")
    return web.json_response([name, request.headers.get("Authorization")])


async def test_trust_certificate_and_name_are_the_targets(serve, server_tls, target, authority, fetch):
    url = (await serve(who, server_tls(clients=True))).replace("127.0.0.1", "localhost")
    auth = Auth(token="t", certificate=Pem(data=authority.client[0]), key=Pem(data=authority.client[1]))
    made = target(url, authority=authority.certificate, server_name="kubernetes.test", auth=auth)
    assert (await fetch(made)).json() == ["somebody", "Bearer t"]


async def test_a_server_that_is_not_trusted(serve, server_tls, target, authority, stranger, fetch):
    url = await serve(who, server_tls())
    with pytest.raises(requests.exceptions.SSLError):
        await fetch(target(url, authority=stranger.certificate))
    with pytest.raises(requests.exceptions.SSLError):
        await fetch(target(url, authority=authority.certificate, server_name="other.test"))


async def test_the_public_authorities_are_not_added(
    serve, server_tls, target, authority, stranger, fetch, monkeypatch, tmp_path
):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.certificate)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(bundle))
    url = await serve(who, server_tls())
    with pytest.raises(requests.exceptions.SSLError):
        await fetch(target(url, authority=stranger.certificate))


async def test_insecure_is_silent(serve, server_tls, target, stranger, fetch):
    url = await serve(who, server_tls())
    with warnings.catch_warnings(record=True) as said:
        made = target(url, authority=stranger.certificate, insecure=True)
        assert (await fetch(made)).status_code == 200
    assert said == []


async def test_a_plugin_is_shared_and_run_again_on_a_401(serve, target, plugin, plugin_runs, fetch):
    async def answer(request):
        known = request.headers["Authorization"] == "Bearer new"
        return web.Response(status=200 if known else 401, text=await request.text())

    auth = Auth(plugin=plugin("grant(token='old' if runs < 2 else 'new')"))
    shared = Credentials(auth)
    made = target(await serve(answer), auth=auth)
    assert (await fetch(made, credentials=shared)).status_code == 200
    assert (await fetch(made, credentials=shared)).status_code == 200
    assert plugin_runs() == 2


async def test_a_failing_plugin_is_said(target, plugin, fetch):
    with pytest.raises(CredentialError) as raised:
        await fetch(target("http://127.0.0.1:1", auth=Auth(plugin=plugin("sys.exit('log in')"))))
    assert raised.value.output == "log in"


async def test_each_impersonated_group_is_a_header_of_its_own(serve, target, fetch):
    async def answer(request):
        return web.json_response(request.headers.getall("Impersonate-Group"))

    auth = Auth(
        impersonation=(("Impersonate-User", "u"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
    )
    assert (await fetch(target(await serve(answer), auth=auth))).json() == ["a", "b"]


async def test_a_redirect_to_elsewhere_does_not_get_our_token(serve, target, fetch):
    elsewhere = await serve(who)

    async def answer(request):
        raise web.HTTPFound(elsewhere)

    made = target(await serve(answer), auth=Auth(token="t"))
    assert (await fetch(made)).json() == ["nobody", None]
    assert (await fetch(made, url=elsewhere)).json() == ["nobody", None]


async def test_requests_have_a_time_out(serve, target, fetch):
    async def answer(request):
        await asyncio.sleep(60)

    with pytest.raises(requests.exceptions.Timeout):
        await fetch(target(await serve(answer)), timeout=0.1)


async def test_the_proxy_is_the_targets(serve, target, fetch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def proxied(request):
        return web.Response(text=request.raw_path)

    assert (await fetch(target(await serve(proxied)))).text == "/"
    made = target("http://api.test", proxy=await serve(proxied))
    assert (await fetch(made, "/x")).text == "http://api.test/x"
