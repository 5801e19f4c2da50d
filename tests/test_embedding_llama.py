from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from core.config.model import ModelConfig
from core.errors import ContextLengthExceeded, DecodeFailed, ModelUnusable
from core.runners import embedding_llama, embedding_torch
from core.runners.embedding import EmbeddingRunner, Vectors
from tests.minilm_gguf import convert_minilm

TEXTS = [
    "hello world",
    "A much longer sentence, which says the same thing again and again. " * 6,
    "naïve café, 東京",
    "x",
    *(f"sentence {number} " * (1 + number % 9) for number in range(20)),
]


def config(root: Path, model: str, **settings: object) -> ModelConfig:
    return ModelConfig.model_validate({"name": "minilm", "root": root, "parameters": {"model": model}, **settings})


@pytest.fixture(scope="module")
def folder(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with MiniLM as a GGUF whose header names mean pooling, another, or none."""
    root = tmp_path_factory.mktemp("gguf")
    source = models_folder / "all-MiniLM-L6-v2"
    convert_minilm(source, root / "mean.gguf")
    convert_minilm(source, root / "cls.gguf", pooling=gguf.PoolingType.CLS)
    convert_minilm(source, root / "rank.gguf", pooling=gguf.PoolingType.RANK)
    convert_minilm(source, root / "none.gguf", pooling=gguf.PoolingType.NONE)
    convert_minilm(source, root / "silent.gguf", pooling=None)
    return root


@pytest.fixture(scope="module")
def runner(folder: Path) -> Iterator[EmbeddingRunner]:
    runner = embedding_llama.load(config(folder, "mean.gguf"))
    runner.warm()
    yield runner
    runner.close()


def embed_once(config: ModelConfig) -> tuple[Vectors, dict[str, Any]]:
    runner = embedding_llama.load(config)
    vectors, facts = runner.embed(TEXTS).result().vectors, runner.facts
    runner.close()
    return vectors, facts


def cosines(left: Vectors, right: Vectors) -> Vectors:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / lengths)


@pytest.mark.weights
def test_vectors_and_counts_agree_with_sentence_transformers(runner: EmbeddingRunner, models_folder: Path) -> None:
    torch_runner = embedding_torch.load(config(models_folder, "all-MiniLM-L6-v2"))
    ours, theirs = runner.embed(TEXTS).result(), torch_runner.embed(TEXTS).result()
    torch_runner.close()
    assert cosines(ours.vectors, theirs.vectors).min() >= 0.9999
    assert ours.num_tokens == theirs.num_tokens


@pytest.mark.weights
def test_a_batch_gives_the_vectors_of_its_singles(runner: EmbeddingRunner) -> None:
    together = runner.embed(TEXTS).result().vectors
    singles = np.concatenate([runner.embed([text]).result().vectors for text in TEXTS])
    assert cosines(together, singles).min() >= 1 - 1e-5


@pytest.mark.weights
def test_special_tokens_are_added_once_and_never_read_from_a_text(runner: EmbeddingRunner) -> None:
    by_ids, by_text = runner.embed([[7592, 2088]]).result(), runner.embed(["hello world"]).result()
    assert by_ids.num_tokens == by_text.num_tokens == [4]
    assert np.allclose(by_ids.vectors, by_text.vectors, atol=1e-6)
    assert runner.embed(["[SEP]"]).result().num_tokens[0] > 3


@pytest.mark.weights
def test_an_input_may_fill_the_context_and_not_exceed_it(runner: EmbeddingRunner) -> None:
    assert runner.embed(["word " * 510]).result().num_tokens == [512]
    with pytest.raises(ContextLengthExceeded, match="513 tokens long; minilm takes at most 512"):
        runner.embed(["word " * 511])


@pytest.mark.weights
def test_an_input_longer_than_the_token_budget_is_still_computed_whole(folder: Path, runner: EmbeddingRunner) -> None:
    vectors, _ = embed_once(config(folder, "mean.gguf", parameters={"model": "mean.gguf", "batch": 16}))
    assert cosines(vectors, runner.embed(TEXTS).result().vectors).min() >= 1 - 1e-5


@pytest.mark.weights
def test_vectors_have_length_1_unless_normalize_is_false(folder: Path, runner: EmbeddingRunner) -> None:
    unit = runner.embed(TEXTS).result().vectors
    raw, facts = embed_once(config(folder, "mean.gguf", normalize=False))
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1, atol=1e-3)
    assert cosines(unit, raw).min() >= 1 - 1e-5
    assert facts["normalized"] is False


@pytest.mark.weights
def test_pooling_is_the_files_own_or_the_configs(folder: Path, runner: EmbeddingRunner) -> None:
    by_mean = runner.embed(TEXTS).result().vectors
    by_cls, facts = embed_once(config(folder, "cls.gguf"))
    overridden, _ = embed_once(config(folder, "mean.gguf", options=["pooling:cls"]))
    unnamed, _ = embed_once(config(folder, "silent.gguf"))
    assert facts["pooling"] == "cls"
    assert cosines(by_cls, overridden).min() >= 1 - 1e-5
    assert cosines(by_mean, unnamed).min() >= 1 - 1e-5
    assert not np.allclose(by_cls, by_mean, atol=1e-2)


@pytest.mark.weights
@pytest.mark.parametrize(("file", "words"), [("rank.gguf", "is a reranker"), ("none.gguf", "how to pool")])
def test_a_file_that_gives_no_embeddings_is_refused_with_the_reason(folder: Path, file: str, words: str) -> None:
    with pytest.raises(ModelUnusable, match=f"{file}.*{words}"):
        embedding_llama.load(config(folder, file))


@pytest.mark.weights
def test_a_chat_model_embeds_only_with_a_pooling_of_the_configs(models_folder: Path) -> None:
    file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    with pytest.raises(ModelUnusable, match="pooling:last"):
        embedding_llama.load(config(models_folder, file, context_size=512))
    vectors, _ = embed_once(config(models_folder, file, context_size=512, options=["pooling:last"]))
    assert vectors.shape == (len(TEXTS), 576)


@pytest.mark.weights
def test_a_failing_decode_is_an_error_and_the_runner_lives_on(
    runner: EmbeddingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(runner._backend, "_forward", lambda *_: -3)
        with pytest.raises(DecodeFailed, match="code -3"):
            runner.embed(["hello"]).result()
    assert runner.embed(["hello"]).result().vectors.shape == (1, 384)


def test_an_unknown_pooling_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="pooling 'max' is not one of mean, cls, last"):
        embedding_llama.load(config(tmp_path, "absent.gguf", options=["pooling:max"]))
