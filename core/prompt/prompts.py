"""Which template makes a model's prompts: the config's Go templates, or the Jinja template inside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.config.model import ModelConfig
from core.errors import InvalidRequest, ModelUnusable
from core.prompt.localai import LocalAIPrompts


class OwnTemplate(Protocol):
    """The chat template inside the weights."""

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str: ...


def uses_own_template(config: ModelConfig) -> bool:
    """Whether chat goes through the template inside the weights: where the config asks for it or has none itself."""
    return bool(config.template.use_tokenizer_template) or not config.templates.keys() & {"chat", "chat_message"}


class Prompts:
    """All prompts of one text model. Thread-safe. Methods raise ModelUnusable where a template cannot be used."""

    def __init__(self, config: ModelConfig, own: OwnTemplate | None) -> None:
        self._config = config
        self._own = own
        self._localai = LocalAIPrompts(config)

    def chat(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """`messages` as OpenAI has them. Raises InvalidRequest if the template refuses them.

        A content's parts are printed by the config's `template.multimodal`, and joined for the weights' own template.
        """
        if not uses_own_template(self._config):
            return self._localai.chat(messages)
        if self._own:
            return self._own.render([_with_joined_parts(message) for message in messages])
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
        """Raises InvalidRequest where there is no template for it."""
        if "edit" not in self._config.templates and self._config.compat != "strict":
            raise InvalidRequest(
                f"{self._config.name} has no template for edits, so the instruction would be lost: write template.edit "
                "with {{.Instruction}} and {{.Input}}, or use /v1/chat/completions",
                param="model",
            )
        return self._localai.edit(text, instruction)


def _with_joined_parts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": "".join(part["text"] for part in content)}
