"""One streamed request by locust's client, timed as its bytes come."""

from __future__ import annotations

from time import perf_counter_ns

from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, FastHttpSession

from bench.request import authorization
from bench.transport.exchange import Exchange

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Connection": "close"}


def post(http: FastHttpSession, url: str, body: str, exchange: Exchange, api_key: str | None = None) -> None:
    """As `Transport.post` does it: what comes, and a failure, is noted in the exchange; times also where the greenlet
    is ended."""
    exchange.t_send = perf_counter_ns()
    try:
        _stream(http, url, body, exchange, HEADERS | authorization(api_key))
    except FAILURE_EXCEPTIONS as error:
        exchange.err = f"{type(error).__name__}: {error}"
    finally:
        exchange.t_end = perf_counter_ns()


def _stream(http: FastHttpSession, url: str, body: str, exchange: Exchange, headers: dict[str, str]) -> None:
    """Line by line: `iter_lines` reads 1024 bytes at a time and so sees many tokens at once. The response is never
    entered as a context, so locust does not report the time to its headers: `statistics.show` reports instead."""
    response = http.post(url, data=body, headers=headers, stream=True, catch_response=True, name="chat")
    if not response.status_code:
        response.raise_for_status()
    exchange.status = response.status_code
    if exchange.status != 200:  # locust has read what it says already
        exchange.blocks.append((perf_counter_ns(), response.content or b""))
        return
    while line := response.stream.readline(b"\n"):
        exchange.blocks.append((perf_counter_ns(), line))
    if rest := response.stream.read():
        exchange.blocks.append((perf_counter_ns(), rest))
