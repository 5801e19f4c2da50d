"""A percentile, or the ratio of two, with the interval that holds the true one in 95 of 100 measurements.

On the logarithm, since ratios multiply: estimate +- t * s. s is the bootstrap's standard deviation, times
sqrt(n / (n - 1)) because drawing n of n rounds spreads too little (Hesterberg, What Teachers Should Know About the
Bootstrap, 2015, 3.2); t is Student's, with Welch's degrees of freedom. n counts rounds, and runs where there are
several: what is inside one run has that run's luck in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare.bootstrap import redrawn_percentiles
from bench.stats import percentile

T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
SEED = 7

Samples = Sequence[Sequence[Sequence[float]]]
"""Runs of rounds of values."""


def student_t(degrees: float) -> float:
    """The 97.5th percentile, of the next lower whole number of degrees; beyond 30 by its expansion around the
    normal's, z + (z^3 + z) / 4 degrees."""
    return T_975[max(1, int(degrees)) - 1] if degrees < 31 else 1.95996 + 2.3724 / degrees


@dataclass(frozen=True)
class Spread:
    """Of the logarithm of one side's percentile. `variance` is None where there is no repetition to tell it from."""

    log: float
    variance: float | None
    units: int


def spread(samples: Samples, p: float, by_run: bool) -> Spread:
    """None of the values' percentiles may be 0 or less."""
    center = math.log(percentile([value for run in samples for values in run for value in values], p))
    units = len(samples) if by_run else sum(map(len, samples))
    if units < 2:
        return Spread(center, None, units)
    levels = samples if by_run else [[values for run in samples for values in run]]
    redrawn = redrawn_percentiles(levels, p, np.random.default_rng(SEED))
    if redrawn.min() <= 0:
        return Spread(center, None, units)
    return Spread(center, float(np.var(np.log(redrawn), ddof=1)) * units / (units - 1), units)


@dataclass(frozen=True)
class Interval:
    """Of a value, or of a ratio of two. `half` is half its width on the logarithm, at `degrees` of freedom; None where
    it cannot be told."""

    value: float
    half: float | None
    degrees: float

    @property
    def low(self) -> float | None:
        return None if self.half is None else self.value * math.exp(-self.half)

    @property
    def high(self) -> float | None:
        return None if self.half is None else self.value * math.exp(self.half)

    def __str__(self) -> str:
        interval = "no interval" if self.half is None else f"{self.low:,.4g} to {self.high:,.4g}"
        return f"{self.value:,.4g} ({interval})"

    def rounds_for(self, half: float, units: int, most: int = 200) -> int | None:
        """How many units instead of `units` make it that narrow; None if not even `most` do. The spread falls with the
        square root of their number, t with the degrees of freedom."""
        if self.half is None or half <= 0:
            return None
        deviation = self.half / student_t(self.degrees)
        for wanted in range(units, most + 1):
            factor = wanted / units
            if student_t(self.degrees * factor) * deviation / math.sqrt(factor) <= half:
                return wanted
        return None


def of_value(a: Spread) -> Interval:
    return _interval(a.log, [a])


def of_ratio(a: Spread, b: Spread) -> Interval:
    """b / a."""
    return _interval(b.log - a.log, [a, b])


def _interval(log: float, sides: Sequence[Spread]) -> Interval:
    variances = [side.variance for side in sides if side.variance is not None]
    if len(variances) < len(sides):
        return Interval(math.exp(log), None, 1)
    total = sum(variances)
    parts = sum(v**2 / (side.units - 1) for v, side in zip(variances, sides, strict=True))
    degrees = total**2 / parts if parts else float(sum(side.units - 1 for side in sides))
    return Interval(math.exp(log), student_t(degrees) * math.sqrt(total), degrees)
