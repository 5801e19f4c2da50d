"""HTTP with streamed replies."""

from __future__ import annotations

from time import perf_counter_ns

import aiohttp

from bench.request import authorization
from bench.transport.exchange import Exchange, retry_after_s

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=900.0)
"""A long prompt on a small CPU is minutes of silence, which is a measurement and not a failure."""


def new_session(api_key: str | None) -> aiohttp.ClientSession:
    """A new connection for each request: servers close idle ones when they like (llama.cpp's after 5 s), and a request
    sent into a closing one fails. Create it within an event loop."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"} | authorization(api_key)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False, headers=headers)


class HttpTransport:
    """On a machine that it shares with the server the client must cost little: while a stream runs it only notes when
    bytes came."""

    name = "sse"

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        """`base_url` includes /v1."""
        self.base_url = base_url
        self._http = new_session(api_key)

    async def post(self, path: str, body: str, exchange: Exchange) -> None:
        exchange.t_send = perf_counter_ns()
        try:
            async with self._http.post(self.base_url + path, data=body) as response:
                exchange.status = response.status
                exchange.retry_after_s = retry_after_s(response.headers)
                async for block in response.content.iter_any():
                    exchange.blocks.append((perf_counter_ns(), block))
        except (aiohttp.ClientError, TimeoutError) as error:
            exchange.err = f"{type(error).__name__}: {error}"
        finally:
            exchange.t_end = perf_counter_ns()

    async def close(self) -> None:
        await self._http.close()
