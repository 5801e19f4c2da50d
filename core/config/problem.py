"""One thing wrong with one file of a models folder, in words for the person who wrote the file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.errors import ModelUnusable

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """What is wrong, a colon, and what to do about it.

    An "error" makes the file's model unusable, or one of its routes: a broken chat template leaves completions working.
    A "warning" does not. `model` is the model it is about, None where that much of the file could not be read or
    another file's model has taken the name.
    """

    file: str
    line: int | None
    key: str | None
    message: str
    severity: Severity = "error"
    model: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)

    @property
    def is_pending(self) -> bool:
        """Whether it says no more than that a model waits for being pulled or made."""
        return self.message.startswith((NOT_PULLED, NOT_MADE))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


NOT_PULLED, NOT_MADE = "not pulled yet", "not made yet"


class ConfigFault(ModelUnusable):
    """A ModelUnusable that knows which `key` of its YAML is at fault; `reason` is the message without the place."""

    def __init__(self, source: object, key: str, reason: str) -> None:
        super().__init__(f"{source}: {key}: {reason}")
        self.key = key
        self.reason = reason


class NotPulled(ConfigFault):
    """Weights are missing that the folder's own gallery knows."""


class NotMade(ConfigFault):
    """Weights are missing that `warmfn optimize` makes of another model's."""
