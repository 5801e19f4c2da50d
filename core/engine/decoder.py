"""What the engine needs of a model."""

from __future__ import annotations

from typing import Protocol

from core.engine.batch import Batch
from core.engine.mirror import KVCache
from core.engine.sequence import Sequence


class Decoder(KVCache, Protocol):
    """Computes batches and samples from them; only the engine's thread calls it."""

    @property
    def pieces(self) -> list[bytes]:
        """The bytes of every token of the vocabulary."""

    def open(self, seq: Sequence) -> None:
        """Prepare to sample for `seq`, which has just got its slot."""

    def close(self, seq: Sequence) -> None:
        """Free what `open` made; harmless for a sequence that was never opened."""

    def decode(self, batch: Batch) -> list[list[int]]:
        """Compute the batch; the tokens sampled for each chunk, none for one that wants none. Raises DecodeFailed.

        They are what would have been sampled one by one: the tokens of the draft as far as it was right, then one more.
        """
