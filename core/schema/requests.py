"""The OpenAI requests we accept, with llama.cpp's and LocalAI's additions that our users send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, Field, field_validator

from core.errors import InvalidRequest
from core.schema.parameters import RequestBody

MAX_SEED = 2**32 - 2
"""llama.cpp's seeds have 32 bits and the largest means "random", as -1 does in requests; others are folded into it."""


class StreamOptions(BaseModel, strict=True):
    include_usage: bool = False
    include_obfuscation: bool = False


class Generation(RequestBody):
    """What chat and completions share. None means "not given": the model's YAML decides then."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool | None = None

    @field_validator("logit_bias")
    @classmethod
    def _keys_are_token_ids(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        if wrong := next((key for key in bias or () if not key.isdecimal()), None):
            raise ValueError(f"its keys are token ids; {wrong!r} is none")
        return bias

    def sampling(self) -> dict[str, Any]:
        """Keyword arguments for `TextRunner.submit`."""
        names = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty")
        return {name: getattr(self, name) for name in names} | {
            "logit_bias": tuple((int(token), bias) for token, bias in (self.logit_bias or {}).items()) or None,
            "seed": None if self.seed in (None, -1) else self.seed % (MAX_SEED + 1),
            "max_tokens": self.max_tokens,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "ignore_eos": bool(self.ignore_eos),
        }


class ContentPart(BaseModel, strict=True):
    """One part of a message's content; only text is understood."""

    type: Literal["text"]
    text: str


class Message(BaseModel, strict=True, extra="allow"):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    def as_template_sees_it(self) -> dict[str, Any]:
        """Parts are joined, `developer` is `system`, absent content is empty; other fields stay as they came."""
        parts = self.content if isinstance(self.content, list) else [ContentPart(type="text", text=self.content or "")]
        role = "system" if self.role == "developer" else self.role
        return {**(self.__pydantic_extra__ or {}), "role": role, "content": "".join(part.text for part in parts)}


class ChatRequest(Generation):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n": (1,),
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

    def sampling(self) -> dict[str, Any]:
        asked = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(asked) == 2:
            raise InvalidRequest("max_tokens and max_completion_tokens differ: send one", param="max_tokens")
        return super().sampling() | {"max_tokens": next(iter(asked), None)}


class CompletionRequest(Generation):
    prompt: str | list[str] | list[int] | list[list[int]]

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n": (1,),
        "best_of": (1,),
        "echo": (False,),
        "suffix": ("",),
        "logprobs": (0,),
    }

    def prompts(self) -> list[str] | list[list[int]]:
        """One entry for each choice of the reply."""
        if not self.prompt:
            raise InvalidRequest("prompt is empty: send at least one token", param="prompt")
        return _listed(self.prompt)


class EmbeddingRequest(RequestBody):
    model: str
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    def inputs(self) -> list[str] | list[list[int]]:
        """One entry for each vector of the reply."""
        return _listed(self.input)


def _listed(value: str | list[str] | list[int] | list[list[int]]) -> list[str] | list[list[int]]:
    if isinstance(value, str):
        return [value]
    if value and isinstance(value[0], int):
        return [value]
    return cast("list[str] | list[list[int]]", value)
