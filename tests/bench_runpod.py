"""A stand-in for RunPod's API: one endpoint whose jobs bring their output in lots, one for each poll."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class RunPod:
    """`lots` are what the polls bring one after the other; the job then is in `end`, for the reason `error`."""

    def __init__(
        self, lots: Sequence[Sequence[Any]], *, end: str = "COMPLETED", error: str | None = None, run_status: int = 200
    ) -> None:
        self._lots = lots
        self._end = end
        self._error = error
        self._run_status = run_status
        self.jobs: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.cancelled: list[str] = []
        self.url = ""
        self._polls = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RunPod]:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v2/ep/run", self._run),
                web.get("/v2/ep/stream/{id}", self._stream),
                web.get("/v2/ep/status/{id}", self._status),
                web.post("/v2/ep/cancel/{id}", self._cancel),
                web.get("/v2/ep/openai/v1/models", self._models),
            ]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v2/ep"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _run(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization"))
        self.jobs.append(json.loads(await request.read()))
        if self._run_status != 200:
            return web.Response(status=self._run_status, text="slow down", headers={"Retry-After": "4"})
        return web.json_response({"id": "job-1", "status": "IN_QUEUE"})

    async def _stream(self, request: web.Request) -> web.Response:
        self._polls += 1
        lot = self._lots[self._polls - 1] if self._polls <= len(self._lots) else []
        ended = self._polls >= len(self._lots)
        return web.json_response(
            {"status": self._end if ended else "IN_PROGRESS", "stream": [{"output": part} for part in lot]}
        )

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response({"status": self._end, "error": self._error, "delayTime": 120, "executionTime": 340})

    async def _cancel(self, request: web.Request) -> web.Response:
        self.cancelled.append(request.match_info["id"])
        return web.json_response({"status": "CANCELLED"})

    async def _models(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization"))
        return web.json_response({"data": []})
