"""How many prompt tokens the next batch reads, and whose.

Everybody waits for a whole batch: readers for their next token, new prompts for their turn, a client that goes away for
the end of its work. So what bounds a batch is its time at the measured speed, whatever the model and the host.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass

MAX_STALL = 0.5
"""Seconds by which prompts may delay the tokens of running streams. Half of it cost 3 % of all tokens/s with 8 clients
and 5 % with 32 (SmolLM2, 2 cores), since more steps then compute few streams each."""

MAX_STEP = 1.0
"""Seconds of a batch that nobody reads from."""

MIN_CHUNK = 64
"""Prompt tokens that a batch may hold in any case, and while no speed is known. Chunks of 64 reach 92 % of the speed of
larger ones, of 32 about 80 % (SmolLM2 Q4_1, Qwen2.5 0.5B Q4_K_M)."""

MICRO_BATCH = 512
"""Rows that are computed in one pass; llama.cpp's own default. A prompt in batches of 700, a whole pass and a small
one, was read at 94 % of the speed of whole ones."""


@dataclass(frozen=True)
class PrefillPolicy:
    """Bounds the prompt tokens of a batch of at most `max_batch` rows.

    `rate()` tells how many prompt tokens are read in a second; None while it is unknown. `max_scores` bounds prompt
    tokens x longest context: the attention scores of a pass, where they are written to memory.
    """

    max_batch: int
    max_scores: int | None = None
    rate: Callable[[], float | None] = lambda: None
    min_chunk: int = MIN_CHUNK

    def budget(self, num_streams: int, longest: int) -> int:
        """Beside as many running streams, where the longest sequence has as many tokens."""
        seconds = MAX_STALL if num_streams else MAX_STEP
        bounds = [int((self.rate() or 0) * seconds)]
        if self.max_scores:
            bounds.append(self.max_scores // longest)
        budget = min(self.max_batch - num_streams, max(self.min_chunk, min(bounds)))
        return budget if budget < MICRO_BATCH else budget - budget % MICRO_BATCH


def share(pending: List[int], budget: int) -> list[int]:
    """What each prompt gets of the budget, by the tokens it still needs, in order of admission.

    Half belongs to the oldest, so that it always gets on; the rest goes to those nearest to their first token, so that
    a question does not wait for a document.
    """
    shares = [0] * len(pending)
    if pending:
        shares[0] = min(pending[0], (budget + 1) // 2)
    left = budget - sum(shares)
    for index in sorted(range(len(pending)), key=lambda index: pending[index] - shares[index]):
        more = min(pending[index] - shares[index], left)
        shares[index] += more
        left -= more
    return shares
