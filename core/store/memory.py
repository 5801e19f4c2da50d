"""How much memory a model will take, told from its files before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config.defaults import DEFAULT_SLOTS, MAX_DEFAULT_CONTEXT
from core.config.weight_files import files_of
from core.gguf import GgufHeader, read_header
from core.gguf.kv_cache import kv_bytes_per_token

_TENSOR_FILES = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class Memory:
    """Bytes: the weights once, the KV cache (f16, all of `context_size`) for each of `slots` requests at a time.

    What computing takes comes on top, some hundred megabytes.
    """

    weights: int
    kv_per_slot: int
    context_size: int
    slots: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_per_slot * self.slots


def memory_of(weights: Path, context_size: int | None, slots: int | None) -> Memory:
    """`context_size` and `slots` as a YAML has them. Raises ModelUnusable for a file that is no whole GGUF."""
    if weights.is_dir():
        files = next((found for pattern in _TENSOR_FILES if (found := list(weights.glob(pattern)))), [])
        return Memory(sum(file.stat().st_size for file in files), 0, context_size or 0, slots or 1)
    header = read_header(weights)
    context = context_size or default_context(header)
    return Memory(_weight_bytes(weights, header), kv_bytes_per_token(header) * context, context, slots or DEFAULT_SLOTS)


def default_context(header: GgufHeader) -> int:
    return min(header.context_length or MAX_DEFAULT_CONTEXT, MAX_DEFAULT_CONTEXT)


def _weight_bytes(path: Path, header: GgufHeader) -> int:
    return header.weight_bytes + sum(read_header(part).weight_bytes for part in files_of(path) if part != path)
