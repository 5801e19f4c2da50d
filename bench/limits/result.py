"""What was measured on the way to a limits file."""

from __future__ import annotations

from pydantic import BaseModel

from core.limits import MeasuredLimits


class ThreadRate(BaseModel, frozen=True):
    """A prompt, and then one sequence, with so many threads: medians of the rounds."""

    threads: int
    prefill_tok_s: float
    decode_tok_s: float


class BatchRate(BaseModel, frozen=True):
    """A prompt in decode calls of at most `batch` rows."""

    batch: int
    prefill_tok_s: float


class LimitsPart(BaseModel, frozen=True):
    """`file` is where `limits` were written; None where they were not, for the reasons in the result's validity."""

    file: str | None
    limits: MeasuredLimits
    threads: list[ThreadRate]
    batches: list[BatchRate]
    slots: int
    kv_bytes_per_token: int
    weight_bytes: int
    context_train: int
