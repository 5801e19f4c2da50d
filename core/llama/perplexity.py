"""What another form of a model costs in quality: its next-token probabilities beside those of the original, on a text.

Both read the same tokens in windows and in equal batches, so that nothing but the weights differs.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from core.host import available_cpus
from core.llama.bare import decode_rows
from core.llama.context import ContextSettings, open_context
from core.llama.measures import Quality
from core.llama.model import LlamaModel

Floats = NDArray[np.float32]

WINDOW = 512
"""Tokens that are read together; each window begins anew."""

MIN_PREFIX = 64
"""Tokens before the first that is scored in a window: right after its start any model only guesses."""

BATCH = 64
"""Rows whose logits are kept at a time: 64 x 128k tokens of vocabulary x 4 bytes are 33 MB."""


def sample_text() -> str:
    """The text that models are compared on: written for this purpose, so that no model has read it before."""
    return files("core.llama").joinpath("sample.txt").read_text("utf-8")


def compare_files(reference: Path, other: Path) -> Quality:
    """The form `other` of the model in `reference`, on the sample text. Raises ModelUnusable, DecodeFailed."""
    with closing(LlamaModel(reference)) as p, closing(LlamaModel(other)) as q:
        return measure_quality(p, q, sample_text())


def measure_quality(reference: LlamaModel, model: LlamaModel, text: str) -> Quality:
    """`model` against `reference`, which has the same vocabulary. Raises ModelUnusable, DecodeFailed."""
    assert reference.num_vocab == model.num_vocab, "two forms of one model have one vocabulary"
    windows = split_windows(reference.tokenize(text, add_special=False, parse_special=False), bos_of(reference))
    targets = [token for window in windows for token in window[MIN_PREFIX + 1 :]]
    ours, theirs = LogProbs(model), LogProbs(reference)
    try:
        return compare(theirs.of(windows), ours.of(windows), targets)
    finally:
        ours.close()
        theirs.close()


def split_windows(tokens: Sequence[int], bos: Sequence[int]) -> list[list[int]]:
    """Windows of WINDOW tokens that begin with `bos`; a last one with nothing to score is left out."""
    size = WINDOW - len(bos)
    windows = [[*bos, *tokens[start : start + size]] for start in range(0, len(tokens), size)]
    return [window for window in windows if len(window) > MIN_PREFIX + 1]


def bos_of(model: LlamaModel) -> list[int]:
    return [model.bos] if model.adds_bos else []


def compare(reference: Iterable[Floats], model: Iterable[Floats], targets: Sequence[int]) -> Quality:
    """`reference` and `model` give log-probabilities (rows, vocabulary) in equal blocks, a row for each of `targets`:
    the tokens that really follow."""
    nll, reference_nll, divergence, same = [], [], [], []
    start = 0
    for p, q in zip(reference, model, strict=True):
        rows, following = np.arange(len(p)), targets[start : start + len(p)]
        start += len(p)
        reference_nll.append(-p[rows, following])
        nll.append(-q[rows, following])
        divergence.append(np.einsum("rv,rv->r", np.exp(p), p - q, dtype=np.float64))
        same.append(p.argmax(axis=1) == q.argmax(axis=1))
    assert start == len(targets)
    losses, reference_losses = np.concatenate(nll), np.concatenate(reference_nll)
    loss, loss_error = mean_and_error(losses)
    reference_loss, reference_loss_error = mean_and_error(reference_losses)
    log_ratio, log_ratio_error = mean_and_error(losses - reference_losses)
    mean_divergence, divergence_error = mean_and_error(np.concatenate(divergence))
    return Quality(
        num_tokens=len(targets),
        perplexity=math.exp(loss),
        perplexity_error=math.exp(loss) * loss_error,
        reference_perplexity=math.exp(reference_loss),
        reference_perplexity_error=math.exp(reference_loss) * reference_loss_error,
        log_ratio=log_ratio,
        log_ratio_error=log_ratio_error,
        divergence=mean_divergence,
        divergence_error=divergence_error,
        same_top=float(np.concatenate(same).mean()),
    )


def mean_and_error(values: NDArray[np.floating]) -> tuple[float, float]:
    """The mean and its standard error, s / sqrt(n) with s^2 = sum (x - mean)^2 / (n - 1)."""
    return float(values.mean(dtype=np.float64)), float(values.std(ddof=1, dtype=np.float64) / math.sqrt(len(values)))


def log_softmax(logits: Floats) -> Floats:
    """ln of exp(logit) / sum of exp(logits), row by row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float32)


class LogProbs:
    """A context that gives log-probabilities of the next token after each of a window's. Close it; the model stays."""

    def __init__(self, model: LlamaModel) -> None:
        threads = available_cpus()
        settings = ContextSettings(
            num_cells=WINDOW,
            num_seqs=1,
            unified=True,
            max_batch=BATCH,
            micro_batch=BATCH,
            threads=threads,
            threads_batch=threads,
            flash_attention="off",
            max_outputs=BATCH,
        )
        self._num_vocab = model.num_vocab
        self._handle = open_context(model, settings)
        self._batch = lib.llama_batch_init(BATCH, 0, 1)

    def close(self) -> None:
        lib.llama_batch_free(self._batch)
        lib.llama_free(self._handle)

    def of(self, windows: Iterable[Sequence[int]]) -> Iterator[Floats]:
        """Blocks (rows, vocabulary), for the tokens from MIN_PREFIX on that another one of the window follows."""
        for window in windows:
            lib.llama_memory_clear(lib.llama_get_memory(self._handle), False)
            for start in range(0, len(window) - 1, BATCH):
                positions = range(start, min(start + BATCH, len(window) - 1))
                rows = [(window[position], position, 0, position >= MIN_PREFIX) for position in positions]
                decode_rows(self._handle, self._batch, rows)
                if num_scored := sum(row[3] for row in rows):
                    yield log_softmax(self._logits(num_scored))

    def _logits(self, num_rows: int) -> Floats:
        pointer = ctypes.cast(lib.llama_get_logits(self._handle), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, (num_rows, self._num_vocab))
