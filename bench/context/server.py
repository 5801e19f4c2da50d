"""What a server says of its context, and plain requests whose answers are read rather than timed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from bench.errors import BenchError
from bench.transport.http import new_session

CONFIGURED = ("context_size", "max_model_len", "context_window", "context_length", "max_context_length")
"""Keys of a model in `/v1/models`: ours, vLLM's and SGLang's, Groq's, OpenRouter's, LM Studio's."""
Kind = Literal["ours", "llama-server", "url"]


@dataclass(frozen=True)
class ServerFacts:
    """Tokens of one sequence; None where the server does not tell. `source` is where `configured` was found."""

    kind: Kind
    advertised: int | None
    configured: int | None
    source: str | None


@dataclass(frozen=True)
class Answer:
    """`text` is empty and `code` and `message` say why where the server refused. `notices` are the server's own
    warnings, such as of a shortened prompt."""

    status: int
    text: str = ""
    prompt_tokens: int | None = None
    cached: int | None = None
    completion_tokens: int | None = None
    finish: str | None = None
    code: str | None = None
    message: str | None = None
    notices: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status == 200


async def server_facts(base_url: str, model: str, api_key: str | None = None) -> ServerFacts:
    """Raises BenchError where the server lists models and this one is not among them."""
    client = PlainClient(base_url, model, api_key)
    try:
        return await client.facts()
    finally:
        await client.close()


class PlainClient:
    """Create it within an event loop."""

    def __init__(self, base_url: str, model: str, api_key: str | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._http = new_session(api_key)

    async def close(self) -> None:
        await self._http.close()

    async def ask(self, prompt: str, max_tokens: int, **extra: Any) -> Answer:
        """Raises BenchError where the server cannot be reached or answers in no known form."""
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 7,
            **extra,
        }
        status, payload = await self._exchange("POST", f"{self._base_url}/chat/completions", body)
        return _answer(status, payload) if status == 200 else _refusal(status, payload)

    async def facts(self) -> ServerFacts:
        """Raises BenchError where the server lists models and this one is not among them."""
        status, payload = await self._exchange("GET", f"{self._base_url}/models")
        models = payload.get("data") or [] if status == 200 else []
        model = next((model for model in models if model.get("id") == self._model), None)
        if models and model is None:
            there = ", ".join(str(model.get("id")) for model in models)
            raise BenchError(f"{self._base_url} serves no model {self._model!r}; it has {there}")
        model = model or {}
        owner = model.get("owned_by")
        kind: Kind = "ours" if owner == "warmfn" else "llama-server" if owner == "llamacpp" else "url"
        configured, source = await self._configured(model, kind)
        return ServerFacts(kind, _count((model.get("meta") or {}).get("n_ctx_train")), configured, source)

    async def _configured(self, model: Mapping[str, Any], kind: Kind) -> tuple[int | None, str | None]:
        for key in CONFIGURED:
            if (tokens := _count(model.get(key))) is not None:
                return tokens, f"{key} of /v1/models"
        if kind == "llama-server":  # n_ctx there is that of one slot
            status, payload = await self._exchange("GET", f"{self._base_url.removesuffix('/v1')}/props")
            settings = payload.get("default_generation_settings") or {} if status == 200 else {}
            return _count(settings.get("n_ctx")), "n_ctx of /props"
        return None, None

    async def _exchange(self, method: str, url: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        try:
            async with self._http.request(method, url, json=body) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BenchError(f"{url}: {type(error).__name__}: {error}") from error
        try:
            payload = json.loads(text)
        except json.JSONDecodeError:
            payload = None
        return response.status, payload if isinstance(payload, dict) else {"error": {"message": text[:500]}}


def _answer(status: int, payload: Mapping[str, Any]) -> Answer:
    try:
        choice = payload["choices"][0]
        text = choice["message"].get("content") or choice["message"].get("reasoning_content") or ""
    except (KeyError, IndexError, TypeError) as error:
        raise BenchError(f"a reply without choices[0].message: {json.dumps(payload)[:300]}") from error
    usage = payload.get("usage") or {}
    return Answer(
        status,
        text,
        prompt_tokens=usage.get("prompt_tokens"),
        cached=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        completion_tokens=usage.get("completion_tokens"),
        finish=choice.get("finish_reason"),
        notices=tuple(map(str, payload.get("warnings") or ())),
    )


def _refusal(status: int, payload: Mapping[str, Any]) -> Answer:
    """OpenAI's error object, or as much of one as there is."""
    error = payload.get("error", payload)
    if not isinstance(error, Mapping):
        return Answer(status, message=str(error))
    code = error.get("type") if error.get("code") in (None, status) else error.get("code")
    return Answer(status, code=None if code is None else str(code), message=str(error.get("message"))[:500])


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
