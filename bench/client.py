"""A streaming client for any OpenAI-compatible server that times what a reader sees.

The first token is the first non-empty text: a chunk that only announces the role is not one. Tokens are counted by the
server's `usage`; chunks are counted instead only where there is none, and the record says so.

On a machine that it shares with the server the client must cost little: while a stream runs it only notes when bytes
came, and reads them when the stream has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import aiohttp

from bench.record import INTERRUPTED, RequestRecord
from bench.request import request_body, request_path
from bench.scenario import Workload
from bench.sse import EventLines

DONE = "[DONE]"
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=900.0)
"""A long prompt on a small CPU is minutes of silence, which is a measurement and not a failure."""

Block = tuple[int, bytes]
"""perf_counter_ns at arrival, and what arrived."""


class StreamingClient:
    """A new connection for each request: servers close idle ones when they like (llama.cpp's after 5 s), and a request
    sent into a closing one fails. `extra` are fields this kind of server knows. Create it within an event loop."""

    def __init__(self, base_url: str, *, model: str, workload: Workload, extra: Mapping[str, Any]) -> None:
        self._url = base_url + request_path(workload)
        self._workload = workload
        self._model = model
        self._extra = extra
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._http = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False)

    async def close(self) -> None:
        await self._http.close()

    async def send(self, prompt: str, record: RequestRecord) -> None:
        """Stream one request and fill in its record. A failure of the server lands in `record.err`."""
        asked = request_body(self._workload, model=self._model, prompt=prompt, max_tokens=record.osl_req, **self._extra)
        body = json.dumps(asked)
        blocks: list[Block] = []
        record.t_send = perf_counter_ns()
        try:
            await self._stream(body, record, blocks)
        except (aiohttp.ClientError, TimeoutError) as error:
            record.err = f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            record.err = INTERRUPTED
            raise
        finally:
            record.t_end = perf_counter_ns()
            read_reply(blocks, record)

    async def _stream(self, body: str, record: RequestRecord, blocks: list[Block]) -> None:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        async with self._http.post(self._url, data=body, headers=headers) as response:
            record.status = response.status
            async for block in response.content.iter_any():
                blocks.append((perf_counter_ns(), block))


def read_reply(blocks: list[Block], record: RequestRecord) -> None:
    """Fill in the record from what came of a reply, whole or broken off."""
    record.t_first_byte = blocks[0][0] if blocks else None
    if record.status not in (None, 200):
        text = b"".join(block for _, block in blocks)[:500].decode("utf-8", "replace")
        record.err = record.err or f"HTTP {record.status}: {text}"
        return
    lines, done = EventLines(), False
    try:
        for now, block in blocks:
            done |= _take_all(lines.feed(block), now, record)
        if blocks:
            done |= _take_all(lines.end(), blocks[-1][0], record)
    except json.JSONDecodeError as error:
        record.err = record.err or f"JSONDecodeError: {error}"
    _judge(record, done)


def _take_all(events: list[str], now: int, record: RequestRecord) -> bool:
    """Note what these events say; whether the stream's end mark was among them."""
    for event in events:
        if event != DONE:
            _take(json.loads(event), now, record)
    return DONE in events


def _take(event: dict[str, Any], now: int, record: RequestRecord) -> None:
    if error := event.get("error"):
        record.err = record.err or f"error event: {json.dumps(error)}"
    for choice in event.get("choices") or ():
        record.finish = choice.get("finish_reason") or record.finish
        if text := _text(choice):
            record.t_first_tok = record.t_first_tok or now
            record.t_last_tok = now
            record.chunks.append((now - (record.t_send or now), None))
            record.chars.append(len(text))
    if usage := event.get("usage"):
        record.isl, record.osl, record.token_source = usage["prompt_tokens"], usage["completion_tokens"], "usage"
        record.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    record.server_timings = event.get("timings") or record.server_timings


def _text(choice: dict[str, Any]) -> str:
    delta = choice.get("delta") or {}
    return delta.get("content") or delta.get("reasoning_content") or choice.get("text") or ""


def _judge(record: RequestRecord, done: bool) -> None:
    """Settle the counts of a stream that has ended, and whether it ended as it should."""
    if record.osl is None:
        record.osl, record.token_source = len(record.chunks), "chunks"
    if record.cached is None:
        record.cached = (record.server_timings or {}).get("cache_n")
    if record.err is None and not record.chunks:
        record.err = "the stream held no text"
    if record.err is None and not done:
        record.err = "the stream broke off before [DONE]"
