"""Which template makes a model's prompts: the config's Go templates, or the Jinja template inside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.prompt.localai import LocalAIPrompts


class OwnTemplate(Protocol):
    """The chat template inside the weights."""

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str: ...


def uses_own_template(config: ModelConfig) -> bool:
    """Whether chat goes through the template inside the weights: where the config asks for it or has none itself."""
    return bool(config.template.use_tokenizer_template) or not config.templates.keys() & {"chat", "chat_message"}


class Prompts:
    """All prompts of one text model. Thread-safe. Methods raise ModelUnusable where there is no usable template."""

    def __init__(self, config: ModelConfig, own: OwnTemplate | None) -> None:
        self._config = config
        self._own = own
        self._localai = LocalAIPrompts(config)

    def chat(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """`messages` as OpenAI has them; their content is text. Raises InvalidRequest if the template refuses them."""
        if not uses_own_template(self._config):
            return self._localai.chat(messages)
        if self._own:
            return self._own.render(messages)
        if self._config.compat == "strict" and not self._config.template.use_tokenizer_template:
            return self._localai.chat(messages)
        raise ModelUnusable(
            f"{self._config.name} has no chat template: its GGUF carries none and its YAML names none. "
            "Write template.chat, use /v1/completions, or take a model made for chat"
        )

    def completion(self, prompt: str) -> str:
        """`prompt` as it is, unless there is a template.completion."""
        return self._localai.completion(prompt)

    def edit(self, text: str, instruction: str) -> str:
        if "edit" not in self._config.templates and self._config.compat != "strict":
            raise ModelUnusable(
                f"{self._config.name} has no template for edits, so the instruction would be lost: write template.edit "
                "with {{.Instruction}} and {{.Input}}, or use /v1/chat/completions"
            )
        return self._localai.edit(text, instruction)
