"""`warmfn serve`: uvicorn on the functions-framework target, with a clear start and a clean end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn

from core.service import Service
from handlers import boot
from handlers.settings import Settings

TARGET = Path(__file__).with_name("cloud_function.py")


def serve(host: str, port: int) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status. Settings come from the environment, as in every other host."""
    drain_seconds = Settings.from_environ().drain_seconds
    config = uvicorn.Config(
        "functions_framework.aio:app",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=drain_seconds + 1,
    )
    server = uvicorn.Server(config)
    # As uvicorn does when it runs: a signal that comes before is kept for it, and those that it raises again when it is
    # done have done their work.
    signal.signal(signal.SIGTERM, server.handle_exit)
    signal.signal(signal.SIGINT, server.handle_exit)
    listener = _listen(host, port)
    service = boot.service()
    os.environ |= {"FUNCTION_TARGET": "openai", "FUNCTION_SOURCE": str(TARGET)}
    threading.Thread(target=_announce, args=(service, *listener.getsockname()[:2]), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """The port is taken before anything is loaded: a mistake shows at once, and early clients wait."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port")
    listener.listen(2048)
    return listener


def _announce(service: Service, host: str, port: int) -> None:
    """Once nothing is loading any more: what is served, and a command that works."""
    while any(state == "loading" for state in service.catalog.readiness()[1]["models"].values()):
        time.sleep(0.05)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    print(f"\nServing {url}")
    models, missing = service.catalog.models()["data"], boot.not_pulled(service.folder)
    waiting = [model["id"] for model in models if model["state"] == "unloaded" and model["id"] in missing]
    for model in models:
        if model["id"] not in waiting:
            print(f"  {model['id']}  {model.get('kind', '')}  {model['state']}  {model.get('error', '')}".rstrip())
    made = [name for name in waiting if service.folder.configs[name].optimized_from]
    if pulled := [name for name in waiting if name not in made]:
        print(f"Not pulled: {', '.join(pulled)} (`warmfn pull NAME` fetches one)")
    if made:
        print(f"Not made: {', '.join(made)} (`warmfn optimize NAME` makes one)")
    if not service.folder.configs:
        print(
            f"There is no model in {service.folder.path}: put a YAML file there, or see `warmfn pull --help`.",
            flush=True,
        )
    ready = [model for model in models if model["state"] == "ready"]
    for model in sorted(ready, key=lambda model: model["kind"] != "text")[:1]:
        print(f"\nTry:\n  {_example(url, model)}\n", flush=True)


def _example(url: str, model: dict[str, str]) -> str:
    if model["kind"] == "text":
        route, body = "chat/completions", '"messages": [{"role": "user", "content": "Hello!"}]'
    else:
        route, body = "embeddings", '"input": "Hello!"'
    key = "-H 'Authorization: Bearer KEY' " if Settings.from_environ().api_keys else ""
    return f"""curl {url}/{route} {key}-H 'Content-Type: application/json' -d '{{"model": "{model["id"]}", {body}}}'"""
