"""One table of requests, and every host: whoever carries a request, its answer is the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.config.folder import read_folder
from core.service import Service
from handlers.asgi import create_app
from tests.host_answers import Answer, Ask, Host, http_host, in_process_host, runpod_host
from tests.serving import free_port
from tests.test_hosts import SOURCE, host
from tests.test_runpod_worker import worker

pytestmark = pytest.mark.weights

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 24, "ignore_eos": True}
CHAT = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Name the planets."}]} | GREEDY
COMPLETION = {"model": "smollm2-135m-instruct", "prompt": "The capital of France is"} | GREEDY
EDIT = {"model": "smollm2-135m-instruct", "input": "He go home.", "instruction": "Correct the grammar."} | GREEDY
EMBED = {"model": "all-minilm-l6-v2", "input": ["a cat", "a dog on a sofa"]}
STREAM = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
IMAGE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]


@dataclass(frozen=True)
class Row:
    """`expect` is what the answer has at least, by its path."""

    name: str
    ask: Ask
    status: int = 200
    code: str | None = None


def chat(**change: Any) -> Ask:
    return Ask("/v1/chat/completions", CHAT | change)


def completion(**change: Any) -> Ask:
    return Ask("/v1/completions", COMPLETION | change)


def embed(**change: Any) -> Ask:
    return Ask("/v1/embeddings", EMBED | change)


ROWS = [
    Row("chat", chat()),
    Row("chat, another prefix of the route", replace(chat(), route="/chat/completions")),
    Row("chat, stream", chat(**STREAM)),
    Row("chat, stream with usage", chat(**WITH_USAGE)),
    Row("completion", completion()),
    Row("completion, stream", completion(**STREAM)),
    Row("completion, stream with usage", completion(**WITH_USAGE)),
    Row("completions of two prompts", completion(prompt=["One, two,", "Monday, Tuesday,"])),
    Row("completion, echo", completion(echo=True)),
    Row("edit", Ask("/v1/edits", EDIT)),
    Row("embeddings", embed()),
    Row("embeddings, base64", embed(encoding_format="base64")),
    Row("models", Ask("/v1/models")),
    Row("models, filtered", Ask("/v1/models?filter=smol")),
    Row("model", Ask("/v1/models/all-minilm-l6-v2")),
    Row("no model named", chat(model=None)),
    Row("no model named, stream", chat(model=None, **STREAM)),
    Row("no model named, embeddings", embed(model=None)),
    Row("unknown parameter", chat(tempreture=1)),
    Row("unknown model", chat(model="nope"), 404, "model_not_found"),
    Row("unknown model, stream", chat(model="nope", **STREAM), 404, "model_not_found"),
    Row("unknown model asked for", Ask("/v1/models/nope"), 404, "model_not_found"),
    Row("model that cannot embed", embed(model=CHAT["model"]), 400, "invalid_value"),
    Row("wrong type", chat(temperature="hot"), 400, "invalid_value"),
    Row("unsupported parameter", chat(n=2), 400, "invalid_value"),
    Row("image part", chat(messages=[{"role": "user", "content": IMAGE}]), 400, "invalid_value"),
    Row("prompt too long", completion(prompt="word " * 5000), 400, "context_length_exceeded"),
    Row("prompt too long, stream", completion(prompt="word " * 5000, **STREAM), 400, "context_length_exceeded"),
    Row("body that is no object", Ask("/v1/completions", [1]), 400, "invalid_value"),
    Row("unknown route", Ask("/v1/nope", {}), 404, "unknown_url"),
    Row("unknown route, GET", Ask("/v1/nope"), 404, "unknown_url"),
    Row("route of another method", Ask("/v1/chat/completions", method="GET"), 405, "method_not_allowed"),
    Row("POST to a route of GET", Ask("/v1/models", {}, method="POST"), 405, "method_not_allowed"),
    Row("method of no route", Ask("/v1/models", method="DELETE"), 405, "method_not_allowed"),
    Row("too little time for a prompt", completion(prompt="some " * 900, request_timeout=0.001), 503, "deadline_exceeded"),
    Row("too little time for a vector", embed(input="word " * 200, request_timeout=1e-6), 503, "deadline_exceeded"),
]


@pytest.fixture(scope="module")
def hosts(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Host]]:
    ports = free_port(), free_port()
    framework = ["functions_framework", "--target", "openai", "--source", str(SOURCE), "--host", "127.0.0.1"]
    serve = ["handlers.cli", "serve", "--models", str(models_folder)]
    service = Service(read_folder(models_folder))
    with ExitStack() as stack:
        stack.callback(service.close)
        log = tmp_path_factory.mktemp("runpod") / "log"
        running = stack.enter_context(worker(models_folder, log, PRELOAD_MODELS="all"))
        service.registry.preload(service.folder.configs)
        _, framework_url = stack.enter_context(host(models_folder, [*framework, "--port", str(ports[0])], ports[0]))
        _, serve_url = stack.enter_context(host(models_folder, [*serve, "--port", str(ports[1])], ports[1]))
        for name in service.folder.configs:
            with service.registry.using(name):
                pass
        yield {
            "the app in this process": in_process_host(create_app(lambda: service)),
            "functions-framework": http_host(framework_url),
            "warmfn serve": http_host(serve_url),
            "RunPod worker": runpod_host(running.queue),
        }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_host_gives_the_same_answer(hosts: Mapping[str, Host], row: Row) -> None:
    answers = {name: host(row.ask) for name, host in hosts.items()}
    first, *others = answers
    for name in others:
        assert answers[name] == answers[first], name
