"""What is sent to a server, by whichever client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.scenario import Workload
from bench.workload import Prompt, messages

PATHS = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}


def authorization(api_key: str | None) -> dict[str, str]:
    """The headers that a server with keys wants to see."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def request_path(workload: Workload) -> str:
    """Below the base address, which ends in /v1."""
    return PATHS[workload.api]


def plain_request(workload: Workload, *, model: str, prompt: Prompt, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Asks for one whole reply; `extra` are fields that this kind of server knows."""
    if workload.api == "embeddings":
        return {"model": model, "input": prompt}
    asked = {"messages": messages(prompt)} if workload.api == "chat" else {"prompt": prompt}
    sampling = {"temperature": workload.sampling.temperature, "seed": workload.sampling.seed}
    return {"model": model, **sampling, **extra, **asked}


def streamed_request(
    workload: Workload, *, model: str, prompt: Prompt, max_tokens: int, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """As it is measured: a stream with its usage. Vectors come whole."""
    body = plain_request(workload, model=model, prompt=prompt, extra=extra)
    if workload.api == "embeddings":
        return body
    return body | {"max_tokens": max_tokens, "stream": True, "stream_options": {"include_usage": True}}
