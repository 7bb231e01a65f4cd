import pytest
from aiohttp import web

from memtop.kube.api_errors import ApiError
from memtop.kube.client import Client
from memtop.kube.connection_target import Auth
from memtop.kube.websocket import open_websocket

PATH = "/api/v1/namespaces/production/pods/user-service-1/exec"
TOKENS = "grant(token=f'token-{runs}')"


async def said(client):
    async with open_websocket(client, PATH, [("command", "id")], ["v4.channel.k8s.io"]) as socket:
        return (await socket.receive()).data


def accepts(wanted, seen):
    async def handler(request):
        token = request.headers.get("Authorization")
        seen.append(token)
        if token != wanted:
            return web.Response(status=401, text="who are you?")
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        await socket.send_bytes(b"\x01hello")
        await socket.close()
        return socket

    return handler


async def test_a_credential_that_has_run_out_is_renewed(serve, target, plugin):
    seen = []
    url = await serve(accepts("Bearer token-2", seen))
    async with Client(target(url, auth=Auth(plugin=plugin(TOKENS)))) as client:
        assert await said(client) == b"\x01hello"
    assert seen == ["Bearer token-1", "Bearer token-2"]


async def test_a_renewed_credential_is_used_for_what_follows(serve, target, plugin):
    seen = []
    url = await serve(accepts("Bearer token-2", seen))
    async with Client(target(url, auth=Auth(plugin=plugin(TOKENS)))) as client:
        await said(client)
        await said(client)
    assert seen[1:] == ["Bearer token-2", "Bearer token-2"]


async def test_what_cannot_be_renewed_is_refused_once(serve, target):
    seen = []
    url = await serve(accepts("Bearer other", seen))
    async with Client(target(url, auth=Auth(token="fixed"))) as client:
        with pytest.raises(ApiError, match="exec: the server does not accept the credentials") as raised:
            await said(client)
    assert raised.value.status == 401
    assert seen == ["Bearer fixed"]


async def test_a_refusal_tells_how_long_to_wait(serve, target):
    async def busy(request):
        return web.Response(status=429, headers={"Retry-After": "9"})

    async with Client(target(await serve(busy))) as client:
        with pytest.raises(ApiError, match="exec was refused") as raised:
            await said(client)
    assert raised.value.retry_after == 9.0
