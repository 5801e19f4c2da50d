"""The embedding library itself in a process of its own: `python -m bench.targets.library MODELS NAME`.

One call per line of standard input: a list of texts. The answer is one line: when the call began and ended, and the
tokens of each text. An empty line is answered when the model is ready. sentence-transformers sorts the texts by length
itself; for a GGUF they are sorted here, and fill one micro-batch of llama.cpp after the other.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import NamedTuple

from bench.deployment import read_config
from core.coalesce import Limits
from core.config.backends import choose_backend
from core.config.model import ModelConfig

MICRO_BATCH = 512
"""Tokens: llama.cpp's own default."""


class Library(NamedTuple):
    """`encode` computes the vectors of all texts, `tokenize` is for counting their tokens afterwards."""

    encode: Callable[[list[str]], object]
    tokenize: Callable[[list[str]], Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Encoded:
    """One call: perf_counter_ns at its start and end, and the tokens of each text, special ones included."""

    started: int
    ended: int
    lengths: list[int]


def open_library(config: ModelConfig) -> Library:
    """With the settings that the library has by itself, but for the longest text, which is the config's."""
    return _sentence_transformers(config) if choose_backend(config) == "torch-embedding" else _llama_cpp(config)


def _sentence_transformers(config: ModelConfig) -> Library:
    from core.runners.embedding_torch import open_folder

    model = open_folder(config.weights, "cpu")
    model.max_seq_length = config.context_size or model.max_seq_length
    return Library(
        lambda texts: model.encode(texts, show_progress_bar=False), lambda texts: model.tokenizer(texts)["input_ids"]
    )


def _llama_cpp(config: ModelConfig) -> Library:
    from core.runners.embedding_llama import open_backend

    backend = open_backend(config)
    limits = Limits(MICRO_BATCH, backend.max_rows, backend.cost)

    def tokenize(texts: list[str]) -> list[list[int]]:
        return backend.tokenize(texts, add_special=True)

    def encode(texts: list[str]) -> None:
        waiting = sorted(tokenize(texts), key=len)
        while waiting:
            size = limits.batch_size([len(tokens) for tokens in waiting])
            backend.embed_batch(waiting[:size])
            waiting = waiting[size:]

    return Library(encode, tokenize)


def answer(library: Library, line: str) -> Encoded:
    texts = json.loads(line) if line.strip() else ["warm up"]
    started = perf_counter_ns()
    library.encode(texts)
    ended = perf_counter_ns()
    return Encoded(started, ended, [len(tokens) for tokens in library.tokenize(texts)])


def main() -> None:
    models, name = sys.argv[1:]
    library = open_library(read_config(Path(models), name))
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(answer(library, line))), flush=True)


if __name__ == "__main__":
    main()
