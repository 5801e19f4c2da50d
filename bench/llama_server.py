"""llama.cpp's own C++ server (as xllamacpp packs it), for a bench to measure: `python -m bench.llama_server PORT JSON`.

JSON is a `Deployment`. What that does not name stays at the server's own defaults. It serves until its standard input
closes, so it cannot outlive the bench that started it.
"""

from __future__ import annotations

import sys

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
    params.n_ctx = deployment.kv_tokens
    params.n_parallel = deployment.slots
    params.kv_unified = True
    params.cpuparams.n_threads = deployment.threads
    params.cpuparams_batch.n_threads = deployment.threads_batch
    params.flash_attn_type = FLASH_ATTENTION[deployment.flash_attention]
    params.fit_params = False
    return params


def main() -> None:
    port, deployment = sys.argv[1:]
    server = xllamacpp.Server(server_params(Deployment.from_json(deployment), int(port)))
    print(f"listening on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
