"""Texts of a config that no prompt of its model would show."""

from __future__ import annotations

from collections.abc import Iterator

from core.config.document import KeyPath
from core.config.model import ModelConfig
from core.config.templates import TemplateKind
from core.prompt.gotemplate import GoTemplate, TemplateError
from core.prompt.prompts import uses_own_template

_OTHERS: tuple[TemplateKind, ...] = ("completion", "edit", "function")
_OWN = "chat goes through the template inside the weights; write template.chat_message and template.chat, and "


def unused_texts(config: ModelConfig) -> Iterator[tuple[KeyPath, str]]:
    """(key, what to do) for `system_prompt` and `roles` that nothing prints; `config` has its templates."""
    if config.embeddings or any(source.problem for source in config.templates.values()):
        return
    is_own = uses_own_template(config)
    chat: tuple[TemplateKind, ...] = () if is_own else ("chat", "chat_message")
    if config.system_prompt and not any(_prints(config, kind, "SystemPrompt") for kind in (*chat, *_OTHERS)):
        remedy = "print {{.SystemPrompt}} in a template"
        yield ("system_prompt",), f"no prompt shows it: {_OWN if is_own else ''}{remedy}"
    if config.roles and is_own and config.compat != "strict":
        yield ("roles",), f"no prompt shows them: {_OWN}print {{{{.Role}}}} for each message"
    elif config.roles and "chat_message" in config.templates and not _prints(config, "chat_message", "Role"):
        yield ("roles",), "no prompt shows them: print {{.Role}} in template.chat_message, or remove them"


def _prints(config: ModelConfig, kind: TemplateKind, field: str) -> bool:
    source = config.templates.get(kind)
    try:
        return source is not None and field in GoTemplate(source.text).fields
    except TemplateError:  # in strict mode this is no problem: LocalAI goes on without the template
        return False
