"""Batches of texts through an embedding model's runner."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.runners.backends import load_runner
from core.runners.embedding import EmbeddingRunner

ROUNDS = 5
WORDS = "a passage of some twenty words as a retrieval index would hold them, neither a title nor a whole page, number"

_numbers = itertools.count()


@pytest.fixture(scope="module")
def embedder(config: ModelConfig) -> Iterator[EmbeddingRunner]:
    if check_weights(config) == "llama-text":
        pytest.skip(f"{config.name} writes text and gives no embeddings")
    runner = load_runner(config)
    assert isinstance(runner, EmbeddingRunner)
    runner.warm()
    yield runner
    runner.close()


@pytest.mark.parametrize("texts", [1, 8, 32])
@pytest.mark.benchmark(group="embedding")
def test_embedding_batch(benchmark: BenchmarkFixture, embedder: EmbeddingRunner, texts: int) -> None:
    def fresh() -> tuple[tuple[list[str]], dict[str, object]]:
        return ([f"{WORDS} {next(_numbers)}" for _ in range(texts)],), {}

    def embed(inputs: list[str]) -> int:
        return sum(embedder.embed(inputs).result().num_tokens)

    benchmark.extra_info.update(n_tokens=embed(fresh()[0][0]), texts=texts)
    benchmark.pedantic(embed, setup=fresh, rounds=ROUNDS, warmup_rounds=1)
