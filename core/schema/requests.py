"""The OpenAI requests we accept, with llama.cpp's and LocalAI's additions that our users send."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, Field, field_validator

from core.config.scalars import brief
from core.errors import InvalidRequest
from core.prompt.pattern import compile_pattern
from core.schema.messages import Message
from core.schema.parameters import Payload, RequestBody

MAX_SEED = 2**32 - 2
"""llama.cpp's seeds have 32 bits and the largest means "random", as -1 does in requests; others are folded into it."""

MAX_INT32 = 2**31 - 1
"""llama.cpp counts in 32 bits."""

MAX_FLOAT32 = 3.4e38
"""Its numbers have as many; what is beyond becomes infinity."""

MAX_STOPS = 64
"""Each is looked for in every stream after every token, while all streams wait."""

TOKEN_ID = re.compile("0|[1-9][0-9]{0,9}")

PENALTIES = ("repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty")
DRAW = ("top_k", "top_p", "min_p", "typical_p")
SAMPLING = ("temperature", *DRAW, *PENALTIES, "mirostat", "mirostat_tau", "mirostat_eta")
"""Fields that say how the next token is chosen; mirostat takes the place of DRAW."""


class StreamOptions(BaseModel, strict=True):
    include_usage: bool = False
    include_obfuscation: bool = False


class Generation(RequestBody):
    """What chat, completions and edits share. None means "not given": the model's YAML decides then.

    `max_tokens` 0 and -1 are LocalAI's "no limit": until the model ends or the context is full.
    """

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=-1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=MAX_INT32)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    typical_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    repeat_last_n: Annotated[int, Field(ge=-1, le=MAX_INT32)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    mirostat: Literal[0, 1, 2] | None = None
    mirostat_tau: Annotated[float, Field(ge=0, le=MAX_FLOAT32)] | None = None
    mirostat_eta: Annotated[float, Field(ge=0, le=MAX_FLOAT32)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool | None = None

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {
        "n": (1,),
        "backend": ("",),
        "grammar": ("",),
        "grammar_json_functions": ({},),
        "negative_prompt": ("",),
        "negative_prompt_scale": (0,),
        "rope_freq_base": (0,),
        "rope_freq_scale": (0,),
        "tfz": (0, 1),
    }
    without_effect = RequestBody.without_effect | {"batch", "language", "n_keep"}

    @field_validator("logit_bias")
    @classmethod
    def _keys_are_token_ids(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        for key in bias or ():
            if not TOKEN_ID.fullmatch(key):
                raise ValueError(f"its keys are token ids; {brief(key)} is none")
        return bias

    @field_validator("stop")
    @classmethod
    def _stops_are_few(cls, stop: str | list[str] | None) -> str | list[str] | None:
        if isinstance(stop, list) and len(stop) > MAX_STOPS:
            raise ValueError(f"has {len(stop)} texts, and a request may have {MAX_STOPS}: leave some out")
        return stop

    @property
    def warnings(self) -> list[str]:
        warnings = super().warnings
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            warnings.append(
                f"max_completion_tokens ({self.max_completion_tokens}) wins over max_tokens ({self.max_tokens})"
            )
        unused = [name for name in DRAW if getattr(self, name) is not None] if self.mirostat else []
        return warnings + [f"{name} has no effect beside mirostat" for name in unused]

    def sampling(self) -> dict[str, Any]:
        """Keyword arguments for `TextRunner.submit`; a `max_tokens` of -1 is no limit."""
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return {name: getattr(self, name) for name in SAMPLING} | {
            "logit_bias": tuple((int(token), bias) for token, bias in (self.logit_bias or {}).items()) or None,
            "seed": None if self.seed in (None, -1) else self.seed % (MAX_SEED + 1),
            "max_tokens": -1 if limit == 0 else limit,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "ignore_eos": self.ignore_eos,
        }


class ChatRequest(Generation):
    """`tools` beside `tool_choice: none`, and `functions` beside `function_call: none`, are left out of the prompt."""

    messages: Annotated[list[Message], Field(min_length=1)]

    unsupported = Generation.unsupported | {
        "echo": (False,),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "functions": ([],),
        "function_call": ("none", "auto"),
        "response_format": ({"type": "text"},),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "reasoning_effort": (),
        "verbosity": (),
        "web_search_options": (),
    }
    without_effect = Generation.without_effect | {"parallel_tool_calls"}

    @classmethod
    def parse(cls, payload: object) -> Self:
        if isinstance(payload, Mapping):
            choices = {"tools": "tool_choice", "functions": "function_call"}
            off = {tools for tools, choice in choices.items() if payload.get(choice) == "none"}
            payload = {name: value for name, value in payload.items() if name not in off}
        return super().parse(payload)


class CompletionRequest(Generation):
    """`echo` puts each prompt before its completion."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool | None = None

    unsupported = Generation.unsupported | {"best_of": (1,), "suffix": ("",), "logprobs": (0,)}

    def sampling(self) -> dict[str, Any]:
        return super().sampling() | {"echo": self.echo}

    def prompts(self) -> list[str] | list[list[int]]:
        """One entry for each choice of the reply."""
        if not self.prompt:
            raise InvalidRequest("prompt is empty: send at least one token", param="prompt")
        prompts = _listed(self.prompt)
        if self.echo and not isinstance(prompts[0], str):
            raise InvalidRequest("echo gives back text, not tokens: send the prompt as text, or no echo", param="echo")
        return prompts


class EditRequest(Generation):
    """OpenAI's old route: a model changes `input` as the `instruction` says."""

    instruction: str
    input: str | list[str] = ""

    unsupported = Generation.unsupported | {"echo": (False,), "stream": (False,)}

    def inputs(self) -> list[str]:
        """One entry for each choice of the reply."""
        if self.input == []:
            raise InvalidRequest("input is an empty list: send at least one text", param="input")
        return [self.input] if isinstance(self.input, str) else self.input


class EmbeddingRequest(RequestBody):
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    def inputs(self) -> list[str] | list[list[int]]:
        """One entry for each vector of the reply."""
        return _listed(self.input)


class ModelsQuery(Payload):
    """What `GET /v1/models` may be asked in its URL: `?filter=REGEX`.

    LocalAI's `excludeConfigured=false` adds files of weights to the list. Here a model answers to its own name only.
    """

    filter: str = ""

    without_effect = Payload.without_effect | {"excludeConfigured"}

    def selector(self) -> Callable[[str], bool]:
        """Whether a name matches `filter`; raises InvalidRequest if that is no regular expression of Go's."""
        try:
            expression = compile_pattern(self.filter)
        except ValueError as error:
            raise InvalidRequest(f"filter: {error}", param="filter") from None
        return lambda name: expression.search(name) is not None


def _listed(value: str | list[str] | list[int] | list[list[int]]) -> list[str] | list[list[int]]:
    if isinstance(value, str):
        return [value]
    if value and isinstance(value[0], int):
        return [value]
    return cast("list[str] | list[list[int]]", value)
