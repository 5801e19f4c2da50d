"""Who is measured: one entry of a scenario's `targets`, and what kinds there are."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.errors import BenchError
from bench.strict import Strict

Kind = Literal["ours", "functions", "in-process", "llama-server", "llama-cpp-python", "bare", "url", "runpod"]

ONLY_STARTED_HERE = ("bare", "in-process")
ONLY_BY_URL = ("url", "runpod")


class TargetSpec(Strict):
    """What has a `url` is running already, the bench starts the others. The kind says what a server understands.

    ours: `warmfn serve`; functions: ours under functions-framework; in-process: our ASGI app called without a socket;
    llama-server: llama.cpp's own; llama-cpp-python: its `llama_cpp.server`; bare: a loop of `llama_decode`, of
    embeddings one call of the library with all texts; url: any OpenAI-compatible server; runpod: an endpoint there."""

    name: str = Field(min_length=1, pattern=r"^[^=/\s]+$")
    kind: Kind
    url: str | None = Field(
        default=None, description="base address including /v1; of runpod: https://api.runpod.ai/v2/ENDPOINT"
    )
    model: str | None = Field(default=None, description="the name to ask for, where it differs from the scenario's")
    flash_attention: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="of a llama-server; auto: the model's YAML decides, or the server where that has none",
    )
    transport: Literal["sse", "poll"] = Field(
        default="sse", description="poll: RunPod's queue (/run, /stream), which tells nothing about single tokens"
    )
    api_key_env: str | None = Field(
        default=None, description="the environment variable that holds the API key; of runpod: RUNPOD_API_KEY"
    )

    @model_validator(mode="after")
    def _url_belongs_to_its_kind(self) -> Self:
        if self.kind in ONLY_BY_URL and self.url is None:
            raise ValueError(f"target {self.name!r}: kind {self.kind} needs a `url`")
        if self.kind in ONLY_STARTED_HERE and self.url is not None:
            raise ValueError(f"target {self.name!r}: kind {self.kind} has no `url`, it runs in a process of the bench")
        if self.transport == "poll" and self.kind != "runpod":
            raise ValueError(f"target {self.name!r}: only kind runpod can be polled")
        if self.api_key_env and self.url is None:
            raise ValueError(f"target {self.name!r}: `api_key_env` is for targets with a `url`")
        return self

    @property
    def started_here(self) -> bool:
        return self.url is None

    def api_key(self) -> str | None:
        """From the environment. Raises BenchError where the variable is not set."""
        variable = self.api_key_env or ("RUNPOD_API_KEY" if self.kind == "runpod" else None)
        if variable is None:
            return None
        if not (key := os.environ.get(variable)):
            raise BenchError(f"target {self.name!r}: the environment variable {variable} should hold its API key")
        return key
