"""What is sent to a server, by whichever client."""

from __future__ import annotations

from typing import Any

from bench.scenario import TargetSpec, Workload

KINDS_WITH_IGNORE_EOS = ("ours", "llama-server")


def request_path(workload: Workload) -> str:
    """Below the base address."""
    return "/chat/completions" if workload.api == "chat" else "/completions"


def extra_fields(spec: TargetSpec, workload: Workload) -> dict[str, Any]:
    """Fields that this kind of server knows and others might refuse."""
    knows_it = spec.kind in KINDS_WITH_IGNORE_EOS
    return {"ignore_eos": True} if knows_it and workload.sampling.ignore_eos else {}


def request_body(workload: Workload, *, model: str, prompt: str, max_tokens: int, **extra: Any) -> dict[str, Any]:
    asked = {"prompt": prompt} if workload.api == "completions" else {"messages": [{"role": "user", "content": prompt}]}
    return {
        "model": model,
        "temperature": workload.sampling.temperature,
        "seed": workload.sampling.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        **extra,
        **asked,
        "max_tokens": max_tokens,
    }
