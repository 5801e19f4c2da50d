"""Which quantization pays: the fastest without measurable loss, and what more speed costs beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.quants.result import QuantForm
from core.optimize import MIN_GAIN, Form, choose


def best_lossless(forms: Sequence[QuantForm]) -> str:
    """By the rule of `warmfn optimize`, so that both say the same. The first of `forms` is the original; all are
    measured."""
    original, *others = map(_as_form, forms)
    return choose(original, others).quant


def _as_form(form: QuantForm) -> Form:
    assert form.rates
    return Form(Path(form.quant), form.quant, form.file_bytes, True, form.rates, form.quality)


def pareto_line(forms: Sequence[QuantForm]) -> list[str]:
    """From the original, the first of `forms`, to less exact ones: each is faster than all that are closer to it."""
    original, *others = forms
    line = [original]
    for form in sorted(others, key=divergence):
        if all(is_faster(form, other) for other in line):
            line.append(form)
    return [form.quant for form in line]


def divergence(form: QuantForm) -> float:
    """Mean KL(original || form) in nats; the original has none from itself. Below zero there is only rounding."""
    return max(0.0, form.quality.divergence) if form.quality else 0.0


def gains(form: QuantForm, original: QuantForm) -> tuple[float, float, float, float] | None:
    """How many times as fast: prompts, one sequence, several, and the geometric mean. None before both are timed."""
    mine, its = form.rates, original.rates
    if mine is None or its is None:
        return None
    return mine.prefill / its.prefill, mine.single / its.single, mine.batch / its.batch, mine.gain_over(its)


def is_faster(form: QuantForm, other: QuantForm) -> bool:
    """At generating one sequence: in every round, and by more than such a measurement varies in the median one."""
    ratios = round_gains(form, other)
    return min(ratios) > 1 and median(ratios) >= MIN_GAIN


def round_gains(form: QuantForm, other: QuantForm) -> list[float]:
    """How many times as fast one sequence was in each round. The two took turns, so that what disturbed a round met
    both."""
    return [mine.single / its.single for mine, its in zip(form.rounds, other.rounds, strict=True)]
