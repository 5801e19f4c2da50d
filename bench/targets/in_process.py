"""Our ASGI app without a socket: `python -m bench.targets.in_process`, set up by the environment as every host of ours.

Its first line of output says that the models are loaded; see `bench.transport.pipe` for the others. The streams are
real: the app's own coroutine runs, and every part of a body is stamped when it is sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter_ns
from typing import Any

from bench.transport.exchange import Exchange, retry_after_s
from bench.transport.pipe import to_reply
from handlers import boot
from handlers.asgi import create_app

MAX_LINE = 2**26


class App:
    """Calls the app as an HTTP server would, each request in a task of its own."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, line: bytes) -> None:
        """A request, or the wish to end one."""
        job = json.loads(line)
        if "cancel" in job:
            if task := self._tasks.get(job["cancel"]):
                task.cancel()
            return
        self._tasks[job["id"]] = asyncio.create_task(self._answer(**job))

    async def _answer(self, id: int, path: str, body: str) -> None:
        exchange = Exchange()
        try:
            await call(self._app, path, body.encode(), exchange)
        finally:  # a request that is cancelled is answered with what there is
            del self._tasks[id]
            print(to_reply(id, exchange), flush=True)


async def call(app: Any, path: str, body: bytes, exchange: Exchange) -> None:
    """One POST. The client stays until the reply has ended, so `receive` has no second message."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if message := next(messages, None):
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        now = perf_counter_ns()
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = {name.decode().title(): value.decode() for name, value in message.get("headers", ())}
            exchange.retry_after_s = retry_after_s(headers)
        elif message.get("body"):
            exchange.blocks.append((now, message["body"]))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            gone.set()

    exchange.t_send = perf_counter_ns()
    try:
        await app(_scope(path, len(body)), receive, send)
    finally:
        exchange.t_end = perf_counter_ns()


def _scope(path: str, length: int) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(length).encode())],
        "client": None,
        "server": None,
    }


async def serve(app: Any) -> None:
    """Until the standard input ends; requests that still run then have nobody to answer."""
    print("ready", flush=True)
    caller = App(app)
    lines = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        caller.take(line)


async def main() -> None:
    service = boot.service()
    while "loading" in (states := service.catalog.readiness()[1]["models"]).values():
        await asyncio.sleep(0.05)
    if not service.catalog.readiness()[0]:
        sys.exit(f"not ready: {states}")
    await serve(create_app(boot.service))
    service.close()


if __name__ == "__main__":
    asyncio.run(main())
