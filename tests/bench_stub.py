"""Local servers for the bench: one that answers every request with the same blocks of bytes, each an HTTP chunk of its
own, and one of known timing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from queue import Queue
from time import monotonic
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


class TimedServer(StubServer):
    """Answers `tokens` tokens: the first after `ttft` seconds, each other `itl` later; at most `slots` at a time, the
    others queue, and above `queue` of them are refused. From `stall[0]` to `stall[1]` seconds after its first request
    it does nothing at all. With an `api_key` (no capitals) it answers only who brings it."""

    def __init__(
        self,
        *,
        ttft: float,
        itl: float = 0.0,
        tokens: int = 2,
        slots: int = 1000,
        queue: int = 1000,
        stall: tuple[float, float] | None = None,
        api_key: str | None = None,
    ) -> None:
        super().__init__([])
        self._ttft, self._itl, self._tokens, self._stall = ttft, itl, tokens, stall
        self._wanted = f"bearer {api_key}".encode() if api_key else None
        self._slots = asyncio.Semaphore(slots)
        self._room = slots + queue
        self._first: float | None = None

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        length = int(fields.get(b"content-length", 0))
        if self._wanted not in (None, fields.get(b"authorization")):
            return await self._plain(writer, 401, {"error": {"message": "no key of ours"}})
        if not length:
            return await self._plain(writer, 200, {"data": [{"id": "m"}]})
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self._first = self._first or monotonic()
        if self._room == 0:
            return await self._plain(writer, 429, {"error": {"message": "busy"}})
        self._room -= 1
        try:
            async with self._slots:
                await self._stream(writer)
        finally:
            self._room += 1

    async def _plain(self, writer: asyncio.StreamWriter, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.format(status=200).encode())
        self._chunk(writer, ROLE)
        start = monotonic()
        for number in range(self._tokens):
            await asyncio.sleep(max(0.0, start + self._ttft + number * self._itl - monotonic()))
            await self._sit_out()
            self._chunk(writer, delta(content="a "))
            await writer.drain()
        self._chunk(writer, delta(finish="length") + usage(20, self._tokens) + DONE)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _sit_out(self) -> None:
        if self._stall and self._first and self._stall[0] < monotonic() - self._first < self._stall[1]:
            await asyncio.sleep(self._first + self._stall[1] - monotonic())

    def _chunk(self, writer: asyncio.StreamWriter, block: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(block), block))


@contextmanager
def in_thread(server: StubServer) -> Iterator[StubServer]:
    """The server on a loop of its own, for clients in other processes."""
    loops: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with server.running():
            loops.put((asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop, stop = loops.get(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
