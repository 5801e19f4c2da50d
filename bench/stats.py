"""The few statistics that the report stands on, and the rule for how many samples each needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

CONFIDENCE = 0.99
TAILS = (90, 95, 99)
Z95 = 1.959964
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Distribution:
    """A percentile that `n` samples cannot support is None; `p_supported` is the highest one they can. What another
    tool did not tell is None too."""

    n: int
    mean: float
    sd: float | None
    min: float | None
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None
    p_supported: int


def required_samples(p: float) -> int:
    """Samples that hold one beyond the p-th percentile with 99 % confidence (MLPerf's early-stopping bound with no
    miss): 44 for p90, 90 for p95, 459 for p99."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(p / 100))


def percentile(values: Sequence[float], p: float) -> float:
    """Linear between the two nearest ranks."""
    ordered = sorted(values)
    rank = (len(ordered) - 1) * p / 100
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def describe(values: Sequence[float]) -> Distribution | None:
    """None for no values."""
    if not values:
        return None
    n = len(values)
    tails = {p: percentile(values, p) if n >= required_samples(p) else None for p in TAILS}
    return Distribution(
        n=n,
        mean=fmean(values),
        sd=stdev(values) if n > 1 else 0.0,
        min=min(values),
        p50=median(values),
        p90=tails[90],
        p95=tails[95],
        p99=tails[99],
        max=max(values),
        p_supported=max((p for p in TAILS if tails[p] is not None), default=50),
    )


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """The interval of a share (Wilson 1927), by default of 95 %: honest also for few trials and for shares near 0 and
    1, where n successes of n prove no more than n / (n + z^2). Nothing tried is (0, 1)."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def stratified(strata: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """(successes, n) of the simple trials that tell as much as these strata of one size, each (successes, n): n over
    the design effect, which is the mean variance within the strata over that of the pool (Kish 1965). Shares are drawn
    to a half as Wilson's centre is, so that a faultless stratum is not taken for certain."""
    shares = [(successes + Z95**2 / 2) / (n + Z95**2) for successes, n in strata]
    pooled = fmean(shares)
    effect = fmean(share * (1 - share) for share in shares) / (pooled * (1 - pooled))
    return sum(successes for successes, _ in strata) / effect, sum(n for _, n in strata) / effect


def wilson_ratio(share: tuple[float, float], base: tuple[float, float], z: float = Z95) -> tuple[float, float]:
    """The interval of share / base, each (successes, n) with some success in the base: where the interval of share - c
    base, with the variances recovered from those of Wilson, just reaches 0 (MOVER-R: Donner and Zou 2012, Stat. Methods
    Med. Res. 21:347). Both are roots in c of c^2 l0 (2 p0 - l0) - 2 c p p0 + u (2 p - u), l and u exchanged."""
    (p, low, high), (p0, low0, high0) = ((k / n, *wilson(k, n, z)) for k, n in (share, base))
    product, ends = p * p0, (low * (2 * p - low), high * (2 * p - high))
    bases = (high0 * (2 * p0 - high0), low0 * (2 * p0 - low0))
    least = product + math.sqrt(max(0.0, product**2 - ends[0] * bases[0]))
    most = product + math.sqrt(max(0.0, product**2 - ends[1] * bases[1]))
    return ends[0] / least if p else 0.0, most / bases[1]


def median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    return numerator / denominator if numerator is not None and denominator else None
