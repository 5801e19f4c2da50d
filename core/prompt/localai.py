"""Prompts as LocalAI builds them: each message through `template.chat_message`, all of them through `template.chat`.

The rules are LocalAI's, byte for byte, where everything works. Where a template is missing or fails, LocalAI silently
goes on with untemplated text; here that is an error, unless the config says `compat: strict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config.model import ModelConfig
from core.config.template_fields import PROMPT_FIELDS
from core.config.templates import TemplateKind
from core.prompt.config_template import ConfigTemplate
from core.prompt.gotemplate import to_json
from core.prompt.media import MediaText

Message = Mapping[str, Any]
"""OpenAI's: role, content (text or parts), and where they apply name, tool_calls, function_call."""


class LocalAIPrompts:
    """A config's Go templates, roles and system prompt. Thread-safe. Every method raises ModelUnusable, naming the
    template and its line, where one cannot be used."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._templates: dict[TemplateKind, ConfigTemplate] = {
            kind: ConfigTemplate(config.name, kind, source, is_strict=config.compat == "strict")
            for kind, source in config.templates.items()
        }
        self._media = MediaText(self._templates.get("multimodal"))

    def chat(
        self,
        messages: Sequence[Message],
        functions: Sequence[Mapping[str, Any]] | None = None,
        *,
        use_functions: bool = False,
        grammar_set: bool = False,
    ) -> str:
        """`functions` (name, description, parameters, perhaps strict) are what templates see as `.Functions`; with
        `use_functions` the prompt goes through `template.function` instead of `template.chat`. `grammar_set` tells the
        last message's template that the answer will be held to a grammar (`.Function`)."""
        suppress = False
        parts: list[str] = []
        contents = self._media.contents(messages)
        for index, (message, content) in enumerate(zip(messages, contents, strict=True)):
            is_last = index == len(messages) - 1
            text = self._templated_message(message, content, index, is_last, grammar_set)
            if text == "":
                continue  # a template that prints nothing for a message drops it
            if text is None:
                text = self._plain_message(message, content)
                suppress = suppress or (message["role"] == "system" and bool(content))
            parts.append(text)
        joiner = self._config.template.join_chat_messages_by_character
        joined = ("\n" if joiner is None else joiner).join(parts)
        wrapper: TemplateKind = "function" if use_functions and "function" in self._templates else "chat"
        return self._wrap(wrapper, joined, Functions=functions, SuppressSystemPrompt=suppress)

    def completion(self, prompt: str) -> str:
        return self._wrap("completion", prompt)

    def edit(self, text: str, instruction: str) -> str:
        return self._wrap("edit", text, Instruction=instruction)

    def _wrap(self, kind: TemplateKind, text: str, **fields: Any) -> str:
        """`text` as `.Input` of the template; as it is where there is none."""
        data = PROMPT_FIELDS | {"Input": text, "SystemPrompt": self._config.system_prompt or ""} | fields
        template = self._templates.get(kind)
        printed = template.render(data) if template else None
        return text if printed is None else printed

    def _templated_message(
        self, message: Message, content: str, index: int, is_last: bool, grammar_set: bool
    ) -> str | None:
        """None: there is no template for messages, or it failed and LocalAI would take the plain form."""
        template = self._templates.get("chat_message")
        if template is None:
            return None
        role = self._role(message)
        return template.render(
            {
                "SystemPrompt": self._config.system_prompt or "",
                "Role": self._config.roles.get(role, ""),
                "RoleName": role,
                "FunctionName": message.get("name") or "",
                "Content": content,
                "FunctionCall": message.get("tool_calls") or message.get("function_call"),
                "Function": grammar_set and is_last,
                "LastMessage": is_last,
                "MessageIndex": index,
            }
        )

    def _plain_message(self, message: Message, content: str) -> str:
        """The role's prefix and the content, then any calls as JSON; without content the last call is all there is."""
        prefix = self._config.roles.get(self._role(message), "")
        text = prefix + content if content else ""
        for call in (message.get("function_call"), message.get("tool_calls")):
            if call is not None:
                written = (prefix + " " if prefix else "") + to_json(call)
                text = f"{text}\n{written}" if content else written
        return text

    def _role(self, message: Message) -> str:
        role = str(message["role"])
        calls = message.get("function_call") is not None or message.get("tool_calls") is not None
        if calls and role == "assistant" and self._config.roles.get("assistant_function_call"):
            return "assistant_function_call"
        return role
