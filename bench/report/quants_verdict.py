"""Which quantization pays on this host, and why."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.quants.choice import divergence, gains, is_faster, round_gains
from bench.quants.result import QuantForm, QuantsPart
from bench.report.blocks import Finding
from bench.result import Result
from core.optimize import MIN_GAIN

MOSTLY = 0.9
"""Of the weights: a form of which fewer have fast kernels is slowed down by the others."""


def findings(result: Result) -> Iterator[Finding]:
    """One of each form, once all is measured; the best comes first."""
    part = result.quants
    if part is None or part.best is None:
        return
    for form in sorted(part.forms, key=lambda form: form.quant != part.best):
        yield _finding(part, form)
    yield from (Finding(type, f"was not made: {reason}") for type, reason in part.not_made.items())


def _finding(part: QuantsPart, form: QuantForm) -> Finding:
    ratios, quality = gains(form, part.original), form.quality
    if ratios is None or quality is None:
        is_best = part.best == form.quant
        words = "keep it: nothing else is faster without measurable loss" if is_best else "the reference"
        return Finding(f"{form.quant}, the original", words, "good" if is_best else None)
    prefill, single, batch, all_three = (f"{ratio:.2f}" for ratio in ratios)
    if form.quant == part.best:
        each = f"prompts {prefill}, one sequence {single}, {part.sequences} sequences {batch}"
        return Finding(
            form.quant, f"pays: {all_three} times as fast as the original ({each}), no measurable loss", "good"
        )
    loss = "no measurable loss" if quality.is_lossless else f"at a loss: {_loss(form)}"
    if form.quant in (part.line or ()):
        words = f"one sequence {single} times as fast, {loss}"
        return Finding(form.quant, words, None if quality.is_lossless else "doubtful")
    return Finding(form.quant, f"does not pay: {_why_not(part, form)}; {loss}")


def _loss(form: QuantForm) -> str:
    quality = form.quality
    assert quality
    return f"KL {quality.divergence:.3f} nats, same top token in {100 * quality.same_top:.0f} %"


def _why_not(part: QuantsPart, form: QuantForm) -> str:
    """Some form of the line is closer to the original and not clearly slower."""
    by_name = {each.quant: each for each in part.forms}
    rivals = [by_name[name] for name in part.line or [] if divergence(by_name[name]) <= divergence(form)]
    rival = next(rival for rival in reversed(rivals) if not is_faster(form, rival))
    ratios = round_gains(form, rival)
    wins = sum(ratio > 1 for ratio in ratios)
    is_close = wins and median(ratios) >= MIN_GAIN
    words = (
        f"faster in only {wins} of {len(ratios)} rounds than " if is_close else "one sequence is no faster than with "
    )
    words += "the original" if rival is part.original else f"{rival.quant}, which is closer to the original"
    if form.fast_share is not None and form.fast_share < MOSTLY:
        words += f" (only {100 * form.fast_share:.0f} % of its weights have fast kernels here)"
    saved = rival.file_bytes - form.file_bytes
    return words + (f"; {saved / 1e6:.0f} MB smaller" if saved > 0 else "")
