"""What is measured of a file of weights: its speed here, and its quality beside another. Needs no llama.cpp."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MAX_DIVERGENCE = 0.01
"""Nats. A form with less, whose perplexity is also within two standard errors of the original's, counts as no loss.
SmolLM2's Q4_1 file as Q8_0 has 0.005, as Q4_0 0.27."""


@dataclass(frozen=True)
class Rates:
    """Tokens per second: of a prompt, of one stream, of several streams together (`core.llama.rates`)."""

    prefill: float
    single: float
    batch: float

    def gain_over(self, other: Rates) -> float:
        """The geometric mean of the three ratios: as much as each kind of work gains, equally weighted."""
        ratios = (self.prefill / other.prefill, self.single / other.single, self.batch / other.batch)
        return math.prod(ratios) ** (1 / 3)


def median_rates(rounds: Sequence[Rates]) -> Rates:
    return Rates(
        statistics.median(each.prefill for each in rounds),
        statistics.median(each.single for each in rounds),
        statistics.median(each.batch for each in rounds),
    )


@dataclass(frozen=True)
class Quality:
    """Of a model q against a reference p over `num_tokens` tokens of a text; errors are standard errors of the mean.

    `perplexity` is exp(mean of -ln q(token)); its error is that of the mean times the perplexity, the first order of
    the exponential. `log_ratio` is ln(perplexity / reference_perplexity): the mean of ln p(token) - ln q(token), whose
    error is that of the pairs, since both read the same text. `divergence` is the mean of KL(p || q) = sum over the
    vocabulary of p ln(p / q), in nats (as llama.cpp's perplexity tool has it). `same_top` is the share of tokens for
    which both find the same next token the likeliest.
    """

    num_tokens: int
    perplexity: float
    perplexity_error: float
    reference_perplexity: float
    reference_perplexity_error: float
    log_ratio: float
    log_ratio_error: float
    divergence: float
    divergence_error: float
    same_top: float

    @property
    def change(self) -> float:
        """Of the perplexity, as a share of the reference's."""
        return math.expm1(self.log_ratio)

    @property
    def is_lossless(self) -> bool:
        """Whether the text shows no loss against the reference."""
        return self.divergence <= MAX_DIVERGENCE and self.log_ratio <= 2 * self.log_ratio_error
