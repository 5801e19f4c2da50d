"""The default models through the official OpenAI client, over a real socket."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from core.runners.text import TextRunner
from core.service import Service
from tests.serving import Server, eventually

pytestmark = pytest.mark.weights

CHAT, EMBED = "smollm2-135m-instruct", "all-minilm-l6-v2"


@pytest.fixture(scope="module")
def client(real_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{real_server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def runner(real_service: Service) -> TextRunner:
    with real_service.registry.using(CHAT) as runner:
        assert isinstance(runner, TextRunner)
        return runner


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_question_gets_a_sensible_answer(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=CHAT, messages=ask("Name the planets."), temperature=0)
    assert "Jupiter" in (reply.choices[0].message.content or "")
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_says_what_the_whole_reply_says(client: OpenAI) -> None:
    options = {"model": CHAT, "messages": ask("Name the planets."), "temperature": 0, "max_tokens": 40}
    options["extra_body"] = {"ignore_eos": True}
    whole = client.chat.completions.create(**options)
    stream = client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text[:40] == (whole.choices[0].message.content or "")[:40]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 40


def test_eight_requests_run_at_once(real_server: Server, runner: TextRunner) -> None:
    busiest = 0

    async def stream(client: AsyncOpenAI, number: int) -> int:
        nonlocal busiest
        count = 0
        async for chunk in await client.chat.completions.create(
            model=CHAT,
            messages=ask(f"Count from {number}."),
            max_tokens=30,
            stream=True,
            extra_body={"ignore_eos": True},
        ):
            busiest = max(busiest, runner.engine.num_running)
            count += bool(chunk.choices and chunk.choices[0].delta.content)
        return count

    async def run() -> list[int]:
        async with AsyncOpenAI(base_url=f"{real_server.url}/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(stream(client, number) for number in range(8)))

    assert all(count > 5 for count in asyncio.run(run()))
    assert busiest == 8


def test_a_seed_makes_sampling_reproducible(client: OpenAI) -> None:
    def sample(seed: int) -> str | None:
        reply = client.chat.completions.create(
            model=CHAT, messages=ask("Tell me a story."), temperature=1.0, top_p=1, seed=seed, max_tokens=24
        )
        return reply.choices[0].message.content

    sample(7)  # settles what is cached: another split of the prompt rounds differently
    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_a_client_that_closes_its_stream_frees_the_slot(client: OpenAI, runner: TextRunner) -> None:
    stream = client.chat.completions.create(
        model=CHAT, messages=ask("Tell me everything."), max_tokens=2000, stream=True, extra_body={"ignore_eos": True}
    )
    assert len(list(itertools.islice(stream, 5))) == 5
    assert runner.engine.num_running == 1
    stream.close()
    assert eventually(lambda: runner.engine.num_running == 0)


def test_a_repeated_prompt_comes_from_the_cache(client: OpenAI) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 20
    first = client.completions.create(model=CHAT, prompt=text, max_tokens=1)
    second = client.completions.create(model=CHAT, prompt=text, max_tokens=1)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens_details is not None
    assert second.usage.prompt_tokens_details.cached_tokens == second.usage.prompt_tokens - 1


def test_errors_are_the_clients_own_classes(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nope", messages=ask("x"))
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model=CHAT, messages=ask("word " * 9000))
    assert refusal.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="cannot generate text"):
        client.chat.completions.create(model=EMBED, messages=ask("x"))


def test_embeddings_are_those_of_sentence_transformers(client: OpenAI, models_folder) -> None:  # type: ignore[no-untyped-def]
    from sentence_transformers import SentenceTransformer

    texts = ["A cat sits on the mat.", "Ein Satz auf Deutsch", "short", "a somewhat longer sentence about the sea " * 3]
    own = SentenceTransformer(str(models_folder / "all-MiniLM-L6-v2"), device="cpu").encode(texts)
    for encoding in ("float", "base64"):
        reply = client.embeddings.create(model=EMBED, input=texts, encoding_format=encoding)  # type: ignore[call-overload]
        vectors = [vector.embedding for vector in reply.data]
        if encoding == "base64":
            import base64

            vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
        np.testing.assert_allclose(np.array(vectors), own, atol=1e-5)
        assert reply.usage.prompt_tokens > 20


def test_an_embedding_input_that_is_too_long_is_refused_and_not_cut(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="256"):
        client.embeddings.create(model=EMBED, input="word " * 300)


def test_chat_and_embeddings_work_at_the_same_time(real_server: Server) -> None:
    async def run() -> tuple[int, int]:
        async with AsyncOpenAI(base_url=f"{real_server.url}/v1", api_key="none", max_retries=0) as client:
            chat = [
                client.chat.completions.create(model=CHAT, messages=ask(f"Say {n}."), max_tokens=16) for n in range(4)
            ]
            embed = [client.embeddings.create(model=EMBED, input=f"text {n}") for n in range(12)]
            chats, embeds = await asyncio.gather(asyncio.gather(*chat), asyncio.gather(*embed))
            return len(chats), len(embeds)

    assert asyncio.run(run()) == (4, 12)
