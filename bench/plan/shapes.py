"""Headers of well-known models, written from their published dimensions, so that one can plan before downloading.

The mix of tensor types in a quantised file follows llama.cpp's quantizer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from bench.errors import BenchError
from core.gguf import GgufHeader, TensorInfo
from core.gguf.quants import FILE_TYPES, TENSOR_TYPES

_NUMBERS = {name: number for number, name in FILE_TYPES.items()}
_SIZES = {name: (values, size) for name, values, size in TENSOR_TYPES.values()}
PLAIN = ("F16", "Q8_0", "Q4_0", "Q4_1")
QUANTS = (*PLAIN, "Q4_K_M")


@dataclass(frozen=True)
class Shape:
    """`kv_heads` x `head_width` is the width of keys and of values; `tied` models have no output matrix."""

    architecture: str
    context: int
    width: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool = False


SHAPES = {
    "mistral-7b": Shape("llama", 32768, 4096, 14336, 32, 32, 8, 128, 32000),
    "llama-2-7b": Shape("llama", 4096, 4096, 11008, 32, 32, 32, 128, 32000),
    "llama-3-8b": Shape("llama", 8192, 4096, 14336, 32, 32, 8, 128, 128256),
    "tinyllama-1.1b": Shape("llama", 2048, 2048, 5632, 22, 32, 4, 64, 32000),
    "smollm2-135m": Shape("llama", 8192, 576, 1536, 30, 9, 3, 64, 49152, tied=True),
    "phi-2": Shape("phi2", 2048, 2560, 10240, 32, 32, 32, 80, 51200),
    "qwen2.5-0.5b": Shape("qwen2", 32768, 896, 4864, 24, 14, 2, 64, 151936, tied=True),
    "qwen2.5-7b": Shape("qwen2", 32768, 3584, 18944, 28, 28, 4, 128, 152064),
}
"""Dimensions as in the models' own configuration files."""


def shape_header(name: str, quant: str) -> GgufHeader:
    """The header that a GGUF of this model in this quantization has, without its vocabulary. Raises BenchError."""
    if name not in SHAPES:
        raise BenchError(f"no shape {name!r}; there are {', '.join(SHAPES)}, or give a GGUF file")
    if quant not in QUANTS:
        raise BenchError(f"no quantization {quant!r} for a shape; there are {', '.join(QUANTS)}")
    return header_of(SHAPES[name], quant)


def header_of(shape: Shape, quant: str) -> GgufHeader:
    return GgufHeader(3, _metadata(shape, quant), {}, tuple(_laid_out(_tensors(shape, quant))), 0)


def _metadata(shape: Shape, quant: str) -> dict[str, str | int | float | bool]:
    own: dict[str, str | int | float | bool] = {
        "context_length": shape.context,
        "embedding_length": shape.width,
        "feed_forward_length": shape.feed_forward,
        "block_count": shape.layers,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_width,
        "attention.value_length": shape.head_width,
        "rope.dimension_count": 32 if shape.architecture == "phi2" else shape.head_width,
        "attention.layer_norm_epsilon" if shape.architecture == "phi2" else "attention.layer_norm_rms_epsilon": 1e-5,
    }
    return {
        "general.architecture": shape.architecture,
        "general.type": "model",
        "general.file_type": _NUMBERS[quant],
        **{f"{shape.architecture}.{key}": value for key, value in own.items()},
    }


def _tensors(shape: Shape, quant: str) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Name, dimensions (fastest first) and type."""

    def of(part: str, layer: int = 0) -> str:
        return quant if quant in PLAIN else _type_in_q4_k_m(shape, part, layer)

    width, keys = shape.width, shape.kv_heads * shape.head_width
    yield "token_embd.weight", (width, shape.vocabulary), of("output" if shape.tied else "token_embd")
    yield "output_norm.weight", (width,), "F32"
    if not shape.tied:
        yield "output.weight", (width, shape.vocabulary), of("output")
    if shape.architecture == "phi2":
        yield "output_norm.bias", (width,), "F32"
        yield "output.bias", (shape.vocabulary,), "F32"
    for layer in range(shape.layers):
        for name, size, part in _layer(shape, width, shape.heads * shape.head_width, keys):
            yield f"blk.{layer}.{name}", size, of(part, layer) if part else "F32"


def _layer(shape: Shape, width: int, queries: int, keys: int) -> Iterator[tuple[str, tuple[int, ...], str | None]]:
    """Name, dimensions, and for matrices the part that decides about the type."""
    wide = shape.feed_forward
    yield "attn_norm.weight", (width,), None
    yield "attn_output.weight", (queries, width), "attn_output"
    yield "ffn_up.weight", (width, wide), "ffn_up"
    yield "ffn_down.weight", (wide, width), "ffn_down"
    if shape.architecture == "phi2":
        yield "attn_qkv.weight", (width, queries + 2 * keys), "attn_qkv"
        for name, size in (("attn_norm", width), ("attn_qkv", queries + 2 * keys), ("attn_output", width)):
            yield f"{name}.bias", (size,), None
        yield "ffn_up.bias", (wide,), None
        yield "ffn_down.bias", (width,), None
        return
    for name, size in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
        yield f"{name}.weight", (width, size), name
        if shape.architecture == "qwen2":
            yield f"{name}.bias", (size,), None
    yield "ffn_norm.weight", (width,), None
    yield "ffn_gate.weight", (width, wide), "ffn_gate"


def _type_in_q4_k_m(shape: Shape, part: str, layer: int) -> str:
    """llama.cpp's choice: 6 bits for the output, and for values and the feed-forward's way down in the first and last
    eighth of the layers and every third between; where rows are no multiple of 256, types with blocks of 32."""
    if shape.width % 256 or shape.feed_forward % 256:
        return "Q8_0" if part == "output" else "Q5_0"
    eighth = shape.layers // 8
    precise = layer < eighth or layer >= 7 * shape.layers // 8 or (layer - eighth) % 3 == 2
    if part == "output" or (part in ("attn_v", "ffn_down") and precise):
        return "Q6_K"
    return "Q5_K" if part == "attn_qkv" else "Q4_K"


def _laid_out(tensors: Iterator[tuple[str, tuple[int, ...], str]]) -> Iterator[TensorInfo]:
    offset = 0
    for name, shape, kind in tensors:
        values, size = _SIZES[kind]
        tensor = TensorInfo(name, shape, kind, offset, prod(shape) // values * size)
        offset += -(-tensor.num_bytes // 32) * 32
        yield tensor


def with_blocks(header: GgufHeader, blocks: list[int]) -> GgufHeader:
    """The same model with only these blocks, renumbered."""
    place = {f"blk.{old}.": f"blk.{new}." for new, old in enumerate(blocks)}

    def kept(tensor: TensorInfo) -> TensorInfo | None:
        if not tensor.name.startswith("blk."):
            return tensor
        prefix = ".".join(tensor.name.split(".")[:2]) + "."
        if prefix not in place:
            return None
        return dataclasses.replace(tensor, name=place[prefix] + tensor.name.removeprefix(prefix))

    tensors = tuple(found for tensor in header.tensors if (found := kept(tensor)))
    metadata = {**header.metadata, f"{header.architecture}.block_count": len(blocks)}
    arrays = {
        key: dataclasses.replace(array, length=len(blocks), values=tuple(array.values[block] for block in blocks))
        if array.values and array.length == header.num_layers
        else array
        for key, array in header.arrays.items()
    }
    return dataclasses.replace(header, metadata=metadata, arrays=arrays, tensors=tensors)
