"""What all embedding runners share: inputs are checked, counted and wrapped here; a backend only computes.

Invariant: nothing is cut silently. An input that the model cannot take whole is refused before it is queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from core.coalesce import Coalescer, Limits
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.errors import ContextLengthExceeded, DecodeFailed, InvalidRequest, ModelUnusable

logger = logging.getLogger("warmfn.embedding")

Vectors = NDArray[np.float32]

MIN_BUDGET = 256
"""Tokens: four inputs of a usual length."""

MIN_GAIN = 1.03
"""By how much a batch of twice the size must be faster to pay: its first input waits twice as long for the last one. On
2 cores torch computes 8700, 10700 and 11700 tokens of MiniLM per second in batches of 256, 512 and 1024, and 11500 in
2048; llama.cpp 7000 of its float16 form in 256, 6900 in 512 and 6200 in 1024."""

MAX_SECONDS = 0.5
"""A batch may take; whoever comes just after it began waits for so long."""

CALIBRATION_LENGTH = 64
"""Tokens of an input, as a question or a short paragraph has them."""

FILL = 0.8
"""Of its budget a batch of texts of mixed length has so much in it: the next text would not fit."""

DEFAULT_MAX_QUEUE = 4096
"""Inputs that may wait: twice the most that OpenAI takes in one call."""

MAX_INPUTS = 8192
"""In one call, whose vectors wait in memory for the last: with 1024 numbers each, 32 MiB, and 160 as JSON."""


class EmbeddingBackend(Protocol):
    """A loaded embedding model. `tokenize` may be called from many threads at once, `embed_batch` from one."""

    max_tokens: int
    """Longest input, special tokens included."""
    dimensions: int
    num_vocab: int
    normalized: bool
    """Whether every vector comes with length 1."""
    batch_tokens: int
    """What a batch may cost before it pays to make two."""
    max_rows: int
    identity: dict[str, str]
    """What decides a vector besides the text: weights, pooling, prompt."""

    def tokenize(self, texts: Sequence[str], *, add_special: bool) -> list[list[int]]:
        """Token ids of each text, never truncated."""

    def cost(self, lengths: Sequence[int]) -> int:
        """Tokens computed for inputs of these lengths in one batch, padding included."""

    def embed_batch(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """Vectors (n, dimensions) of n token arrays that hold their special tokens already."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Embedded:
    """One call's result: `vectors` (n, d) in the order of its inputs; `num_tokens` counts special tokens too."""

    vectors: Vectors
    num_tokens: list[int]


class EmbeddingRunner:
    """One embedding model, warm: checks inputs in the caller's thread and computes them batched with other calls'."""

    kind: Literal["embedding"] = "embedding"

    def __init__(
        self,
        name: str,
        backend: EmbeddingBackend,
        *,
        normalize: bool = False,
        max_queue: int | None = None,
        calibrates: bool = False,
    ) -> None:
        """`normalize` gives vectors length 1 that the backend leaves as they are. With `calibrates`, warming up finds
        how large a batch pays on this host, at most the backend's own. The runner owns the backend."""
        self.name = name
        self._calibrates = calibrates
        self.normalized = normalize or backend.normalized
        self._backend = backend
        self._prefix, self._suffix = special_tokens(backend)
        self._coalescer = Coalescer[Sequence[int], Vectors](
            self._compute,
            self._limits(backend.batch_tokens),
            max_queue=DEFAULT_MAX_QUEUE if max_queue is None else max_queue,
            name=name,
        )

    @property
    def max_tokens(self) -> int:
        return self._backend.max_tokens

    @property
    def facts(self) -> dict[str, Any]:
        """Its limits and what its vectors are made of."""
        backend = self._backend
        numbers = {"max_tokens": backend.max_tokens, "dimensions": backend.dimensions, "normalized": self.normalized}
        return {**numbers, **backend.identity}

    def embed(
        self, inputs: Sequence[str] | Sequence[Sequence[int]], *, dimensions: int | None = None
    ) -> Future[Embedded]:
        """A future of the vectors; cancel it when its caller goes away. Either all inputs are texts or all are arrays
        of this model's own token ids (not tiktoken's) without special tokens, which are added here.

        `dimensions` keeps that many leading values and, where the model's vectors have length 1, restores it.
        Raises InvalidRequest or ContextLengthExceeded naming the input, QueueFull or ShuttingDown.
        """
        self._check_dimensions(dimensions)
        tokens = self._tokens(inputs)
        lengths = [len(array) for array in tokens]
        self._check_lengths(lengths)
        return self._coalescer.submit(
            tokens, lengths, lambda vectors: Embedded(self._cut(np.stack(vectors), dimensions), lengths)
        )

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """What the model reads of each text, special tokens included, however long it is."""
        return self._backend.tokenize(texts, add_special=True)

    def warm(self) -> None:
        """Compute a short and a long input, so that buffers and kernels are ready before the first request."""
        self._embed_made_up([1, min(self.max_tokens, self._backend.batch_tokens)])
        if self._calibrates:
            budget = choose_budget(self._tokens_per_second, self._backend.batch_tokens)
            self._coalescer.limits = self._limits(budget)
            logger.info("%s: batches of %d tokens, more gain nothing on this host", self.name, budget)

    def _tokens_per_second(self, budget: int) -> float:
        """In one batch as a budget of `budget` tokens makes it, by the better of two runs."""
        self._coalescer.limits = self._limits(budget)
        length = min(CALIBRATION_LENGTH, self.max_tokens)
        lengths, times = [length] * max(1, round(FILL * budget / length)), []
        for _ in range(2):
            started = monotonic()
            self._embed_made_up(lengths)
            times.append(monotonic() - started)
        return sum(lengths) / min(times)

    def _embed_made_up(self, lengths: Sequence[int]) -> None:
        """Inputs of so many tokens, special ones included."""
        special = len(self._prefix) + len(self._suffix)
        [token] = self._backend.tokenize(["a"], add_special=False)
        self.embed([token[:1] * max(1, length - special) for length in lengths]).result()

    def _limits(self, batch_tokens: int) -> Limits:
        return Limits(batch_tokens, self._backend.max_rows, self._backend.cost)

    @property
    def problems(self) -> Sequence[Problem]:
        return ()

    @property
    def is_idle(self) -> bool:
        return self._coalescer.is_idle

    def adopt(self, config: ModelConfig) -> bool:
        """Nothing in a config changes vectors without a load."""
        return False

    def close(self) -> None:
        """End the worker and free the model; calls under way get ShuttingDown."""
        self._coalescer.close()
        self._backend.close()

    def _tokens(self, inputs: Sequence[str] | Sequence[Sequence[int]]) -> list[list[int]]:
        if not inputs:
            raise InvalidRequest("input is an empty list: send at least one text", param="input")
        if len(inputs) > MAX_INPUTS:
            raise InvalidRequest(
                f"input has {len(inputs)} entries and one request takes {MAX_INPUTS}: send several", param="input"
            )
        for index, entry in enumerate(inputs):
            if not entry:
                raise InvalidRequest(f"input[{index}] is empty: leave it out", param="input")
        texts = [entry for entry in inputs if isinstance(entry, str)]
        arrays = [entry for entry in inputs if not isinstance(entry, str)]
        if texts and arrays:
            raise InvalidRequest("input mixes texts and token arrays: send two requests", param="input")
        if texts:
            return self._backend.tokenize(texts, add_special=True)
        return [self._wrap(index, array) for index, array in enumerate(arrays)]

    def _wrap(self, index: int, tokens: Sequence[int]) -> list[int]:
        for token in tokens:
            if not 0 <= token < self._backend.num_vocab:
                raise InvalidRequest(
                    f"input[{index}]: token id {token} is not in 0..{self._backend.num_vocab - 1}; arrays hold the ids "
                    f"of {self.name}'s own tokenizer, not tiktoken's: send the text instead",
                    param="input",
                )
        return [*self._prefix, *tokens, *self._suffix]

    def _check_lengths(self, lengths: list[int]) -> None:
        for index, length in enumerate(lengths):
            if not length:
                raise InvalidRequest(f"input[{index}] has no token that {self.name} knows: leave it out", param="input")
            if length > self.max_tokens:
                raise ContextLengthExceeded(
                    f"input[{index}] is {length} tokens long; {self.name} takes at most {self.max_tokens}: split it",
                    param="input",
                    index=index,
                    num_tokens=length,
                    max_tokens=self.max_tokens,
                )

    def _check_dimensions(self, dimensions: int | None) -> None:
        if dimensions is not None and not 1 <= dimensions <= self._backend.dimensions:
            raise InvalidRequest(
                f"dimensions is {dimensions}; {self.name} gives 1 to {self._backend.dimensions}", param="dimensions"
            )

    def _compute(self, batch: Sequence[Sequence[int]]) -> Vectors:
        vectors = self._backend.embed_batch(batch)
        if not np.isfinite(vectors).all():
            raise DecodeFailed(f"{self.name} gave a vector with NaN or infinity; its weights may be damaged")
        return unit_length(vectors) if self.normalized else vectors

    def _cut(self, vectors: Vectors, dimensions: int | None) -> Vectors:
        if dimensions is None or dimensions == self._backend.dimensions:
            return vectors
        cut = vectors[:, :dimensions]
        return unit_length(cut) if self.normalized else cut


def unit_length(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
    return scaled


def special_tokens(backend: EmbeddingBackend) -> tuple[list[int], list[int]]:
    """What the model's tokenizer puts before and after a text, found by comparing a text with and without it."""
    [plain] = backend.tokenize(["a"], add_special=False)
    [full] = backend.tokenize(["a"], add_special=True)
    size = len(plain)
    start = next((i for i in range(len(full) - size + 1) if full[i : i + size] == plain), None)
    if start is None:
        raise ModelUnusable("the model's tokenizer reads a text differently with and without special tokens")
    return full[:start], full[start + size :]


def longest_input(name: str, *, asked: int | None, own: int | None, bound: int | None) -> int:
    """Tokens one input may have: `asked` (context_size) or the model's `own` limit, within the network's `bound`."""
    known = [limit for limit in (asked or own, bound) if limit]
    if not known:
        raise ModelUnusable(f"{name}: the model's files do not say how long an input may be: set context_size")
    if asked and asked > min(known):
        logger.warning("%s: context_size %d is more than the model's %d positions", name, asked, min(known))
    return min(known)


def choose_budget(tokens_per_second: Callable[[int], float], most: int) -> int:
    """Tokens of one batch: doubled from MIN_BUDGET to `most` for as long as `tokens_per_second` of it rises by
    MIN_GAIN and it takes no longer than MAX_SECONDS."""
    budget = min(MIN_BUDGET, most)
    speed = tokens_per_second(budget)
    while (larger := budget * 2) <= min(most, speed * MAX_SECONDS):
        faster = tokens_per_second(larger)
        if faster < MIN_GAIN * speed:
            break
        budget, speed = larger, faster
    return budget
