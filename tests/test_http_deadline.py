"""Time limits over HTTP: the host's, a header's and a body's; and what a silent stream sends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from handlers import reply_response
from tests.serving import FakeService, Server, eventually

CHAT: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.decoder.gate.set()
    service.close()


@pytest.fixture
def client(service: FakeService) -> Iterator[httpx.Client]:
    with Server(service) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


@pytest.fixture
def slow(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred tokens take two seconds."""
    decode = service.decoder.decode
    monkeypatch.setattr(service.decoder, "decode", lambda batch: time.sleep(0.02) or decode(batch))


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("by", ["header", "body"])
def test_a_reply_ends_before_its_time_limit_and_says_why(client: httpx.Client, stream: bool, by: str) -> None:
    client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 1})
    ask = {**CHAT, "stream": stream} | ({"request_timeout": 0.5} if by == "body" else {})
    headers = {"X-Request-Timeout": "0.5"} if by == "header" else {}
    response = client.post("/v1/chat/completions", json=ask, headers=headers)
    body = json.loads(response.text.split("data: ")[-2]) if stream else response.json()
    assert body["choices"][0]["finish_reason"] == "length"
    [warning] = body["warnings"]
    assert "of at most 100 tokens, because the time limit of 0.5 s" in warning
    assert ("X-Request-Timeout" if by == "header" else "request_timeout") in warning
    assert stream or warning in response.headers["warning"]


@pytest.mark.usefixtures("slow")
def test_the_hosts_own_limit_counts_too(service: FakeService) -> None:
    assert service.runner.name == "fake"
    with Server(service, time_limits={"HOST_LIMIT": 0.5}) as server:
        response = httpx.post(f"{server.url}/v1/chat/completions", json=CHAT, timeout=20)
    assert "0.5 s (HOST_LIMIT)" in response.json()["warnings"][0]


def test_a_prompt_that_cannot_be_read_in_time_is_refused_at_once_with_the_estimate(
    client: httpx.Client, service: FakeService
) -> None:
    ask = {**CHAT, "messages": [{"role": "user", "content": "x" * 80}], "max_tokens": 4}
    headers = {"X-Request-Timeout": "2"}
    assert client.post("/v1/chat/completions", json=ask, headers=headers).status_code == 200, "the speed was unknown"
    service.runner.speed._prefill.observe(1_000_000, 100_000.0)
    ask["messages"][0]["content"] = "y" * 80
    response = client.post("/v1/chat/completions", json=ask, headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (503, "deadline_exceeded")
    assert error["estimated_seconds"] == pytest.approx(8.1, abs=0.2)
    assert "left of 2 s (X-Request-Timeout)" in error["message"]
    ask["messages"][0]["content"] = "x" * 80
    assert client.post("/v1/chat/completions", json=ask, headers=headers).status_code == 200, "it lies in the cache"


def test_a_model_is_not_waited_for_longer_than_the_request_may_take() -> None:
    service = FakeService(patience=20)
    service.decoder.gate.clear()
    service.registry.preload(["fake"])
    with Server(service) as server:
        ask = {**CHAT, "request_timeout": 0.1}
        response = httpx.post(f"{server.url}/v1/chat/completions", json=ask, timeout=10)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "model_loading")
        service.decoder.gate.set()
    service.close()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(client: httpx.Client, text: str) -> None:
    response = client.post("/v1/chat/completions", json=CHAT, headers={"X-Request-Timeout": text})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "X-Request-Timeout"


def test_a_silent_stream_sends_comments_between_its_events(
    client: httpx.Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_response, "KEEP_ALIVE", 0.02)
    assert service.runner.name == "fake"
    service.decoder.gate.clear()
    events = []
    with client.stream("POST", "/v1/chat/completions", json={**CHAT, "max_tokens": 3, "stream": True}) as response:
        for text in response.iter_text():
            events += text.split("\n\n")[:-1]
            if events.count(": keep-alive") == 2:
                service.decoder.gate.set()
    assert events[1:3] == [": keep-alive"] * 2
    assert {event[:6] for event in events} == {"data: ", ": keep"}
    chunks = [json.loads(event[6:]) for event in events[:-1] if event.startswith("data: ")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert events[-1] == "data: [DONE]"


def test_a_client_that_is_gone_during_the_silence_frees_its_seat(
    client: httpx.Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_response, "KEEP_ALIVE", 0.02)
    engine = service.runner.engine
    service.decoder.gate.clear()
    with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        assert ": keep-alive" in next(text for text in response.iter_text() if ":" in text and "data" not in text)
    service.decoder.gate.set()
    assert eventually(lambda: not engine.num_running)


def test_retry_after_is_the_backlog_at_the_measured_speed_over_the_places_it_frees(
    client: httpx.Client, service: FakeService
) -> None:
    runner = service.runner
    runner.speed._decode.observe(1_000_000, 100_000.0)  # 10 tokens per second, whatever the fake does
    service.decoder.gate.clear()
    seqs = [runner.submit(runner.completion_prompt("a"), lambda update: None, max_tokens=90)]
    assert eventually(lambda: runner.engine.num_running == 1)
    seqs += [runner.submit(runner.completion_prompt("a"), lambda update: None, max_tokens=90) for _ in range(2)]
    response = client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "10", "270 tokens take 27 s and their prompts a little, for 3 places"
    for seq in seqs:
        runner.engine.cancel(seq)
