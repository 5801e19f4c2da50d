"""One loaded GGUF: weights, vocabulary and metadata. Owns the `llama_model` pointer until `close`."""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import llama_cpp.llama_cpp as lib

from core.config.model import ModelConfig
from core.config.weight_files import gguf_fault
from core.errors import InvalidRequest, ModelUnusable
from core.gguf import GgufHeader, read_header
from core.gguf.header import Scalar
from core.gguf.kv_cache import KvLayout, kv_bytes_per_token, kv_cache_bytes
from core.host import available_cpus
from core.llama.devices import gpus
from core.llama.library import start_backend
from core.llama.offload import Offload, plan_offload, stay_on_cpu

logger = logging.getLogger("warmfn.llama")

ON_CPU = Offload()

COMPRESSING = frozenset({"deepseek4"})
"""Architectures whose cache joins several tokens into one cell, which llama.cpp then cannot take apart."""


class LlamaModel:
    """A model file opened by llama.cpp. Reading methods may be called from any thread; none after `close`."""

    def __init__(
        self,
        path: Path,
        *,
        offload: Offload = ON_CPU,
        mmap: bool = True,
        mlock: bool = False,
        vocab_only: bool = False,
    ) -> None:
        """With `vocab_only` it can tokenize and nothing else.

        Raises ModelUnusable for a file llama.cpp rejects.
        """
        if fault := gguf_fault(path):
            raise ModelUnusable(fault)
        start_backend()
        params = lib.llama_model_default_params()
        _place(params, offload)
        params.vocab_only = vocab_only
        params.load_mode = (lib.LLAMA_LOAD_MODE_MMAP if mmap else 0) | (lib.LLAMA_LOAD_MODE_MLOCK if mlock else 0)
        self.path = path
        self.offload = offload
        self.handle = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise ModelUnusable(
                f"{path.name}: llama.cpp cannot load this file; it may be cut short, or made for a newer llama.cpp. "
                "Compare its SHA-256 with the publisher's; DEBUG=true shows llama.cpp's own words."
            )
        self.vocab = lib.llama_model_get_vocab(self.handle)
        self.num_vocab: int = lib.llama_vocab_n_tokens(self.vocab)

    @property
    def is_offloaded(self) -> bool:
        return self.offload.layers > 0

    def close(self) -> None:
        if self.handle:
            lib.llama_model_free(self.handle)
            self.handle = None

    # llama.cpp aborts where a model that was opened for its vocabulary alone is asked for these.

    @property
    def n_embd(self) -> int:
        return int(lib.llama_model_n_embd(self.handle))

    @property
    def num_layers(self) -> int:
        return int(lib.llama_model_n_layer(self.handle))

    @property
    def num_heads(self) -> int:
        return int(lib.llama_model_n_head(self.handle))

    @property
    def context_train(self) -> int:
        return int(lib.llama_model_n_ctx_train(self.handle))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """`add_special` puts BOS (and EOS, SEP) where the model was trained with them; `parse_special` reads
        `<|im_start|>` and its like as control tokens rather than as text."""
        data = text.encode()
        capacity = len(data) + 8
        while True:
            tokens = (lib.llama_token * capacity)()
            count = lib.llama_tokenize(self.vocab, data, len(data), tokens, capacity, add_special, parse_special)
            if count >= 0:
                return list(tokens[:count])
            capacity = -count

    def check_tokens(self, tokens: Sequence[int], *, param: str) -> None:
        """llama.cpp aborts the process on a token id outside the vocabulary, so they are refused here."""
        for token in tokens:
            if not 0 <= token < self.num_vocab:
                raise InvalidRequest(f"{param}: token id {token} is not in 0..{self.num_vocab - 1}", param=param)

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The token's bytes, which may be part of a character; control tokens are empty unless `special`."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    @functools.cached_property
    def pieces(self) -> list[bytes]:
        """Every token's bytes: a list lookup in the decode loop instead of a call into C."""
        return [self.piece(token) for token in range(self.num_vocab)]

    @functools.cached_property
    def end_tokens(self) -> frozenset[int]:
        """All end-of-generation tokens the vocabulary marks (end of text, of turn, of message)."""
        return frozenset(t for t in range(self.num_vocab) if lib.llama_vocab_is_eog(self.vocab, t))

    @functools.cached_property
    def metadata(self) -> dict[str, str]:
        """The GGUF header's scalar values as text; arrays are left out by llama.cpp."""
        count = lib.llama_model_meta_count(self.handle)
        keys = (_read(lib.llama_model_meta_key_by_index, self.handle, i) for i in range(count))
        return {key: _read(lib.llama_model_meta_val_str_by_index, self.handle, i) for i, key in enumerate(keys)}

    @property
    def chat_template(self) -> str | None:
        """The Jinja chat template in the header, if there is one."""
        template = lib.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None

    def token_text(self, token: int) -> str:
        """How a special token is written, as chat templates name it; empty for an absent one (-1)."""
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def bos(self) -> int:
        """The id of the begin-of-sequence token; -1 if there is none."""
        return int(lib.llama_vocab_bos(self.vocab))

    @property
    def bos_token(self) -> str:
        return self.token_text(self.bos)

    @property
    def eos_token(self) -> str:
        return self.token_text(lib.llama_vocab_eos(self.vocab))

    @property
    def adds_bos(self) -> bool:
        return bool(lib.llama_vocab_get_add_bos(self.vocab))

    @property
    def architecture(self) -> str:
        return self.metadata.get("general.architecture", "")

    @property
    def can_cut_memory(self) -> bool:
        """Whether a sequence's memory can be shortened or copied in part; a recurrent state cannot."""
        if self.architecture in COMPRESSING:
            return False
        return not (lib.llama_model_is_recurrent(self.handle) or lib.llama_model_is_hybrid(self.handle))

    @property
    def attention_window(self) -> int | None:
        """Tokens that layers with a sliding window look back; None where every layer looks at all."""
        return int(lib.llama_model_n_swa(self.handle)) or None

    def kv_bytes_per_token(self, key_type: str, value_type: str) -> int:
        """Of one KV cell of these types, as the YAML names them, by `core.gguf.kv_cache`. Raises ModelUnusable."""
        return kv_bytes_per_token(self._header, key_type.upper(), value_type.upper())

    def kv_cache_bytes(self, layout: KvLayout) -> int:
        """Of a whole cache, by `core.gguf.kv_cache`. Raises ModelUnusable."""
        has_window = self.attention_window and not layout.full_window
        return kv_cache_bytes(self._file_header if has_window else self._header, layout)

    @functools.cached_property
    def _header(self) -> GgufHeader:
        """As far as the size of a cell needs it. The file is read again only where its layers differ: llama.cpp leaves
        arrays out, and to walk through a large vocabulary would cost a cold start a third of a second."""
        attention = f"{self.architecture}.attention"
        if f"{attention}.head_count_kv" not in self.metadata or f"{attention}.key_length_swa" in self.metadata:
            return self._file_header
        return GgufHeader(3, {key: _scalar(text) for key, text in self.metadata.items()}, {}, (), 0)

    @functools.cached_property
    def _file_header(self) -> GgufHeader:
        return read_header(self.path)


def open_model(config: ModelConfig) -> LlamaModel:
    """The model a config names, on the cards that are here. Raises ModelUnusable."""
    path, cards = config.weights, gpus()
    offload = stay_on_cpu(config)
    if cards and config.gpu_layers != 0:
        offload = plan_offload(config, read_header(path), cards)
    for remark in (*offload.remarks, *_of_threads(config)):
        logger.warning("%s: %s", config.name, remark)
    return LlamaModel(
        path,
        offload=offload,
        mmap=config.mmap is not False,
        mlock=config.mmlock is True,
    )


def _of_threads(config: ModelConfig) -> list[str]:
    cpus = available_cpus()
    said = "threads beyond those wait for one another, and with many nothing is ever answered: lower it or leave it out"
    wished = {"threads": config.threads, "threads_batch": config.threads_batch}
    return [
        f"{key}: {number}: there are {cpus} CPUs here, {said}" for key, number in wished.items() if (number or 0) > cpus
    ]


def _place(params: lib.llama_model_params, offload: Offload) -> None:
    params.n_gpu_layers = offload.layers
    if offload.card is not None:
        params.split_mode, params.main_gpu = lib.LLAMA_SPLIT_MODE_NONE, offload.card
    if offload.shares:  # the structure keeps the array alive
        params.tensor_split = (ctypes.c_float * lib.llama_max_devices())(*offload.shares)


def _scalar(text: str) -> Scalar:
    """What llama.cpp has written out as text."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() else text


def _read(getter: Callable[..., int], handle: int, index: int) -> str:
    """Call one of llama.cpp's `(model, index, buffer, size)` getters with a buffer that is large enough."""
    size = 256
    while True:
        buffer = ctypes.create_string_buffer(size)
        count = getter(handle, index, buffer, size)
        if count < size:
            return buffer.value.decode("utf-8", "replace")
        size = count + 1
