"""The quantizations of one file side by side: speed, quality, memory, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator

from bench.quants.choice import gains
from bench.quants.result import QuantForm, QuantsPart
from bench.report.blocks import Block, Definitions, Notes, Section, Table, Term, Text, number
from bench.report.quants_figure import speed_against_loss
from bench.result import Result
from core.gguf.estimate import TYPES
from core.llama.measures import MAX_DIVERGENCE
from core.optimize import MIN_GAIN

FULL_PRECISION = ("F32", "F16", "BF16")
TERMS = (
    Term("prefill tok/s", "tokens of a prompt / time to read it; llama.cpp's bare loop, the median of the rounds."),
    Term("decode tok/s", "sequences x (tokens - 1) / time from the first token to the last; the median of the rounds."),
    Term("spread", "(largest - smallest) / median of the rounds, the widest of the three rates."),
    Term(
        "KL",
        "KL divergence from the original: mean over the tokens of a text of sum over the vocabulary of p ln(p / q), p"
        " the original's probabilities of the next token, q the form's; in nats, ± standard error.",
    ),
    Term("perplexity", "exp(mean of -ln q(token that follows)), ± perplexity x standard error of the mean."),
    Term(
        "change",
        "perplexity / that of the original - 1; its standard error from pairs: both read the same tokens.",
    ),
    Term("same top", "share of tokens after which both find the same next one the likeliest."),
    Term(
        "loss",
        f"yes where KL is above {MAX_DIVERGENCE} nats, or perplexity more than two standard errors above the"
        " original's.",
    ),
    Term(
        "Pareto line",
        "the original, then each form that generates one sequence faster than all that are closer to the original: in"
        f" every round, and by {MIN_GAIN - 1:.0%} in the median one.",
    ),
    Term("all three", "the geometric mean of the three ratios; `warmfn optimize` chooses by it."),
    Term("fast kernels", "share of the weights whose type llama.cpp has kernels of its own for on this CPU."),
    Term(
        "MBU",
        "decode tok/s of one sequence x (weights read + depth x KV bytes of a token) / measured bandwidth. Near 100 %"
        " only fewer bytes make it faster; far below, it is held up by computing.",
    ),
    Term(
        "peak resident",
        "the most memory of the measuring process: the mapped file, a second copy of weights that llama.cpp repacks for"
        " its fast kernels, the KV cache, buffers, and Python. The kernel can drop the mapped file's pages again.",
    ),
)


def sections(result: Result) -> Iterator[Section]:
    part = result.quants
    if part is None:
        return
    yield Section("Which quantization pays", tuple(_overview(part)))
    yield Section("Times as fast as the original", (_speed(part),))
    if any(form.quality for form in part.forms):
        yield Section("Quality beside the original", (_quality(part), Notes((_text_read(part),))))
    yield Section("Memory", (_memory(part), Notes((_cache(part),))))
    yield Section("What the files are made of", (_makeup(part), Notes(tuple(_kernels(part))), Definitions(TERMS)))


def _overview(part: QuantsPart) -> Iterator[Block]:
    yield _table(part)
    yield Text(_reference(part.original))
    yield Notes(tuple(_method(part)))
    if part.pareto:
        yield speed_against_loss(part, part.pareto)
    if part.best is None and part.not_made:
        yield Notes(tuple(f"{type} was not made: {reason}" for type, reason in part.not_made.items()))


def _table(part: QuantsPart) -> Table:
    headers = ("form", "MB", "prefill tok/s", "decode tok/s", f"{part.sequences} sequences", "KL, nats", "same top")
    return Table(headers, tuple(_row(part, form) for form in part.forms))


def _row(part: QuantsPart, form: QuantForm) -> tuple[str, ...]:
    rates, quality = form.rates, form.quality
    speeds = (rates.prefill, rates.single, rates.batch) if rates else (None, None, None)
    return (
        _name(part, form),
        _megabytes(form.file_bytes),
        *map(number, speeds),
        *((f"{quality.divergence:.4f}", _percent(quality.same_top, 1)) if quality else _unmeasured(part, form, 2)),
    )


def _name(part: QuantsPart, form: QuantForm) -> str:
    return f"{form.quant} (original)" if form is part.original else form.quant


def _unmeasured(part: QuantsPart, form: QuantForm, count: int) -> tuple[str, ...]:
    """What the original has not, since it is what others are held against."""
    return ("reference", *["-"] * (count - 1)) if form is part.original else ("n/a",) * count


def _reference(original: QuantForm) -> str:
    if original.quant in FULL_PRECISION:
        return f"The reference is the original, {original.quant}, which is not quantized: this is the whole loss."
    return (
        f"The reference is the original, {original.quant}, which is quantized itself: what it lost then is not seen"
        " here and does not come back. No form made of it is better; larger ones are at most faster. Give an F16 file"
        " to see the whole loss."
    )


def _method(part: QuantsPart) -> Iterator[str]:
    yield (
        f"{part.prompt} tokens read, then one sequence generated, then {part.sequences} at once;"
        f" {len(part.original.rounds)} rounds in which all take turns; threads: {part.threads}"
    )
    yield "a model of the folder is switched to one of these by `warmfn optimize MODEL --to TYPE --apply`"


def _speed(part: QuantsPart) -> Table:
    rows = []
    for form in part.forms:
        ratios = gains(form, part.original) or (None,) * 4
        spread = form.spread
        rows.append(
            (
                _name(part, form),
                *(number(ratio, 2) for ratio in ratios),
                _percent(spread),
                _percent(form.mbu),
            )
        )
    return Table(
        ("form", "prefill", "one sequence", f"{part.sequences} sequences", "all three", "spread", "MBU"), tuple(rows)
    )


def _quality(part: QuantsPart) -> Table:
    rows = [_quality_row(part, form) for form in part.forms]
    headers = ("form", "perplexity", "change", "KL, nats", "same top", "loss")
    return Table(headers, tuple(rows))


def _quality_row(part: QuantsPart, form: QuantForm) -> tuple[str, ...]:
    quality = form.quality
    if quality is None:
        known = next((other.quality for other in part.forms if other.quality), None)
        own = f"{known.reference_perplexity:.2f} ± {known.reference_perplexity_error:.2f}" if known else "n/a"
        is_original = form is part.original
        return (_name(part, form), own if is_original else "n/a", *_unmeasured(part, form, 4))
    return (
        form.quant,
        f"{quality.perplexity:.2f} ± {quality.perplexity_error:.2f}",
        f"{100 * quality.change:+.1f} ± {100 * quality.log_ratio_error:.1f} %",
        f"{quality.divergence:.4f} ± {quality.divergence_error:.4f}",
        _percent(quality.same_top, 1),
        "none" if quality.is_lossless else "yes",
    )


def _text_read(part: QuantsPart) -> str:
    tokens = next(form.quality.num_tokens for form in part.forms if form.quality)
    return f"on {tokens} tokens of core/llama/sample.txt, a text written for this: it ranks forms, it is no benchmark"


def _memory(part: QuantsPart) -> Table:
    rows = tuple(
        (
            _name(part, form),
            _megabytes(form.file_bytes),
            _megabytes(form.weight_bytes + part.kv_cache_bytes),
            "n/a" if form.peak_bytes is None else _megabytes(form.peak_bytes),
        )
        for form in part.forms
    )
    return Table(("form", "file MB", "weights + KV cache MB", "peak resident MB"), rows)


def _cache(part: QuantsPart) -> str:
    return (
        f"the KV cache is the same for all: {_megabytes(part.kv_cache_bytes)} MB at f16 for {part.sequences} sequences"
        f" of {part.cells} tokens"
    )


def _makeup(part: QuantsPart) -> Table:
    rows = tuple(
        (
            _name(part, form),
            ", ".join(f"{type} {_percent(share)}" for type, share in form.mixture.items()),
            _percent(form.fast_share),
        )
        for form in part.forms
    )
    return Table(("form", "types of its weights, by bytes", "fast kernels"), rows)


def _kernels(part: QuantsPart) -> Iterator[str]:
    if part.fast_types:
        yield f"types with fast kernels on this CPU: {', '.join(part.fast_types)}"
    else:
        yield "llama.cpp has no fast kernels for this CPU: what is smallest is fastest"
    for form in part.forms:
        named = TYPES.get(form.quant, "")
        if named.endswith("_K") and form.mixture.get(named, 0) < 0.5:
            largest = next(iter(form.mixture))
            yield (
                f"{form.quant} is mostly {largest} here: {named} needs rows of a multiple of 256 values, and llama.cpp"
                " takes another type for the others"
            )


def _percent(share: float | None, digits: int = 0) -> str:
    return "n/a" if share is None else f"{100 * share:.{digits}f} %"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}"
