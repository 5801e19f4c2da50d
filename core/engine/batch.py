"""What one decode call will compute."""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Chunk:
    """`seq.tokens[start:end]` at those positions. If `wants_token`, its last row's logits give the next token."""

    seq: Sequence
    start: int
    end: int
    wants_token: bool

    @property
    def num_tokens(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Batch:
    chunks: tuple[Chunk, ...]

    @property
    def num_tokens(self) -> int:
        return sum(chunk.num_tokens for chunk in self.chunks)
