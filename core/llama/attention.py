"""Whether llama.cpp computes attention with its flash kernels."""

from __future__ import annotations

from typing import Literal

import llama_cpp.llama_cpp as lib

from core.llama.kernels import cpu_features, system_info

Attention = Literal["auto", "on", "off"]
"""With "auto" llama.cpp decides by what the model and the devices can do; a CPU can do all."""

FLASH_ATTENTION = {
    "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


def flash_attention(asked: Attention | None, *, on_gpu: bool = False, needed: bool = False) -> Attention:
    """Unless it is asked for, or `needed` for the values' type: where it pays, llama.cpp decides."""
    if needed:
        return "on"
    if asked in ("on", "off"):
        return asked
    return "auto" if on_gpu or pays_on_cpu() else "off"


def pays_on_cpu() -> bool:
    """Whether this llama.cpp sums values in float32, as `scripts/ggml.cmake` makes it.

    SmolLM2 on 2 cores, without flash attention, with ggml's own and with this one: 22, 24 and 14 ms for a token in each
    of 8 streams of 120 tokens, 15, 33 and 17 ms in one of 2200, for which 5.1, 3.5 and 3.5 s had been spent on the
    prompt.
    """
    return "F32_VALUE_SUMS" in cpu_features(system_info())
