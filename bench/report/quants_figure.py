"""Decode speed against KL divergence: what more speed costs."""

from __future__ import annotations

from bench.quants.choice import divergence
from bench.quants.result import QuantForm, QuantsPart
from bench.report.figures import Limit, LinePlot, Series


def speed_against_loss(part: QuantsPart, line: list[str]) -> LinePlot:
    """On a logarithm the original, which has no divergence from itself, has no place but a height."""
    original = part.original.rates
    assert original
    measured = sorted((form for form in part.forms if form.quality), key=divergence)
    on_line = [form for form in measured if form.quant in line]
    others = [form for form in measured if form.quant not in line]
    series = [_points("on the Pareto line", on_line), _points("not on it", others)]
    if len(on_line) > 1:
        series.append(Series("Pareto line", series[0].x, series[0].y, dashed=True))
    return LinePlot(
        "Speed against loss",
        "each point is the median of the rounds, its bar their range. Up and to the left is better.",
        "KL divergence from the original, nats",
        "decode tok/s, one sequence",
        tuple(one for one in series if one.x),
        (Limit(f"{part.original.quant}, the original", original.single),),
        log_x=True,
    )


def _points(name: str, forms: list[QuantForm]) -> Series:
    rates = [[one.single for one in form.rounds] for form in forms]
    return Series(
        name,
        tuple(divergence(form) for form in forms),
        tuple(form.rates.single if form.rates else None for form in forms),
        low=tuple(map(min, rates)),
        high=tuple(map(max, rates)),
        is_points=True,
        labels=tuple(form.quant for form in forms),
    )
