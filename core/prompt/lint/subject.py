"""The model under examination: its prompts of a few conversations, and the vocabulary that reads them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

from core.config.model import ModelConfig
from core.config.problem import Severity
from core.config.templates import TemplateKind
from core.errors import CoreError
from core.prompt.config_template import TemplateFault
from core.prompt.prompts import OwnTemplate, Prompts

SYSTEM, QUESTION, ANSWER, REPLY = "Answer in few words.", "Which river is it?", "It is the Danube.", "How long is it?"
"""Contents of the probes. No one contains another."""


class Vocabulary(Protocol):
    """What the checks ask of a model."""

    @property
    def adds_bos(self) -> bool: ...
    @property
    def bos(self) -> int: ...
    @property
    def end_tokens(self) -> Collection[int]: ...
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def token_text(self, token: int) -> str: ...


@dataclass(frozen=True)
class Subject:
    """The model under examination."""

    config: ModelConfig
    own: OwnTemplate | None
    vocabulary: Vocabulary

    @cached_property
    def prompts(self) -> Prompts:
        return Prompts(self.config, self.own)

    def chat(self, *contents: str) -> str:
        """The prompt of user and assistant taking turns, behind a system message if the first content is SYSTEM.

        Raises CoreError as a request would.
        """
        return self.prompts.chat(conversation(contents))

    def own_chat(self, *contents: str) -> str | None:
        """The same by the template inside the weights; None if there is none, or if it refuses."""
        try:
            return self.own.render(conversation(contents)) if self.own else None
        except CoreError:
            return None

    def between(self, before: str, after: str, *contents: str) -> str:
        """What the template puts between two contents of a conversation; "" if it drops one of them."""
        _, found, rest = self.chat(*contents).partition(before)
        text, also_found, _ = rest.partition(after) if after else (rest, True, "")
        return text if found and also_found else ""

    def tokens(self, text: str) -> list[int]:
        return self.vocabulary.tokenize(text, add_special=False, parse_special=True)


@dataclass(frozen=True)
class Finding:
    """`kind` is the template at fault, `line` a line of it; an "error" makes its route unusable."""

    message: str
    kind: TemplateKind = "chat"
    severity: Severity = "warning"
    line: int | None = None

    @classmethod
    def refused(cls, error: CoreError, kind: TemplateKind = "chat", severity: Severity = "error") -> Self:
        """A prompt could not be made: it was that of `kind`, or the fault lies in a template that this one needs."""
        if isinstance(error, TemplateFault):
            return cls(error.reason, error.kind, severity, error.line)
        return cls(error.message, kind, severity)


Check = Callable[[Subject], Iterator[Finding]]


def conversation(contents: Sequence[str]) -> list[Mapping[str, Any]]:
    """OpenAI messages with these contents; see `Subject.chat`."""
    has_system = contents[0] == SYSTEM
    roles = itertools.chain(["system"] if has_system else [], itertools.cycle(["user", "assistant"]))
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
