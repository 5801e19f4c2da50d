"""The fields that LocalAI gives its templates, and which of them the templates of a config read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.prompt.gotemplate import GoTemplate
    from core.prompt.gotemplate.reads import FieldRead

PROMPT_FIELDS: dict[str, Any] = {
    "SystemPrompt": "",
    "SuppressSystemPrompt": False,
    "Input": "",
    "Instruction": "",
    "Functions": None,
    "MessageIndex": 0,
    "ReasoningEffort": "",
    "Metadata": None,
}
"""What a template of a whole prompt may use, and what stands there if nothing else does."""

MESSAGE_FIELDS = (
    *("SystemPrompt", "Role", "RoleName", "Content", "MessageIndex", "LastMessage"),
    *("FunctionName", "FunctionCall", "Function"),
)

_OFFERED: Mapping[str, Iterable[str]] = {
    "chat_message": MESSAGE_FIELDS,
    "multimodal": ("Text", "Audio", "Images", "Video"),
}


def offered(kind: str) -> Iterable[str]:
    """The fields of a template of this kind."""
    return _OFFERED.get(kind, PROMPT_FIELDS)


def unknown_reads(kind: str, template: GoTemplate) -> list[FieldRead]:
    """For each field that does not exist its first reading, before all others those that no rendering avoids."""
    known = offered(kind)
    reads: dict[str, FieldRead] = {}
    for read in sorted(template.root_reads(), key=lambda read: not read.always):
        if read.name not in known:
            reads.setdefault(read.name, read)
    return list(reads.values())
