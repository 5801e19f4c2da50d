"""One table of requests, put to every host: whoever carries a request, its answer is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.config.folder import read_folder
from core.service import Service
from handlers.asgi import create_app
from tests.host_answers import Ask, Host, app_host, comparable, server_host, worker_host
from tests.minilm_gguf import convert_minilm
from tests.serving import free_port
from tests.test_hosts import SOURCE, host
from tests.test_runpod_worker import worker

pytestmark = pytest.mark.weights

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf", "all-MiniLM-L6-v2"
EDIT_TEMPLATE = "{{.Instruction}}\nBefore: {{.Input}}\nAfter:"
CONFIGS: dict[str, dict[str, Any]] = {
    "writer": {"context_size": 1024, "slots": 2, "template": {"edit": EDIT_TEMPLATE}},
    "embedder": {"embeddings": True, "context_size": 256},
}

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 16, "ignore_eos": True}
QUESTION = [{"role": "user", "content": "Name the planets."}]
CHAT = Ask("/v1/chat/completions", {"model": "writer", "messages": QUESTION} | GREEDY)
COMPLETION = Ask("/v1/completions", {"model": "writer", "prompt": "The capital of France is"} | GREEDY)
EDIT = Ask("/v1/edits", {"model": "writer", "input": "He go home.", "instruction": "Correct the grammar."} | GREEDY)
EMBEDDING = Ask("/v1/embeddings", {"model": "embedder", "input": ["a cat", "a dog on a sofa"]})

STREAM = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
WORDS = "some more words "
TOO_LATE = "deadline_exceeded"


def but(ask: Ask, **changes: Any) -> Ask:
    return replace(ask, body=ask.body | changes)


@dataclass(frozen=True)
class Row:
    """`says` stands in the answer's JSON, or in the text of a stream, whose events are of these `kinds`, in order."""

    name: str
    ask: Ask
    says: str
    status: int = 200
    kinds: str = ""


# fmt: off
TABLE = [
    Row("chat", CHAT, "Jupiter"),
    Row("chat without v1", replace(CHAT, route="/chat/completions"), "Jupiter"),
    Row("chat stream", but(CHAT, **STREAM), "Jupiter", kinds="role text finish [DONE]"),
    Row("chat stream with usage", but(CHAT, **WITH_USAGE), "Jupiter", kinds="role text finish usage [DONE]"),
    Row("completion", COMPLETION, "Paris"),
    Row("completion stream", but(COMPLETION, **STREAM), "Paris", kinds="text finish [DONE]"),
    Row("completion stream with usage", but(COMPLETION, **WITH_USAGE), "Paris", kinds="text finish usage [DONE]"),
    Row("completion with echo", but(COMPLETION, echo=True), "The capital of France is Paris"),
    Row("completions", but(COMPLETION, prompt=["One, two,", "Monday, Tuesday,"]), '"index": 1'),
    Row("edit", EDIT, '"object": "edit"'),
    Row("embeddings", EMBEDDING, '"index": 1'),
    Row("embeddings in base64", but(EMBEDDING, encoding_format="base64"), '"embedding": "'),
    Row("models", Ask("/v1/models"), '"id": "embedder"'),
    Row("models by a filter", Ask("/v1/models?filter=^wri"), '"id": "writer"'),
    Row("model", Ask("/v1/models/writer"), '"context_size": 1024'),

    Row("chat, no model named", but(CHAT, model=None), "no model was named: writer answers"),
    Row("chat stream, no model named", but(CHAT, model=None, **STREAM), "Jupiter", kinds="role text finish [DONE]"),
    Row("embeddings, no model named", but(EMBEDDING, model=None), "no model was named: embedder answers"),
    Row("unknown parameter", but(CHAT, tempreture=1), "did you mean 'temperature'?"),

    Row("model in the path", replace(COMPLETION, route="/v1/engines/writer/completions"), "Paris"),
    Row("model in the path alone", replace(but(EMBEDDING, model=None), route="/engines/embedder/embeddings"), "index"),
    Row("two models", replace(but(CHAT, model="a"), route="/v1/engines/b/chat/completions"), "name one", 400),
    Row("unknown model in the path", replace(but(CHAT, model=None), route="/v1/engines/a b/chat/completions"),
        "model_not_found", 404),

    Row("unknown model", but(CHAT, model="nope"), "model_not_found", 404),
    Row("unknown model in a stream", but(CHAT, model="nope", **STREAM), "model_not_found", 404),
    Row("unknown model asked for", Ask("/v1/models/nope"), "model_not_found", 404),
    Row("model that cannot embed", but(EMBEDDING, model="writer"), "cannot embed", 400),
    Row("wrong type", but(CHAT, temperature="hot"), '"param": "temperature"', 400),
    Row("unsupported parameter", but(CHAT, n=2), "n is not supported", 400),
    Row("image", but(CHAT, messages=[{"role": "user", "content": [IMAGE]}]), "image_url", 400),
    Row("prompt too long", but(COMPLETION, prompt=WORDS * 400), "context_length_exceeded", 400),
    Row("prompt too long in a stream", but(COMPLETION, prompt=WORDS * 400, **STREAM), "context_length_exceeded", 400),
    Row("body that is no object", replace(CHAT, body=["hello"]), "must be a JSON object", 400),
    Row("unknown route", Ask("/v1/nope", {}), "unknown_url", 404),
    Row("unknown route, GET", Ask("/v1/nope"), "unknown_url", 404),
    Row("GET to a route of POST", Ask(CHAT.route, method="GET"), "this route takes POST", 405),
    Row("POST to a route of GET", Ask("/v1/models", {}, method="POST"), "this route takes GET", 405),
    Row("GET to a model in the path", Ask("/v1/engines/writer/completions", method="GET"), "takes POST", 405),
    Row("no route of a model", Ask("/v1/engines/writer/edits", {}), "unknown_url", 404),
    Row("method of no route", Ask("/v1/models", method="DELETE"), "this route takes GET", 405),

    # The first tells how fast prompts are read, by which the second is refused.
    Row("long prompt", but(COMPLETION, prompt=WORDS * 40), '"prompt_tokens": 121'),
    Row("too little time for a prompt", but(COMPLETION, prompt=WORDS * 200, request_timeout=0.01), TOO_LATE, 503),
    Row("too little time for a vector", but(EMBEDDING, input=WORDS * 60, request_timeout=1e-6), TOO_LATE, 503),
]
# fmt: on


@pytest.fixture(scope="module", params=["llama.cpp", pytest.param("torch", marks=pytest.mark.extended)])
def models(request: pytest.FixtureRequest, models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both default models, MiniLM in the form that is asked for: as a GGUF every host starts in a second or two."""
    folder = tmp_path_factory.mktemp("models")
    for weights in WEIGHTS:
        (folder / weights).symlink_to(models_folder / weights)
    files = dict(zip(CONFIGS, WEIGHTS, strict=True))
    if request.param == "llama.cpp":
        files["embedder"] = convert_minilm(folder / files["embedder"], folder / "minilm.gguf").name
    for name, config in CONFIGS.items():
        whole = config | {"name": name, "parameters": {"model": files[name]}}
        (folder / f"{name}.yaml").write_text(json.dumps(whole))
    return folder


@pytest.fixture(scope="module")
def hosts(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Host]]:
    """All get the same requests in the same order, so that the same is in their caches."""
    ports = free_port(), free_port()
    framework = f"functions_framework --target openai --source {SOURCE} --host 127.0.0.1 --port {ports[0]}"
    serve = f"handlers.cli serve --models {models} --port {ports[1]}"
    log = tmp_path_factory.mktemp("runpod") / "log"
    service = Service(read_folder(models))
    with ExitStack() as stack:
        stack.callback(service.close)
        _, framework_url = stack.enter_context(host(models, framework.split(), ports[0]))
        _, serve_url = stack.enter_context(host(models, serve.split(), ports[1]))
        running = stack.enter_context(worker(models, log, PRELOAD_MODELS="all"))
        for name in CONFIGS:
            with service.registry.using(name):
                pass
        yield {
            "the app in this process": app_host(create_app(lambda: service)),
            "functions-framework": server_host(framework_url),
            "warmfn serve": server_host(serve_url),
            "RunPod worker": worker_host(running.queue),
        }


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_host_gives_the_same_answer(hosts: Mapping[str, Host], row: Row) -> None:
    answers = {name: comparable(answer(row.ask)) for name, answer in hosts.items()}
    expected = next(iter(answers.values()))
    assert expected.status == row.status
    assert row.says in expected.body.get("text", json.dumps(expected.body))
    assert expected.body.get("kinds", "") == row.kinds
    for name, answer in answers.items():
        assert answer == expected, name
