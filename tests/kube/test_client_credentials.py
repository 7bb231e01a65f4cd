"""Tokens and plugins of a client that is refused."""

import asyncio

import pytest

from memtop.kube.api_errors import CredentialError
from memtop.kube.connection_target import Auth
from tests.kube.asking import only, refused


class TestCredentials:
    async def test_an_expired_token_is_said(self, client_for):
        error = await refused((await client_for(only("new"), auth=Auth(token="old"))).get("/"))
        assert (error.status, error.reason) == (401, "Unauthorized")

    async def test_a_token_file_that_rotated_is_read_again(self, client_for, tmp_path):
        path = tmp_path / "token"
        path.write_text("old")
        client = await client_for(only("new"), auth=Auth(token_file=path))
        assert (await refused(client.get("/"))).status == 401
        path.write_text("new")
        assert await client.get("/") == b"welcome"

    async def test_a_plugin_is_run_again_on_a_401(self, client_for, plugin, plugin_runs):
        spec = plugin("grant(token='old' if runs < 2 else 'new')")
        client = await client_for(only("new"), auth=Auth(plugin=spec))
        assert await asyncio.gather(*(client.get("/") for _ in range(5))) == [b"welcome"] * 5
        assert plugin_runs() == 2

    async def test_a_plugin_whose_tokens_are_all_rejected_ends_in_a_401(
        self, client_for, plugin, plugin_runs
    ):
        client = await client_for(only("new"), auth=Auth(plugin=plugin("grant(token=f'bad-{runs}')")))
        for _ in range(3):
            assert (await refused(client.get("/"))).status == 401
        assert plugin_runs() == 2

    async def test_a_plugin_that_fails_while_running_is_said(self, client_for, plugin, monkeypatch):
        closed = []

        def close(answer):
            closed.append(answer.status)

        monkeypatch.setattr("memtop.kube.transport.StreamedResponse.close", close)
        spec = plugin("grant(token='old') if runs < 2 else sys.exit('session expired')")
        client = await client_for(only("new"), auth=Auth(plugin=spec))
        with pytest.raises(CredentialError) as raised:
            await client.get("/")
        assert raised.value.output == "session expired"
        assert closed == [401], "the answer that was refused is closed"

    async def test_closing_does_not_wait_for_a_hanging_plugin(self, client_for, plugin, plugin_runs):
        client = await client_for(only("t"), auth=Auth(plugin=plugin("time.sleep(600)")))
        waiting = asyncio.create_task(client.get("/"))
        while not plugin_runs():
            await asyncio.sleep(0)
        await client.close()
        async with asyncio.timeout(10):
            with pytest.raises(CredentialError, match="cancelled"):
                await waiting

    async def test_a_watch_authenticates_too(self, client_for, plugin):
        spec = plugin("grant(token='old' if runs < 2 else 'new')")
        client = await client_for(only("new"), auth=Auth(plugin=spec))
        async with client.stream("/", idle_timeout=10) as lines:
            assert [line async for line in lines] == [b"welcome"]
