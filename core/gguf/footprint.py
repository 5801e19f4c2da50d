"""What the parts of a model take on a device, estimated from its header before anything of it is loaded."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from core.gguf.header import GgufHeader
from core.gguf.kv_cache import layer_cell_bytes

OUTPUT = "output"


@dataclass(frozen=True)
class Work:
    """What a context is to hold and compute: `cells` of KV cache with keys and values of `cache_types`, `rows` tokens
    in one pass, `outputs` of them with logits at most. Layers with a window count as if they kept everything."""

    cells: int
    rows: int
    outputs: int
    flash_attention: bool
    cache_types: tuple[str, str] = ("F16", "F16")


@dataclass(frozen=True)
class Footprint:
    """Bytes. `parts` are the blocks in their order and then the output layer, each with its share of the KV cache;
    `compute` is what one pass needs beside them on every device that takes part."""

    parts: tuple[int, ...]
    compute: int


def measure(header: GgufHeader, work: Work) -> Footprint:
    weights = _weights_of_parts(header)
    num_blocks = header.num_layers or 0
    # A block in another file of a split model counts as the largest in this one.
    largest = max((size for part, size in weights.items() if part != OUTPUT), default=0)
    cache = [work.cells * size for size in layer_cell_bytes(header, *work.cache_types)] or [0] * num_blocks
    blocks = [weights.get(str(block), largest) + cache[block] for block in range(num_blocks)]
    return Footprint((*blocks, weights[OUTPUT]), compute_bytes(header, work))


def _weights_of_parts(header: GgufHeader) -> Counter[str]:
    """By block number, and OUTPUT. The table of token embeddings stays in the host's memory; where the file has no
    matrix for the output, the same table is that matrix too."""
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        if tensor.name != "token_embd.weight":
            sizes[block[1] if block else OUTPUT] += tensor.num_bytes
        elif not any(other.name == "output.weight" for other in header.tensors):
            sizes[OUTPUT] += tensor.num_bytes
    return sizes


def compute_bytes(header: GgufHeader, work: Work) -> int:
    """The largest intermediate results of a pass, as if the allocator of llama.cpp could reuse none of their memory.

    Per row in float32: three of the model's width, the queries, keys and values, three of the feed-forward layer; then
    the mask, the scores where there is no flash attention, and the logits. SmolLM2 takes 86 to 93 % of it.
    """
    heads, kv_heads = header.num_heads or 0, max(header.kv_heads, default=0)
    key, value = header.key_length or 0, header.value_length or 0
    attention = heads * key + kv_heads * (key + value)
    per_row = 4 * (3 * (header.embedding_length or 0) + attention + 3 * header.feed_forward_length)
    per_cell = 2 if work.flash_attention else 4 * (heads + 1)
    return work.rows * (per_row + work.cells * per_cell) + work.outputs * header.num_vocab * 4
