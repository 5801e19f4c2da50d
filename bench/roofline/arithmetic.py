"""What a model has to read and to compute, counted from its GGUF header.

The two bounds of the roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009) for a transformer: a decode step
reads every weight once, whatever the batch; a prompt's token costs two operations for each weight.
"""

from __future__ import annotations

from math import prod

from core.gguf import GgufHeader, TensorInfo
from core.gguf.kv_cache import kv_bytes_per_token

EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"


def weight_bytes_read(header: GgufHeader, batch: int = 1) -> float:
    """Bytes of weights that one step of `batch` sequences reads.

    All of them, but: the embedding table only has a row looked up, unless it is the output matrix too; of E experts, of
    which a token uses k, a batch of B meets E (1 - (1 - k/E)^B) if it chooses evenly.
    """
    return sum(tensor.num_bytes * _share_read(header, tensor, batch) for tensor in header.tensors)


def step_bytes(header: GgufHeader, *, batch: int, depth: float) -> float:
    """Bytes that a decode step of `batch` sequences, each `depth` tokens long, has to read: weights + B L kv."""
    return weight_bytes_read(header, batch) + batch * depth * kv_bytes_per_token(header)


def prompt_flops(header: GgufHeader, length: int) -> float:
    """Floating-point operations for a prompt of `length` tokens.

    Per token 2 for each weight of a matrix, of k/E of the experts; per layer 2 heads x width x L for the scores and the
    weighted sum, since a causal token attends to L/2 others in the mean; the output matrix once, for the last token.
    """
    matrices = [tensor for tensor in header.tensors if len(tensor.shape) > 1]
    weights = sum(prod(t.shape) * _share_used(header, t) for t in matrices if t.name not in (EMBEDDING, OUTPUT))
    width = (header.num_heads or 0) * (header.key_length or 0)
    attention = 2 * (header.num_layers or 0) * width * length
    head = next((t for name in (OUTPUT, EMBEDDING) for t in matrices if t.name == name), None)
    return length * (2 * weights + attention) + (2 * prod(head.shape) if head else 0)


def _share_read(header: GgufHeader, tensor: TensorInfo, batch: int) -> float:
    if tensor.name == EMBEDDING and any(other.name == OUTPUT for other in header.tensors):
        return 0.0
    return 1 - (1 - _share_used(header, tensor)) ** batch


def _share_used(header: GgufHeader, tensor: TensorInfo) -> float:
    """Of a tensor, by one token."""
    if "_exps." not in tensor.name:
        return 1.0
    architecture = header.architecture
    experts = header.integer(f"{architecture}.expert_count")
    used = header.integer(f"{architecture}.expert_used_count")
    return used / experts if used and experts else 1.0
