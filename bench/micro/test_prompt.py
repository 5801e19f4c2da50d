"""What is done with a prompt before the model sees it."""

from __future__ import annotations

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.llama.model import LlamaModel
from core.prompt.prompts import Prompts
from core.runners.text_llama import chat_template

ROUNDS = 20
TEXT = "The quick brown fox jumps over the lazy dog, and nobody in the village remembers why it ever did. "
TURNS = 11
"""Of a conversation; the user has the last word."""

_numbers = itertools.count()


def fresh_text() -> str:
    """About a thousand tokens, no two texts alike."""
    return f"{next(_numbers)} " + TEXT * 45


@pytest.mark.benchmark(group="tokenise")
def test_tokenise(benchmark: BenchmarkFixture, text_model: LlamaModel) -> None:
    def tokenize(text: str) -> list[int]:
        return text_model.tokenize(text, add_special=True, parse_special=True)

    benchmark.extra_info.update(n_tokens=len(tokenize(fresh_text())))
    benchmark.pedantic(tokenize, setup=lambda: ((fresh_text(),), {}), rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="chat template")
def test_chat_template(benchmark: BenchmarkFixture, config: ModelConfig, text_model: LlamaModel) -> None:
    prompts = Prompts(config, chat_template(text_model))
    messages = [{"role": "user" if turn % 2 == 0 else "assistant", "content": TEXT} for turn in range(TURNS)]
    try:
        prompts.chat(messages)
    except ModelUnusable as error:
        pytest.skip(error.message)

    def fresh() -> tuple[tuple[object], dict[str, object]]:
        return ([*messages[:-1], {"role": "user", "content": fresh_text()}],), {}

    benchmark.pedantic(prompts.chat, setup=fresh, rounds=ROUNDS, warmup_rounds=1)
