"""How large a model's file becomes in another quantization, told from its header."""

from __future__ import annotations

import math

from core.errors import StoreError
from core.gguf.header import GgufHeader, TensorInfo
from core.gguf.quants import TENSOR_TYPES

TYPES: dict[str, str] = {
    **{"F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0", "Q6_K": "Q6_K", "Q5_K_M": "Q5_K", "Q5_K_S": "Q5_K"},
    **{"Q5_1": "Q5_1", "Q5_0": "Q5_0", "Q4_K_M": "Q4_K", "Q4_K_S": "Q4_K", "IQ4_NL": "IQ4_NL", "IQ4_XS": "IQ4_XS"},
    **{"Q4_1": "Q4_1", "Q4_0": "Q4_0", "Q3_K_L": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_S": "Q3_K", "Q2_K": "Q2_K"},
}
"""What a file can be quantized to -> the type of most tensors in it. Those that need an importance matrix are left
out."""

_FINER = {
    **{"Q5_K_M": 1.1, "Q5_K_S": 1.03, "Q4_K_M": 1.15, "Q4_K_S": 1.05, "IQ4_NL": 1.05, "IQ4_XS": 1.05},
    **{"Q3_K_L": 1.35, "Q3_K_M": 1.25, "Q3_K_S": 1.05, "Q2_K": 1.4},
}
"""At most how much larger the blocks of a mix are than in its type of TYPES alone: some tensors get a finer one."""

_FALLBACK = {"Q6_K": "Q8_0", "Q5_K": "Q5_1", "Q4_K": "Q5_0", "IQ4_XS": "IQ4_NL", "Q3_K": "Q4_0", "Q2_K": "Q4_0"}
"""For rows that blocks of 256 do not fill (tensor_type_fallback in llama-quant.cpp)."""

_KEPT = ("_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight")
_SIZES = {name: (values, num_bytes) for name, values, num_bytes in TENSOR_TYPES.values()}


def estimated_bytes(header: GgufHeader, type: str) -> int:
    """Of a file of `type` (of TYPES) with the tensors of `header`. Within a thousandth for plain types such as Q8_0 and
    Q4_0; for mixes such as Q4_K_M up to a fifth too much. Raises StoreError for any other type."""
    if type not in TYPES:
        raise StoreError(f"{type!r} is no quantization that can be made: give one of {', '.join(TYPES)}")
    names = {tensor.name for tensor in header.tensors}
    output = "output.weight" if "output.weight" in names else "token_embd.weight"
    return header.data_offset + sum(_bytes(tensor, type, is_output=tensor.name == output) for tensor in header.tensors)


def _bytes(tensor: TensorInfo, type: str, *, is_output: bool) -> int:
    if len(tensor.shape) < 2 or not tensor.name.endswith("weight") or tensor.name.endswith(_KEPT):
        return tensor.num_bytes
    is_finer = is_output and type not in ("F16", "BF16", "Q8_0")
    values, num_bytes = _SIZES[_fitting("Q6_K" if is_finer else TYPES[type], tensor.shape[0])]
    size = math.prod(tensor.shape) // values * num_bytes
    return size if is_output else int(size * _FINER.get(type, 1))


def _fitting(type: str, row: int) -> str:
    """`type`, or what llama.cpp takes instead for rows of that many values."""
    for name in (type, _FALLBACK.get(type, type)):
        if row % _SIZES[name][0] == 0:
            return name
    return "F16"
