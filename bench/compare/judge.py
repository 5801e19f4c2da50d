"""From two sides' values of one metric to a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, TypeAlias

from bench.compare.families import Repeated
from bench.compare.intervals import Interval, Samples, of_ratio, spread
from bench.compare.metrics import Metric
from bench.compare.places import Place
from bench.compare.side import Side
from bench.stats import percentile, required_samples

Verdict: TypeAlias = Literal["better", "worse", "same", "unresolved"]
THRESHOLD = 0.05
"""Relative change below which nobody would act, where no gate says another."""


@dataclass(frozen=True)
class Comparison:
    """`ratio` is B / A, None where one of them is not known; `margin` what it must be beyond, or within, the larger of
    the threshold and the noise floor; `rounds` each side had, `more` it would take to decide (None: none, or no number
    of rounds that anyone would run)."""

    metric: Metric | Repeated
    place: Place
    a: float | None
    b: float | None
    ratio: Interval | None
    margin: float
    noise: float | None
    rounds: tuple[int, int]
    verdict: Verdict
    reason: str = ""
    more: int | None = None

    @property
    def words(self) -> str:
        return str(self.ratio)

    @property
    def may_be_worse(self) -> bool:
        """Part of the interval lies beyond the margin, on the bad side."""
        if self.ratio is None or self.ratio.low is None or self.ratio.high is None:
            return True
        return self.ratio.low < 1 - self.margin if self.metric.better == "higher" else self.ratio.high > 1 + self.margin


def compare(a: Side, b: Side, place: Place, metric: Metric | Repeated, threshold: float = THRESHOLD) -> Comparison:
    """`better` and `worse`: the interval lies wholly beyond the margin; `same`: wholly within; else `unresolved`."""
    samples = a.samples(place, metric), b.samples(place, metric)
    values = _percentile(samples[0], metric.percentile), _percentile(samples[1], metric.percentile)
    noise = noise_floor(samples, metric.percentile)
    unresolved = Comparison(
        metric=metric,
        place=place,
        a=values[0],
        b=values[1],
        ratio=None,
        margin=max(threshold, noise or 0.0),
        noise=noise,
        rounds=(sum(map(len, samples[0])), sum(map(len, samples[1]))),
        verdict="unresolved",
    )
    reasons = [f"{name} {why}" for name, side in zip("AB", samples, strict=True) if (why := unusable(side, metric))]
    if reasons:
        return replace(unresolved, reason="; ".join(reasons))
    return _judged(unresolved, samples)


def _judged(comparison: Comparison, samples: tuple[Samples, Samples]) -> Comparison:
    by_run = min(map(len, samples)) > 1
    spreads = [spread(side, comparison.metric.percentile, by_run) for side in samples]
    ratio = of_ratio(*spreads)
    verdict = _verdict(ratio, comparison.margin, comparison.metric)
    judged = replace(comparison, ratio=ratio, verdict=verdict)
    if verdict != "unresolved":
        return judged
    reason, more = _missing(ratio, comparison.margin, min(s.units for s in spreads), "runs" if by_run else "rounds")
    return replace(judged, reason=reason, more=more)


def noise_floor(sides: tuple[Samples, Samples], p: float) -> float | None:
    """How far a round is from the median round of its side, in the median over both: |x / median - 1|. What differs by
    less differs as much from itself. None with fewer than two rounds on a side."""
    found = []
    for side in sides:
        rounds = [percentile(values, p) for run in side for values in run]
        if len(rounds) < 2 or not (middle := median(rounds)):
            return None
        found += [abs(value / middle - 1) for value in rounds]
    return median(found)


def _percentile(samples: Samples, p: float) -> float | None:
    values = [value for run in samples for values in run for value in values]
    return percentile(values, p) if values else None


def unusable(samples: Samples, metric: Metric | Repeated) -> str:
    """Why nothing can be said of it; empty if something can."""
    value = _percentile(samples, metric.percentile)
    if value is None:
        return f"has no {metric}"
    if value <= 0:
        return f"has a {metric} of {value:g}, which has no ratio to anything"
    count, wanted = sum(len(values) for run in samples for values in run), required_samples(metric.percentile)
    if metric.percentile > 50 and count < wanted and not _is_summary(samples):
        return f"has {count} values, p{metric.percentile} needs {wanted}"
    return ""


def _is_summary(samples: Samples) -> bool:
    """Nothing but a percentile that whoever measured it has computed."""
    return [[len(values) for values in run] for run in samples] == [[1]]


def _verdict(ratio: Interval, margin: float, metric: Metric | Repeated) -> Verdict:
    if ratio.low is None or ratio.high is None:
        return "unresolved"
    if ratio.low > 1 + margin:
        return "better" if metric.better == "higher" else "worse"
    if ratio.high < 1 - margin:
        return "worse" if metric.better == "higher" else "better"
    return "same" if ratio.low >= 1 - margin and ratio.high <= 1 + margin else "unresolved"


def _missing(ratio: Interval, margin: float, units: int, name: str) -> tuple[str, int | None]:
    """What it would take to decide: an interval that reaches no further than to the nearest edge of the margin."""
    if ratio.half is None:
        return f"each side needs at least 2 {name}", max(1, 2 - units)
    edges = [math.log(1 + margin)] + ([math.log(1 - margin)] if margin < 1 else [])
    wanted = ratio.rounds_for(min(abs(math.log(ratio.value) - edge) for edge in edges), units)
    if wanted is None:
        return f"the ratio lies at the edge of the margin: more than 200 {name} would be needed", None
    return f"about {wanted - units} more {name} on each side", wanted - units
