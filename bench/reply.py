"""From the bytes of a reply to its record: a stream of OpenAI's chunks, or one body of vectors."""

from __future__ import annotations

import json
from typing import Any

from bench.record import RequestRecord
from bench.sse import EventLines
from bench.transport.exchange import Block, Exchange

DONE = "[DONE]"
REFUSALS = (429, 503)
"""Too many requests; not now. A server that sheds load does what it should, so these are counted apart."""


def read_stream(exchange: Exchange, record: RequestRecord) -> None:
    """Fill in the record from what came of a stream, whole or broken off."""
    if not _read_head(exchange, record):
        return
    lines, done, blocks = EventLines(), False, exchange.blocks
    try:
        for now, block in blocks:
            done |= _take_all(lines.feed(block), now, record)
        if blocks:
            done |= _take_all(lines.end(), blocks[-1][0], record)
    except json.JSONDecodeError as error:
        record.err = record.err or f"JSONDecodeError: {error}"
    _judge(record, done)
    record.server_timings = {**(record.server_timings or {}), **exchange.platform} or None


def read_vectors(exchange: Exchange, record: RequestRecord) -> None:
    """Fill in the record from the reply to an embedding request."""
    if not _read_head(exchange, record) or exchange.err:
        return
    try:
        reply = json.loads(exchange.body)
        if error := reply.get("error"):
            record.err = f"error: {json.dumps(error)}"
            return
        record.texts = len(reply["data"])
    except (ValueError, KeyError, AttributeError) as error:
        record.err = f"not a reply to an embedding request: {type(error).__name__}: {error}"
        return
    _take_usage(reply.get("usage") or {}, record)
    record.server_timings = {**(reply.get("timings") or {}), **exchange.platform} or None


def _read_head(exchange: Exchange, record: RequestRecord) -> bool:
    """Times and status; whether there is a body to read."""
    record.t_send, record.t_end, record.status = exchange.t_send, exchange.t_end, exchange.status
    record.err, record.retry_after_s = exchange.err, exchange.retry_after_s
    record.t_first_byte = _first(exchange.blocks)
    if record.status in (None, 200):
        return True
    words = exchange.body[:500].decode("utf-8", "replace")
    record.err = record.err or f"HTTP {record.status}: {words}"
    record.refused = record.status in REFUSALS
    return False


def _first(blocks: list[Block]) -> int | None:
    return blocks[0][0] if blocks else None


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
        _take_usage(usage, record)
    record.server_timings = event.get("timings") or record.server_timings


def _take_usage(usage: dict[str, Any], record: RequestRecord) -> None:
    if "prompt_tokens" in usage:
        record.isl, record.osl, record.token_source = usage["prompt_tokens"], usage.get("completion_tokens"), "usage"
        record.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")


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
