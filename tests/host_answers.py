"""One request put to any kind of host, and its answer in a form in which that of one host equals that of another."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import httpx
from starlette.types import ASGIApp

from tests.runpod_queue import RunpodQueue


@dataclass(frozen=True)
class Ask:
    """Without a `body` it is a GET, unless `method` says something else."""

    route: str
    body: Any = None
    method: str | None = None


@dataclass(frozen=True)
class Answer:
    """`body` is an object; that of a stream is the list of its events, the last of which is "[DONE]"."""

    status: int
    body: Any
    retry_after: int | None = None


Host: TypeAlias = Callable[[Ask], Answer]


def server_host(url: str) -> Host:
    def host(ask: Ask) -> Answer:
        return _of_http(httpx.request(_method(ask), f"{url}{ask.route}", json=ask.body, timeout=60))

    return host


def app_host(app: ASGIApp) -> Host:
    """The app without a server."""

    async def call(ask: Ask) -> Answer:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return _of_http(await client.request(_method(ask), ask.route, json=ask.body))

    return lambda ask: asyncio.run(call(ask))


def worker_host(queue: RunpodQueue) -> Host:
    """RunPod's own form of a request, or where that cannot say the method, the one that can."""

    def host(ask: Ask) -> Answer:
        if ask.method:
            job = {"route": ask.route, "method": ask.method, "body": ask.body}
        else:
            job = {"openai_route": ask.route} | ({} if ask.body is None else {"openai_input": ask.body})
        return _of_job(queue.result(queue.submit(job)))

    return host


def comparable(answer: Answer) -> Answer:
    """Without what differs from one time to the next: ids, measured times, and where a stream's text is cut."""
    body = answer.body
    return replace(answer, body=_joined(body) if isinstance(body, list) else _lasting(body))


def _method(ask: Ask) -> str:
    return ask.method or ("GET" if ask.body is None else "POST")


def _of_http(response: httpx.Response) -> Answer:
    is_stream = response.headers["content-type"].startswith("text/event-stream")
    body = _events(response.text) if is_stream else response.json()
    retry_after = response.headers.get("retry-after")
    return Answer(response.status_code, body, int(retry_after) if retry_after else None)


def _of_job(result: Mapping[str, Any]) -> Answer:
    """A failed job's error is a text. Beside OpenAI's fields it has what HTTP says outside of the body."""
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
    """Without the comments that keep a quiet connection open."""
    *events, done = [event.removeprefix("data: ") for event in text.split("\n\n") if event and event[0] != ":"]
    return [*map(json.loads, events), done]


def _joined(events: list[Any]) -> dict[str, Any]:
    """A stream's text in one piece, and its events without it, of which those that say nothing new are left out."""
    *chunks, done = events
    texts: list[str] = []
    kept: list[dict[str, Any]] = []
    for chunk in map(_lasting, chunks):
        texts += map(_take_text, chunk["choices"])
        if chunk not in kept[-1:]:
            kept.append(chunk)
    return {"text": "".join(texts), "kinds": " ".join([*map(_kind, kept), done]), "events": kept}


def _take_text(choice: dict[str, Any]) -> str:
    holder, name = (choice["delta"], "content") if "delta" in choice else (choice, "text")
    text: str = holder.get(name, "")
    if text:
        holder[name] = ""
    return text


def _kind(chunk: dict[str, Any]) -> str:
    if not chunk["choices"]:
        return "usage"
    [choice] = chunk["choices"]
    if choice["finish_reason"]:
        return "finish"
    return "role" if "role" in choice.get("delta", {}) else "text"


def _lasting(body: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in ("created", "timings")}
    if "id" in kept:
        kept["id"] = re.sub("[0-9a-f]{32}$", "", kept["id"])
    if body.get("error", {}).get("code") == "deadline_exceeded":  # it tells what was measured
        kept["error"] = {name: re.sub(r"[\d.]+", "#", str(value)) for name, value in body["error"].items()}
    return kept
