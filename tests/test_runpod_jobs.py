"""A job's outputs, on a fake model and without RunPod's SDK."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.runners.text import TextRunner
from handlers.runpod_jobs import create_handler
from tests.fakes import completion, fail_decode, text_of
from tests.serving import FakeModel, FakeService, eventually

CHAT: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}
PROMPT = [FakeModel.bos, *(1 + byte for byte in b"u:hello;")]
STREAM = {**CHAT, "stream": True, "max_tokens": 60}


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.decoder.gate.set()
    service.close()


def outputs(service: FakeService, asked: Any, *, ack_seconds: float = 0.0, **limits: float) -> list[Any]:
    """Everything that the SDK would send, one by one, each with its acknowledgement."""

    async def run() -> list[Any]:
        collected = []
        async for output in create_handler(service, limits)({"id": "1", "input": asked}):
            collected.append(output)
            await asyncio.sleep(ack_seconds)
        return collected

    return asyncio.run(run())


class Steps(threading.Event):
    """Lets so many steps of the model pass, until it is set."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = threading.Semaphore(count)

    def wait(self, timeout: float | None = None) -> bool:
        return self._left.acquire(blocking=False) or super().wait(timeout)


def error(output: Any) -> dict[str, Any]:
    """Of a job that failed: the SDK makes a string of what is under `error`, so it has to be one."""
    assert output.keys() == {"error"}
    assert isinstance(output["error"], str)
    return dict(json.loads(output["error"])["error"])


def chunks(parts: list[str]) -> list[Any]:
    assert all(part.endswith("\n\n") for part in parts), "an event was split"
    *events, done = [event for part in parts for event in part.split("\n\n") if event]
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text(parts: list[str]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks(parts) for choice in chunk["choices"])


def test_the_handler_is_what_the_sdk_takes_for_a_generator(service: FakeService) -> None:
    assert inspect.isasyncgenfunction(create_handler(service))


def test_without_stream_there_is_one_object(service: FakeService) -> None:
    [body] = outputs(service, {"openai_route": "/v1/chat/completions", "openai_input": {**CHAT, "max_tokens": 4}})
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == text_of(completion(PROMPT, 4))


def test_a_stream_is_whole_events_that_end_with_done(service: FakeService) -> None:
    parts = outputs(service, STREAM)
    first, *_, last = chunks(parts)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["finish_reason"] == "length"
    assert text(parts) == text_of(completion(PROMPT, 60))


def test_the_first_token_goes_out_at_once_and_takes_the_role_along(service: FakeService) -> None:
    service.runner  # noqa: B018  what warms it up is not counted
    service.decoder.gate = Steps(1)

    async def first_output() -> Any:
        return await anext(create_handler(service)({"id": "1", "input": STREAM}))

    part = asyncio.run(first_output())
    assert part.count("data: ") == 2
    assert text([part, "data: [DONE]\n\n"]) == text_of(completion(PROMPT, 1))


def test_text_that_comes_during_an_acknowledgement_goes_out_as_one(service: FakeService) -> None:
    parts = outputs(service, STREAM, ack_seconds=0.3)
    assert len(parts) <= 4, "the first token, what came meanwhile, perhaps a rest, the end"
    assert text(parts) == text_of(completion(PROMPT, 60))


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"what": 1}, 400, "invalid_value"),
        ({"prompt": "x", "model": "nope"}, 404, "model_not_found"),
        ({**CHAT, "temperature": "hot"}, 400, "invalid_value"),
        ({**CHAT, "max_tokens": 1000}, 400, "context_length_exceeded"),
        ({"route": "/v1/nothing", "body": {}}, 404, "unknown_url"),
        ({**STREAM, "n": 3}, 400, "invalid_value"),
    ],
)
def test_an_error_keeps_status_type_and_code(service: FakeService, asked: Any, status: int, code: str) -> None:
    [output] = outputs(service, asked)
    assert (error(output)["status"], error(output)["code"]) == (status, code)
    assert error(output)["type"] == "invalid_request_error"


def test_a_refusal_says_when_to_come_again(service: FakeService) -> None:
    service.drain()
    [output] = outputs(service, CHAT)
    assert (error(output)["status"], error(output)["retry_after"]) == (503, 5)


def test_an_error_in_a_stream_is_its_last_event(service: FakeService) -> None:
    service.runner  # noqa: B018  it is not the warming up that is to fail
    service.decoder.fail_next = fail_decode
    [part] = outputs(service, STREAM)
    _, event = part.removesuffix("\n\n").split("\n\n")
    kind, data = event.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "decode_failed"


def test_nothing_of_a_bug_reaches_the_client(
    service: FakeService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(service, "open", bug)
    [output] = outputs(service, CHAT)
    assert error(output)["status"] == 500
    assert "Traceback" not in output["error"]
    assert "secret" not in output["error"]
    assert "ZeroDivisionError" in caplog.text


def test_a_reply_that_the_platform_would_refuse_is_an_error(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.runpod_jobs.MAX_BODY", 100)
    [output] = outputs(service, CHAT)
    assert (error(output)["status"], error(output)["code"]) == (413, "reply_too_large")
    assert "base64" in error(output)["message"]


def test_an_event_that_the_platform_would_refuse_ends_the_stream(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.runpod_jobs.MAX_EVENT", 100)
    [part] = outputs(service, STREAM)
    assert part.startswith("event: error\n")
    assert "reply_too_large" in part


def test_a_body_with_an_error_in_it_is_no_failed_job() -> None:
    """The SDK would send the repr of such a dict."""

    class Broken(FakeService):
        def _make(self, config: ModelConfig) -> TextRunner:
            raise ModelUnusable("no weights")

    service = Broken()
    outputs(service, CHAT)
    [output] = outputs(service, {"route": "/v1/models/fake"})
    assert isinstance(output, str)
    assert json.loads(output)["error"] == "no weights"


def test_a_time_limit_of_the_endpoint_ends_a_reply_before_it(service: FakeService) -> None:
    service.runner  # noqa: B018  it is loaded before the time runs
    service.decoder.gate.clear()
    threading.Timer(0.3, service.decoder.gate.set).start()
    [output] = outputs(service, CHAT, WARMFN_EXECUTION_TIMEOUT=0.1)
    assert output["choices"][0]["finish_reason"] == "length"
    assert "WARMFN_EXECUTION_TIMEOUT" in output["warnings"][0]


def cancelled(service: FakeService, asked: Any, *, before: Any) -> None:
    """Run a job, wait for `before`, and stop it as the SDK does: while it waits, in the task that reads it."""

    async def run() -> None:
        async def read() -> None:
            async for _ in create_handler(service)({"id": "1", "input": asked}):
                await asyncio.sleep(60)

        task = asyncio.create_task(read())
        assert await asyncio.to_thread(eventually, before)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_job_that_is_stopped_before_its_first_token_frees_its_slot(service: FakeService) -> None:
    engine = service.runner.engine
    service.decoder.gate.clear()
    cancelled(service, STREAM, before=lambda: engine.num_running)
    service.decoder.gate.set()
    assert eventually(lambda: engine.is_idle)
    assert len(service.decoder.batches) < 10


def test_a_job_that_is_stopped_during_an_acknowledgement_frees_its_slot(service: FakeService) -> None:
    engine = service.runner.engine

    service.decoder.gate = Steps(5)
    num_warm = len(service.decoder.batches)
    cancelled(service, STREAM, before=lambda: len(service.decoder.batches) == num_warm + 5)
    service.decoder.gate.set()
    assert eventually(lambda: engine.is_idle)
    assert len(service.decoder.batches) < num_warm + 10


class Slow(FakeService):
    """Its model is loaded when the test says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked, self.may_load = threading.Event(), threading.Event()

    def _make(self, config: ModelConfig) -> TextRunner:
        self.asked.set()
        self.may_load.wait(10)
        return super()._make(config)


def test_a_job_that_is_stopped_while_its_model_loads_leaves_nothing() -> None:
    service = Slow()
    cancelled(service, STREAM, before=service.asked.is_set)
    service.may_load.set()
    assert eventually(lambda: service.runner.is_idle)
    assert len(service.decoder.batches) < 60
    service.close()


@pytest.mark.parametrize(
    ("asked", "is_reported"),
    [(CHAT, True), ({"openai_route": "/v1/chat/completions", "openai_input": CHAT}, False)],
)
def test_a_job_that_waits_for_its_model_says_so_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch, asked: Any, is_reported: bool
) -> None:
    monkeypatch.setattr("handlers.runpod_jobs.SAY_EVERY", 0.02)
    service, reports = Slow(patience=math.inf), []
    threading.Timer(0.2, service.may_load.set).start()

    async def run() -> list[Any]:
        handler = create_handler(service, report=lambda job, words: reports.append((job["id"], words)))
        return [output async for output in handler({"id": "1", "input": asked})]

    [body] = asyncio.run(run())
    assert body["choices"]
    assert bool(reports) == is_reported
    assert {(job, words[:29]) for job, words in reports} <= {("1", "waiting for the model to load")}
    service.close()
