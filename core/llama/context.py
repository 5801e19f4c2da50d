"""llama.cpp's decoding context behind the engine's `Decoder` protocol.

One thread at a time may use a context; the engine's thread does. Positions, sequence ids and rows go in as they are in
the batch; what comes out is one sampled token for each chunk that wants one.
"""

from __future__ import annotations

from dataclasses import dataclass

import llama_cpp.llama_cpp as lib

from core.compute import turnstile
from core.engine.batch import Batch
from core.engine.sequence import Sequence
from core.errors import DecodeFailed, ModelUnusable
from core.llama.model import LlamaModel
from core.llama.sampler import Sampler

FLASH_ATTENTION = {
    "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


@dataclass(frozen=True)
class ContextSettings:
    """How a context divides memory and work.

    A KV cache of `num_cells` cells serves `num_seqs` sequence ids: `unified` from one pool, otherwise each has
    `num_cells / num_seqs` of its own. A batch has at most `max_batch` rows, of which `micro_batch` are computed in one
    pass. `threads` compute single-row batches, `threads_batch` larger ones. `flash_attention` is a key of
    FLASH_ATTENTION; of rope, None is what the weights say. `max_outputs` rows of a batch may want logits, one for each
    sequence if that is None.
    """

    num_cells: int
    num_seqs: int
    unified: bool
    max_batch: int
    micro_batch: int
    threads: int
    threads_batch: int
    flash_attention: str
    rope_freq_base: float | None = None
    rope_freq_scale: float | None = None
    max_outputs: int | None = None


def open_context(model: LlamaModel, settings: ContextSettings) -> int:
    """A new `llama_context`, to be freed by the caller. Raises ModelUnusable if it does not fit in memory."""
    params = lib.llama_context_default_params()
    params.n_ctx = settings.num_cells
    params.n_batch, params.n_ubatch = settings.max_batch, min(settings.micro_batch, settings.max_batch)
    params.n_seq_max, params.n_outputs_max = settings.num_seqs, settings.max_outputs or settings.num_seqs
    params.n_threads, params.n_threads_batch = settings.threads, settings.threads_batch
    params.flash_attn_type = FLASH_ATTENTION[settings.flash_attention]
    params.kv_unified = settings.unified
    params.rope_freq_base, params.rope_freq_scale = settings.rope_freq_base or 0, settings.rope_freq_scale or 0
    params.no_perf = True
    if handle := lib.llama_init_from_model(model.handle, params):
        return int(handle)
    raise ModelUnusable(
        f"{model.path.name}: no context of {settings.num_cells} tokens: lower its context_size, slots or kv_tokens "
        f"(a token takes {model.kv_bytes_per_token / 1024:.0f} KiB) or set another flash_attention"
    )


class LlamaContext:
    """Owns a `llama_context` and the samplers of the running sequences until `free`; the model stays its owner's."""

    def __init__(self, model: LlamaModel, settings: ContextSettings) -> None:
        self._model = model
        self._unified = settings.unified
        self._handle = open_context(model, settings)
        self._memory = lib.llama_get_memory(self._handle)
        self._batch = lib.llama_batch_init(settings.max_batch, 0, 1)
        self._samplers: dict[Sequence, Sampler] = {}

    @property
    def pieces(self) -> list[bytes]:
        return self._model.pieces

    def free(self) -> None:
        for sampler in self._samplers.values():
            sampler.close()
        self._samplers.clear()
        lib.llama_batch_free(self._batch)
        lib.llama_free(self._handle)

    def open(self, seq: Sequence) -> None:
        self._samplers[seq] = Sampler(seq.sampling, self._model, seq.prompt)

    def close(self, seq: Sequence) -> None:
        if sampler := self._samplers.pop(seq, None):
            sampler.close()

    def keep(self, seq_id: int, num_tokens: int) -> None:
        lib.llama_memory_seq_rm(self._memory, seq_id, num_tokens, -1)

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        if self._unified:
            lib.llama_memory_seq_cp(self._memory, source, target, 0, num_tokens)
        else:  # caches of their own are copied whole, at the next decode
            lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)
            self.keep(target, num_tokens)

    def decode(self, batch: Batch) -> list[int]:
        self._fill(batch)
        with turnstile.turn():
            status = lib.llama_decode(self._handle, self._batch)
            if status:
                raise DecodeFailed(f"llama_decode returned {status} for a batch of {batch.num_tokens} tokens")
            return self._sample(batch)

    def _fill(self, batch: Batch) -> None:
        raw = self._batch
        row = 0
        for chunk in batch.chunks:
            tokens, seq_id = chunk.seq.tokens, chunk.seq.slot_id
            for position in range(chunk.start, chunk.end):
                raw.token[row] = tokens[position]
                raw.pos[row] = position
                raw.n_seq_id[row] = 1
                raw.seq_id[row][0] = seq_id
                raw.logits[row] = False
                row += 1
            raw.logits[row - 1] = chunk.wants_token
        raw.n_tokens = row

    def _sample(self, batch: Batch) -> list[int]:
        tokens, row = [], -1
        for chunk in batch.chunks:
            row += chunk.num_tokens
            if chunk.wants_token:
                tokens.append(self._samplers[chunk.seq].sample(self._handle, row))
        return tokens
