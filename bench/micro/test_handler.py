"""What a request costs without a model: the ASGI app, the service and the engine around a decoder that does nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.micro.asgi_call import post
from bench.micro.no_model import NAME, load_no_model
from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.schema.replies import Heading, chat_delta
from core.service import Service
from handlers.asgi import create_app
from handlers.sse import data_event

CHAT = "/v1/chat/completions"
ROUNDS = 50
TOKENS = 64


@pytest.mark.benchmark(group="SSE encoding")
def test_sse_encoding(benchmark: BenchmarkFixture) -> None:
    """A thousand events with a word each."""
    chunk = Heading("chat.completion", NAME).chunk([chat_delta({"content": " word"})])

    def encode() -> list[str]:
        return [data_event(chunk) for _ in range(1000)]

    benchmark.extra_info.update(n_tokens=1000)
    benchmark.pedantic(encode, rounds=ROUNDS, warmup_rounds=1)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    config = ModelConfig(name=NAME, root=Path())
    service = Service(ModelsFolder(Path(), {NAME: config}, []), load=load_no_model)
    yield service
    service.close()


@pytest.mark.parametrize(("tokens", "stream"), [(1, False), (TOKENS, False), (TOKENS, True)])
@pytest.mark.benchmark(group="handler")
def test_handler(benchmark: BenchmarkFixture, service: Service, tokens: int, stream: bool) -> None:
    app = create_app(lambda: service)
    request = {"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": tokens}
    body = json.dumps(request | {"stream": stream}).encode()
    benchmark.extra_info.update(n_tokens=tokens)
    with asyncio.Runner() as runner:
        answered = runner.run(post(app, CHAT, body))
        assert answered.status == 200, answered.body
        benchmark.pedantic(lambda: runner.run(post(app, CHAT, body)), rounds=ROUNDS, warmup_rounds=1)
