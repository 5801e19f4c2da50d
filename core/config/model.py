"""What one model's YAML says, in LocalAI's names, typed and frozen.

None means "not set": defaults belong to whoever uses a value, and a request's own value must be told from the file's.
Keys that have a type here and no effect yet are named in `core.config.notices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.config.function import Function
from core.config.parameters import Parameters
from core.config.prefixes import Prefix
from core.config.scalars import (
    Bool,
    Card,
    Count,
    CountOrAll,
    Factor,
    Float,
    Int,
    Ratio,
    Shares,
    Threads,
    Words,
    to_flash_attention,
    to_list,
    to_switch,
    to_word,
)
from core.config.templates import TemplateKind, TemplateSource
from core.config.weight_files import WeightsState
from core.config.weights import locate_weights, require_inside

MAX_SEQUENCES = 256
"""llama.cpp aborts the process above this many sequence ids; slots and holders share them."""

Compat = Literal["strict"]
Profile = Literal["current", "v2.8"]
NotNegative = Annotated[Int, Field(ge=0)]
InsideFolder = Annotated[str, AfterValidator(require_inside)]
CacheType = Annotated[
    Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl"] | None, BeforeValidator(to_word)
]
"""Those that llama.cpp's own programs take."""

_OPTIONS = {"parallel": "slots", "n_parallel": "slots", "swa_full": "swa_full"}
"""LocalAI's options that are keys here."""


def needs_flash_attention(value_type: str | None) -> bool:
    """Whether llama.cpp reads cached values of this type in no other way; None is f16."""
    return (value_type or "f16").lower() not in ("f32", "f16", "bf16")


class Template(BaseModel, frozen=True):
    """Prompt templates as written: each the name of a .tmpl file or the template itself (`core.config.templates`)."""

    chat: str | None = None
    chat_message: str | None = None
    completion: str | None = None
    edit: str | None = None
    function: str | None = None
    multimodal: str | None = None
    use_tokenizer_template: Bool | None = None
    join_chat_messages_by_character: str | None = None
    reply_prefix: str | None = None


class DownloadFile(BaseModel, frozen=True):
    filename: InsideFolder = ""
    uri: str = ""
    sha256: str = ""


class ModelConfig(BaseModel, frozen=True):
    """One served model. `root` is the models folder, `source` the YAML file it was read from."""

    name: str
    root: Path
    source: Path | None = None
    templates: Mapping[TemplateKind, TemplateSource] = Field(default_factory=dict)
    """The templates' texts, found and checked by the reader; never from the YAML."""
    weights_state: WeightsState | None = None
    """From the reader too, so that other weights make another config."""

    backend: Annotated[str, AfterValidator(str.lower)] | None = None
    type: str | None = None
    parameters: Parameters = Parameters()
    embeddings: Bool | None = None
    known_usecases: Words = ()

    context_size: Count = None
    trained_context: bool = False
    """Whether `context_size` is -1: the model's whole trained window."""
    threads: Threads = None
    threads_batch: Threads = None
    gpu_layers: CountOrAll | None = None
    main_gpu: Card = None
    tensor_split: Shares = ()
    f16: Bool | None = None
    mmap: Bool | None = None
    mmlock: Bool | None = None
    flash_attention: Annotated[Literal["auto", "on", "off"], BeforeValidator(to_flash_attention)] | None = None
    cache_type_k: CacheType = None
    cache_type_v: CacheType = None
    """Of values in the KV cache; f16 if unset."""
    swa_full: Annotated[bool, BeforeValidator(to_switch)] | None = None
    """False: layers with a sliding window keep little more than that (`core.runners.planning` tells what it costs)."""
    rope_scaling: Annotated[Literal["none", "linear", "yarn"] | None, BeforeValidator(to_word)] = None
    yarn_ext_factor: Factor | None = None
    yarn_attn_factor: Factor | None = None
    yarn_beta_fast: Factor | None = None
    yarn_beta_slow: Factor | None = None
    yarn_orig_ctx: Count = None

    system_prompt: str | None = None
    roles: Mapping[str, str] = Field(default_factory=dict)
    template: Template = Template()
    function: Function = Function()
    stopwords: Words = ()
    cutstrings: Words = ()
    extract_regex: Words = ()
    trimspace: Words = ()
    trimsuffix: Words = ()
    mirostat: Annotated[Int, Field(ge=0, le=2)] | None = None
    mirostat_tau: Ratio | None = None
    mirostat_eta: Ratio | None = None

    options: Words = ()
    compat: Compat | None = None
    defaults: Profile | None = None
    slots: Annotated[Int, Field(ge=1, le=MAX_SEQUENCES)] | None = None
    holders: Annotated[Int, Field(ge=0, le=MAX_SEQUENCES)] | None = None
    kv: Literal["unified", "split"] | None = None
    kv_tokens: Count = None
    default_max_tokens: Count = None
    max_queue: NotNegative | None = None
    normalize: Bool | None = None
    prompt_lookup: Bool | None = None
    """False switches off drafts from the request's own text, which are made where they pay (`core.engine.draft`)."""

    prefixes: tuple[Prefix, ...] = ()
    prompt_cache_path: Annotated[InsideFolder, AfterValidator(lambda path: path or None)] | None = None
    """A folder of packs (`core.packs`); None is the one beside the weights."""
    prompt_cache_all: Bool | None = None
    prompt_cache_ro: Bool | None = None
    prompt_cache_mb: Count = None

    grammar: str | None = None
    mmproj: InsideFolder | None = None
    optimized_from: str | None = None
    """The model whose weights `warmfn optimize` makes this one's from."""
    draft_model: str | None = None
    n_draft: Int | None = None
    lora_adapter: str | None = None
    lora_adapters: Words = ()
    lora_base: str | None = None
    lora_scale: Float | None = None
    numa: Bool | None = None
    low_vram: Bool | None = None
    no_mulmatq: Bool | None = None
    download_files: tuple[DownloadFile, ...] = ()
    feature_flags: Mapping[str, Bool] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_options(cls, data: Any) -> Any:
        """LocalAI writes `options: ["parallel:8", "swa_full:true"]`; a key of the name that it has here wins."""
        if not isinstance(data, Mapping):
            return data
        options = (str(option).partition(":") for option in to_list(data.get("options") or []))
        said = {_OPTIONS[key]: value for key, _, value in options if key in _OPTIONS}
        return {**said, **{key: value for key, value in data.items() if value is not None}}

    @model_validator(mode="before")
    @classmethod
    def _trained_context(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {**data, "trained_context": str(data.get("context_size")).strip() == "-1"}

    @model_validator(mode="after")
    def _sequences_within_limit(self) -> Self:
        if (self.slots or 0) + (self.holders or 0) > MAX_SEQUENCES:
            raise ValueError(f"slots and holders together may be at most {MAX_SEQUENCES}: lower one of them")
        return self

    @field_validator("cache_type_v")
    @classmethod
    def _values_can_be_read(cls, cache_type: CacheType, info: ValidationInfo) -> CacheType:
        if needs_flash_attention(cache_type) and info.data.get("flash_attention") == "off":
            raise ValueError(
                f"{cache_type} needs flash attention, and flash_attention is off: leave that out, or give f16 here"
            )
        return cache_type

    @property
    def cache_types(self) -> tuple[str, str]:
        """Of the KV cache's keys and values, as `core.gguf.kv_cache` names them."""
        return (self.cache_type_k or "f16").upper(), (self.cache_type_v or "f16").upper()

    @property
    def wants_trained_context(self) -> bool:
        """Whether contexts are as long as the weights allow: by `context_size: -1`, in v2.8 also where it is unset."""
        return self.trained_context or (self.defaults == "v2.8" and self.context_size is None)

    @property
    def records_prompts(self) -> bool:
        """Whether packs are made of what is served, as LocalAI has it: all, into the path given, unless read-only."""
        return bool(self.prompt_cache_all and self.prompt_cache_path and not self.prompt_cache_ro)

    @property
    def place(self) -> str:
        """Where the config stands, to begin an error with."""
        return str(self.source or self.name)

    @property
    def weights(self) -> Path:
        """The file or folder of the weights, always inside `root`; raises ModelUnusable where there is none."""
        model = self.parameters.model or self.name
        uris = {file.filename: file.uri for file in self.download_files if file.uri}
        made_from = self.optimized_from
        return locate_weights(
            self.root, model, asked_by=self.place, name=self.name, uri=uris.get(model), made_from=made_from
        )
