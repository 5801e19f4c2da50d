"""The CPU-fast form of a text model: other quantizations of its file are made, measured and compared on this host.

What decides a GGUF's speed on a CPU is its quantization more than anything else (`core.llama.kernels`). Invariant: what
was made and not chosen is removed, whatever happens; the original stays as it is, under its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config.model import ModelConfig
from core.errors import StoreError
from core.forms import form_name, make_form, text_weights
from core.gguf import read_header
from core.llama.measures import Quality, Rates
from core.store.progress import Progress, silent

AUTO = ("Q8_0", "Q4_0")
"""What is tried: the types that llama.cpp has fast kernels for on every CPU that it has any for."""

MIN_GAIN = 1.05
"""Less is within what such a measurement varies by."""


@dataclass(frozen=True)
class Form:
    """One file of a model: `quality` is measured against the original, which has none; None, too, where it was not
    worth measuring. `is_new`: made by this run."""

    path: Path
    quant: str
    num_bytes: int
    is_new: bool
    rates: Rates
    quality: Quality | None = None

    @property
    def is_lossless(self) -> bool:
        """Whether the text shows no loss against the original."""
        return self.quality is not None and self.quality.is_lossless


@dataclass(frozen=True)
class Comparison:
    """`best` is one of `forms`, of which the first is the original."""

    forms: tuple[Form, ...]
    best: Form

    @property
    def original(self) -> Form:
        return self.forms[0]


def compare_forms(
    config: ModelConfig, to: str | None, on_progress: Progress = silent, on_step: Callable[[str], None] = print
) -> Comparison:
    """Compare the model's file with its form of type `to`, which is kept, or with those of AUTO, of which only the best
    is. A form that lies beside the file already is taken as it is.

    Raises StoreError and ModelUnusable for what cannot be made or measured; then nothing is kept.
    """
    source = text_weights(config)
    quant = read_header(source).quant
    types = [type for type in ([to] if to else AUTO) if type != quant]
    if not types:
        raise StoreError(f"{source.name} is {to} already: give another type, or --to auto")
    made: list[Path] = []
    kept: set[Path] = set()
    try:
        paths = [source.with_name(form_name(source, type)) for type in types]
        for path, type in zip(paths, types, strict=True):
            if make_form(source, path, type, on_progress):
                made.append(path)
        comparison = _compare(source, paths, made, on_step, wants_all=to is not None)
        kept = {comparison.best.path, *(paths if to else ())}
        return comparison
    finally:
        for path in made:
            if path not in kept:
                path.unlink(missing_ok=True)


def _compare(
    source: Path, others: Sequence[Path], made: Sequence[Path], on_step: Callable[[str], None], *, wants_all: bool
) -> Comparison:
    """Quality takes longest to measure, so it is left out for forms that are not faster, unless all are wanted."""
    from core.llama.perplexity import compare_files
    from core.llama.rates import compare_rates

    paths = (source, *others)
    rates = compare_rates(paths, on_step)
    original, *forms = (
        Form(path, read_header(path).quant or "?", path.stat().st_size, path in made, rate)
        for path, rate in zip(paths, rates, strict=True)
    )
    worth = [form for form in forms if wants_all or form.rates.gain_over(original.rates) >= MIN_GAIN]
    for form in worth:
        on_step(f"measure the quality of {form.path.name}")
        forms[forms.index(form)] = replace(form, quality=compare_files(source, form.path))
    return Comparison((original, *forms), choose(original, forms))


def choose(original: Form, forms: Sequence[Form]) -> Form:
    """The fastest of the forms that lose nothing measurable and gain at least MIN_GAIN; else the original."""
    gains = {form: form.rates.gain_over(original.rates) for form in forms if form.is_lossless}
    best = max(gains, key=lambda form: gains[form], default=original)
    return best if gains.get(best, 0) >= MIN_GAIN else original


def place_form(chosen: Form, target: Path) -> None:
    """Let `target` be the chosen form: itself if it was made for this, else a link to the file beside it."""
    if chosen.is_new:
        os.replace(chosen.path, target)
    else:
        link = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        link.symlink_to(os.path.relpath(chosen.path, target.parent))
        os.replace(link, target)
