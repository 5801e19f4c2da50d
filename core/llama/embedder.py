"""Embeddings by llama.cpp: a context that pools each sequence of a batch into one vector. Owns its model until `close`.

Invariant: every batch starts from an empty memory and each input is a sequence of its own, so that a vector never
depends on what was computed beside or before it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from core.errors import DecodeFailed, ModelUnusable
from core.llama.attention import FLASH_ATTENTION, Attention
from core.llama.model import LlamaModel
from core.llama.rope import AS_TRAINED, Rope
from core.llama.threadpool import set_threads
from core.prompt.tokens import check_runs

POOLINGS = {"mean": lib.LLAMA_POOLING_TYPE_MEAN, "cls": lib.LLAMA_POOLING_TYPE_CLS, "last": lib.LLAMA_POOLING_TYPE_LAST}
MAX_ROWS = 64
"""Sequences in one batch."""


class LlamaEmbedder:
    """An `EmbeddingBackend` on a GGUF file. `tokenize` may be called from any thread, `embed_batch` from one."""

    def __init__(
        self,
        model: LlamaModel,
        *,
        max_tokens: int,
        batch_tokens: int,
        pooling: str | None,
        num_threads: int,
        flash_attention: Attention = "auto",
        rope: Rope = AS_TRAINED,
    ) -> None:
        """`pooling`: one of POOLINGS instead of the file's own. Raises ModelUnusable."""
        self._model = model
        self.max_tokens = max_tokens
        self.dimensions: int = lib.llama_model_n_embd_out(model.handle)
        self.num_vocab = model.num_vocab
        self.normalized = False
        self.batch_tokens = batch_tokens
        self.max_rows = MAX_ROWS
        pooling = pooling or file_pooling(model)
        self.identity = {"backend": "llama.cpp", "weights": model.path.name, "pooling": pooling} | rope.identity
        # An encoder needs a whole input in one micro-batch: the longest input must fit, whatever the token budget.
        self._capacity = max(batch_tokens, max_tokens)
        self._context = self._open(POOLINGS[pooling], num_threads, FLASH_ATTENTION[flash_attention], rope)
        self._batch = lib.llama_batch_init(self._capacity, 0, 1)
        self._forward = lib.llama_encode if lib.llama_model_has_encoder(model.handle) else lib.llama_decode

    @property
    def is_offloaded(self) -> bool:
        """Whether a GPU computes some of it."""
        return self._model.is_offloaded

    def tokenize(self, texts: Sequence[str], *, add_special: bool) -> list[list[int]]:
        """`<s>` or `[SEP]` written in a text stay text; the model's own special tokens are added once, if asked for.

        Raises InvalidRequest for a text that llama.cpp cannot be given.
        """
        for text in texts:
            check_runs(text)
        return [self._model.tokenize(text, add_special=add_special, parse_special=False) for text in texts]

    def cost(self, lengths: Sequence[int]) -> int:
        return sum(lengths)  # llama.cpp does not pad

    def embed_batch(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Vectors (n, dimensions). Raises DecodeFailed."""
        self._fill(batch)
        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        code = self._forward(self._context, self._batch)
        if code != 0:
            raise DecodeFailed(f"llama.cpp could not embed a batch of {self._batch.n_tokens} tokens (code {code})")
        return np.stack([self._vector(seq_id) for seq_id in range(len(batch))])

    def close(self) -> None:
        if self._context:
            lib.llama_batch_free(self._batch)
            lib.llama_free(self._context)
            self._context = None
            self._model.close()

    def _open(self, pooling: int, num_threads: int, flash_attention: int, rope: Rope) -> lib.llama_context_p:
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._capacity
        params.n_seq_max = MAX_ROWS
        params.embeddings = True
        params.pooling_type = pooling
        params.flash_attn_type = flash_attention
        params.kv_unified = True
        rope.set(params)
        context = lib.llama_init_from_model(self._model.handle, params)
        if not context:
            raise ModelUnusable(
                f"{self._model.path.name}: llama.cpp cannot make an embedding context for inputs of {self.max_tokens} "
                "tokens: lower context_size if memory is short; DEBUG=true shows llama.cpp's own words"
            )
        set_threads(context, num_threads, num_threads)
        return context

    def _fill(self, batch: Sequence[Sequence[int]]) -> None:
        rows = [
            (token, position, seq_id) for seq_id, tokens in enumerate(batch) for position, token in enumerate(tokens)
        ]
        assert len(rows) <= self._capacity
        assert len(batch) <= MAX_ROWS
        target = self._batch
        target.n_tokens = len(rows)
        for i, (token, position, seq_id) in enumerate(rows):
            target.token[i] = token
            target.pos[i] = position
            target.n_seq_id[i] = 1
            target.seq_id[i][0] = seq_id
            target.logits[i] = True

    def _vector(self, seq_id: int) -> NDArray[np.float32]:
        pointer = lib.llama_get_embeddings_seq(self._context, seq_id)
        if not pointer:
            raise DecodeFailed(f"llama.cpp gave no vector for input {seq_id} of a batch")
        floats = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(floats, (self.dimensions,)).copy()


def file_pooling(model: LlamaModel) -> str:
    """The pooling the GGUF header names; mean for an encoder without one. Raises ModelUnusable."""
    arch = model.metadata.get("general.architecture", "")
    number = model.metadata.get(f"{arch}.pooling_type")
    if number == str(lib.LLAMA_POOLING_TYPE_RANK):
        raise ModelUnusable(f"{model.path.name} is a reranker: it scores pairs of texts and gives no embeddings")
    names = {str(value): name for name, value in POOLINGS.items()}
    if number in names:
        return names[number]
    if number is None and model.metadata.get(f"{arch}.attention.causal") == "false":
        return "mean"
    raise ModelUnusable(
        f"{model.path.name} does not say how to pool its tokens into one vector; if it was made for embeddings, add to "
        'its YAML: options: ["pooling:last"] (or mean, cls)'
    )
