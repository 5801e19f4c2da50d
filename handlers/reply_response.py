"""A Reply as an ASGI response: one JSON body, or server-sent events. A client that goes away closes the reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from core.errors import CoreError
from core.reply import Reply
from handlers.sse import DONE, PAUSE, data_event, error_event

SSE_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

KEEP_ALIVE = 10.0
"""Seconds of silence after which a stream gets a comment: some proxies drop a quiet connection, and a client that is
gone without a word is found out only by sending it something."""

T = TypeVar("T")


def error_response(error: CoreError) -> Response:
    return JSONResponse(error.body(), error.status, error.headers())


class ReplyResponse(Response):
    """Watches for the client's disconnect from the first moment, also while a prompt is computed."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = self._events(send) if self._reply.stream else self._body(scope, receive, send)
        try:
            await _until_disconnect(receive, work)
        finally:
            self._reply.close()

    async def _body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            [body] = [part async for part in self._reply]
            response: Response = JSONResponse(body, headers=self._notices())
        except CoreError as error:
            response = error_response(error)
        await response(scope, receive, send)

    async def _events(self, send: Send) -> None:
        start = Response(headers=SSE_HEADERS | self._notices(), media_type="text/event-stream; charset=utf-8")
        headers = [(name, value) for name, value in start.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with aclosing(_with_pauses(self._reply, KEEP_ALIVE)) as chunks:
                async for chunk in chunks:
                    await _send(send, data_event(chunk) if chunk else PAUSE)
            await _send(send, DONE)
        except CoreError as error:
            await _send(send, error_event(error))
        await send({"type": "http.response.body", "body": b""})

    def _notices(self) -> dict[str, str]:
        # RFC 9111 retired the header, but nothing better tells a client that ignores bodies it does not know.
        return {"Warning": ", ".join(map(_warning, self._reply.warnings))} if self._reply.warnings else {}


async def _with_pauses(items: AsyncIterable[T], seconds: float) -> AsyncGenerator[T | None]:
    """The items, and None whenever the next one takes longer than `seconds`."""
    iterator = aiter(items)
    with suppress(StopAsyncIteration):
        while True:
            coming = asyncio.ensure_future(anext(iterator))
            try:
                while not (await asyncio.wait([coming], timeout=seconds))[0]:
                    yield None
                yield coming.result()
            finally:
                coming.cancel()


async def _send(send: Send, event: str) -> None:
    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})


def _warning(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'199 warmfn "{quoted.encode("ascii", "backslashreplace").decode()}"'


async def _until_disconnect(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, and cancel it as soon as the client goes away."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(receive))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
