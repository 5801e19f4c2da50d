"""A GGUF of random weights in a given header's shape: the same bytes to read, the same kernels, and only noise to say.

Speed and memory are those of the real model; what it generates is not text. The vocabulary is made up, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from core.gguf import GgufHeader, TensorInfo
from core.gguf.quants import TENSOR_TYPES

SCALES = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    **{"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,)},
}
"""Type -> where in a block its half-precision factors lie. The rest of a block may hold any bits; a factor that is not
a number would make all that is computed from it one, too."""
FACTOR = 1e-4
POOL_BYTES = 1 << 22
"""Random bytes that are repeated; more would only take longer."""
DISK_RESERVE = 1 << 28

_BLOCKS = {name: (values, size) for name, values, size in TENSOR_TYPES.values()}


def write_synthetic(header: GgufHeader, path: Path) -> None:
    """Raises BenchError if the disk is too full or a tensor has a type that is not known here."""
    pools = {kind: _pool(kind) for kind in {tensor.type for tensor in header.tensors}}
    free, needed = shutil.disk_usage(path.parent).free, header.weight_bytes + DISK_RESERVE
    if free < needed:
        raise BenchError(
            f"{path.parent}: {needed >> 20} MiB are needed there and {free >> 20} are free: free some, or set TMPDIR"
        )
    writer = gguf.GGUFWriter(path, header.architecture)
    _add_metadata(writer, header)
    for tensor in header.tensors:
        data_type, row = _as_numpy(tensor)
        writer.add_tensor_info(tensor.name, row, data_type, tensor.num_bytes, gguf.GGMLQuantizationType[tensor.type])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in header.tensors:
        data_type, row = _as_numpy(tensor)
        writer.write_tensor_data(np.resize(pools[tensor.type], tensor.num_bytes).view(data_type).reshape(row))
    writer.close()


def _as_numpy(tensor: TensorInfo) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """The element type that gguf's writer wants, and the dimensions in numpy's order; quantised rows are bytes."""
    *rows, length = reversed(tensor.shape)
    if tensor.type in ("F32", "F16"):
        return np.dtype(np.float32 if tensor.type == "F32" else np.float16), (*rows, length)
    values, size = _BLOCKS[tensor.type]
    return np.dtype(np.uint8), (*rows, length // values * size)


def _pool(kind: str) -> NDArray[np.uint8]:
    """Whole blocks of one type."""
    rng = np.random.default_rng(1)
    if kind in ("F32", "F16"):
        floats = rng.normal(0, 0.02, POOL_BYTES // 4).astype(np.float32 if kind == "F32" else np.float16)
        return floats.view(np.uint8)
    if kind not in SCALES:
        raise BenchError(f"no synthetic weights of type {kind}; there are {', '.join(('F32', 'F16', *SCALES))}")
    size = _BLOCKS[kind][1]
    blocks = rng.integers(0, 256, (POOL_BYTES // size, size), np.uint8)
    for place in SCALES[kind]:
        blocks[:, place : place + 2] = np.array([FACTOR], np.float16).view(np.uint8)
    return blocks.reshape(-1)


def _add_metadata(writer: gguf.GGUFWriter, header: GgufHeader) -> None:
    own = f"{header.architecture}."
    for key, value in header.metadata.items():
        if key.startswith(own):
            _add(writer, key, value)
    for key, array in header.arrays.items():
        if key.startswith(own) and array.values:
            writer.add_array(key, list(array.values))
    _add_vocabulary(writer, next(t.shape[1] for t in header.tensors if t.name == "token_embd.weight"))


def _add(writer: gguf.GGUFWriter, key: str, value: str | int | float | bool) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """A SentencePiece vocabulary: three special tokens, every byte, and words that no text holds."""
    special = ["<unk>", "<s>", "</s>"]
    numbers = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"\u2581w{number}" for number in range(size - len(special) - len(numbers))]
    kinds = [2, 3, 3, *[6] * len(numbers), *[1] * len(words)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(special + numbers + words)
    writer.add_token_scores([0.0] * (len(special) + len(numbers)) + [-1.0] * len(words))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
