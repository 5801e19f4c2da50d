"""A server that reads: it answers from the text it is given, up to a length that a test sets, and treats what is too
long as it is told to. One word is one token."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler

TEMPLATE_TOKENS = 5


@dataclass
class ReadingServer:
    """It has room for `context` tokens, says it has `told`, and answers rightly from at most `attention` of them."""

    context: int
    told: int | None = None
    attention: int = 1 << 30
    on_long_prompt: Literal["refuse", "truncate"] = "refuse"
    on_long_answer: Literal["refuse", "clamp"] = "refuse"
    api_key: str | None = None
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ReadingServer]:
        app = web.Application(client_max_size=1 << 24, middlewares=[self._guard])
        app.add_routes([web.get("/v1/models", self._models), web.post("/v1/chat/completions", self._chat)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        try:
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.json_response({"error": {"message": "no key of ours"}}, status=401)
        return await handler(request)

    async def _models(self, request: web.Request) -> web.Response:
        facts = {} if self.told is None else {"max_model_len": self.told}
        return web.json_response({"data": [{"id": "m", "owned_by": "stub"} | facts]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(body)
        words, wanted = body["messages"][0]["content"].split(), body["max_tokens"]
        room = self.context - TEMPLATE_TOKENS
        if len(words) > room and self.on_long_prompt == "truncate":
            words = words[-(room - wanted) :]
        if len(words) > room or (len(words) + wanted > room and self.on_long_answer == "refuse"):
            return _refused()
        text = " ".join(words)
        question = text.rpartition("Question: ")[2] if "Question: " in text else ""
        reply = self._answer(text, question).split() if question else ["word"] * wanted
        reply, finish = reply[: min(wanted, room - len(words))], "stop" if question else "length"
        usage = {"prompt_tokens": len(words) + TEMPLATE_TOKENS, "completion_tokens": len(reply)}
        if body.get("stream"):
            return await _streamed(request, reply, usage)
        choice = {"message": {"role": "assistant", "content": " ".join(reply)}, "finish_reason": finish}
        return web.json_response({"choices": [choice], "usage": usage})

    def _answer(self, text: str, question: str) -> str:
        if len(text.split()) > self.attention:
            return "It is 11."
        if "password that was said" in question:
            return _found(r"^The password is (\d+)", text)
        if holder := re.match(r"(\w+) has the key to whose chest", question):
            first = _found(rf"{holder[1]} has the key to the chest of (\w+)", text)
            return _found(rf"The chest of {first} holds (\d+)", text)
        thing = re.match(r"What is (.*?)\?", question)
        return _found(rf"(?i){thing[1]} is (\d+)", text) if thing else "What?"


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "I do not know."


def _refused() -> web.Response:
    error = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
    return web.json_response({"error": error}, status=400)


async def _streamed(request: web.Request, reply: list[str], usage: dict[str, int]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    events: list[dict[str, Any]] = [{"choices": [{"delta": {"content": f"{word} "}}]} for word in reply]
    for event in (*events, {"choices": [], "usage": usage}):
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response
