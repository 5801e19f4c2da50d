"""Teacher forcing: the log-probabilities a context gives to known tokens, however they are batched."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as List
from contextlib import contextmanager
from pathlib import Path

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from core.config.model import needs_flash_attention
from core.engine.batch import Batch, Chunk
from core.engine.sequence import Sequence
from core.llama.attention import flash_attention
from core.llama.context import ContextSettings, LlamaContext
from core.llama.model import LlamaModel

Rows = NDArray[np.float32]

BOUND = 0.5
MEDIAN_BOUND = 0.1
"""How far batch shape may move a forced token's log-probability, at most and in the median. Another order of summation
moves a float by 1e-7; 8-bit activations round that up or down, and 30 layers amplify it. Seen with SmolLM2 Q4_1: median
0.04, largest 0.26, and no shift of the mean. A wrong position or prefix moves it by whole units."""


@contextmanager
def open_context(
    model: LlamaModel, *, unified: bool, num_seqs: int = 8, max_drafted: int = 0, cache_type: str = "f16"
) -> Iterator[LlamaContext]:
    """`cache_type` is that of keys and values."""
    settings = ContextSettings(
        num_cells=4096,
        num_seqs=num_seqs,
        unified=unified,
        max_batch=512,
        micro_batch=128,
        threads=2,
        threads_batch=2,
        flash_attention=flash_attention(None, needed=needs_flash_attention(cache_type)),
        cache_type_k=cache_type,
        cache_type_v=cache_type,
        max_outputs=num_seqs + max_drafted,
    )
    context = LlamaContext(model, settings)
    yield context
    context.free()


def load_smollm(models_folder: Path) -> LlamaModel:
    return LlamaModel(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")


def forced(tokens: List[int], slot_id: int) -> Sequence:
    """A sequence whose tokens are all known; the parity tests decide themselves what of it to compute."""
    seq = Sequence(list(tokens), 1, lambda _: None)
    seq.slot_id = slot_id
    return seq


def logprobs(context: LlamaContext, chunks: List[Chunk]) -> list[Rows]:
    """Decode one batch; the log-probabilities (vocabulary,) after each chunk's last token."""
    for chunk in chunks:
        if chunk.start == 0 or chunk.seq not in context._samplers:
            context.open(chunk.seq)
    context.decode(Batch(tuple(chunks)))
    ends = np.cumsum([chunk.num_tokens for chunk in chunks]) - 1
    return [_row(context, int(end)) for end in ends]


def after_prompt(context: LlamaContext, seqs: List[Sequence], num_prompt: int) -> list[list[Rows]]:
    """For each sequence, the log-probabilities at every position from the end of its prompt, computed together."""
    found: list[list[Rows]] = [[] for _ in seqs]
    start = 0
    for end in range(num_prompt, len(seqs[0].tokens) + 1):
        for own, row in zip(found, logprobs(context, [Chunk(seq, start, end, True) for seq in seqs]), strict=True):
            own.append(row)
        start = end
    return found


def _row(context: LlamaContext, row: int) -> Rows:
    pointer = lib.llama_get_logits_ith(context._handle, row)
    logits = np.ctypeslib.as_array(pointer, (context._model.num_vocab,)).astype(np.float64)
    shifted = logits - logits.max()
    return (shifted - np.log(np.exp(shifted).sum())).astype(np.float32)
