"""A local server that answers every chat request with the same blocks of bytes, each an HTTP chunk of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

HEAD = "HTTP/1.1 {status} X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class StubServer:
    """`bodies` are the requests it has seen, `answered` is released for each stream. With `hang` it ends none."""

    def __init__(self, blocks: Sequence[bytes], *, status: int = 200, hang: bool = False) -> None:
        self._blocks = blocks
        self._status = status
        self._hang = hang
        self.bodies: list[dict[str, Any]] = []
        self.answered = asyncio.Semaphore(0)
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StubServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        is_stream = False
        if length := int(fields.get(b"content-length", 0)):
            self.bodies.append(json.loads(await reader.readexactly(length)))
            is_stream = self.bodies[-1].get("stream", False)
        writer.write(HEAD.format(status=self._status).encode())
        for block in self._blocks:
            writer.write(b"%x\r\n%b\r\n" % (len(block), block))
            await writer.drain()
            await asyncio.sleep(0.002)  # lets the client read the block before the next one joins it
        if is_stream:
            self.answered.release()
        if is_stream and self._hang:
            await reader.read()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def delta(finish: str | None = None, **content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": content, "finish_reason": finish}]})


def usage(prompt: int, completion: int, cached: int = 0) -> bytes:
    details = {"cached_tokens": cached}
    return event(
        {
            "choices": [],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details},
        }
    )


DONE = b"data: [DONE]\n\n"
ROLE = delta(role="assistant", content="")
