"""llama.cpp's own C++ server, for a bench to measure: `python -m bench.targets.llama_server PORT JSON`.

JSON is a `Deployment`. What that does not name stays at the server's own defaults. The server comes from xllamacpp,
whose wheel is compiled for AVX2; the environment variable LLAMA_SERVER names the program of another build, such as one
compiled for this machine from the same sources as our llama.cpp. It ends with its standard input, so it cannot outlive
the bench that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import xllamacpp

from bench.deployment import Deployment

FLASH_ATTENTION = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


def server_params(deployment: Deployment, port: int) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = deployment.weights
    params.model_alias = {deployment.name}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = deployment.slots * deployment.context_size
    params.n_parallel = deployment.slots
    params.cpuparams.n_threads = deployment.threads
    params.cpuparams_batch.n_threads = deployment.threads_batch
    params.fit_params = False
    params.embedding = deployment.embeds
    for key, value in deployment.context_keys.items():
        setattr(params, *_param(key, value))
    return params


def _param(key: str, value: Any) -> tuple[str, Any]:
    match key:
        case "flash_attention":
            return "flash_attn_type", FLASH_ATTENTION[value]
        case "cache_type_k" | "cache_type_v":
            return key, xllamacpp.ggml_type[f"GGML_TYPE_{value.upper()}"]
        case "rope_scaling":
            return "rope_scaling_type", xllamacpp.llama_rope_scaling_type[f"LLAMA_ROPE_SCALING_TYPE_{value.upper()}"]
        case _:
            return key, value


def server_command(program: str, deployment: Deployment, port: int) -> list[str]:
    """The same for a `llama-server` program."""
    values = {
        "--model": deployment.weights,
        "--alias": deployment.name,
        "--host": "127.0.0.1",
        "--port": port,
        "--ctx-size": deployment.slots * deployment.context_size,
        "--parallel": deployment.slots,
        "--threads": deployment.threads,
        "--threads-batch": deployment.threads_batch,
        "--fit": "off",
        **{_flag(key): value for key, value in deployment.context_keys.items()},
    }
    embedding = ["--embedding"] if deployment.embeds else []
    return [program, *embedding, *(str(part) for pair in values.items() for part in pair)]


def _flag(key: str) -> str:
    return "--flash-attn" if key == "flash_attention" else f"--{key.replace('_', '-')}"


def main() -> None:
    port, text = sys.argv[1:]
    deployment = Deployment.from_json(text)
    if program := os.environ.get("LLAMA_SERVER"):
        with subprocess.Popen(server_command(program, deployment, int(port))) as process:
            sys.stdin.read()
            process.terminate()
    else:
        server = xllamacpp.Server(server_params(deployment, int(port)))
        print(f"listening on {server.listening_address}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
