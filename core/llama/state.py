"""The cells of one sequence id as bytes, in llama.cpp's own form.

llama.cpp checks little of what it reads, so whoever restores must know that the bytes are whole and were saved by the
same build, from the same weights, in a context of the same layout.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib

from core.errors import DecodeFailed

_commit = ctypes.CFUNCTYPE(ctypes.c_char_p)(("ggml_commit", lib._lib))


def build() -> dict[str, Any]:
    """By which to tell one llama.cpp from another, and its form of saved cells."""
    return {
        "llama_cpp": f"{llama_cpp.__version__} {_commit().decode()}",
        "state_version": lib.LLAMA_STATE_SEQ_VERSION,
    }


def save_state(context: int, seq_id: int) -> bytearray:
    """Raises DecodeFailed."""
    state = bytearray(lib.llama_state_seq_get_size(context, seq_id))
    written = lib.llama_state_seq_get_data(context, _pointer(state), len(state), seq_id)
    if written != len(state):
        raise DecodeFailed(f"llama.cpp saved {written} of {len(state)} bytes of a prefix")
    return state


def restore_state(context: int, seq_id: int, state: bytearray, num_tokens: int) -> bool:
    """Whether the empty `seq_id` now holds the saved cells, which end at `num_tokens`; if not, it may hold some."""
    memory = lib.llama_get_memory(context)
    read = lib.llama_state_seq_set_data(context, _pointer(state), len(state), seq_id)
    return bool(read == len(state) and lib.llama_memory_seq_pos_max(memory, seq_id) == num_tokens - 1)


def _pointer(state: bytearray) -> ctypes.Array[ctypes.c_uint8]:
    return (ctypes.c_uint8 * len(state)).from_buffer(state)
