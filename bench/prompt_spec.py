"""What a stage asks: the kind of its prompts, and their lengths in tokens."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from bench.strict import Strict

Api = Literal["chat", "completions", "embeddings"]
GOLDEN = (5**0.5 - 1) / 2


class Mixed(Strict):
    """The share `warm` of the requests is about one document that caches know, the others are about a text of their
    own, of the same length."""

    warm: float = Field(gt=0, lt=1)

    def is_warm(self, index: int) -> bool:
        """Whether the request at this place of its round is meant warm. Multiples of the golden ratio spread over the
        unit interval as evenly as any sequence does, without a period that clients could fall into step with (Knuth,
        The Art of Computer Programming 3, 6.4). The first request is warm, so a warm-up fills the cache."""
        return index * GOLDEN % 1 < self.warm


Cache: TypeAlias = Literal["cold", "warm"] | Mixed
"""What a prefix cache should know of a prompt when it comes: nothing, most of it, or one for these and the other for
those requests."""

SHORTEST_PROMPT = 16
"""Tokens of a user's message: room for a nonce and a few words."""


class Prompts(Strict):
    """What is asked, of which length. Lengths are tokens as the target itself counts them.

    unique: a text of its own for each request. shared-document: one document for the whole stage, each time with
    another short question at its end, so that prefix caches are the subject; with `cache: {warm: 0.7}` for 70 % of the
    requests, the others being unique. quote: copy a text word for word, so that drafts from the prompt can be right.
    file: conversations from a JSONL file."""

    kind: Literal["unique", "shared-document", "quote", "file"] = "unique"
    isl: int = Field(default=0, ge=0, description="of the user's message, without the chat template around it")
    osl: int = Field(default=0, ge=0, description="of the answer, exactly; embeddings have none")
    batch: int = Field(default=1, ge=1, description="texts in one request for embeddings")
    cache: Cache | None = Field(default=None, description="if unset, the workload's")
    file: str | None = Field(
        default=None, description='for kind file, beside the scenario: lines of {"messages": [{"role", "content"}]}'
    )
    sha256: str | None = Field(default=None, description="of `file`; filled in when the scenario is read")

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("`kind: file` and `file` belong together")
        if self.kind == "file" and self.isl:
            raise ValueError("`isl` is given by the file: leave it out")
        if self.kind != "file" and self.isl < SHORTEST_PROMPT:
            raise ValueError(f"`isl` must be at least {SHORTEST_PROMPT}")
        return self

    @property
    def words(self) -> str:
        asked = {
            "unique": f"about {self.isl} tokens in",
            "shared-document": f"{self._share}questions on one document, about {self.isl} tokens in",
            "quote": f"about {self.isl} tokens in, most of them to be quoted",
            "file": f"conversations of {self.file}",
        }[self.kind]
        return f"{asked}, {self.osl} out"

    @property
    def _share(self) -> str:
        return f"{self.cache.warm:.0%} " if isinstance(self.cache, Mixed) else ""

    def misfit(self, api: Api, cache: Cache) -> str | None:
        """Why these prompts cannot be measured so."""
        if self.kind == "shared-document" and cache == "cold":
            return "kind shared-document is about warm caches: say `cache: warm`"
        if self.kind in ("unique", "quote") and cache != "cold":
            return f"kind {self.kind} is cold by construction: say `cache: cold`"
        if self.kind == "file" and isinstance(cache, Mixed):
            return "a mix of warm and cold is for kind shared-document"
        if api == "embeddings":
            return self._misfit_of_embeddings()
        if self.osl < 2:
            return "`osl` must be at least 2"
        if self.batch > 1:
            return "`batch` is for embeddings"
        return "kind file needs the chat API" if self.kind == "file" and api != "chat" else None

    def _misfit_of_embeddings(self) -> str | None:
        if self.osl:
            return "embeddings have no `osl`"
        return None if self.kind == "unique" else "texts to embed are of kind unique"
