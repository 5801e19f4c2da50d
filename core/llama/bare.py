"""The ceiling: llama_decode with nothing around it. No scheduler, no sampler chain, no text, no HTTP.

All sequences move in lockstep, greedily, for exactly the tokens asked for. What a server loses against this is the cost
of being a server.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from time import perf_counter_ns

import llama_cpp.llama_cpp as lib
import numpy as np

from core.errors import DecodeFailed
from core.llama.context import ContextSettings, open_context
from core.llama.model import LlamaModel

Row = tuple[int, int, int, bool]
"""Token, position, sequence id, whether its logits are wanted."""


def decode_rows(handle: int, batch: lib.llama_batch, rows: Sequence[Row]) -> None:
    """Compute `rows` in the context `handle`; `batch` has room for them. Raises DecodeFailed."""
    batch.n_tokens = len(rows)
    for index, (token, position, seq_id, wants_logits) in enumerate(rows):
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = seq_id
        batch.logits[index] = wants_logits
    if status := lib.llama_decode(handle, batch):
        raise DecodeFailed(f"llama_decode returned {status} for a batch of {len(rows)} tokens")


class BareLoop:
    """A context of its own, set up as a server's would be."""

    def __init__(self, model: LlamaModel, settings: ContextSettings) -> None:
        self._num_vocab = model.num_vocab
        self._max_batch = settings.max_batch
        self._handle = open_context(model, settings)
        self._memory = lib.llama_get_memory(self._handle)
        self._batch = lib.llama_batch_init(settings.max_batch, 0, 1)
        self._next: list[int] = []
        self._depths: list[int] = []

    def close(self) -> None:
        lib.llama_batch_free(self._batch)
        lib.llama_free(self._handle)

    def run(self, prompts: Sequence[Sequence[int]], num_tokens: int) -> list[int]:
        """Prefill the prompts, one sequence id each, and decode `num_tokens` tokens for every one of them.

        Returns perf_counter_ns at the start and whenever all sequences have one token more: `num_tokens + 1` times.
        """
        times = [perf_counter_ns()]
        self.prefill(prompts)
        times.append(perf_counter_ns())
        for _ in range(num_tokens - 1):
            self.step()
            times.append(perf_counter_ns())
        return times

    def prefill(self, prompts: Sequence[Sequence[int]]) -> None:
        """Forget all that was computed; read the prompts and choose the first token after each."""
        lib.llama_memory_clear(self._memory, False)
        rows = [
            (token, position, seq, position == len(prompt) - 1)
            for seq, prompt in enumerate(prompts)
            for position, token in enumerate(prompt)
        ]
        parts = (rows[start : start + self._max_batch] for start in range(0, len(rows), self._max_batch))
        self._next = [token for part in parts for token in self._decode(part)]
        self._depths = [len(prompt) for prompt in prompts]

    def step(self) -> None:
        """One token more for every sequence."""
        rows = [(token, self._depths[seq], seq, True) for seq, token in enumerate(self._next)]
        self._next = list(self._decode(rows))
        self._depths = [depth + 1 for depth in self._depths]

    def rewind(self, num_sequences: int, depth: int) -> None:
        """Keep the first `num_sequences` sequences, cut back to `depth` tokens each, which they must have.

        Raises DecodeFailed for a model whose memory cannot be cut.
        """
        for seq in range(len(self._depths)):
            kept = depth if seq < num_sequences else 0
            if not lib.llama_memory_seq_rm(self._memory, seq, kept, -1):
                raise DecodeFailed("the memory of this model cannot be cut back")
        self._next, self._depths = self._next[:num_sequences], [depth] * num_sequences

    def _decode(self, rows: Sequence[Row]) -> Iterator[int]:
        """The most likely next token of every row that wants logits."""
        decode_rows(self._handle, self._batch, rows)
        return (self._argmax(index) for index, row in enumerate(rows) if row[3])

    def _argmax(self, index: int) -> int:
        logits = lib.llama_get_logits_ith(self._handle, index)
        return int(
            np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (self._num_vocab,)).argmax()
        )
