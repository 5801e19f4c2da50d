"""The `parameters:` of a model's YAML: sampling settings, which a request may override, and where the weights are."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from core.config.scalars import Batch, Bool, Count, CountOrAll, Float, Int, Probability, Ratio


class Parameters(BaseModel, frozen=True):
    """No `seed`: a new one each time."""

    model: str | None = None
    temperature: Annotated[Float, Field(ge=0)] | None = None
    # llama.cpp takes anything above 1 for "off", and LocalAI's own manual shows `top_p: 80` (swapped with top_k).
    top_p: Annotated[Float, Field(ge=0), AfterValidator(lambda p: min(p, 1.0))] | None = None
    top_k: CountOrAll | None = None
    min_p: Probability | None = None
    typical_p: Annotated[Probability, AfterValidator(lambda p: p or None)] | None = None
    max_tokens: Count = None
    seed: Annotated[Int, AfterValidator(lambda seed: None if seed == -1 else seed)] | None = None
    # LocalAI writes "no penalty" as 0, by which llama.cpp would divide.
    repeat_penalty: Ratio | None = None
    repeat_last_n: CountOrAll | None = None
    presence_penalty: Annotated[Float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Float, Field(ge=-2, le=2)] | None = None
    ignore_eos: Bool | None = None
    echo: Bool | None = None
    batch: Batch = None
    rope_freq_base: Ratio | None = None
    rope_freq_scale: Ratio | None = None
    n: Count = None
    n_keep: Int | None = None
    tfz: Float | None = None
    negative_prompt: str | None = None
    negative_prompt_scale: Float | None = None
    language: str | None = None
    tokenizer: str | None = None
    clip_skip: Int | None = None
