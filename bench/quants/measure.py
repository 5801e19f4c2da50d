"""One file in several quantizations: made, timed in turns, and read against the original.

Every round is a process of its own for each form, so that what else the host does meets all forms alike and the memory
is the form's own. Whatever ends the run, `part()` says what is known by then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.limits.disturbance import disturbances, readings
from bench.quants.choice import best_lossless, pareto_line
from bench.quants.probe import Job, Round, measure_round
from bench.quants.result import QuantForm, QuantsPart
from bench.quants.source import cache_bytes, mixture
from bench.result import Flag
from bench.roofline.arithmetic import step_bytes
from bench.roofline.peaks import Peaks
from core.errors import StoreError
from core.forms import form_name, make_form
from core.gguf import GgufHeader, read_header
from core.host import available_cpus
from core.llama.measures import Quality, Rates, median_rates

OnProgress = Callable[[str, int], None]
"""What happens now, and how many steps are done with it."""


@dataclass(frozen=True)
class Settings:
    """`sequences` are generated at once, beside one alone."""

    sequences: int
    rounds: int


@dataclass
class Measuring:
    """One file, and what is known of it so far."""

    path: Path
    header: GgufHeader
    rounds: list[Round] = field(default_factory=list)
    quality: Quality | None = None


class QuantsRun:
    """`folder` is where the forms are made; `types` are not the original's."""

    def __init__(
        self,
        source: Path,
        types: Sequence[str],
        folder: Path,
        settings: Settings,
        peaks: Peaks,
        on_progress: OnProgress,
    ) -> None:
        self.complete = False
        self.doubts: list[Flag] = []
        self.not_made: dict[str, str] = {}
        self._source, self._types, self._folder = source, types, folder
        self._settings, self._peaks, self._on_progress = settings, peaks, on_progress
        self._forms = [Measuring(source, read_header(source))]

    @property
    def num_steps(self) -> int:
        return len(self._types) * (2 + self._settings.rounds) + self._settings.rounds

    def measure(self) -> None:
        """Raises CoreError for what cannot be measured, and where no form could be made at all."""
        for type in self._types:
            self._make(type)
        if len(self._forms) == 1:
            raise StoreError("; ".join(self.not_made.values()))
        self._measure_rates()
        self._measure_quality()
        self.complete = True

    def _make(self, type: str) -> None:
        """What llama.cpp does not make is told, and the others go on."""
        path = self._folder / form_name(self._source, type)

        def watch(description: str, done: int, total: int | None) -> None:
            self._on_progress(f"{description}: {done / (total or 1):.0%}", 0)

        try:
            make_form(self._source, path, type, watch)
        except StoreError as error:
            self.not_made[type] = error.message
            self._on_progress(f"{path.name} was not made", 2 + self._settings.rounds)
            return
        self._forms.append(Measuring(path, read_header(path)))
        self._on_progress(f"{path.name} is there", 1)

    def _measure_rates(self) -> None:
        before, used = readings(), _children_seconds()
        for number in range(self._settings.rounds):
            for form in self._forms:
                words = f"speed of {form.path.name}, round {number + 1} of {self._settings.rounds}"
                self._on_progress(words, 0)
                form.rounds.append(measure_round(Job(str(form.path), self._settings.sequences)))
                self._on_progress(words, 1)
        self.doubts = disturbances(readings().use_since(before, other_clients=_children_seconds() - used))

    def _measure_quality(self) -> None:
        from core.llama.perplexity import compare_files

        for form in self._forms[1:]:
            words = f"quality of {form.path.name}"
            self._on_progress(words, 0)
            form.quality = compare_files(self._source, form.path)
            self._on_progress(words, 1)

    def part(self) -> QuantsPart:
        from core.llama.kernels import cpu_features, fast_types, system_info
        from core.llama.rates import PROMPT, STREAM_CELLS

        fast = fast_types(cpu_features(system_info()))
        forms = [self._form(form, fast) for form in self._forms]
        return QuantsPart(
            sequences=self._settings.sequences,
            prompt=PROMPT,
            cells=STREAM_CELLS,
            threads=available_cpus(),
            kv_cache_bytes=cache_bytes(self._forms[0].header, self._settings.sequences),
            peaks=self._peaks,
            fast_types=sorted(fast),
            forms=forms,
            not_made=self.not_made,
            best=best_lossless(forms) if self.complete else None,
            pareto=pareto_line(forms) if self.complete else None,
        )

    def _form(self, form: Measuring, fast: frozenset[str]) -> QuantForm:
        types, rounds = mixture(form.header), [one.rates for one in form.rounds]
        return QuantForm(
            quant=form.header.quant or "?",
            file_bytes=form.path.stat().st_size,
            weight_bytes=form.header.weight_bytes,
            mixture=types,
            fast_share=sum(share for type, share in types.items() if type in fast) if fast else None,
            rounds=rounds,
            peak_bytes=max((one.peak_bytes for one in form.rounds), default=None),
            mbu=self._mbu(form.header, median_rates(rounds)) if rounds else None,
            quality=form.quality,
        )

    def _mbu(self, header: GgufHeader, rates: Rates) -> float:
        """Of one sequence, as long as it is in the middle of its measurement."""
        from core.llama.rates import STREAM_PROMPT, TOKENS

        read = step_bytes(header, batch=1, depth=STREAM_PROMPT + TOKENS / 2)
        return read * rates.single / self._peaks.read_bytes_s


def _children_seconds() -> float:
    """Processor time of the children that have ended."""
    return sum(os.times()[2:4])
