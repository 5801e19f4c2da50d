"""The messages of a chat, as they come and as a prompt template sees them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


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
