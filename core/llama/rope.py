"""How positions turn keys and queries, where a YAML wants it otherwise than the weights say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import llama_cpp.llama_cpp as lib

from core.config.model import ModelConfig

_SCALINGS = {
    "none": lib.LLAMA_ROPE_SCALING_TYPE_NONE,
    "linear": lib.LLAMA_ROPE_SCALING_TYPE_LINEAR,
    "yarn": lib.LLAMA_ROPE_SCALING_TYPE_YARN,
}


@dataclass(frozen=True)
class Rope:
    """By the names of the YAML's keys. What is None is as the weights say."""

    rope_scaling: str | None = None
    rope_freq_base: float | None = None
    rope_freq_scale: float | None = None
    yarn_ext_factor: float | None = None
    yarn_attn_factor: float | None = None
    yarn_beta_fast: float | None = None
    yarn_beta_slow: float | None = None
    yarn_orig_ctx: int | None = None

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        return cls(
            rope_scaling=config.rope_scaling,
            rope_freq_base=config.parameters.rope_freq_base,
            rope_freq_scale=config.parameters.rope_freq_scale,
            yarn_ext_factor=config.yarn_ext_factor,
            yarn_attn_factor=config.yarn_attn_factor,
            yarn_beta_fast=config.yarn_beta_fast,
            yarn_beta_slow=config.yarn_beta_slow,
            yarn_orig_ctx=config.yarn_orig_ctx,
        )

    @property
    def identity(self) -> dict[str, str]:
        """What of it makes other vectors than the weights alone."""
        return {key: str(value) for key, value in vars(self).items() if value is not None}

    def set(self, params: lib.llama_context_params) -> None:
        """What is not given stays as llama.cpp has it by default, which is the weights' own."""
        if self.rope_scaling:
            params.rope_scaling_type = _SCALINGS[self.rope_scaling]
        for key, value in vars(self).items():
            if key != "rope_scaling" and value is not None:
                setattr(params, key, value)


AS_TRAINED = Rope()
