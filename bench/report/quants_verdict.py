"""Which quantization pays on this host, and why."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.quants.choice import divergence, gains, is_faster, round_gains
from bench.quants.result import QuantForm, QuantsPart
from bench.report.blocks import Finding
from bench.result import Result
from core.llama.measures import Quality
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
    ratios, quality, is_best = gains(form, part.original), form.quality, form.quant == part.best
    if ratios is None or quality is None:
        words = "keep it: nothing else is faster without measurable loss" if is_best else "the reference"
        return Finding(f"{form.quant}, the original", words, "good" if is_best else None)
    prefill, single, batch, all_three = (f"{ratio:.2f}" for ratio in ratios)
    loss = "no measurable loss" if quality.is_lossless else _loss(quality)
    if is_best:
        each = f"prompts {prefill}, one sequence {single}, {part.sequences} sequences {batch}"
        return Finding(form.quant, f"pays: {all_three} times as fast as the original ({each}), {loss}", "good")
    if form.quant in (part.pareto or ()):
        state = None if quality.is_lossless else "doubtful"
        return Finding(form.quant, f"faster: {single} times the original in one sequence; {loss}", state)
    return Finding(form.quant, f"does not pay: {_why_not(part, form)}; {loss}")


def _loss(quality: Quality) -> str:
    return f"loses: KL {quality.divergence:.3f} nats, same top token in {100 * quality.same_top:.0f} %"


def _why_not(part: QuantsPart, form: QuantForm) -> str:
    """Some form of the line is closer to the original and not clearly slower."""
    by_name = {each.quant: each for each in part.forms}
    rivals = [by_name[name] for name in part.pareto or [] if divergence(by_name[name]) <= divergence(form)]
    rival = next(rival for rival in reversed(rivals) if not is_faster(form, rival))
    name = "the original" if rival is part.original else f"{rival.quant}, which is closer to the original,"
    ratios = round_gains(form, rival)
    if median(ratios) >= MIN_GAIN:
        words = f"faster than {name} in only {sum(ratio > 1 for ratio in ratios)} of {len(ratios)} rounds"
    else:
        words = f"{name} is no slower in one sequence"
    if (saved := rival.file_bytes - form.file_bytes) > 0:
        words += f", though {saved / 1e6:.0f} MB larger"
    if form.fast_share is not None and form.fast_share < MOSTLY:
        words += f"; only {100 * form.fast_share:.0f} % of {form.quant}'s weights have fast kernels here"
    return words
