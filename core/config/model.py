"""What one model's YAML says, in LocalAI's names, typed and frozen.

None means "not set": defaults belong to whoever uses a value, and a request's own value must be told from the file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from core.config.scalars import Bool, Count, CountOrAll, Float, Int, Words, to_flash_attention, to_list
from core.config.weights import locate_weights

MAX_SEQUENCES = 256
"""llama.cpp aborts the process above this many sequence ids; slots and holders share them."""

Probability = Annotated[Float, Field(ge=0, le=1)]
Penalty = Annotated[Float, Field(ge=-2, le=2)]
NotNegative = Annotated[Int, Field(ge=0)]


class Parameters(BaseModel, frozen=True):
    """Sampling settings, which a request may override, and the path of the weights. No `seed`: a new one each time."""

    model: str | None = None
    temperature: Annotated[Float, Field(ge=0)] | None = None
    # llama.cpp takes anything above 1 for "off", and LocalAI's own manual shows `top_p: 80` (swapped with top_k).
    top_p: Annotated[Float, Field(ge=0), AfterValidator(lambda p: min(p, 1.0))] | None = None
    top_k: CountOrAll | None = None
    min_p: Probability | None = None
    max_tokens: Count = None
    seed: Annotated[Int, AfterValidator(lambda seed: None if seed == -1 else seed)] | None = None
    # LocalAI writes "no penalty" as 0, by which llama.cpp would divide.
    repeat_penalty: Annotated[Float, Field(ge=0), AfterValidator(lambda penalty: penalty or None)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    batch: Count = None


class Template(BaseModel, frozen=True):
    """Prompt templates: each the name of a .tmpl file beside the weights or the template itself."""

    chat: str | None = None
    chat_message: str | None = None
    completion: str | None = None
    edit: str | None = None
    function: str | None = None
    multimodal: str | None = None
    use_tokenizer_template: Bool | None = None
    join_chat_messages_by_character: str | None = None
    reply_prefix: str | None = None


class ModelConfig(BaseModel, frozen=True):
    """One served model. `root` is the models folder, `source` the YAML file it was read from."""

    name: str
    root: Path
    source: Path | None = None
    backend: Annotated[str, AfterValidator(str.lower)] | None = None
    parameters: Parameters = Parameters()
    context_size: Count = None
    threads: Count = None
    threads_batch: Count = None
    gpu_layers: CountOrAll | None = None
    f16: Bool | None = None
    mmap: Bool | None = None
    mmlock: Bool | None = None
    embeddings: Bool | None = None
    flash_attention: Annotated[Literal["auto", "on", "off"], BeforeValidator(to_flash_attention)] | None = None
    system_prompt: str | None = None
    stopwords: Words = ()
    roles: Mapping[str, str] = Field(default_factory=dict)
    template: Template = Template()
    options: Words = ()
    slots: Annotated[Int, Field(ge=1, le=MAX_SEQUENCES)] | None = None
    holders: Annotated[Int, Field(ge=0, le=MAX_SEQUENCES)] | None = None
    kv: Literal["unified", "split"] | None = None
    kv_tokens: Count = None
    default_max_tokens: Count = None
    max_queue: NotNegative | None = None
    normalize: Bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _slots_from_options(cls, data: Any) -> Any:
        """LocalAI says how many requests run at once as `options: ["parallel:8"]`; `slots` wins over it."""
        if not isinstance(data, Mapping) or data.get("slots") is not None:
            return data
        options = (str(option).partition(":") for option in to_list(data.get("options") or []))
        parallel = [value for key, _, value in options if key in ("parallel", "n_parallel")]
        return {**data, "slots": parallel[-1]} if parallel else data

    @model_validator(mode="after")
    def _sequences_within_limit(self) -> Self:
        if (self.slots or 0) + (self.holders or 0) > MAX_SEQUENCES:
            raise ValueError(f"slots and holders together may be at most {MAX_SEQUENCES}: lower one of them")
        return self

    @property
    def weights(self) -> Path:
        """The file or folder of the weights, always inside `root`; raises ModelUnusable where there is none."""
        return locate_weights(self.root, self.parameters.model or self.name, asked_by=str(self.source or self.name))
