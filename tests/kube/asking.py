"""What test servers answer to a client, and what comes of it."""

import pytest
from aiohttp import web

from memtop.kube.api_errors import ApiError, Unreachable


def status(code, reason, message, **more):
    """The API's Status object."""
    return web.json_response(
        {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message} | more,
        status=code,
    )


def only(token):
    """A server that knows one token."""

    async def answer(request):
        if request.headers.get("Authorization") != f"Bearer {token}":
            return status(401, "Unauthorized", "Unauthorized")
        return web.Response(text="welcome")

    return answer


async def refused(awaitable):
    with pytest.raises(ApiError) as raised:
        await awaitable
    return raised.value


async def unreachable(awaitable):
    with pytest.raises(Unreachable) as raised:
        await awaitable
    assert "\n" not in str(raised.value)
    return str(raised.value)
