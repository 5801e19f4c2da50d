"""What one GGUF header says, and the facts that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from core.gguf.quants import FILE_TYPES

Scalar = str | int | float | bool
T = TypeVar("T", bound=Scalar)

EMBEDDING_ARCHITECTURES = frozenset(
    {
        *("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert", "modern-bert"),
        *("eurobert", "t5encoder", "gemma-embedding"),
    }
)
_POOLING = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}


@dataclass(frozen=True)
class ArrayInfo:
    """An array that was passed over: `offset` is where its first element lies in the file.

    `values` is None but for short arrays of numbers, in which some models write one value for each layer.
    """

    type: str
    length: int
    offset: int
    values: tuple[int | float, ...] | None = None


@dataclass(frozen=True)
class TensorInfo:
    """`shape` has the fastest-running dimension first, as in the file; `offset` counts from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    num_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """`metadata` holds the scalars by key. A fact the file does not state is None; sizes are in bytes."""

    version: int
    metadata: Mapping[str, Scalar]
    arrays: Mapping[str, ArrayInfo]
    tensors: tuple[TensorInfo, ...]
    data_offset: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    @property
    def kind(self) -> str:
        """`model`, `adapter` (a LoRA), `mmproj` (the picture half of a model), `imatrix`, ..."""
        if self.architecture == "clip":
            return "mmproj"
        return str(self.metadata.get("general.type", "model"))

    @property
    def is_vocabulary_only(self) -> bool:
        return not self.tensors

    @property
    def weight_bytes(self) -> int:
        return sum(tensor.num_bytes for tensor in self.tensors)

    @property
    def end_of_data(self) -> int:
        """The least size of the whole file."""
        ends = (tensor.offset + tensor.num_bytes for tensor in self.tensors)
        return self.data_offset + max(ends, default=0)

    @property
    def quant(self) -> str | None:
        """The quantization by its usual name, such as Q4_K_M; without one, the type of most of the weights."""
        # llama.cpp adds 1024 where it has guessed.
        named = FILE_TYPES.get((self.integer("general.file_type") or 0) & 1023)
        if named and "general.file_type" in self.metadata:
            return named
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type] += tensor.num_bytes
        return sizes.most_common(1)[0][0] if sizes else None

    @property
    def num_layers(self) -> int | None:
        return self.of_architecture("block_count", int)

    @property
    def context_length(self) -> int | None:
        """The trained window in tokens."""
        return self.of_architecture("context_length", int)

    @property
    def embedding_length(self) -> int | None:
        return self.of_architecture("embedding_length", int)

    @property
    def feed_forward_length(self) -> int:
        """Of the widest layer; of experts, those that one token passes. 0 where the file does not say."""
        experts = (self.of_architecture("expert_feed_forward_length", int) or 0) * (
            self.of_architecture("expert_used_count", int) or 0
        )
        return max(*(self._per_layer("feed_forward_length") or (0,)), experts)

    @property
    def num_vocab(self) -> int:
        tokens = self.arrays.get("tokenizer.ggml.tokens")
        return tokens.length if tokens else 0

    @property
    def num_heads(self) -> int | None:
        """Of the first layer, where layers differ."""
        return next(iter(self._per_layer("attention.head_count") or ()), None)

    @property
    def kv_heads(self) -> tuple[int, ...]:
        """Of each layer; () where the model has no attention."""
        return self._per_layer("attention.head_count_kv") or self._per_layer("attention.head_count") or ()

    @property
    def key_length(self) -> int | None:
        return self.of_architecture("attention.key_length", int) or self._head_width

    @property
    def value_length(self) -> int | None:
        return self.of_architecture("attention.value_length", int) or self._head_width

    @property
    def chat_template(self) -> str | None:
        """The Jinja template in the header."""
        template = self.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) and template else None

    @property
    def bos_id(self) -> int | None:
        return self.integer("tokenizer.ggml.bos_token_id")

    @property
    def eos_id(self) -> int | None:
        return self.integer("tokenizer.ggml.eos_token_id")

    @property
    def adds_bos(self) -> bool | None:
        """Whether the tokenizer puts BOS in front; None where only llama.cpp's table of tokenizers knows."""
        stated = self.metadata.get("tokenizer.ggml.add_bos_token")
        if isinstance(stated, bool):
            return stated
        return True if self.metadata.get("tokenizer.ggml.model") in ("llama", "bert") else None

    @property
    def pooling(self) -> str | None:
        """How token vectors become one: `mean`, `cls`, `last`, `rank` (a reranker) or `none`."""
        number = self.of_architecture("pooling_type", int)
        return None if number is None else _POOLING.get(number, str(number))

    @property
    def is_embedding(self) -> bool:
        """Whether the model was made to embed texts rather than to write them."""
        return self.architecture in EMBEDDING_ARCHITECTURES or self.pooling not in (None, "none")

    def integer(self, key: str) -> int | None:
        """The number under `key`, if there is one."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def of_architecture(self, key: str, kind: type[T]) -> T | None:
        """The value under this key of the architecture's own, if there is one of exactly that type."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if type(value) is kind else None

    def per_layer_values(self, key: str) -> tuple[int | float, ...] | None:
        """The architecture's array under `key`, if the file has one and it is short."""
        array = self.arrays.get(f"{self.architecture}.{key}")
        return None if array is None else array.values

    def _per_layer(self, key: str) -> tuple[int, ...] | None:
        """One number for each layer, whether the file states one for all or an array of them."""
        if (values := self.per_layer_values(key)) is not None:
            return tuple(int(value) for value in values)
        number = self.of_architecture(key, int)
        return None if number is None else (number,) * (self.num_layers or 0)

    @property
    def _head_width(self) -> int | None:
        heads, width = self.num_heads, self.embedding_length
        return width // heads if heads and width else None
