"""One request to an ASGI app, without a client or a socket around it that would take time too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


async def post(app: App, path: str, body: bytes) -> Answer:
    """The whole answer, be it one body or a stream."""
    sent: list[Message] = []
    questions = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not questions:
            await asyncio.Event().wait()  # a client that stays until it has its answer
        return questions.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope(path), receive, send)
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


def _scope(path: str) -> dict[str, Any]:
    headers = [(b"host", b"bench"), (b"content-type", b"application/json")]
    asgi = {"version": "3.0", "spec_version": "2.3"}
    place = {"scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    peers = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    return {"type": "http", "asgi": asgi, "http_version": "1.1", "method": "POST", "headers": headers, **place, **peers}
