"""The command lines of the servers that a bench starts, and what keeps each from ending an answer early."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.deployment import Deployment
from bench.target_spec import TargetSpec
from core.gguf import read_header
from core.gguf.quants import TENSOR_TYPES

KINDS_WITH_IGNORE_EOS = ("ours", "functions", "in-process", "llama-server", "runpod")
FUNCTION = Path(__file__).parents[2] / "handlers" / "cloud_function.py"
ROPE_SCALINGS = ("none", "linear", "yarn")
"""In the order of llama.cpp's numbers."""


@dataclass(frozen=True)
class ServerProgram:
    """`command` gives the command line for a port, `ready` is the path that answers 200 when the model is loaded;
    `environ` is added to ours."""

    command: Callable[[int], list[str]]
    ready: str
    environ: Mapping[str, str] = field(default_factory=dict)


def without_end(spec: TargetSpec, deployment: Deployment | None) -> dict[str, Any]:
    """Fields of a request that make every answer as long as was asked, for the kinds of server that have such."""
    if spec.kind in KINDS_WITH_IGNORE_EOS:
        return {"ignore_eos": True}
    if spec.kind == "llama-cpp-python" and deployment:  # it knows no ignore_eos
        end = read_header(Path(deployment.weights)).eos_id
        return {} if end is None else {"logit_bias": {str(end): -100}}
    return {}


def ours(models: Path, name: str) -> ServerProgram:
    serve = [sys.executable, "-m", "handlers.cli", "serve", "--models", str(models), "--preload", name]
    return ServerProgram(lambda port: [*serve, "--host", "127.0.0.1", "--port", str(port)], ready="/ready")


def our_environment(models: Path, name: str) -> dict[str, str]:
    """For hosts of ours that have no options. LocalAI's spelling counts before the other."""
    return {"LOCALAI_MODELS_PATH": str(models), "LOCALAI_PRELOAD_MODELS": name}


def functions(models: Path, name: str) -> ServerProgram:
    """Under functions-framework, as Cloud Functions runs it."""
    serve = [sys.executable, "-m", "functions_framework", "--target", "openai", "--source", str(FUNCTION)]
    return ServerProgram(
        lambda port: [*serve, "--host", "127.0.0.1", "--port", str(port)],
        ready="/ready",
        environ=our_environment(models, name),
    )


def llama_server(deployment: Deployment, flash_attention: str) -> ServerProgram:
    """`auto` is the YAML's choice, where it has one."""
    if flash_attention != "auto":
        deployment = replace(deployment, context_keys=deployment.context_keys | {"flash_attention": flash_attention})
    serve = [sys.executable, "-m", "bench.targets.llama_server"]
    return ServerProgram(lambda port: [*serve, str(port), deployment.to_json()], ready="/health")


def llama_cpp_python(deployment: Deployment) -> ServerProgram:
    """llama-cpp-python's own server: one sequence at a time, the others wait. By default each new request would end the
    one that runs."""
    values = {
        "--model": deployment.weights,
        "--model_alias": deployment.name,
        "--host": "127.0.0.1",
        "--n_ctx": deployment.context_size,
        "--n_threads": deployment.threads,
        "--n_threads_batch": deployment.threads_batch,
        "--interrupt_requests": False,
        **dict(_llama_cpp_python_option(key, value) for key, value in deployment.context_keys.items()),
    }
    serve = [sys.executable, "-m", "llama_cpp.server", *(str(part) for pair in values.items() for part in pair)]
    return ServerProgram(lambda port: [*serve, "--port", str(port)], ready="/v1/models")


def _llama_cpp_python_option(key: str, value: str | float) -> tuple[str, object]:
    """It takes llama.cpp's numbers for words, and knows flash attention on or off, not `auto`."""
    match key:
        case "flash_attention":
            return "--flash_attn", value == "on"
        case "cache_type_k" | "cache_type_v":
            numbers = {name.lower(): number for number, (name, *_) in TENSOR_TYPES.items()}
            return key.replace("cache_type", "--type"), numbers[str(value)]
        case "rope_scaling":
            return "--rope_scaling_type", ROPE_SCALINGS.index(str(value))
        case _:
            return f"--{key}", value
