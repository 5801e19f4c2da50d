"""The OpenAI surface over a real socket, on a fake model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.loader import Runner
from core.service import Service
from handlers.asgi import OPENERS
from tests.fakes import completion, fail_decode, text_of
from tests.serving import FakeModel, FakeService, Server, eventually, fake_config

CHAT: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}
PROMPT = [FakeModel.bos, *(1 + byte for byte in b"u:hello;")]


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.decoder.gate.set()
    service.close()


@pytest.fixture
def client(service: FakeService) -> Iterator[httpx.Client]:
    with Server(service, max_body=10_000) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()["error"]
    assert {"message", "type", "param", "code"} <= body.keys()
    return dict(body)


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_chat_answers_with_text_usage_and_timings(client: httpx.Client, prefix: str) -> None:
    body = client.post(f"{prefix}/chat/completions", json={**CHAT, "max_tokens": 4}).json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == text_of(completion(PROMPT, 4))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"] == {
        "prompt_tokens": len(PROMPT),
        "completion_tokens": 4,
        "total_tokens": len(PROMPT) + 4,
        "prompt_tokens_details": {"cached_tokens": body["timings"]["cache_n"]},
    }
    assert {"queue_ms", "prompt_n", "prompt_ms", "predicted_n", "predicted_per_second"} <= body["timings"].keys()
    assert "warnings" not in body


def test_a_stream_has_role_deltas_finish_usage_and_done(client: httpx.Client) -> None:
    ask = {**CHAT, "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}}
    response = client.post("/v1/chat/completions", json=ask)
    assert response.headers["content-type"].startswith("text/event-stream")
    first, *deltas, finish, usage = events(response.text)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(delta["choices"][0]["delta"]["content"] for delta in deltas)
    assert text == text_of(completion(PROMPT, 3))
    assert finish["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert all(chunk["usage"] is None for chunk in (first, *deltas, finish))
    assert len({chunk["id"] for chunk in (first, *deltas, finish, usage)}) == 1


def test_a_stream_without_include_usage_has_no_usage(client: httpx.Client) -> None:
    chunks = events(client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 2, "stream": True}).text)
    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("hi", [[999, 105, 106]]),
        (["hi", "ho"], [[999, 105, 106], [999, 105, 112]]),
        ([5, 6], [[5, 6]]),
        ([[5], [7]], [[5], [7]]),
    ],
)
def test_completions_take_texts_and_token_arrays(client: httpx.Client, prompt: Any, choices: list[list[int]]) -> None:
    ask = {"model": "fake", "prompt": prompt, "max_tokens": 3}
    expected = {index: text_of(completion(tokens, 3)) for index, tokens in enumerate(choices)}
    body = client.post("/v1/completions", json=ask).json()
    assert {choice["index"]: choice["text"] for choice in body["choices"]} == expected
    streamed = dict.fromkeys(expected, "")
    for chunk in events(client.post("/v1/completions", json={**ask, "stream": True}).text):
        for choice in chunk["choices"]:
            streamed[choice["index"]] += choice["text"]
    assert streamed == expected


def test_the_earliest_stop_string_ends_the_text(client: httpx.Client) -> None:
    tokens = completion(PROMPT, 3)
    body = client.post("/v1/chat/completions", json={**CHAT, "stop": [f"{tokens[2]} ", f"{tokens[1]} "]}).json()
    assert body["choices"][0]["message"]["content"] == f"{tokens[0]} "
    assert body["choices"][0]["finish_reason"] == "stop"


def test_an_unknown_parameter_is_accepted_with_a_warning_that_suggests_the_right_one(client: httpx.Client) -> None:
    response = client.post("/v1/chat/completions", json={**CHAT, "max_token": 3, "max_tokens": 2})
    assert response.status_code == 200
    [warning] = response.json()["warnings"]
    assert "'max_token'" in warning
    assert "'max_tokens'" in warning
    assert response.headers["warning"] == f'199 warmfn "{warning}"'
    streamed = client.post("/v1/chat/completions", json={**CHAT, "stream": True, "tempreture": 1, "max_tokens": 2})
    assert "temperature" in events(streamed.text)[-1]["warnings"][0]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"mirostat": 3}, "mirostat"),
        ({"grammar": "root ::= x"}, "grammar"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5000": 1}}, "logit_bias"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": {"": 1}}, "logit_bias"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"model": 5}, "model"),
    ],
)
def test_a_wrong_or_unsupported_parameter_is_a_400_that_names_it(
    client: httpx.Client, change: dict[str, Any], param: str
) -> None:
    response = client.post("/v1/chat/completions", json={**CHAT, **change})
    assert response.status_code == 400
    assert error(response)["param"] == param
    assert param.split(".")[0] in error(response)["message"]


def test_what_is_not_json_or_too_large_or_elsewhere_gets_its_own_status(client: httpx.Client) -> None:
    assert client.post("/v1/chat/completions", content=b"{").status_code == 400
    assert client.post("/v1/chat/completions", content=b"[]").status_code == 400
    assert "not JSON" in error(client.post("/v1/chat/completions", content=b"[" * 9000))["message"]
    assert (
        "within one another"
        in error(client.post("/v1/completions", content=b'{"":' * 99 + b"0" + b"}" * 99))["message"]
    )
    assert error(client.post("/v1/chat/completions", content=b" " * 10_001))["code"] == "request_too_large"
    assert error(client.post("/v1/chat/completions", json={**CHAT, "model": "x"}))["code"] == "model_not_found"
    assert error(client.get("/v1/chat/completions"))["code"] == "method_not_allowed"
    assert error(client.get("/v1/nope"))["code"] == "unknown_url"
    assert client.head("/v1/models").status_code == 200
    for method, path in (("POST", "/health"), ("OPTIONS", "/v1/completions"), ("PROPFIND", "/v1/models")):
        assert error(client.request(method, path))["code"] == "method_not_allowed"
    assert client.get("/v1/models/x").status_code == 404
    assert "cannot embed" in error(client.post("/v1/embeddings", json={"model": "fake", "input": "x"}))["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(client: httpx.Client, stream: bool) -> None:
    messages = [{"role": "user", "content": "x" * 200}]
    response = client.post("/v1/chat/completions", json={**CHAT, "messages": messages, "stream": stream})
    body = error(response)
    assert response.status_code == 400
    assert body["code"] == "context_length_exceeded"
    assert (body["prompt_tokens"], body["context_size"]) == (204, 120)
    fits_not = error(client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 119}))
    assert (fits_not["code"], fits_not["max_tokens"]) == ("context_length_exceeded", 119)


def test_an_unset_max_tokens_gets_the_default_or_what_room_there_is(client: httpx.Client) -> None:
    body = client.post("/v1/chat/completions", json=CHAT).json()
    assert body["usage"]["completion_tokens"] == 10
    messages = [{"role": "user", "content": "x" * 110}]
    body = client.post("/v1/chat/completions", json={**CHAT, "messages": messages}).json()
    assert body["usage"]["total_tokens"] == 120


def test_a_full_queue_is_a_429_that_says_when_to_come_back(client: httpx.Client, service: FakeService) -> None:
    engine = service.runner.engine
    service.decoder.gate.clear()
    ask = {**CHAT, "max_tokens": 2}
    threads = [
        threading.Thread(target=client.post, args=("/v1/chat/completions",), kwargs={"json": ask}) for _ in range(3)
    ]
    threads[0].start()
    assert eventually(lambda: engine.num_running == 1)
    for thread in threads[1:]:
        thread.start()
    assert eventually(lambda: engine.num_waiting == 2)
    response = client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 429
    assert error(response)["code"] == "queue_full"
    assert int(response.headers["retry-after"]) >= 1
    service.decoder.gate.set()
    for thread in threads:
        thread.join()


def test_more_prompts_than_could_ever_wait_are_refused_before_they_are_read(
    client: httpx.Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.runner._model, "tokenize", None)
    response = client.post("/v1/completions", json={"model": "fake", "prompt": ["x"] * 5})
    assert response.status_code == 400
    assert error(response)["param"] == "prompt"
    assert "at most 4" in error(response)["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_slot(client: httpx.Client, service: FakeService, stream: bool) -> None:
    engine = service.runner.engine
    service.decoder.gate.clear()
    ask = {**CHAT, "max_tokens": 100, "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=ask, timeout=0.2)
    assert eventually(lambda: b'completion_tokens_total{model="fake"}' in service.metrics.text())
    num_batches = len(service.decoder.batches)
    service.decoder.gate.set()
    assert eventually(lambda: engine.num_running == 0)
    assert len(service.decoder.batches) <= num_batches + 1
    assert service.decoder.opened == set()


def test_a_failed_decode_is_a_500_and_in_a_stream_an_error_event(client: httpx.Client, service: FakeService) -> None:
    assert service.runner.name == "fake"
    service.decoder.fail_next = fail_decode
    assert error(client.post("/v1/chat/completions", json=CHAT))["code"] == "decode_failed"
    service.decoder.fail_next = fail_decode
    text = client.post("/v1/chat/completions", json={**CHAT, "stream": True}).text
    kind, data = text.rstrip().split("\n\n")[-1].split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "decode_failed"
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_bug_is_a_500_without_a_traceback(
    client: httpx.Client, service: FakeService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "open", lambda *_: 1 / 0)
    response = client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 500
    assert error(response)["code"] == "internal_error"
    assert "ZeroDivision" not in response.text
    assert "ZeroDivisionError" in caplog.text


def test_draining_refuses_what_is_new_and_lets_run_what_runs(client: httpx.Client, service: FakeService) -> None:
    with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        service.drain()
        refused = client.post("/v1/chat/completions", json=CHAT)
        assert (refused.status_code, error(refused)["code"]) == (503, "shutting_down")
        response.read()
        assert events(response.text)[-1]["choices"][0]["finish_reason"] == "length"


def test_models_and_metrics_tell_the_state(client: httpx.Client, service: FakeService) -> None:
    assert client.get("/v1/models/fake").json()["state"] == "unloaded"
    client.post("/v1/chat/completions", json=CHAT)
    [model] = client.get("/v1/models").json()["data"]
    assert (model["id"], model["state"], model["kind"]) == ("fake", "ready", "text")
    assert (model["context_size"], model["slots"], model["kv_tokens"]) == (120, 2, 400)
    text = client.get("/metrics").text
    assert 'warmfn_requests_total{model="fake",route="chat/completions",status="200"} 1.0' in text
    assert 'warmfn_completion_tokens_total{model="fake"} 10.0' in text
    assert 'warmfn_running_sequences{model="fake"} 0.0' in text
    assert 'warmfn_threads{model="fake"} 2.0' in text


def test_health_is_alive_while_ready_and_ping_wait_for_the_load() -> None:
    service = FakeService(patience=0.01)
    service.decoder.gate.clear()
    service.registry.preload(["fake"])
    with Server(service) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/health").status_code == client.get("/healthz").status_code == 200
        for path in ("/ready", "/readyz"):
            assert (client.get(path).status_code, client.get(path).json()["models"]) == (503, {"fake": "loading"})
        assert client.get("/ping").status_code == 204
        waiting = client.post("/v1/chat/completions", json=CHAT)
        assert (waiting.status_code, error(waiting)["code"]) == (503, "model_loading")
        assert int(waiting.headers["retry-after"]) >= 1
        service.decoder.gate.set()
        assert eventually(lambda: client.get("/ready").status_code == 200)
        assert client.get("/ping").status_code == 200
    service.close()


def test_requests_that_wait_for_one_model_hold_up_no_other() -> None:
    service, is_loaded, count = FakeService(), threading.Event(), OPENERS + 1
    load = service._load_runner
    service._load_runner = lambda config: load(config) if config.name == "fake" else is_loaded.wait(10)  # type: ignore
    service.update(replace(service.folder, configs=service.folder.configs | {"slow": fake_config("slow")}))
    service.registry.preload(["fake", "slow"])
    with Server(service) as server, httpx.Client(base_url=server.url, timeout=5) as client:
        url, body = f"{server.url}/v1/chat/completions", {**CHAT, "model": "slow"}
        with ThreadPoolExecutor(count) as clients:
            for _ in range(count):
                clients.submit(httpx.post, url, json=body, timeout=20)
            assert eventually(lambda: service.registry._entries["slow"].num_users == count)
            assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
            assert client.get("/v1/models").status_code == 200
            is_loaded.set()
    service.close()


def test_a_load_that_failed_is_not_taken_for_one_that_goes_on() -> None:
    service = Service(ModelsFolder(Path("/nowhere"), {"fake": fake_config("fake")}, []), load=_cannot_load)
    service.registry.preload(["fake"])
    with Server(service) as server, httpx.Client(base_url=server.url) as client:
        assert eventually(lambda: client.get("/ready").json()["status"] == "failed")
        assert client.get("/ready").status_code == client.get("/ping").status_code == 503
    service.close()


def _cannot_load(config: ModelConfig) -> Runner:
    raise ModelUnusable("broken weights")
