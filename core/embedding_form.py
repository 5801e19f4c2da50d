"""A sentence-transformers folder's GGUF form: made, held against the folder on committed texts, and measured beside it.

Invariant: a form with other token ids, or vectors that differ by more than MIN_COSINE allows, is not kept.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.errors import StoreError

if TYPE_CHECKING:
    from core.runners.embedding import EmbeddingRunner
    from core.store.bert_gguf import BertFolder

MIN_COSINE = 0.9999
ROUNDS = 3

UNUSUAL_TEXTS = (
    "x",
    "NAÏVE Café, Łódź, Ελλάδα, Санкт-Петербург",
    "東京は日本の首都です。",
    "don't you think that it's 3.14% (or so), e.g. in C++/C#?",
    "https://example.com/a_b?c=d&e=%20f",
    "tabs\tand\nnew lines, emoji \U0001f600 and a superlongunbrokenwordthatnovocabularycontains",
)


@dataclass(frozen=True)
class EmbeddingForm:
    """`cosine` is the least of all texts; rates are texts per second in one call of `num_texts`, the folder's first."""

    path: Path
    cosine: float
    num_texts: int
    folder_rate: float
    rate: float
    max_tokens: int
    normalizes: bool


def make_embedding_form(config: ModelConfig, on_step: Callable[[str], None] = print) -> EmbeddingForm:
    """Make NAME.gguf beside the folder of `config`. Raises StoreError for a folder that cannot be turned into one, or
    whose GGUF is not the same; then nothing is kept."""
    bert, target = _readable(config), config.weights.with_name(f"{config.weights.name}.F16.gguf")
    if target.exists():
        raise StoreError(f"{target} is there already: move it away to have it made again")
    from core.store.bert_gguf import write_bert

    is_right = False
    try:
        on_step(f"make {target.name}")
        write_bert(bert, target)
        on_step(f"compare {target.name} with the folder")
        form = _compared(config, bert, target)
        is_right = True
        return form
    finally:
        if not is_right:
            target.unlink(missing_ok=True)


def embedding_yaml(config: ModelConfig, form: EmbeddingForm, name: str) -> str:
    """The YAML of a model `name` that serves the form with the same limits and the same length of vectors."""
    normalize = form.normalizes if config.normalize is None else config.normalize
    lines = [
        f"# {config.name} without torch. Written by `warmfn optimize`; everything here may be changed.",
        f"name: {name}",
        "backend: llama-cpp",
        "embeddings: true",
        "parameters:",
        f"  model: {form.path.name}",
        f"context_size: {config.context_size or form.max_tokens}   # the longest text, in tokens, as for the folder",
        f"normalize: {str(normalize).lower()}   # as the folder does it",
    ]
    return "\n".join(lines) + "\n"


def sample_texts() -> list[str]:
    """The sentences of the committed text, and some that tokenizers stumble over."""
    from core.llama.perplexity import sample_text

    sentences = re.split(r"(?<=[.!?])\s+|\n\n+", sample_text())
    return [*UNUSUAL_TEXTS, *(sentence.strip() for sentence in sentences if sentence.strip())]


def _readable(config: ModelConfig) -> BertFolder:
    if check_weights(config) != "torch-embedding":
        raise StoreError(f"{config.name} is a GGUF for embeddings already: there is nothing to turn")
    try:
        from core.store.bert_gguf import read_bert
    except ImportError as error:
        raise StoreError("this needs the packages gguf and safetensors: pip install 'warmfn[convert]'") from error
    return read_bert(config.weights)


def _compared(config: ModelConfig, bert: BertFolder, target: Path) -> EmbeddingForm:
    texts = sample_texts()
    with _runners(config, bert, target) as (theirs, ours):
        _require_same_tokens(theirs, ours, texts, target)
        cosine = _least_cosine(theirs, ours, texts)
        if cosine < MIN_COSINE:
            raise StoreError(
                f"{target.name} gives other vectors than the folder (cosine {cosine:.5f}, at least {MIN_COSINE} is "
                "wanted): serve the folder as it is"
            )
        rates = _rates(theirs, ours, texts)
    return EmbeddingForm(target, cosine, len(texts), *rates, bert.max_tokens, bert.normalizes)


@contextmanager
def _runners(config: ModelConfig, bert: BertFolder, target: Path) -> Iterator[tuple[EmbeddingRunner, EmbeddingRunner]]:
    from core.runners import embedding_llama, embedding_torch

    theirs = embedding_torch.load(config)
    try:
        ours = embedding_llama.load(_config_of(config, bert, target))
        try:
            theirs.warm()
            ours.warm()
            yield theirs, ours
        finally:
            ours.close()
    finally:
        theirs.close()


def _config_of(config: ModelConfig, bert: BertFolder, target: Path) -> ModelConfig:
    values: dict[str, Any] = {
        "name": target.stem,
        "root": target.parent,
        "parameters": {"model": target.name},
        "embeddings": True,
        "context_size": config.context_size or bert.max_tokens,
        "normalize": bert.normalizes if config.normalize is None else config.normalize,
        "threads": config.threads,
    }
    return ModelConfig.model_validate(values)


def _require_same_tokens(theirs: EmbeddingRunner, ours: EmbeddingRunner, texts: list[str], target: Path) -> None:
    for text, expected, found in zip(texts, theirs.token_ids(texts), ours.token_ids(texts), strict=True):
        if expected != found:
            raise StoreError(
                f"{target.name} reads {text[:40]!r} as other tokens than the folder does: serve the folder as it is"
            )


def _least_cosine(theirs: EmbeddingRunner, ours: EmbeddingRunner, texts: list[str]) -> float:
    from core.runners.embedding import unit_length

    left, right = (unit_length(runner.embed(texts).result().vectors) for runner in (theirs, ours))
    return float((left * right).sum(axis=1).min())


def _rates(theirs: EmbeddingRunner, ours: EmbeddingRunner, texts: list[str]) -> tuple[float, float]:
    """Texts per second, medians of rounds in which both take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for runner, taken in zip((theirs, ours), times, strict=True):
            started = monotonic()
            runner.embed(texts).result()
            taken.append(monotonic() - started)
    return len(texts) / statistics.median(times[0]), len(texts) / statistics.median(times[1])
