"""To our ASGI app in a child process that calls it without a socket: what HTTP costs is the difference.

One line of JSON for each request and each reply. The child stamps the times, and its clock is ours: perf_counter_ns
counts from the same moment in every process of a Linux host.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from typing import Any

from bench.targets.process import ChildProcess
from bench.transport.exchange import Exchange


class PipeTransport:
    name = "in-process"

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0
        self._reader = asyncio.create_task(self._read())

    async def post(self, path: str, body: str, exchange: Exchange) -> None:
        self._count += 1
        number = self._count
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._child.write(json.dumps({"id": number, "path": f"/v1{path}", "body": body}))
        try:
            _take(await asyncio.shield(self._waiting[number]), exchange)
        except asyncio.CancelledError:
            if not self._reader.done():
                self._child.write(json.dumps({"cancel": number}))
                _take(await self._waiting[number], exchange)
            raise
        finally:
            self._waiting.pop(number)

    async def _read(self) -> None:
        """Hand every reply to the request that waits for it; when the child ends, to each that still does an error."""
        while line := await self._child.read_line():
            reply = json.loads(line)
            if waiting := self._waiting.get(reply.pop("id")):
                waiting.set_result(reply)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({"err": "the process of the app ended"})

    async def close(self) -> None:
        self._reader.cancel()


def to_reply(number: int, exchange: Exchange) -> str:
    blocks = [(at, base64.b64encode(block).decode()) for at, block in exchange.blocks]
    return json.dumps({"id": number} | dataclasses.asdict(exchange) | {"blocks": blocks})


def _take(reply: dict[str, Any], exchange: Exchange) -> None:
    for name, value in reply.items():
        setattr(exchange, name, value)
    exchange.blocks = [(at, base64.b64decode(text)) for at, text in reply.get("blocks", ())]
