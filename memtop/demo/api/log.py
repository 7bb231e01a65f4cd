"""The `log` subresource of pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from memtop.demo.api.routes import Call
from memtop.demo.api.status import not_found
from memtop.demo.cluster import Cluster
from memtop.demo.life import Phase
from memtop.demo.logs import RunLog, Wish, chosen_lines, container_of, encode, run_of, wish_of
from memtop.demo.resources import PODS

LONGEST_NAP = 0.5  # real seconds a follower sleeps before it looks at the clock again


class LogHandler:
    """Serves container logs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def __call__(self, call: Call) -> web.StreamResponse:
        """Answer a log request.

        Raises:
            ApiStatusError: 404 without such a pod, 400 for containers that have no such log.
        """
        now = self._cluster.clock.now()
        pod = self._cluster.pods.get((call.target.namespace or "", call.target.name))
        if pod is None:
            raise not_found(PODS, call.target.name)
        wish = wish_of(call.request.query, now)
        container = container_of(pod, wish.container)
        run = run_of(pod, container, wish.previous, now)
        log = RunLog(container, run)
        if wish.previous and container.life.state(now).phase is Phase.TERMINATED:
            # The runtime has already removed the run before the one that has just ended.
            identity = pod.run_id(container, run.index)
            return web.Response(text=f"unable to retrieve container logs for containerd://{identity}")
        if not wish.follow or now >= run.end:
            body = encode(chosen_lines(log, wish, now), wish.timestamps)
            return web.Response(body=body[: wish.most_bytes], content_type="text/plain")
        return await self._follow(call.request, log, wish, lambda: min(run.end, container.life.ends))

    async def _follow(
        self, request: web.Request, log: RunLog, wish: Wish, ends: Callable[[], float]
    ) -> web.StreamResponse:
        clock = self._cluster.clock
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        seen = clock.now()
        await response.write(encode(chosen_lines(log, wish, seen), wish.timestamps))
        while seen < ends():
            await asyncio.sleep(min(LONGEST_NAP, clock.real(max(0.05, log.next_time(seen) - clock.now()))))
            now = min(clock.now(), ends())
            lines = log.lines(seen, now)
            if lines:
                await response.write(encode(lines, wish.timestamps))
            seen = now
        return response
