"""The messages of a chat, as they come and as a prompt template sees them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, field_validator


class ContentPart(BaseModel, strict=True):
    """One part of a message's content; only text is understood."""

    type: str
    text: str

    @field_validator("type")
    @classmethod
    def _is_text(cls, type: str) -> str:
        if type != "text":
            raise ValueError(f"{type!r} is not understood, models here read text only: send parts of type 'text'")
        return type


class Message(BaseModel, strict=True, extra="allow"):
    """`role` may be any: the model's template decides what it makes of it."""

    role: str
    content: str | list[ContentPart] | None = None

    def as_template_sees_it(self) -> dict[str, Any]:
        """`developer` is `system`, absent content is empty; parts and other fields stay as they came."""
        content = [dict(part) for part in self.content] if isinstance(self.content, list) else self.content or ""
        role = "system" if self.role == "developer" else self.role
        return {**(self.__pydantic_extra__ or {}), "role": role, "content": content}
