"""Measured rates of one model on this host, and the estimates that rest on them."""

from __future__ import annotations

from core.engine.batch import Batch

SMOOTHING = 0.2
"""Weight of the newest step; a rate follows a change of load within about ten steps."""


class Speed:
    """Tokens per second of prompts and of generation, over all running sequences together.

    The engine's thread observes, any thread may read. Until something was measured the rates are None and estimates
    fall back to a guess of `GUESS` tokens per second.
    """

    GUESS = 50.0

    def __init__(self) -> None:
        self.prefill: float | None = None
        self.decode: float | None = None

    def observe(self, batch: Batch, seconds: float) -> None:
        """A decoded batch counts as prefill if any prompt had a part in it: then prompts dominate its time."""
        rate = batch.num_tokens / seconds
        if any(chunk.num_tokens > 1 for chunk in batch.chunks):
            self.prefill = _smoothed(self.prefill, rate)
        else:
            self.decode = _smoothed(self.decode, rate)

    def seconds(self, num_prompt: int, num_completion: int) -> float:
        """Time to compute that many tokens of each kind with nothing else running."""
        return num_prompt / (self.prefill or self.GUESS) + num_completion / (self.decode or self.GUESS)


def _smoothed(old: float | None, new: float) -> float:
    return new if old is None else old + SMOOTHING * (new - old)
