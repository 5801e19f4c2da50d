"""What a plan found out."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from bench.roofline.peaks import Peaks


class Speed(BaseModel, frozen=True):
    """Of one request alone. `reply_s` is the time for all of it: the prompt, then the answer."""

    prefill_tok_s: float
    decode_tok_s: float
    ttft_s: float
    reply_s: float

    @classmethod
    def of(cls, prefill_s: float, decode_s: float, *, prompt: int, output: int) -> Self:
        """From the seconds for a whole prompt and for one step. The first token comes with the prompt."""
        return cls(
            prefill_tok_s=prompt / prefill_s,
            decode_tok_s=1 / decode_s,
            ttft_s=prefill_s,
            reply_s=prefill_s + (output - 1) * decode_s,
        )


class Plan(BaseModel, frozen=True):
    """`memory_bytes` = weights + KV cache of one request of `context` tokens at f16; llama.cpp's buffers come on top.
    `ceiling` is the roofline's, `predicted` comes from a few layers, `measured` from all of them."""

    shape: str
    quant: str | None
    parameters: int
    weight_bytes: int
    kv_bytes_per_token: int
    context: int
    memory_bytes: int
    memory_available: int | None
    prompt: int
    output: int
    peaks: Peaks
    ceiling: Speed
    predicted: Speed | None
    measured: Speed | None
    measured_bytes: int | None
