from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.config.model import ModelConfig
from core.errors import ContextLengthExceeded, ModelUnusable
from core.runners import embedding_torch
from core.runners.embedding import EmbeddingRunner, Vectors

FOLDER = "all-MiniLM-L6-v2"
TEXTS = [
    "hello world",
    "A much longer sentence, which says the same thing again and again. " * 6,
    "naïve café, 東京, 😀",
    "x",
    "[SEP] written out",
    *(f"sentence {number} " * (1 + number % 9) for number in range(20)),
]


def load(root: Path, *, model: str = FOLDER, **settings: object) -> EmbeddingRunner:
    return embedding_torch.load(
        ModelConfig.model_validate({"name": "minilm", "root": root, "parameters": {"model": model}, **settings})
    )


@pytest.fixture(scope="module")
def runner(models_folder: Path) -> Iterator[EmbeddingRunner]:
    runner = load(models_folder)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def reference(models_folder: Path) -> Vectors:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(models_folder / FOLDER), device="cpu", local_files_only=True)
    return np.asarray(model.encode(TEXTS, show_progress_bar=False))


def cosines(left: Vectors, right: Vectors) -> Vectors:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / lengths)


@pytest.mark.weights
def test_vectors_equal_sentence_transformers_own(runner: EmbeddingRunner, reference: Vectors) -> None:
    assert np.allclose(runner.embed(TEXTS).result().vectors, reference, atol=1e-5)


@pytest.mark.weights
def test_a_batch_gives_the_vectors_of_its_singles(runner: EmbeddingRunner) -> None:
    together = runner.embed(TEXTS).result().vectors
    singles = np.concatenate([runner.embed([text]).result().vectors for text in TEXTS])
    assert cosines(together, singles).min() >= 1 - 1e-5


@pytest.mark.weights
def test_facts_say_what_a_vector_is_made_of(runner: EmbeddingRunner) -> None:
    made_of = {
        "backend": "sentence-transformers",
        "weights": FOLDER,
        "pooling": "mean",
        "prompt": "",
        "precision": "float32",
    }
    assert runner.facts == made_of | {"max_tokens": 256, "dimensions": 384, "normalized": True}


@pytest.mark.weights
def test_many_threads_may_ask_at_once(runner: EmbeddingRunner, reference: Vectors) -> None:
    with ThreadPoolExecutor(8) as pool:
        embedded = list(pool.map(lambda text: runner.embed([text]).result().vectors[0], TEXTS * 3))
    assert np.allclose(embedded, np.concatenate([reference] * 3), atol=1e-5)


@pytest.mark.weights
def test_token_arrays_are_the_models_own_ids_without_special_tokens(runner: EmbeddingRunner) -> None:
    by_ids, by_text = runner.embed([[7592, 2088]]).result(), runner.embed(["hello world"]).result()
    assert by_ids.num_tokens == by_text.num_tokens == [4]
    assert np.allclose(by_ids.vectors, by_text.vectors, atol=1e-6)


@pytest.mark.weights
def test_the_limit_is_the_folders_max_seq_length_and_nothing_is_cut(runner: EmbeddingRunner) -> None:
    assert runner.max_tokens == 256
    assert runner.embed(["word " * 254]).result().num_tokens == [256]
    with pytest.raises(ContextLengthExceeded, match="257 tokens long; minilm takes at most 256"):
        runner.embed(["word " * 255])


@pytest.mark.weights
def test_context_size_raises_the_limit_as_far_as_the_network_has_positions(models_folder: Path) -> None:
    runner = load(models_folder, context_size=512)
    runner.warm()
    assert runner.embed(["word " * 510]).result().num_tokens == [512]
    runner.close()


@pytest.mark.weights
def test_normalize_false_overrides_the_folders_own_module(models_folder: Path, runner: EmbeddingRunner) -> None:
    raw = load(models_folder, normalize=False)
    vectors, unit = raw.embed(TEXTS[:3]).result().vectors, runner.embed(TEXTS[:3]).result().vectors
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert cosines(vectors, unit).min() >= 1 - 1e-5
    assert (raw.facts["normalized"], runner.facts["normalized"]) == (False, True)
    raw.close()


@pytest.mark.weights
def test_the_folders_default_prompt_stands_before_every_text(models_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(models_folder / FOLDER, tmp_path / FOLDER)
    settings = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (tmp_path / FOLDER / "config_sentence_transformers.json").write_text(json.dumps(settings))
    prompted, plain = load(tmp_path), load(models_folder)
    left, right = prompted.embed(["hello"]).result(), plain.embed(["query: hello"]).result()
    assert np.allclose(left.vectors, right.vectors, atol=1e-6)
    prompted.close()
    plain.close()


@pytest.mark.weights
def test_loading_never_touches_the_network(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    runner = load(models_folder)
    runner.warm()
    runner.close()


@pytest.mark.weights
def test_a_folder_with_damaged_weights_is_named(models_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(models_folder / FOLDER, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelUnusable, match="broken is not a usable sentence-transformers folder"):
        load(tmp_path, model="broken")
