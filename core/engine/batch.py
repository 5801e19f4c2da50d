"""What one decode call will compute."""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Chunk:
    """`seq.tokens[start:end]` at those positions. If `wants_token`, its last row's logits give the next token.

    The tokens of a `draft` follow at the positions behind them, each with logits of its own, for the sampler to verify.
    """

    seq: Sequence
    start: int
    end: int
    wants_token: bool
    draft: tuple[int, ...] = ()

    @property
    def num_tokens(self) -> int:
        """The rows that it takes."""
        return self.end - self.start + len(self.draft)


@dataclass(frozen=True, slots=True)
class Batch:
    """`slowdown`: how many times longer it should take than without its drafts."""

    chunks: tuple[Chunk, ...]
    slowdown: float = 1.0

    @property
    def num_tokens(self) -> int:
        return sum(chunk.num_tokens for chunk in self.chunks)
