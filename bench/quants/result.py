"""What the quantizations of one file give on this host."""

from __future__ import annotations

from statistics import median

from pydantic import BaseModel

from bench.roofline.peaks import Peaks
from core.llama.measures import Quality, Rates, median_rates


class QuantForm(BaseModel, frozen=True):
    """One file of the model. `mixture` is what its weights are: the share of the bytes that each tensor type has;
    `fast_share` that of the types with fast kernels on this CPU (None where there are none for any type).

    `rounds` are as far as it was measured, one after another. `peak_bytes` is the most that any of their processes had
    resident, the mapped file included. `mbu` is that of one sequence. `quality` is against the original, which has
    none."""

    quant: str
    file_bytes: int
    weight_bytes: int
    mixture: dict[str, float]
    fast_share: float | None
    rounds: list[Rates] = []
    peak_bytes: int | None = None
    mbu: float | None = None
    quality: Quality | None = None

    @property
    def rates(self) -> Rates | None:
        return median_rates(self.rounds) if self.rounds else None

    @property
    def spread(self) -> float | None:
        """(Largest - smallest) / median of the rounds, of the rate that varies most."""
        columns = [[getattr(one, kind) for one in self.rounds] for kind in ("prefill", "single", "batch")]
        return max((max(column) - min(column)) / median(column) for column in columns) if self.rounds else None


class QuantsPart(BaseModel, frozen=True):
    """`forms` begin with the original. In each round `prompt` tokens are read, then one sequence is generated, then
    `sequences` at once; the KV cache of `kv_cache_bytes` has `cells` for each. `not_made` has the reason for each type
    that was wanted and is not there.

    `best` is what `warmfn optimize` would choose of them: the fastest without measurable loss. `pareto` is the Pareto
    line: the original, then each form that is faster at generating one sequence than all that are closer to the
    original. Both are None until all is measured."""

    sequences: int
    prompt: int
    cells: int
    threads: int
    kv_cache_bytes: int
    peaks: Peaks
    fast_types: list[str]
    forms: list[QuantForm]
    not_made: dict[str, str] = {}
    best: str | None = None
    pareto: list[str] | None = None

    @property
    def original(self) -> QuantForm:
        return self.forms[0]
