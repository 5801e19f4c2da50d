"""The CPU-fast form of a text model: other quantizations of its file are made, measured and compared on this host.

What decides a GGUF's speed on a CPU is its quantization more than anything else (`core.llama.kernels`). Invariant: what
was made and not chosen is removed, whatever happens; the original stays as it is, under its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.errors import StoreError
from core.gguf import GgufHeader, read_header
from core.store.progress import Progress, silent

if TYPE_CHECKING:
    from core.llama.perplexity import Quality
    from core.llama.rates import Rates

AUTO = ("Q8_0", "Q4_0")
"""What is tried: the types that llama.cpp has fast kernels for on every CPU that it has any for."""

MIN_GAIN = 1.05
"""Less is within what such a measurement varies by."""

MAX_DIVERGENCE = 0.01
"""Nats. A form with less, whose perplexity is also within two standard errors of the original's, counts as no loss.
SmolLM2's Q4_1 file as Q8_0 has 0.005, as Q4_0 0.27."""


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
        quality = self.quality
        if quality is None:
            return False
        return quality.divergence <= MAX_DIVERGENCE and quality.log_ratio <= 2 * quality.log_ratio_error


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
    header = read_header(source)
    types = [type for type in ([to] if to else AUTO) if type != header.quant]
    if not types:
        raise StoreError(f"{source.name} is {to} already: give another type, or --to auto")
    made: list[Path] = []
    kept: set[Path] = set()
    try:
        paths = [_present_or_made(source, header, type, made, on_progress) for type in types]
        comparison = _compare(source, paths, made, on_step, wants_all=to is not None)
        kept = {comparison.best.path, *(paths if to else ())}
        return comparison
    finally:
        for path in made:
            if path not in kept:
                path.unlink(missing_ok=True)


def text_weights(config: ModelConfig) -> Path:
    """The GGUF of a text model; raises StoreError for any other."""
    if check_weights(config) != "llama-text":
        raise StoreError(f"{config.name} is no text model in a GGUF file: only such are optimized")
    return config.weights


def form_path(source: Path, type: str) -> Path:
    """Where the form of `source` lies: `model.Q4_K_M.gguf` -> `model.Q8_0.gguf`, beside it."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", source.stem)
    bare = re.sub(r"[.-](I?Q\d\w*|B?F(16|32))$", "", stem, flags=re.IGNORECASE)
    return source.with_name(f"{bare}.{type}.gguf")


def _present_or_made(source: Path, header: GgufHeader, type: str, made: list[Path], on_progress: Progress) -> Path:
    from core.llama.quantize import quantize

    target = form_path(source, type)
    if not target.exists():
        quantize(source, target, type, on_progress)
        made.append(target)
    elif not _is_form_of(header, read_header(target), type):
        raise StoreError(f"{target} is there already and is no {type} of {source.name}: move it away")
    return target


def _is_form_of(header: GgufHeader, other: GgufHeader, type: str) -> bool:
    def shapes(header: GgufHeader) -> dict[str, tuple[int, ...]]:
        return {tensor.name: tensor.shape for tensor in header.tensors}

    return other.quant == type and shapes(other) == shapes(header)


def _compare(
    source: Path, others: Sequence[Path], made: Sequence[Path], on_step: Callable[[str], None], *, wants_all: bool
) -> Comparison:
    """Quality takes longest to measure, so it is left out for forms that are not faster, unless all are wanted."""
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
        forms[forms.index(form)] = replace(form, quality=_quality(source, form.path))
    return Comparison((original, *forms), choose(original, forms))


def _quality(source: Path, other: Path) -> Quality:
    from core.llama.model import LlamaModel
    from core.llama.perplexity import measure_quality, sample_text

    reference, model = LlamaModel(source), LlamaModel(other)
    try:
        return measure_quality(reference, model, sample_text())
    finally:
        reference.close()
        model.close()


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
