"""A client for any OpenAI-compatible server that times what its user sees.

The first token is the first non-empty text: a chunk that only announces the role is not one. Tokens are counted by the
server's `usage`; chunks are counted instead only where there is none, and the record says so. While a reply runs only
the moments of its bytes are noted; it is read when it has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from bench.record import INTERRUPTED, RequestRecord
from bench.reply import read_stream, read_vectors
from bench.request import plain_request, request_path, streamed_request
from bench.scenario import Workload
from bench.transport.exchange import Exchange, Transport
from bench.workload import Prompt


class Client:
    """`extra` are fields that this kind of server knows."""

    def __init__(self, transport: Transport, *, model: str, workload: Workload, extra: Mapping[str, Any]) -> None:
        self._transport = transport
        self._workload = workload
        self._model = model
        self._extra = extra
        self._path = request_path(workload)
        self._read = read_vectors if workload.api == "embeddings" else read_stream

    async def close(self) -> None:
        await self._transport.close()

    async def send(self, prompt: Prompt, record: RequestRecord) -> None:
        """Send one request and fill in its record. A failure of the server lands in `record.err`."""
        body = streamed_request(
            self._workload, model=self._model, prompt=prompt, max_tokens=record.osl_req, extra=self._extra
        )
        exchange = Exchange()
        record.transport = self._transport.name
        try:
            await self._transport.post(self._path, json.dumps(body), exchange)
        except asyncio.CancelledError:
            exchange.err = INTERRUPTED
            raise
        finally:
            self._read(exchange, record)

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        """As the server counts them, the chat template included. Asks without a stream, since some servers tell the
        usage only there. None where this one does not; a server that fails will fail at the warm-up too."""
        body = plain_request(self._workload, model=self._model, prompt=prompt, extra=self._extra)
        if self._workload.api != "embeddings":
            body["max_tokens"] = 1
        exchange = Exchange()
        await self._transport.post(self._path, json.dumps(body), exchange)
        try:
            count = (json.loads(exchange.body).get("usage") or {}).get("prompt_tokens")
        except (ValueError, AttributeError):
            return None
        return count if isinstance(count, int) else None
