"""llama.cpp's decoding context behind the engine's `Decoder` protocol.

One thread at a time may use a context; the engine's thread does. Positions, sequence ids and rows go in as they are in
the batch; what comes out are the tokens sampled for each chunk.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

import llama_cpp.llama_cpp as lib

from core.compute import turnstile
from core.engine.batch import Batch, Chunk
from core.engine.prefix import StoredPrefix
from core.engine.sequence import Sequence
from core.errors import DecodeFailed, ModelUnusable
from core.gguf.kv_cache import CACHE_TYPES
from core.gguf.quants import TENSOR_TYPES
from core.llama.attention import FLASH_ATTENTION, Attention
from core.llama.model import LlamaModel
from core.llama.rope import AS_TRAINED, Rope
from core.llama.sampler import Sampler
from core.llama.state import build, restore_state, save_state
from core.llama.threadpool import set_threads
from core.llama.threads import Threads

logger = logging.getLogger("warmfn.llama")

CACHE_TYPE_NUMBERS = {name.lower(): number for number, (name, *_) in TENSOR_TYPES.items() if name in CACHE_TYPES}
"""Of keys and values: the YAML's name -> ggml's number."""

LAYOUT_FREE = {"num_cells", "max_batch", "micro_batch", "max_outputs", "threads", "threads_batch"}
"""Settings that saved cells do not depend on."""


@dataclass(frozen=True)
class ContextSettings:
    """How a context divides memory and work.

    A KV cache of `num_cells` cells serves `num_seqs` sequence ids: `unified` from one pool, otherwise each has
    `num_cells / num_seqs` of its own. A batch has at most `max_batch` rows, of which `micro_batch` are computed in one
    pass. `threads` compute single-row batches, `threads_batch` larger ones. `flash_attention` is a key of
    FLASH_ATTENTION, the cache's types are keys of CACHE_TYPE_NUMBERS. Without `swa_full` layers with a sliding window
    keep little more than that. `max_outputs` rows of a batch may want logits, one for each sequence if that is None.
    """

    num_cells: int
    num_seqs: int
    unified: bool
    max_batch: int
    micro_batch: int
    threads: int
    threads_batch: int
    flash_attention: Attention
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    swa_full: bool = True
    rope: Rope = AS_TRAINED
    max_outputs: int | None = None

    @property
    def layout(self) -> dict[str, Any]:
        """What must be equal for saved cells to be readable, by the names of the YAML's keys where it has them: the
        build of llama.cpp, and every setting but those of LAYOUT_FREE. (No adapters are loaded, so none is a setting.)

        Sequence ids count where each has a cache of its own: llama.cpp saves one of them as that many streams, all but
        one empty, and refuses ("n_stream mismatch") what has another number of them than the context that reads it.
        """
        free = {*LAYOUT_FREE, "num_seqs"} if self.unified else LAYOUT_FREE
        settings = vars(self) | asdict(self.rope)
        return build() | {key: value for key, value in settings.items() if key not in free and key != "rope"}


def open_context(model: LlamaModel, settings: ContextSettings) -> int:
    """A new `llama_context`, to be freed by the caller. Raises ModelUnusable if it does not fit in memory."""
    params = lib.llama_context_default_params()
    params.n_ctx = settings.num_cells
    params.n_batch, params.n_ubatch = settings.max_batch, min(settings.micro_batch, settings.max_batch)
    params.n_seq_max, params.n_outputs_max = settings.num_seqs, settings.max_outputs or settings.num_seqs
    params.flash_attn_type = FLASH_ATTENTION[settings.flash_attention]
    params.kv_unified = settings.unified
    params.type_k, params.type_v = (CACHE_TYPE_NUMBERS[name] for name in (settings.cache_type_k, settings.cache_type_v))
    params.swa_full = settings.swa_full
    settings.rope.set(params)
    params.no_perf = True
    if handle := lib.llama_init_from_model(model.handle, params):
        set_threads(handle, settings.threads, settings.threads_batch)
        return int(handle)
    per_token = model.kv_bytes_per_token(settings.cache_type_k, settings.cache_type_v)
    raise ModelUnusable(
        f"{model.path.name}: no context of {settings.num_cells} tokens: lower its context_size, slots or kv_tokens "
        f"(a token takes {per_token / 1024:.0f} KiB) or set another flash_attention or cache_type; DEBUG=true shows "
        "llama.cpp's own words"
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
        governed = not model.is_offloaded
        self.threads = Threads(settings.threads, settings.threads_batch, governed=governed, name=model.path.name)

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
        if not lib.llama_memory_seq_rm(self._memory, seq_id, num_tokens, -1):
            raise DecodeFailed(f"llama.cpp cannot cut the memory of this model back to {num_tokens} tokens")

    def first(self, seq_id: int) -> int:
        return int(lib.llama_memory_seq_pos_min(self._memory, seq_id))

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        if self._unified:
            lib.llama_memory_seq_cp(self._memory, source, target, 0, num_tokens)
        else:  # caches of their own are copied whole, at the next decode
            lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)
            self.keep(target, num_tokens)

    def save(self, seq_id: int) -> bytearray:
        """All cells of the id. Raises DecodeFailed."""
        return save_state(self._handle, seq_id)

    def restore(self, seq_id: int, prefix: StoredPrefix) -> bool:
        state = prefix.read()
        if state is None:
            return False
        if restore_state(self._handle, seq_id, state, len(prefix.tokens)):
            return True
        logger.warning("%s: llama.cpp does not take these cells of %d tokens", prefix, len(prefix.tokens))
        self.keep(seq_id, 0)
        return False

    def decode(self, batch: Batch) -> list[list[int]]:
        self._fill(batch)
        with turnstile.turn():
            self._compute(batch.num_tokens)
            return self._sample(batch)

    def _compute(self, rows: int) -> None:
        threads = self.threads.of(rows)
        set_threads(self._handle, threads, threads)
        started, cpu_started = time.perf_counter(), time.process_time()
        if status := lib.llama_decode(self._handle, self._batch):
            raise DecodeFailed(f"llama_decode returned {status} for a batch of {rows} tokens")
        self.threads.observe(rows, time.perf_counter() - started, time.process_time() - cpu_started)

    def _fill(self, batch: Batch) -> None:
        raw = self._batch
        row = 0
        for chunk in batch.chunks:
            tokens, seq_id = chunk.seq.tokens, chunk.seq.slot_id
            for position, token in enumerate((*tokens[chunk.start : chunk.end], *chunk.draft), chunk.start):
                raw.token[row] = token
                raw.pos[row] = position
                raw.n_seq_id[row] = 1
                raw.seq_id[row][0] = seq_id
                raw.logits[row] = chunk.wants_token and position >= chunk.end - 1
                row += 1
        raw.n_tokens = row

    def _sample(self, batch: Batch) -> list[list[int]]:
        sampled, row = [], 0
        for chunk in batch.chunks:
            row += chunk.num_tokens
            sampled.append(self._verified(chunk, row - 1 - len(chunk.draft)) if chunk.wants_token else [])
        return sampled

    def _verified(self, chunk: Chunk, row: int) -> list[int]:
        """Sample from one row after the other as if each had been computed by itself: the logits of a row are right as
        long as the tokens before it are those that were sampled. `row` is that of the chunk's own last token."""
        sampler = self._samplers[chunk.seq]
        tokens = [sampler.sample(self._handle, row)]
        for draft in chunk.draft:
            if tokens[-1] != draft:
                break
            row += 1
            tokens.append(sampler.sample(self._handle, row))
        return tokens
