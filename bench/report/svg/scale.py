"""From data to pixels, and where the ticks of an axis stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """`low` is drawn at `start`, `high` at `end`; `log` needs both above 0."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(v) for v in (self.low, self.high, value)) if self.log else (
            self.low, self.high, value)  # fmt: skip
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round numbers within the scale."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, about)


def fitted(values: Iterable[float], start: float, end: float, *, log: bool = False, from_zero: bool = False) -> Scale:
    """Around all values with a little air, so that no mark is cut; `from_zero` where lengths or heights are compared.
    A logarithmic one leaves out what has no logarithm."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    low, high = (min(known), max(known)) if known else (1.0, 10.0)
    if log:
        air = (high / low) ** 0.05 if high > low else 2.0
        return Scale(low / air, high * air, start, end, log=True)
    if from_zero and low >= 0:
        return Scale(0.0, high * 1.06 or 1.0, start, end)
    air = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return Scale(low - air, high + air, start, end)


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in STEPS if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 times them over few decades; linear ones within less than one."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high / low < 5:
        return linear_ticks(low, high, 4)
    multiples = (1.0, 2.0, 5.0) if high / low < 500 else (1.0,)
    return [tick for power in decades for m in multiples if low <= (tick := m * 10.0**power) <= high]


def tick_label(value: float) -> str:
    """Short: 2,500 and 25k, 0.05 and 0."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.4g}k"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
