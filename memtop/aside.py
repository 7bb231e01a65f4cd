"""Blocking work beside an event loop, which nobody has to wait for at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def aside(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs something that blocks on a thread of its own and waits for its result.

    Unlike `asyncio.to_thread`, whose threads are joined when the loop closes and when Python exits: a server
    that does not answer must not hold up whoever wants to quit. Cancelled, it leaves the work to end by
    itself.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def tell(result: R | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only if R is

    def run() -> None:
        result: R | None = None
        failure: BaseException | None = None
        try:
            result = work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is waited for)
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name=f"memtop-{getattr(work, '__name__', 'aside')}", daemon=True).start()
    return await done
