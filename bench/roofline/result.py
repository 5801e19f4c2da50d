"""How much of a host the stages of a run used."""

from __future__ import annotations

from pydantic import BaseModel

from bench.roofline.peaks import Peaks


class StageUse(BaseModel, frozen=True):
    """`mbu` = decode tok/s of one sequence x bytes of a step / peak bandwidth: the steps of a batch are shared, so this
    is the whole batch's. `mfu` = prefill tok/s x operations per prompt token / peak sgemm, for single clients, whose
    prompts wait for nobody. `depth` is the mean number of tokens a sequence held while it generated."""

    stage: str
    target: str
    batch: int
    depth: float
    mbu: float | None
    mfu: float | None


class Roofline(BaseModel, frozen=True):
    peaks: Peaks
    stages: list[StageUse]
