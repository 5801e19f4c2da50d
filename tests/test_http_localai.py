"""LocalAI's routes and rules over a real socket, on a fake model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.config.templates import TemplateSource
from tests.fakes import completion, text_of
from tests.serving import FakeModel, FakeService, Server

ASK: dict[str, Any] = {"prompt": "hi", "max_tokens": 2}
EDIT = TemplateSource(text="{{.Instruction}}: {{.Input}}", origin="edit.tmpl", problem=None)


def tokens(text: str) -> list[int]:
    return [FakeModel.bos, *(1 + byte for byte in text.encode())]


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    service = FakeService(backend="llama-cpp", templates={"edit": EDIT}, parameters={"model": "fake.gguf"})
    with Server(service) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
    service.close()


def text_of_chunks(events: str) -> str:
    lines = [line.removeprefix("data: ") for line in events.split("\n\n") if line.startswith("data: {")]
    return "".join(choice["text"] for line in lines for choice in json.loads(line)["choices"])


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_the_model_may_stand_in_the_path(client: httpx.Client, prefix: str) -> None:
    body = client.post(f"{prefix}/engines/fake/completions", json=ASK).json()
    assert (body["model"], body["object"]) == ("fake", "text_completion")
    assert client.post(f"{prefix}/engines/fake/completions", json={**ASK, "model": "fake"}).status_code == 200
    missing = client.post(f"{prefix}/engines/owner/none/embeddings", json={"input": "x"})
    assert missing.status_code == 404
    assert "'owner/none'" in missing.json()["error"]["message"]


def test_a_chat_may_name_its_model_in_the_path_too(client: httpx.Client) -> None:
    ask = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    body = client.post("/v1/engines/fake/chat/completions", json=ask).json()
    assert (body["model"], body["object"]) == ("fake", "chat.completion")


def test_an_edit_without_a_template_is_refused_as_the_requests_fault() -> None:
    service = FakeService()
    with Server(service) as server:
        refused = httpx.post(f"{server.url}/v1/edits", json={"model": "fake", "instruction": "shorten", "input": "a"})
    service.close()
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")


def test_parts_of_a_content_go_through_the_templates_for_them() -> None:
    sources = {"multimodal": "<{{.Text}}>", "chat_message": "{{.RoleName}}:{{.Content}}", "chat": "{{.Input}}"}
    templates = {kind: TemplateSource(text, f"m.yaml: template.{kind}") for kind, text in sources.items()}
    service = FakeService(templates=templates)
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    ask = {"model": "fake", "messages": [{"role": "narrator", "content": parts}], "max_tokens": 2}
    with Server(service) as server:
        body = httpx.post(f"{server.url}/v1/chat/completions", json=ask).json()
    service.close()
    assert body["choices"][0]["message"]["content"] == text_of(completion(tokens("narrator:<ab>"), 2))


def test_parts_of_a_content_are_joined_for_the_weights_own_template(client: httpx.Client) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    ask = {"model": "fake", "messages": [{"role": "user", "content": parts}], "max_tokens": 2}
    body = client.post("/v1/chat/completions", json=ask).json()
    assert body["choices"][0]["message"]["content"] == text_of(completion(tokens("u:ab;"), 2))


def test_a_path_and_a_body_that_name_two_models_are_refused(client: httpx.Client) -> None:
    response = client.post("/v1/engines/fake/completions", json={**ASK, "model": "other"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")


@pytest.mark.parametrize("model", [{}, {"model": ""}, {"model": None}])
def test_a_bearer_token_that_is_a_models_name_chooses_it(client: httpx.Client, model: dict[str, Any]) -> None:
    body = client.post("/v1/completions", json=ASK | model, headers={"Authorization": "Bearer fake"}).json()
    assert body["model"] == "fake"
    assert "warnings" not in body


def test_without_any_name_the_service_chooses_and_says_so(client: httpx.Client) -> None:
    body = client.post("/v1/completions", json=ASK, headers={"Authorization": "Bearer sk-any"}).json()
    assert body["model"] == "fake"
    assert "fake" in body["warnings"][0]


def test_echo_puts_the_prompt_before_the_text(client: httpx.Client) -> None:
    expected = "hi" + text_of(completion(tokens("hi"), 2))
    ask = ASK | {"model": "fake", "echo": True}
    assert client.post("/v1/completions", json=ask).json()["choices"][0]["text"] == expected
    assert text_of_chunks(client.post("/v1/completions", json=ask | {"stream": True}).text) == expected


@pytest.mark.parametrize("path", ["/v1/edits", "/edits"])
def test_an_edit_gives_a_text_for_each_input(client: httpx.Client, path: str) -> None:
    ask = {"model": "fake", "instruction": "shorten", "input": ["a", "b"], "max_tokens": 2}
    body = client.post(path, json=ask).json()
    assert body["object"] == "edit"
    expected = [text_of(completion(tokens(f"shorten: {text}"), 2)) for text in "ab"]
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == list(enumerate(expected))
    assert body["usage"]["completion_tokens"] == 4
    refused = client.post(path, json=ask | {"stream": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream")


def test_what_the_model_says_is_cleaned_up_in_streams_too() -> None:
    first, second, third = completion(tokens("hi"), 3)
    service = FakeService(cutstrings=[rf"\b{second}\b *"], trimsuffix=[""], template={"reply_prefix": "> "})
    ask = {"model": "fake", "prompt": "hi", "max_tokens": 3}
    with Server(service) as server:
        whole = httpx.post(f"{server.url}/v1/completions", json=ask)
        stream = httpx.post(f"{server.url}/v1/completions", json=ask | {"stream": True})
    service.close()
    assert whole.json()["choices"][0]["text"] == f"> {first} {third}"
    assert text_of_chunks(stream.text) == f"> {first} {third}"


def test_no_limit_means_until_the_context_is_full(client: httpx.Client) -> None:
    for limit in (0, -1):
        body = client.post("/v1/completions", json={"model": "fake", "prompt": "hi", "max_tokens": limit}).json()
        assert body["usage"]["total_tokens"] == 120


def test_the_list_of_models_takes_localais_filter(client: httpx.Client) -> None:
    assert [model["id"] for model in client.get("/v1/models?filter=^fa").json()["data"]] == ["fake"]
    assert client.get("/v1/models?filter=^x").json()["data"] == []
    for model in client.get("/v1/models?excludeConfigured=false").json()["data"]:
        assert client.get(f"/v1/models/{model['id']}").status_code == 200
    assert client.get("/v1/models?filter=(").json()["error"]["param"] == "filter"
