"""Measured rates of one model on this host, and the estimates that rest on them."""

from __future__ import annotations

import math
import time

from core.engine.batch import Batch
from core.limits import MeasuredLimits

MEMORY = 0.8
"""What a step leaves of the weight of those before it: a rate follows a change of load within about ten steps."""

MIN_PREFILL = 32
"""Prompt tokens that a batch must have to tell how fast prompts are read: a few take as long as many."""

FRESH = 60.0
"""Seconds for which a rate is good enough to refuse work: who is refused measures nothing, so it must not last."""


PRIOR_SECONDS = 0.5
"""What a rate that is known beforehand weighs: as much as half a second of steps, which fades as theirs does."""


class Rate:
    """Tokens per second of the newest steps, long ones counting for more; None until there was one.

    A `prior` rate counts as a first observation.
    """

    def __init__(self, prior: float | None = None) -> None:
        self._tokens = self._seconds = 0.0
        self._observed_at = -math.inf
        if prior is not None:
            self.observe(prior * PRIOR_SECONDS, PRIOR_SECONDS)

    def observe(self, tokens: float, seconds: float) -> None:
        self._tokens = MEMORY * self._tokens + tokens
        self._seconds = MEMORY * self._seconds + seconds
        self._observed_at = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self._observed_at + FRESH

    @property
    def per_second(self) -> float | None:
        return self._tokens / self._seconds if self._seconds else None


class Speed:
    """Tokens per second of prompts and of generation, over all running sequences together.

    The engine's thread observes, any thread may read. Rates start from what the bench measured on this host
    (`core.limits`). Without that they are None until something was measured, and estimates fall back to a guess of
    `GUESS` tokens per second.
    """

    GUESS = 50.0

    def __init__(self, measured: MeasuredLimits | None = None) -> None:
        self._prefill = Rate(measured.prefill_tok_s if measured else None)
        self._decode = Rate(measured.decode_tok_s if measured else None)

    @property
    def prefill(self) -> float | None:
        return self._prefill.per_second

    @property
    def decode(self) -> float | None:
        return self._decode.per_second

    @property
    def fresh_prefill(self) -> float | None:
        """None also where the rate is too old to rely on."""
        return self.prefill if self._prefill.is_fresh else None

    def observe(self, batch: Batch, seconds: float) -> None:
        """A decoded batch counts as prefill if prompts dominate its time, and not at all if they only disturb it.

        Of generation this is the rate without drafts: what they save depends on the text.
        """
        prompt = _prompt_tokens(batch)
        if prompt >= MIN_PREFILL:
            self._prefill.observe(batch.num_tokens, seconds)
        elif not prompt:
            self._decode.observe(len(batch.chunks), seconds / batch.slowdown)

    def step_seconds(self, batch: Batch) -> float:
        """How long the batch should take; 0 until something like it was measured."""
        if _prompt_tokens(batch) >= MIN_PREFILL:
            return batch.num_tokens / self.prefill if self.prefill else 0.0
        tokens = sum(chunk.end - chunk.start for chunk in batch.chunks)
        return tokens * batch.slowdown / self.decode if self.decode else 0.0

    def seconds(self, num_prompt: int, num_completion: int) -> float:
        """Time to compute that many tokens of each kind with nothing else running."""
        return num_prompt / (self.prefill or self.GUESS) + num_completion / (self.decode or self.GUESS)


def _prompt_tokens(batch: Batch) -> int:
    return sum(chunk.num_tokens for chunk in batch.chunks if chunk.end - chunk.start > 1)
