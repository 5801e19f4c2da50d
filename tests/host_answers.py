"""One request put to each kind of host, and what it answers in one form, so that answers can be compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
from starlette.types import ASGIApp

from tests.runpod_queue import RunpodQueue


@dataclass(frozen=True)
class Ask:
    """A request as OpenAI's API has it; without a body it is a GET."""

    route: str
    body: Any = None
    method: str | None = None

    @property
    def verb(self) -> str:
        return self.method or ("GET" if self.body is None else "POST")


@dataclass(frozen=True)
class Answer:
    """`body` is one object; of a stream it is the list of events, the last of them "[DONE]"."""

    status: int
    body: Any
    retry_after: int | None = None


Host: TypeAlias = Callable[[Ask], Answer]


def http_host(url: str) -> Host:
    def ask(asked: Ask) -> Answer:
        return _of_http(httpx.request(asked.verb, f"{url}{asked.route}", json=asked.body, timeout=60))

    return ask


def in_process_host(app: ASGIApp) -> Host:
    """The app without a server."""

    def ask(asked: Ask) -> Answer:
        return asyncio.run(call(asked))

    async def call(asked: Ask) -> Answer:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app", timeout=60) as client:
            return _of_http(await client.request(asked.verb, asked.route, json=asked.body))

    return ask


def runpod_host(queue: RunpodQueue) -> Host:
    """As RunPod's proxy puts a request; what it cannot, in the form for every method."""

    def ask(asked: Ask) -> Answer:
        return _of_runpod(queue.result(queue.submit(_job(asked))))

    return ask


def _job(asked: Ask) -> Mapping[str, Any]:
    if asked.method:
        return {"route": asked.route, "method": asked.method, "body": asked.body}
    return {"openai_route": asked.route} | ({} if asked.body is None else {"openai_input": asked.body})


def _of_http(response: httpx.Response) -> Answer:
    is_stream = response.headers["content-type"].startswith("text/event-stream")
    body = _events(response.text) if is_stream else response.json()
    retry_after = response.headers.get("retry-after")
    return Answer(response.status_code, body, int(retry_after) if retry_after else None)


def _of_runpod(result: Mapping[str, Any]) -> Answer:
    """A failed job's error is a text, which has beside OpenAI's fields what HTTP says outside the body."""
    if "error" in result:
        error = json.loads(result["error"])["error"]
        status, retry_after = error.pop("status"), error.pop("retry_after", None)
        return Answer(status, {"error": error}, retry_after)
    output = result["output"]
    if isinstance(output[0], str):
        return Answer(200, _events("".join(output)))
    [body] = output
    return Answer(200, body)


def _events(text: str) -> list[Any]:
    """What follows `data:`; the comments that keep a quiet connection open are left out."""
    events = [event for event in text.split("\n\n") if event and not event.startswith(":")]
    *chunks, done = [event.removeprefix("data: ") for event in events]
    return [*map(json.loads, chunks), done]
